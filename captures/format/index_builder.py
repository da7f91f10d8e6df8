"""Builds the index of a capture, event by event, as the writer or a scan meets them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from captures.format.index import ChunkRow, ConnectionRow, Index, Note, origin_of
from captures.records import EventType, Origin

_NO_TRAFFIC = (EventType.SESSION, EventType.NOTE)


class IndexBuilder:
    """Builds an index from events in file order: ``add`` each event of a chunk, then ``seal_chunk``."""

    def __init__(self) -> None:
        self.index = Index()
        self._numbers: dict[Origin | None, int] = {}
        self._seen: dict[tuple[object, object, object], int] = {}
        self._connections: set[int] = set()
        self._first_ns = self._last_ns = 0

    def add(
        self, event_type: EventType, t_ns: int, connection: int, exchange: int, fields: Mapping[str, object]
    ) -> None:
        """Count one event."""
        if not self._connections:
            self._first_ns = self._last_ns = t_ns
        elif t_ns > self._last_ns:
            self._last_ns = t_ns
        elif t_ns < self._first_ns:
            self._first_ns = t_ns
        self._connections.add(connection)
        if exchange and event_type not in _NO_TRAFFIC:
            self._count(event_type, t_ns, connection, fields)
        elif event_type is EventType.CONNECTION_OPEN:
            self.index.bindings.open_connection(connection, fields.get("listener"))
        elif event_type is EventType.SESSION:
            session, rule = cast("int", fields.get("session") or 0), cast("str", fields.get("rule") or "")
            self.index.bindings.bind(connection, exchange, session, rule)
        elif event_type is EventType.NOTE and not exchange:
            self.index.notes.append(Note(t_ns, str(fields.get("name") or ""), fields.get("value")))

    def _count(self, event_type: EventType, t_ns: int, connection: int, fields: Mapping[str, object]) -> None:
        row = self.index.connections.get(connection)
        if row is None:
            row = self.index.connections[connection] = ConnectionRow(t_ns, t_ns)
        if t_ns > row.last_ns:
            row.last_ns = t_ns
        elif t_ns < row.first_ns:
            row.first_ns = t_ns
        if event_type is EventType.MESSAGE:
            row.n_messages += not fields.get("dropped")
        elif event_type is EventType.REQUEST_HEAD:
            number = self._origin(fields)
            if number is not None:
                row.n_exchanges += 1
                row.origins[number] = row.origins.get(number, 0) + 1
        elif event_type is EventType.SOCKET_OPEN:
            row.n_sockets += 1

    def _origin(self, fields: Mapping[str, object]) -> int | None:
        key = (fields.get("scheme"), fields.get("host"), fields.get("port"))
        number = self._seen.get(key)
        if number is None:
            origin = origin_of(*key)
            if origin is None:
                return None
            number = self._seen[key] = self._numbers.setdefault(origin, len(self._numbers))
            self.index.origins[number] = origin
        return number

    def add_blob(self, digest: bytes, offset: int) -> None:
        """A blob frame was written at ``offset``."""
        self.index.blobs[digest] = offset

    def seal_chunk(self, offset: int, first_seq: int, n_events: int) -> None:
        """The events added since the last call were written as a chunk at ``offset``."""
        connections = tuple(sorted(self._connections))
        row = ChunkRow(offset, self._first_ns, self._last_ns, first_seq, n_events, connections)
        self.index.chunks.append(row)
        self.index.n_events += n_events
        self._connections.clear()
