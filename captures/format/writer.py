"""Writes a capture, event by event, so that whatever was sealed survives the end of this process.

One thread owns a writer. What is in the current chunk (at most 256 KiB or about a second) is the most that a kill can
take.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from types import TracebackType
from typing import NoReturn

import msgpack

from captures.errors import CaptureSealed
from captures.format.codec import BLOB_MIN_BYTES, ROW_LIMIT_BYTES, EventEncoder
from captures.format.container import MAJOR, MINOR, RECORD_LIMIT_BYTES, Identity
from captures.format.fields import KINDS, Kind
from captures.format.header import Header
from captures.format.index_builder import IndexBuilder
from captures.format.sink import Sink
from captures.format.values import BLOB_EXT
from captures.records import SCHEMA, Anchor, EventType

CHUNK_BYTES = 256 * 1024
CHUNK_AGE_NS = 1_000_000_000
SYNC_AGE_NS = 5_000_000_000

_BYTES_AT = {
    event_type: tuple(at for at, kind in enumerate(kinds) if kind is Kind.BYTES) for event_type, kinds in KINDS.items()
}


class CaptureWriter:
    """An open capture.

    A chunk is sealed (compressed, checked, written) at 256 KiB, when its events span a second, or by ``tick``. When
    the disk is full or fails, what fits is kept, the file is ended properly, ``CaptureSealed`` is raised once, and
    later calls do nothing.

    Args:
        path: a path that does not exist; the file gets mode 0600.
        facts: plain values kept in the header: ``tool``, ``version``, ``url``, ``scope`` and the like; map keys are
        text. anchor: the capture's time zero.

    Raises:
        ConfigError: the path exists or cannot be written.

    Attributes:
        n_events: events added.
        size_bytes: of the file so far.
        is_sealed: True once nothing more is written.
    """

    def __init__(self, path: str | os.PathLike[str], *, facts: Mapping[str, object], anchor: Anchor) -> None:
        identity = Identity(os.urandom(16), os.urandom(8))
        schema = {int(event_type): names for event_type, names in SCHEMA.items()}
        header = Header(identity=identity, major=MAJOR, minor=MINOR, anchor=anchor, schema=schema, facts=facts)
        self.path = os.fspath(path)
        self.n_events = 0
        self.is_sealed = False
        self._sink = Sink(self.path, header)
        self._encoder = EventEncoder()
        self._builder = IndexBuilder()
        self._rows: list[bytes] = []
        self._rows_bytes = 0
        self._base_ns = 0
        self._opened_ns = 0
        self._unsynced = True
        self._synced_ns = time.monotonic_ns()

    @property
    def size_bytes(self) -> int:
        """Bytes written to the file so far."""
        return self._sink.size_bytes

    def add(self, event_type: EventType, t_ns: int, connection: int, exchange: int, **fields: object) -> None:
        """Add one event.

        Args:
            t_ns: ns since the anchor; need not grow from event to event.
            connection, exchange: as in ``Event``.
            fields: of the event type's schema; one that is left out or None reads back as empty.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
            TypeError: an unknown field or a value of the wrong type.
            ValueError: the event without its bodies is larger than 512 KiB.
        """
        if self.is_sealed:
            return
        values = self._encoder.values(event_type, fields)
        for at in _BYTES_AT[event_type]:
            value = values[at]
            if value is not None and len(value) > BLOB_MIN_BYTES:
                values[at] = self._blob(value[:RECORD_LIMIT_BYTES])
        if self._rows and t_ns - self._base_ns >= CHUNK_AGE_NS:
            self._seal(n_unwritten=1)
        if not self._rows:
            self._base_ns = t_ns
            self._opened_ns = time.monotonic_ns()
        row = self._encoder.pack(event_type, len(self._rows), t_ns - self._base_ns, connection, exchange, values)
        if len(row) > ROW_LIMIT_BYTES:
            raise ValueError(f"{event_type.name} takes {len(row)} bytes, more than {ROW_LIMIT_BYTES}")
        self._builder.add(event_type, t_ns, connection, exchange, fields)
        self._rows.append(row)
        self._rows_bytes += len(row)
        self.n_events += 1
        if self._rows_bytes >= CHUNK_BYTES:
            self.seal()

    def tick(self, now_ns: int) -> None:
        """Seal the chunk if it is a second old, and sync the file if that is due.

        Args:
            now_ns: ``time.monotonic_ns()``.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
        """
        if self._rows and now_ns - self._opened_ns >= CHUNK_AGE_NS:
            self.seal()
        elif self._unsynced and not self.is_sealed:
            self._sync_if_due(now_ns)

    def seal(self) -> None:
        """Write what has been added so far: from here on a kill cannot take it.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
        """
        if self._rows and not self.is_sealed:
            self._seal(n_unwritten=0)

    def close(self, *, n_lost: int = 0, reason: str = "") -> None:
        """Seal, write the index, sync and close; a second call does nothing.

        Args:
            n_lost, reason: for the copy of a recording that ended early: what it says about that.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
        """
        if self.is_sealed:
            return
        self.seal()
        try:
            self._sink.finish(self._builder.index, n_lost=n_lost, reason=reason)
            self._sink.sync()
        except OSError as exc:
            self._end_early(exc)
        self.is_sealed = True
        self._sink.close()

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seal(self, *, n_unwritten: int) -> None:
        try:
            self._write_chunk()
        except OSError as exc:
            self._end_early(exc, n_unwritten=n_unwritten)
        self._sync_if_due(time.monotonic_ns())

    def _blob(self, data: bytes) -> msgpack.ExtType:
        digest = blake2b(data, digest_size=16).digest()
        if digest not in self._builder.index.blobs:
            try:
                self._builder.add_blob(digest, self._sink.blob(digest, data))
            except OSError as exc:
                self._end_early(exc, n_unwritten=1)
            self._unsynced = True
        return msgpack.ExtType(BLOB_EXT, digest)

    def _write_chunk(self, n_rows: int | None = None) -> None:
        rows = self._rows[:n_rows]
        first_seq = self._builder.index.n_events
        offset = self._sink.chunk(self._base_ns, first_seq, rows)
        self._builder.seal_chunk(offset, first_seq, len(rows))
        self._rows, self._rows_bytes = self._rows[len(rows) :], 0
        self._unsynced = True

    def _write_what_fits(self) -> bool:
        """Write the open chunk, or the first half of it, or a quarter, and so on; tells whether something fitted."""
        n_rows = len(self._rows)
        while n_rows:
            try:
                self._write_chunk(n_rows)
            except OSError:
                n_rows //= 2
            else:
                return True
        return False

    def _sync_if_due(self, now_ns: int) -> None:
        if now_ns - self._synced_ns < SYNC_AGE_NS:
            return
        try:
            self._sink.sync()
        except OSError as exc:
            self._end_early(exc)
        self._synced_ns, self._unsynced = now_ns, False

    def _end_early(self, cause: OSError, *, n_unwritten: int = 0) -> NoReturn:
        """Keep what fits, end the file as properly as the disk allows, and say so once.

        Args:
            n_unwritten: events that are lost besides those of the open chunk.
        """
        self.is_sealed = True
        reason = cause.strerror or str(cause)
        end_bytes = self._sink.size_bytes
        if self._write_what_fits():
            end_bytes = self._sink.size_bytes
        n_lost = len(self._rows) + n_unwritten
        try:
            self._sink.finish(self._builder.index, n_lost=n_lost, reason=reason)
        except OSError:
            with suppress(OSError):
                self._sink.cut(end_bytes)
        with suppress(OSError):
            self._sink.sync()
        self._sink.close()
        hint = f"{self._builder.index.n_events} events are kept in it; make room and record again to another file"
        raise CaptureSealed(self.path, f"recording ended early: {reason}", end_bytes, hint) from cause
