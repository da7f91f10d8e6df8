"""Which session an event belongs to. Pure.

SESSION events bind a connection, or one exchange, to a session, possibly long after its other events. In order of
precedence:

1. the exchange's own binding;
2. its connection's binding;
3. the lowest session that anything else of its connection, then of its listener, is bound to;
4. where nothing of that listener is bound: one session per listener, rule ``listener``, numbered after the bound ones
   in the order in which the listeners were first seen; with a single listener and no binding at all, session 1, rule
   ``single``.

A later binding of the same thing replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

RULE_SINGLE = "single"
RULE_LISTENER = "listener"


class Bindings:
    """Collects what binds; ask for sessions only when all of it has been seen."""

    def __init__(self) -> None:
        self.listeners: dict[int, str] = {}
        self.by_connection: dict[int, int] = {}
        self.by_exchange: dict[int, int] = {}
        self._bound: dict[tuple[int, int], tuple[int, int, int, str]] = {}

    def open_connection(self, connection: int, listener: object) -> None:
        """A connection was accepted at ``listener`` (a text or port; None where not known)."""
        self.listeners[connection] = "" if listener is None else str(listener)

    def bind(self, connection: int, exchange: int, session: int, rule: str) -> None:
        """Bind the exchange, or where it is 0 the connection."""
        key = (0, exchange) if exchange else (connection, 0)
        self._bound.pop(key, None)
        self._bound[key] = (connection, exchange, session, rule)
        if exchange:
            self.by_exchange[exchange] = session
        else:
            self.by_connection[connection] = session

    def history(self) -> Iterator[tuple[int, int, int, str]]:
        """Bindings as (connection, exchange, session, rule) that make an equal object when bound again."""
        yield from self._bound.values()

    def session_of(self, connection: int, exchange: int) -> int:
        """The session of an event."""
        session = self.by_exchange.get(exchange)
        if session is None:
            session = self.by_connection.get(connection, self._lowest.get(connection))
        return self._by_listener(connection) if session is None else session

    def rule_of(self, session: int) -> str:
        """The rule that made ``session``."""
        default = RULE_LISTENER if self.rules or len(self._listener_sessions) > 1 else RULE_SINGLE
        return self.rules.get(session, default)

    def _by_listener(self, connection: int) -> int:
        sessions = self._listener_sessions
        listener = self.listeners.get(connection)
        if listener is None:
            return next(iter(sessions.values()), min(self.rules, default=1))
        return sessions[listener]

    @cached_property
    def rules(self) -> dict[int, str]:
        """The rule of each bound session."""
        return {session: rule for _, _, session, rule in self._bound.values()}

    @cached_property
    def _lowest(self) -> dict[int, int]:
        lowest: dict[int, int] = {}
        for connection, _, session, _ in self._bound.values():
            lowest[connection] = min(session, lowest.get(connection, session))
        return lowest

    @cached_property
    def _listener_sessions(self) -> dict[str, int]:
        bound: dict[str, int] = {}
        for connection, session in self._lowest.items():
            listener = self.listeners.get(connection)
            if listener is not None:
                bound[listener] = min(session, bound.get(listener, session))
        following = max(self.rules, default=0)
        sessions = {}
        for listener in dict.fromkeys(self.listeners.values()):
            if listener not in bound:
                following += 1
            sessions[listener] = bound.get(listener, following)
        return sessions
