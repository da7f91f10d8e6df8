"""The index of a capture: where its chunks and blobs lie, and what is in them in numbers. Pure.

The writer builds it as it writes, a scan rebuilds it from the chunks alone; both go through ``IndexBuilder``, so they
agree. Stored as rows ``[kind, …]`` in index frames of bounded size; a reader skips kinds and trailing values that it
does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from captures.bindings import Bindings
from captures.format.container import Flaw
from captures.format.values import check_plain
from captures.records import Origin

_HTTP_TWIN = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class RowKind(IntEnum):
    """Kinds of index rows; the numbers are part of the file format."""

    CHUNK = 1
    BLOB = 2
    CONNECTION = 3
    BINDING = 4
    NOTE = 5
    ORIGIN = 6


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk frame at ``offset``; times are those of its earliest and latest event, both inclusive."""

    offset: int
    first_ns: int
    last_ns: int
    first_seq: int
    n_events: int
    connections: tuple[int, ...]


@dataclass(slots=True)
class ConnectionRow:
    """What happened on one connection; ``first_ns`` and ``last_ns`` span the events of its exchanges."""

    first_ns: int = 0
    last_ns: int = 0
    n_exchanges: int = 0
    n_sockets: int = 0
    n_messages: int = 0
    origins: dict[int, int] = field(default_factory=dict)

    def counts(self) -> tuple[Any, ...]:
        """The stored form."""
        numbers = (self.first_ns, self.last_ns, self.n_exchanges, self.n_sockets, self.n_messages)
        return *numbers, tuple(self.origins.items())


@dataclass(frozen=True, slots=True)
class Note:
    """A NOTE event: about one exchange, or where that is 0 about the recording as a whole (only these are indexed)."""

    t_ns: int
    name: str
    value: object
    exchange: int = 0


@dataclass(slots=True)
class Index:
    """All that the index knows. ``origins`` maps a number, used in ``ConnectionRow.origins``, to an origin."""

    chunks: list[ChunkRow] = field(default_factory=list)
    blobs: dict[bytes, int] = field(default_factory=dict)
    connections: dict[int, ConnectionRow] = field(default_factory=dict)
    origins: dict[int, Origin] = field(default_factory=dict)
    bindings: Bindings = field(default_factory=Bindings)
    notes: list[Note] = field(default_factory=list)
    n_events: int = 0

    def connections_of(self, session: int) -> set[int]:
        """Connections that carry something of ``session``, and perhaps more than that."""
        bindings = self.bindings
        bound = {connection for connection, _, bound_to, _ in bindings.history() if bound_to == session}
        seen = set().union(*(chunk.connections for chunk in self.chunks))
        by_default = {connection for connection in seen if bindings.session_of(connection, 0) == session}
        return bound | by_default

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The index as rows, ready for msgpack."""
        for chunk in self.chunks:
            place = (chunk.offset, chunk.first_ns, chunk.last_ns, chunk.first_seq, chunk.n_events)
            yield RowKind.CHUNK, *place, chunk.connections
        for digest, offset in self.blobs.items():
            yield RowKind.BLOB, offset, digest
        for number, origin in self.origins.items():
            yield RowKind.ORIGIN, number, origin.scheme, origin.host, origin.port
        listeners = self.bindings.listeners
        for connection in {**listeners, **self.connections}:
            row = self.connections.get(connection)
            counts = row.counts() if row else ()
            yield RowKind.CONNECTION, connection, listeners.get(connection), *counts
        for bound in self.bindings.history():
            yield RowKind.BINDING, *bound
        for note in self.notes:
            yield RowKind.NOTE, note.t_ns, note.name, note.value


def index_from_rows(rows: Iterable[Any], n_events: int) -> Index:
    """Read an index back.

    Raises:
        Flaw: a row of a known kind is malformed.
    """
    index = Index(n_events=n_events)
    try:
        for row in rows:
            read = _READERS.get(row[0])
            if read is not None:
                read(index, *row[1:])
    except (TypeError, ValueError, IndexError, KeyError) as exc:
        raise Flaw("the index is malformed") from exc
    return index


def _read_chunk(index: Index, *values: Any) -> None:
    offset, first_ns, last_ns, first_seq, n_events = map(_int, values[:5])
    connections = tuple(map(_int, values[5]))
    index.chunks.append(ChunkRow(offset, first_ns, last_ns, first_seq, n_events, connections))


def _read_blob(index: Index, offset: Any, digest: Any, *_: Any) -> None:
    if type(digest) is not bytes:
        raise TypeError("digest")
    index.blobs[digest] = _int(offset)


def _read_connection(index: Index, connection: Any, listener: Any, *values: Any) -> None:
    if listener is not None:
        index.bindings.open_connection(_int(connection), listener)
    if values:
        first_ns, last_ns, n_exchanges, n_sockets, n_messages = map(_int, values[:5])
        origins = {_int(number): _int(count) for number, count in values[5]}
        row = ConnectionRow(first_ns, last_ns, n_exchanges, n_sockets, n_messages, origins)
        index.connections[_int(connection)] = row


def _read_binding(index: Index, connection: Any, exchange: Any, session: Any, rule: Any, *_: Any) -> None:
    index.bindings.bind(_int(connection), _int(exchange), _int(session), str(rule))


def _read_note(index: Index, t_ns: Any, name: Any, value: Any, *_: Any) -> None:
    index.notes.append(Note(_int(t_ns), str(name), check_plain(value)))


def _read_origin(index: Index, number: Any, scheme: Any, host: Any, port: Any, *_: Any) -> None:
    origin = origin_of(scheme, host, port)
    if origin is None:
        raise ValueError("origin")
    index.origins[_int(number)] = origin


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not an int")
    return value


_READERS = {
    RowKind.CHUNK: _read_chunk,
    RowKind.BLOB: _read_blob,
    RowKind.CONNECTION: _read_connection,
    RowKind.BINDING: _read_binding,
    RowKind.NOTE: _read_note,
    RowKind.ORIGIN: _read_origin,
}


def origin_of(scheme: object, host: object, port: object) -> Origin | None:
    """The origin of a request head, sockets under their http twin; None where it cannot be one."""
    twin = _HTTP_TWIN.get(scheme.lower()) if isinstance(scheme, str) else None
    if twin is None or not isinstance(host, str) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    return Origin(twin, host.strip("[]").lower(), port)
