"""Which exchanges of a capture an edit keeps, and what of them. Pure.

Theory of operation. An exchange is kept or dropped as a whole, so that what is kept is still right: it belongs to the
moment at which its request starts. Sockets and event streams are the exception, for they last: one that lies partly
in the window keeps its request and answer, and of its messages those in the window. No time is ever changed.

A ``Sieve`` sees all events once; its ``Keep`` then tells what stays; memory is a few bits per exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, cast

from captures.bodies import media_type
from captures.edit.patterns import Choice
from captures.format.idset import IdSet
from captures.format.index import origin_of
from captures.records import Event, EventType, Origin

SELECTORS = ("--origin", "--route", "--method", "--session", "--to")
"""The options whose matches a ``Sieve`` counts one by one."""

SessionOf = Callable[[int, int], int]

_EVENT_STREAM = "text/event-stream"
# Of an exchange that lasts, these stay only in the window. The answer to a socket's request ends as the socket begins.
_SOCKET_PARTS = frozenset({EventType.MESSAGE, EventType.CONTROL, EventType.SOCKET_CLOSE, EventType.ERROR})
_STREAM_PARTS = frozenset({EventType.RESPONSE_BODY, EventType.RESPONSE_END, EventType.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From ``start_ns`` (inclusive) to ``end_ns`` (exclusive), since the capture's time zero; None: unbounded."""

    start_ns: int | None = None
    end_ns: int | None = None

    def __bool__(self) -> bool:
        return self.start_ns is not None or self.end_ns is not None

    def is_before(self, t_ns: int) -> bool:
        """Whether a time lies before the window."""
        return self.start_ns is not None and t_ns < self.start_ns

    def is_behind(self, t_ns: int) -> bool:
        """Whether a time lies behind the window."""
        return self.end_ns is not None and t_ns >= self.end_ns

    def has(self, t_ns: int) -> bool:
        """Whether a time lies in the window."""
        return not self.is_before(t_ns) and not self.is_behind(t_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to keep; an exchange is kept where all of it agrees. ``routes`` takes method and path."""

    origins: Choice[Origin] = Choice()
    routes: Choice[tuple[str, str]] = Choice()
    methods: Choice[str] = Choice()
    statuses: Choice[int | None] = Choice()
    sessions: Choice[int] = Choice()
    window: Window = field(default_factory=Window)

    def __bool__(self) -> bool:
        parts = (self.origins, self.routes, self.methods, self.statuses, self.sessions, self.window)
        return any(bool(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays: ``exchanges``; of those that are ``sockets`` or ``streams``, what happens in the window."""

    exchanges: IdSet
    sockets: IdSet
    streams: IdSet
    window: Window

    def has(self, event: Event) -> bool:
        """Whether an event of an exchange stays."""
        exchange = event.exchange
        if exchange not in self.exchanges:
            return False
        if event.type in _SOCKET_PARTS and exchange in self.sockets:
            return self.window.has(event.t_ns)
        if event.type in _STREAM_PARTS and exchange in self.streams:
            return self.window.has(event.t_ns)
        return True


class Sieve:
    """Takes all events of a capture in order; ``kept`` and ``lasting`` then tell what stays.

    Args:
        session_of: the session of a connection's exchange.

    Attributes:
        n_exchanges: seen.
        matched: of these, how many each part of the selection lets in by itself.
        sockets: the wanted exchanges that became sockets.
        highest: the highest connection, exchange and session among the exchanges.
        first_ns: where the window starts, else the first wanted request.
    """

    def __init__(self, selection: Selection, session_of: SessionOf) -> None:
        self._selection = selection
        self._session_of = session_of
        self.n_exchanges = 0
        self.matched: Counter[str] = Counter()
        self.highest = (0, 0, 0)
        self.first_ns = selection.window.start_ns or 0
        self._wanted, self._answered, self._refused = IdSet(), IdSet(), IdSet()
        self._early, self._over, self.sockets, self._streams = IdSet(), IdSet(), IdSet(), IdSet()

    def keep(self) -> Keep:
        """What stays, all events being seen."""
        lasting = self.sockets | self._streams
        unanswered = IdSet() if self._selection.statuses.has(None) else self._wanted - self._answered
        gone = self._early - (lasting - self._over)
        kept = self._wanted - self._refused - unanswered - gone
        return Keep(kept, kept & self.sockets, kept & self._streams, self._selection.window)

    def add(self, event: Event) -> None:
        """Look at one event."""
        exchange = event.exchange
        if event.type is EventType.REQUEST_HEAD:
            self._request(event, cast("dict[str, Any]", event.fields))
        elif exchange not in self._wanted:
            return
        elif event.type is EventType.RESPONSE_HEAD:
            self._answer(exchange, cast("dict[str, Any]", event.fields))
        elif event.type is EventType.SOCKET_OPEN:
            self.sockets.add(exchange)
        elif self._ends(event) and self._selection.window.is_before(event.t_ns):
            self._over.add(exchange)

    def _ends(self, event: Event) -> bool:
        if event.type is EventType.RESPONSE_END:
            return event.exchange in self._streams
        return event.type in (EventType.SOCKET_CLOSE, EventType.ERROR)

    def _request(self, event: Event, fields: dict[str, Any]) -> None:
        origin = origin_of(fields["scheme"], fields["host"], fields["port"])
        if origin is None or not event.exchange:
            return
        self.n_exchanges += 1
        chosen, window = self._selection, self._selection.window
        session = self._session_of(event.connection, event.exchange)
        method, path = fields["method"], fields["target"].partition("?")[0]
        agrees = (
            chosen.origins.has(origin),
            chosen.routes.has((method, path)),
            chosen.methods.has(method),
            chosen.sessions.has(session),
            not window.is_behind(event.t_ns),
        )
        self.matched.update(compress(SELECTORS, agrees))
        if not all(agrees):
            return
        connection, exchange, highest = self.highest
        self.highest = max(connection, event.connection), max(exchange, event.exchange), max(highest, session)
        if window.start_ns is None:
            self.first_ns = min(self.first_ns, event.t_ns) if self._wanted else event.t_ns
        self._wanted.add(event.exchange)
        if window.is_before(event.t_ns):
            self._early.add(event.exchange)

    def _answer(self, exchange: int, fields: dict[str, Any]) -> None:
        self._answered.add(exchange)
        if not self._selection.statuses.has(fields["status"]):
            self._refused.add(exchange)
        if media_type(fields["headers"]) == _EVENT_STREAM:
            self._streams.add(exchange)
