"""The sockets in the entries of a HAR: messages, control frames and how they closed, in every dialect."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from captures.bodies import header
from captures.convert.har_bodies import Bodies
from captures.convert.har_fields import duration_ns_of, from_base64, message_ns_of, to_bytes
from captures.convert.losses import Losses
from captures.convert.tape import LAST_WALL_NS, Tape
from captures.records import Exchange, Message, Opcode, Peer, Socket

_CLIENT, _SERVER = int(Peer.CLIENT), int(Peer.SERVER)
_PEERS: dict[object, int] = dict.fromkeys(("send", "sent", "request", "outgoing", "client"), _CLIENT)
_OPCODES = {1: Opcode.TEXT, 2: Opcode.BINARY, 9: Opcode.PING, 10: Opcode.PONG}
_CLOSE_OPCODE = 8
_REASON_CHARS = 1024


@dataclass(slots=True)
class Opened:
    """An entry of which messages are read before the rest is known."""

    number: int
    exchange: int
    connection: int
    reserved: int
    first_ns: int = LAST_WALL_NS
    last_ns: int = 0
    n_messages: int = 0
    close: dict[str, Any] | None = None

    @property
    def where(self) -> str:
        """For people."""
        return f"entry {self.number}"


class Sockets:
    """Puts messages on the tape.

    Attributes:
        last_ns: the last exchange's start: when something without a time is taken to have happened.
    """

    def __init__(self, tape: Tape, bodies: Bodies, losses: Losses) -> None:
        self._tape = tape
        self._bodies = bodies
        self._losses = losses
        self.last_ns = 0

    def message(self, opened: Opened, item: Any) -> None:
        """Put one element of ``_webSocketMessages`` on the tape."""
        if not isinstance(item, dict) or not isinstance(item.get("type", ""), str):
            self._losses.add("messages left out", f"{opened.where}: no message")
            return
        opened.n_messages += 1
        t_ns = message_ns_of(item.get("time"))
        if t_ns is None:
            t_ns = opened.last_ns or self.last_ns
            self._losses.add("messages without a time, given that of the one before", opened.where)
        if not opened.connection:
            opened.connection = self._tape.new_connection()
        if t_ns < opened.first_ns:
            opened.first_ns = t_ns
        if t_ns > opened.last_ns:
            opened.last_ns = t_ns
        sender = _PEERS.get(item.get("type", ""), _SERVER)
        data = item.get("data")
        if item.get("opcode") == 1 and type(data) is str and "_encoding" not in item and "_size" not in item:
            raw = to_bytes(data)
            self._tape.add_message(t_ns, opened.connection, opened.exchange, sender, 1, raw, len(raw))
        else:
            self._frame(opened, item, t_ns, Peer(sender))

    def socket(self, opened: Opened, exchange: Exchange, entry: dict[str, Any]) -> Socket:
        """The socket of an exchange, but for its messages."""
        open_ns = exchange.end_ns or exchange.response_start_ns or exchange.request_end_ns
        if not opened.n_messages and "_webSocketMessages" not in entry and "_rushhour" not in entry:
            self._losses.add("sockets without their messages, which this exporter leaves out", opened.where)
        if opened_after_ns := duration_ns_of(_map(entry.get("_rushhour")).get("openedAfter")):
            open_ns = exchange.start_ns + opened_after_ns
        headers = exchange.response_headers
        socket = Socket(
            open_ns=open_ns,
            extensions=header(headers, b"sec-websocket-extensions") or b"",
            subprotocol=header(headers, b"sec-websocket-protocol") or b"",
        )
        close = entry.get("_webSocketClose", opened.close)
        if isinstance(close, dict):
            _close(socket, close, max(opened.last_ns, open_ns))
        elif close == "aborted":
            _close(socket, {"code": 1006}, max(opened.last_ns, open_ns))
        else:
            self._losses.add("sockets of which the HAR does not say when and how they closed", opened.where)
        return socket

    def _frame(self, opened: Opened, item: dict[str, Any], t_ns: int, sender: Peer) -> None:
        number = item.get("opcode", 1)
        if number == _CLOSE_OPCODE:
            opened.close = {**item, "time": t_ns}
            return
        if number == -1 or item.get("type") == "error":
            self._losses.add("frames that Chrome could not read", opened.where)
            return
        opcode = _OPCODES.get(number, Opcode.TEXT) if type(number) is int else Opcode.TEXT
        data, size_bytes = self._bodies.message(
            item.get("data", ""), opcode is Opcode.TEXT, item.get("_encoding"), opened.where
        )
        stated = item.get("_size")
        if type(stated) is int and len(data) < stated < 1 << 48:
            size_bytes = stated
        message = Message(t_ns=t_ns, sender=sender, opcode=opcode, data=data, size_bytes=size_bytes)
        put = self._tape.message if opcode in (Opcode.TEXT, Opcode.BINARY) else self._tape.control
        put(opened.connection, opened.exchange, message)


def _close(socket: Socket, close: dict[str, Any], otherwise_ns: int) -> None:
    """Read ``_webSocketClose`` (HTTP Toolkit, our own export) or a close frame among the messages."""
    time = close.get("time")
    wall_ns = time if type(time) is int and time > 1 << 50 else message_ns_of(time)
    code, reason = close.get("code"), close.get("reason")
    if code is None and isinstance(data := close.get("data"), str) and len(frame := _frame_bytes(data)) >= 2:
        (code,), reason = struct.unpack_from(">H", frame), frame[2:].decode("utf-8", "replace")
    socket.close_ns = max(wall_ns or otherwise_ns, socket.open_ns)
    socket.close_code = code if type(code) is int and 0 < code < 65536 else None
    socket.close_reason = str(reason or "")[:_REASON_CHARS]
    socket.closed_by = {"send": Peer.CLIENT, "receive": Peer.SERVER}.get(str(close.get("type")))


def _frame_bytes(data: str) -> bytes:
    try:
        return from_base64(data)
    except ValueError:
        return b""


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
