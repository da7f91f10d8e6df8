"""A reader of captures that was written from SPEC.md and knows nothing of this project's code.

It takes the other way than the one in the page: from the trailer over the root and the index to the events of a
session, and counts on everything that sections 1, 2 and 4 promise.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import zstandard

MAGIC, END = b"\x89RUSH\r\n\x1a", b"\x89RUSHend"
HEADER, CHUNK, BLOB, INDEX, ROOT = 1, 2, 3, 4, 5
Row = tuple[int, int, str, int, int, dict[str, Any]]


def unpack(data: bytes) -> Any:
    """One msgpack value."""
    return msgpack.unpackb(data, unicode_errors="surrogateescape")


def block(flags: int, data: bytes, raw_bytes: int) -> bytes:
    """A block, decoded."""
    if flags & 1:
        window = zstandard.ZstdDecompressor(max_window_size=8 << 20)
        data = window.stream_reader(io.BytesIO(data)).read(raw_bytes + 1)
    assert len(data) == raw_bytes
    return data


class SpecReader:
    """A complete capture."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        assert self.data[:8] == MAGIC
        self.sync, self.salt = b"\x8fRUSHhdr", 0
        kind, _, payload, end = self.frame(8)
        assert kind == HEADER and self.frame(end)[:3] == (kind, 0, payload)
        self.start = 2 * end - 8
        self.header = unpack(payload)
        assert self.header["major"] == 1
        self.sync, self.salt = self.header["sync"], zlib.crc32(self.header["file_id"])
        self.schema = {number: (name, fields) for number, name, fields in self.header["schema"]}
        root_offset, root_length, crc = struct.unpack("<QII", self.data[-24:-8])
        assert self.data[-8:] == END and crc == zlib.crc32(self.data[-24:-12], self.salt)
        assert root_offset + root_length + 24 == len(self.data)
        kind, _, payload, _ = self.frame(root_offset)
        pages, self.n_events, self.n_lost, self.reason = unpack(payload)
        assert kind == ROOT and pages == sorted(pages)
        self.index = [row for page in pages for row in self.page(page)]
        self.bindings: dict[tuple[int, int], int] = {
            (connection, exchange): session for _, connection, exchange, session, _ in self.rows(4)
        }

    def frame(self, offset: int) -> tuple[int, int, bytes, int]:
        """Type, flags and payload of a frame, and where it ends."""
        assert self.data[offset : offset + 8] == self.sync
        kind, flags, _, length, crc = struct.unpack_from("<BBHII", self.data, offset + 8)
        payload = self.data[offset + 20 : offset + 20 + length]
        assert zlib.crc32(payload, zlib.crc32(self.data[offset + 8 : offset + 16], self.salt)) == crc
        return kind, flags, payload, offset + 20 + length

    def page(self, offset: int) -> Any:
        """The rows of an index frame."""
        kind, flags, payload, _ = self.frame(offset)
        assert kind == INDEX
        return unpack(block(flags, payload[4:], *struct.unpack_from("<I", payload)))

    def rows(self, kind: int) -> list[Any]:
        """Index rows of one kind."""
        return [row for row in self.index if row[0] == kind]

    def blob(self, digest: bytes) -> bytes:
        """A large value."""
        (offset,) = (row[1] for row in self.rows(2) if row[2] == digest)
        _, flags, payload, _ = self.frame(offset)
        assert payload[:16] == digest
        data = block(flags, payload[20:], *struct.unpack_from("<I", payload, 16))
        assert hashlib.blake2b(data, digest_size=16).digest() == digest
        return data

    def chunk(self, offset: int) -> Iterator[Row]:
        """The events of a chunk: seq, time, name, connection, exchange, fields."""
        kind, flags, payload, _ = self.frame(offset)
        base_ns, first_seq, n_events, raw_bytes = struct.unpack_from("<qQII", payload)
        rows = unpack(block(flags, payload[24:], raw_bytes))
        assert kind == CHUNK and len(rows) == n_events
        for number, seq, t_ns, connection, exchange, *values in rows:
            name, fields = self.schema[number]
            values = [self.blob(value.data) if isinstance(value, msgpack.ExtType) else value for value in values]
            yield first_seq + seq, base_ns + t_ns, name, connection, exchange, dict(zip(fields, values, strict=False))

    def events(self) -> Iterator[Row]:
        """All events."""
        for _, offset, *_ in self.rows(1):
            yield from self.chunk(offset)

    def session_of(self, connection: int, exchange: int) -> int:
        """Section 4, in its order."""
        for key in ((connection, exchange), (connection, 0)):
            if key in self.bindings:
                return self.bindings[key]
        if mine := [session for (bound, _), session in self.bindings.items() if bound == connection]:
            return min(mine)
        listeners = {number: listener for _, number, listener, *_ in self.rows(3)}
        alike = {number for number, listener in listeners.items() if listener == listeners.get(connection)}
        if near := [session for (bound, _), session in self.bindings.items() if bound in alike]:
            return min(near)
        bound_listeners = {listeners.get(bound) for bound, _ in self.bindings}
        free = [listener for listener in dict.fromkeys(listeners.values()) if listener not in bound_listeners]
        return max(self.bindings.values(), default=0) + 1 + free.index(listeners[connection])

    def events_of(self, session: int) -> Iterator[Row]:
        """The events of a session, out of the chunks that have its connections."""
        wanted = {row[1] for row in self.rows(3)}
        for _, offset, _, _, _, _, connections in self.rows(1):
            if wanted.isdisjoint(connections):
                continue
            for row in self.chunk(offset):
                if (row[3] or row[4]) and self.session_of(row[3], row[4]) == session:
                    yield row
