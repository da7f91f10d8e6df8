"""What is open at the moment a file ends, to be told again at the start of the next one; pure.

A file must be complete by itself: a socket that was opened in the file before needs its connection, session and
handshake in this one as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from captures.records import Event, EventType

MAX_KEPT_BYTES = 64 << 10
"""Body bytes of an unfinished exchange that are told again; beyond that its body is cut in the next file."""

_HEADS = frozenset(
    {EventType.REQUEST_HEAD, EventType.REQUEST_END, EventType.RESPONSE_HEAD, EventType.RESPONSE_END}
    | {EventType.SOCKET_OPEN}
)
_BODIES = frozenset({EventType.REQUEST_BODY, EventType.RESPONSE_BODY})
_LAST = frozenset({EventType.ERROR, EventType.SOCKET_CLOSE})


@dataclass(slots=True)
class _Exchange:
    told: list[Event] = field(default_factory=list)
    kept_bytes: int = 0
    is_stream: bool = False
    is_upgrade: bool = False
    is_cut: bool = False


@dataclass(slots=True)
class _Connection:
    opened: Event
    session: Event | None = None
    n_open: int = 0


class OpenState:
    """Follows the events of a capture."""

    def __init__(self) -> None:
        self._connections: dict[int, _Connection] = {}
        self._exchanges: dict[int, _Exchange] = {}
        self._bound: dict[int, Event] = {}
        self._cut: set[int] = set()

    @property
    def exchanges(self) -> list[int]:
        """Exchanges and sockets that are not over."""
        return list(self._exchanges)

    def belongs(self, event: Event) -> bool:
        """Tell whether the file that an event would go to knows what it is about."""
        if event.type is EventType.SESSION:
            return event.exchange in self._exchanges if event.exchange else event.connection in self._connections
        return not (event.exchange in self._cut and event.type in _BODIES)

    def follow(self, event: Event) -> None:
        """Take an event that was written."""
        if event.type is EventType.CONNECTION_OPEN:
            self._connections[event.connection] = _Connection(event)
        elif event.type is EventType.CONNECTION_CLOSE:
            self._connections.pop(event.connection, None)
        elif event.type is EventType.SESSION:
            self._bind(event)
        elif event.exchange:
            self._follow_exchange(event)

    def again(self) -> Iterator[Event]:
        """Yield what the next file begins with."""
        self._cut = {number for number, exchange in self._exchanges.items() if exchange.is_cut}
        for connection in self._connections.values():
            yield connection.opened
            if connection.session is not None:
                yield connection.session
        for number, exchange in self._exchanges.items():
            if number in self._bound:
                yield self._bound[number]
            yield from exchange.told

    def _bind(self, event: Event) -> None:
        if event.exchange:
            self._bound[event.exchange] = event
        elif known := self._connections.get(event.connection):
            known.session = event

    def _follow_exchange(self, event: Event) -> None:
        if event.type is EventType.REQUEST_HEAD:
            self._exchanges[event.exchange] = _Exchange()
        known = self._exchanges.get(event.exchange)
        if known is None:
            return
        if event.type in _HEADS:
            known.told.append(event)
        elif event.type in _BODIES:
            self._keep_body(known, event)
        if event.type is EventType.RESPONSE_HEAD:
            known.is_upgrade = event.fields.get("status") == 101
            known.is_stream = _is_event_stream(event)
        if event.type in _LAST or (event.type is EventType.RESPONSE_END and not known.is_upgrade):
            self._exchanges.pop(event.exchange)
            self._bound.pop(event.exchange, None)

    def _keep_body(self, known: _Exchange, event: Event) -> None:
        if known.is_stream:
            # The rest of an endless stream stands for itself.
            return
        data = event.fields.get("data")
        size_bytes = len(data) if isinstance(data, bytes) else 0
        if known.is_cut or known.kept_bytes + size_bytes > MAX_KEPT_BYTES:
            known.is_cut = True
        else:
            known.kept_bytes += size_bytes
            known.told.append(event)


def _is_event_stream(event: Event) -> bool:
    headers = event.fields.get("headers")
    pairs = headers if isinstance(headers, tuple) else ()
    return any(name.lower() == b"content-type" and b"event-stream" in value.lower() for name, value in pairs)
