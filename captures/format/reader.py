"""Reads captures: streaming, by session, by time; goes on after damage and says what was lost.

Nothing is held in memory but the index, one chunk and a few blobs, whatever the size of the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from types import TracebackType

from captures.errors import CaptureError
from captures.format.blobs import BlobStore
from captures.format.blocks import BlockOpener
from captures.format.codec import EventDecoder, Keep, Resolve
from captures.format.container import Flaw, FrameType
from captures.format.damage import DamageLog
from captures.format.framing import Chunk, blob_digest, chunk_start, open_chunk
from captures.format.header import Header
from captures.format.index import Index
from captures.format.index_builder import IndexBuilder
from captures.format.opening import read_ending, read_header
from captures.format.source import Frame, Gap, Source
from captures.records import Anchor, Event


def open_capture(path: str | os.PathLike[str]) -> Reader:
    """Open a capture for reading; use it as a context manager.

    Raises:
        CaptureError: no such file, not a capture, of a newer major version, or both copies of its header are damaged.
    """
    source = Source(os.fspath(path))
    try:
        return Reader(source)
    except BaseException:
        source.close()
        raise


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
        CaptureError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise CaptureError(os.fspath(path), f"cannot be read: {exc.strerror}") from exc


class Reader:
    """An open capture.

    Attributes:
        path: as it was named.
        header: the recorder's facts, with ``anchor`` (an ``Anchor``) and ``format`` (``"1.0"``) added.
        anchor: the capture's time zero.
        blobs: the large values that events refer to.
        early_end: where the recording says that it ended early: events that were not written, and why.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._damage = DamageLog()
        self.path = source.path
        self._header, self._start = read_header(source, self._damage)
        self.anchor: Anchor = self._header.anchor
        self.header: dict[str, object] = {
            **self._header.facts,
            "anchor": self.anchor,
            "format": f"{self._header.major}.{self._header.minor}",
        }
        self._opener = BlockOpener()
        self._decoder = EventDecoder(self._header.schema)
        self.blobs = BlobStore(source, self._header.identity, self._opener)
        ending = read_ending(source, self._header, self._start, self._damage)
        self.early_end = (ending.n_lost, ending.reason) if ending and ending.reason else None
        self._index = ending.index if ending else None
        self._n_events = ending.index.n_events if ending else None
        self._stop = ending.stop if ending else source.size_bytes
        if ending:
            self.blobs.offsets.update(ending.index.blobs)

    @property
    def complete(self) -> bool:
        """False as soon as damage is known; all of it is known after a whole pass of ``events`` or ``check``."""
        return not self._damage

    @property
    def damage(self) -> list[str]:
        """One sentence per known damage, with byte offsets and what was lost."""
        return self._damage.sentences()

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._source.size_bytes

    @property
    def stored_header(self) -> Header:
        """The header as it stands in the file, identity and schema included."""
        return self._header

    @property
    def bytes_lost(self) -> int:
        """Bytes known to be damaged."""
        return self._damage.bytes_lost

    def index(self) -> Index:
        """The file's index; rebuilt by a scan where the file has none."""
        if self._index is None:
            self._index = self._rebuilt_index()
        return self._index

    def sessions(self) -> list[int]:
        """Ids of the sessions that have exchanges, in order."""
        index = self.index()
        ids = {
            index.bindings.session_of(connection, 0) for connection, row in index.connections.items() if row.n_exchanges
        }
        return sorted(ids | set(index.bindings.by_exchange.values()))

    def events(
        self, session: int | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[Event]:
        """The events, in the order in which they were added.

        Without arguments a single pass over the whole file; otherwise only chunks that may hold what is asked for are
        read.

        Args:
            session: only this session's connections and exchanges.
            start_ns: only events at or after it.
            end_ns: only events before it.
        """
        if session is None and start_ns is None and end_ns is None:
            yield from self._all_events()
            return
        keep = self._keep(session, start_ns, end_ns)
        for offset in self._chunk_offsets(session, start_ns, end_ns):
            try:
                frame = self._source.frame(self._header.identity, offset)
            except Flaw as exc:
                self._damage.add(offset, "chunk", f"the chunk at byte {offset} is unusable: {exc}")
                continue
            chunk = self.chunk_of(frame)
            if chunk is not None:
                yield from self._events_of(chunk, offset, self.blobs.data, keep)

    def frames(self) -> Iterator[Frame]:
        """Good frames before the index; notes gaps, and events that are missing or there twice."""
        expected = 0
        gaps: list[Gap] = []
        for item in self._source.walk(self._header.identity, self._start, self._stop):
            if isinstance(item, Gap):
                gaps.append(item)
                continue
            try:
                if item.type == FrameType.BLOB:
                    self.blobs.offsets[blob_digest(item.payload)] = item.offset
                elif item.type == FrameType.CHUNK:
                    first_seq, n_events = chunk_start(item.payload)
                    if first_seq < expected:
                        raise Flaw("it repeats earlier events")
                    self._note_missing(gaps, first_seq - expected, item.offset)
                    gaps, expected = [], first_seq + n_events
            except Flaw as exc:
                self._damage.add(item.offset, "frame", f"the frame at byte {item.offset} is unusable: {exc}")
                continue
            yield item
        self._note_missing(gaps, None if self._n_events is None else max(0, self._n_events - expected), self._stop)

    def chunks(self) -> Iterator[tuple[Frame, Chunk]]:
        """Every good chunk with its frame, in order of the file; damage is noted on the way."""
        for frame in self.frames():
            chunk = self.chunk_of(frame) if frame.type == FrameType.CHUNK else None
            if chunk is not None:
                yield frame, chunk

    def chunk_of(self, frame: Frame) -> Chunk | None:
        """Decode a chunk frame; None, and the damage noted, where it holds something else than it says."""
        try:
            return open_chunk(self._opener, frame.flags, frame.payload)
        except Flaw as exc:
            sentence = f"the chunk at byte {frame.offset} is unusable: {exc}"
            self._damage.add(frame.offset, "chunk", sentence, bytes_lost=frame.end - frame.offset)
            return None

    def check(self) -> bool:
        """Verify every frame's CRC without decoding events; returns ``complete``."""
        for _ in self.frames():
            pass
        return self.complete

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._source.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all_events(self) -> Iterator[Event]:
        for frame, chunk in self.chunks():
            yield from self._events_of(chunk, frame.offset, self.blobs.data)

    def _events_of(self, chunk: Chunk, offset: int, resolve: Resolve, keep: Keep | None = None) -> list[Event]:
        decoder = self._decoder
        malformed, unresolved = decoder.n_malformed, decoder.n_unresolved
        events = decoder.events(chunk.rows, chunk.base_ns, chunk.first_seq, resolve, keep)
        malformed, unresolved = decoder.n_malformed - malformed, decoder.n_unresolved - unresolved
        if malformed:
            self._damage.add(offset, "malformed", f"{malformed} events of the chunk at byte {offset} are malformed")
        if unresolved:
            sentence = f"{unresolved} events of the chunk at byte {offset} are lost with their bodies, stored elsewhere"
            self._damage.add(offset, "unresolved", sentence)
        return events

    def _note_missing(self, gaps: list[Gap], n_lost: int | None, offset: int) -> None:
        for gap in gaps[:-1]:
            self._damage.add_gap(gap.offset, gap.end, None)
        if gaps:
            self._damage.add_gap(gaps[-1].offset, gaps[-1].end, n_lost)
        elif n_lost:
            self._damage.add(offset, "missing", f"{n_lost} events are missing before byte {offset}")

    def _rebuilt_index(self) -> Index:
        builder = IndexBuilder()
        for frame, chunk in self.chunks():
            for event in self._events_of(chunk, frame.offset, self.blobs.presence):
                builder.add(event.type, event.t_ns, event.connection, event.exchange, event.fields)
            builder.seal_chunk(frame.offset, chunk.first_seq, chunk.n_events)
        builder.index.blobs = dict(self.blobs.offsets)
        return builder.index

    def _chunk_offsets(self, session: int | None, start_ns: int | None, end_ns: int | None) -> Iterator[int]:
        index = self.index()
        wanted = None if session is None else index.connections_of(session)
        for row in index.chunks:
            if (start_ns is not None and row.last_ns < start_ns) or (end_ns is not None and row.first_ns >= end_ns):
                continue
            if wanted is None or not wanted.isdisjoint(row.connections):
                yield row.offset

    def _keep(self, session: int | None, start_ns: int | None, end_ns: int | None) -> Keep:
        bindings = self.index().bindings

        def keep(t_ns: int, connection: int, exchange: int) -> bool:
            if (start_ns is not None and t_ns < start_ns) or (end_ns is not None and t_ns >= end_ns):
                return False
            if session is None:
                return True
            return bool(connection or exchange) and bindings.session_of(connection, exchange) == session

        return keep
