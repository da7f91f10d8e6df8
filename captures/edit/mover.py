"""The events of one source as they stand in an edited capture: fewer, numbered on, their sessions bound anew. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from captures.bindings import Bindings
from captures.edit.selection import Keep
from captures.format.idset import IdSet
from captures.records import Event, EventType


class Mover:
    """Moves the events of one source, in order.

    Which session an exchange belongs to may follow from what is dropped; so each kept connection is bound to the
    session of its first kept exchange, and each further exchange of another session by itself.

    Args:
        keep: what stays.
        bindings: of the source.
        connection, exchange, session: what is added to these numbers.

    Attributes:
        n_messages: of sockets, moved so far.
        sessions: that have something, by their new numbers.
    """

    def __init__(self, keep: Keep, bindings: Bindings, connection: int, exchange: int, session: int) -> None:
        self.n_messages = 0
        self.sessions: set[int] = set()
        self._keep = keep
        self._bindings = bindings
        self._connection, self._exchange, self._session = connection, exchange, session
        self._opened: dict[int, Event] = {}
        self._bound: dict[int, int] = {}
        self._trimmed = IdSet()

    def moved(self, event: Event) -> Iterator[Event]:
        """What comes of one event: nothing, itself, or itself after what must stand before it."""
        if event.type is EventType.SESSION:
            return
        if event.exchange:
            if self._keep.has(event):
                yield from self._of_exchange(event)
            elif event.type is EventType.RESPONSE_BODY and event.exchange in self._keep.exchanges:
                self._trimmed.add(event.exchange)
        elif event.type is EventType.CONNECTION_OPEN:
            if event.connection in self._bound:
                yield self._renumbered(event)
            else:
                self._opened[event.connection] = event
        elif event.type is EventType.CONNECTION_CLOSE:
            self._opened.pop(event.connection, None)
            if event.connection in self._bound and not self._keep.window.is_behind(event.t_ns):
                yield self._renumbered(event)
        elif event.connection in self._bound or not event.connection:
            yield self._renumbered(event)

    def _of_exchange(self, event: Event) -> Iterator[Event]:
        if event.type is EventType.REQUEST_HEAD:
            yield from self._bind(event)
        elif event.type is EventType.RESPONSE_END and event.exchange in self._trimmed:
            # What was kept is no longer what the recorder kept: only the size of the whole is still true.
            event.fields["kept_bytes"] = 0
        elif event.type is EventType.MESSAGE and not event.fields["dropped"]:
            self.n_messages += 1
        yield self._renumbered(event)

    def _bind(self, event: Event) -> Iterator[Event]:
        connection = event.connection
        session = self._bindings.session_of(connection, event.exchange)
        self.sessions.add(session + self._session)
        opened = self._opened.pop(connection, None)
        if opened is not None:
            yield self._renumbered(opened)
        if connection and connection not in self._bound:
            self._bound[connection] = session
            yield self._binding(event, session, exchange=0)
        elif self._bound.get(connection) != session:
            yield self._binding(event, session, exchange=event.exchange)

    def _binding(self, event: Event, session: int, *, exchange: int) -> Event:
        fields: dict[str, object] = {"session": session + self._session, "rule": self._bindings.rule_of(session)}
        return self._renumbered(replace(event, type=EventType.SESSION, exchange=exchange, fields=fields))

    def _renumbered(self, event: Event) -> Event:
        if event.connection:
            event.connection += self._connection
        if event.exchange:
            event.exchange += self._exchange
        return event
