"""Reads pings and pongs out of the proxy's log lines.

mitmproxy relays control frames without a hook and only logs them:
``Received WebSocket ping from client (payload: b'hb1')``.
Source: mitmproxy/proxy/layers/websocket.py, 11.0.2 to 12.2.3.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from captures.records import Opcode, Peer

PREFIX = "Received WebSocket p"
"""What every such line begins with."""

_LINE = re.compile(r"Received WebSocket (ping|pong) from (client|server) \(payload: (b'.*'|b\".*\")\)", re.DOTALL)
_OPCODES = {"ping": Opcode.PING, "pong": Opcode.PONG}
_SENDERS = {"client": Peer.CLIENT, "server": Peer.SERVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control frame."""

    sender: Peer
    opcode: Opcode
    data: bytes


def parse_control_line(line: str) -> Control | None:
    """Read one log line; None where it tells of something else."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        data = ast.literal_eval(match[3])
    except (SyntaxError, ValueError):
        return None
    return Control(sender=_SENDERS[match[2]], opcode=_OPCODES[match[1]], data=data) if isinstance(data, bytes) else None


class ControlLog(logging.Handler):
    """Hears the proxy's log lines about pings and pongs; ``take`` gets the client's address and the line."""

    def __init__(self, take: Callable[[object, str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        if isinstance(record.msg, str) and record.msg.startswith(PREFIX):
            self._take(getattr(record, "client", None), record.msg)
