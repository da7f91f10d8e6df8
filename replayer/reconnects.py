"""How long the recorded clients waited before they came back to a socket they had lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from captures.records import Exchange, Session
from captures.units import NS_PER_S

_UPGRADE = (b"websocket",)
_FORGOTTEN_NS = 600 * NS_PER_S
"""Who opens the same socket so long after it ended does not reconnect: it is another visit."""


def recorded_waits(sessions: Sequence[Session]) -> tuple[int, ...]:
    """Return the waits (ns) before first, second, … attempts, each the median of what the sessions show; may be empty.

    A chain begins with the end of a socket and holds every later handshake on the same path until one is accepted. A
    wait is counted from the end of the socket, or of the attempt before.
    """
    by_attempt: list[list[int]] = []
    for session in sessions:
        for path in sorted({exchange.path for exchange in session.exchanges if _is_handshake(exchange)}):
            handshakes = [each for each in session.exchanges if _is_handshake(each) and each.path == path]
            _collect(handshakes, by_attempt)
    return tuple(sorted(waits)[len(waits) // 2] for waits in by_attempt)


def _collect(handshakes: Sequence[Exchange], by_attempt: list[list[int]]) -> None:
    ended_ns: int | None = None
    attempt = 0
    for handshake in handshakes:
        if ended_ns is not None and 0 <= handshake.start_ns - ended_ns <= _FORGOTTEN_NS:
            if attempt == len(by_attempt):
                by_attempt.append([])
            by_attempt[attempt].append(handshake.start_ns - ended_ns)
            attempt += 1
        if handshake.socket is not None:
            ended_ns, attempt = handshake.socket.close_ns, 0
        elif ended_ns is not None:
            ended_ns = handshake.end_ns or handshake.start_ns


def _is_handshake(exchange: Exchange) -> bool:
    if exchange.socket is not None:
        return True
    return any(name.lower() == b"upgrade" and value.lower() in _UPGRADE for name, value in exchange.request_headers)
