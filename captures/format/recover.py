"""Makes a whole capture of what is left of a damaged one.

Good chunks are copied as they are, only numbered anew, so that nothing a newer minor version wrote is lost; a chunk
that holds unusable rows is packed again without them. The result has an identity of its own and names its source.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack

from captures.errors import ConfigError
from captures.format.codec import EventDecoder
from captures.format.container import FrameType, Identity
from captures.format.framing import CHUNK_PROLOGUE, Chunk
from captures.format.header import Header
from captures.format.index_builder import IndexBuilder
from captures.format.reader import Reader, open_capture, sha256_of
from captures.format.sink import Sink
from captures.format.source import Frame
from captures.format.values import BLOB_EXT, BlobRef, ValuePacker

# Enough to tell what happened; the header of the result stays small.
_MAX_SENTENCES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What ``recover`` kept and lost.

    Attributes:
        events: in the new capture.
        exchanges, messages: of those.
        bytes_lost: of the damaged file, its index not counted.
        damage: one sentence per damage.
    """

    events: int
    exchanges: int
    messages: int
    bytes_lost: int
    damage: list[str]


def recover(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Recovery:
    """Write the good records of ``path`` to the new capture ``out``.

    Raises:
        CaptureError: ``path`` is no capture at all, or both copies of its header are damaged.
        ConfigError: ``out`` exists or cannot be written; a part of it is not left behind.
    """
    with open_capture(path) as reader:
        for _ in reader.events():
            pass
        sink = Sink(os.fspath(out), _header_of(reader))
        try:
            builder = _copy(reader, sink)
            sink.finish(builder.index)
            sink.sync()
        except BaseException as exc:
            os.unlink(out)
            if isinstance(exc, OSError):
                raise ConfigError(f"{os.fspath(out)} cannot be written: {exc.strerror}", "make room for it") from exc
            raise
        finally:
            sink.close()
        rows = builder.index.connections.values()
        return Recovery(
            events=builder.index.n_events,
            exchanges=sum(row.n_exchanges for row in rows),
            messages=sum(row.n_messages for row in rows),
            bytes_lost=reader.bytes_lost,
            damage=reader.damage,
        )


def _header_of(reader: Reader) -> Header:
    header = reader.stored_header
    source = {
        "name": Path(reader.path).name,
        "sha256": sha256_of(reader.path),
        "bytes_lost": reader.bytes_lost,
        "damage": reader.damage[:_MAX_SENTENCES],
    }
    identity = Identity(os.urandom(16), os.urandom(8))
    return replace(header, identity=identity, facts={**header.facts, "recovered_from": source})


def _copy(reader: Reader, sink: Sink) -> IndexBuilder:
    builder = IndexBuilder()
    decoder = EventDecoder(reader.stored_header.schema)
    for frame in reader.frames():
        if frame.type == FrameType.BLOB:
            offset = sink.frame(FrameType.BLOB, frame.payload, flags=frame.flags)
            builder.add_blob(frame.payload[:16], offset)
        elif frame.type == FrameType.CHUNK:
            chunk = reader.chunk_of(frame)
            if chunk is not None:
                _copy_chunk(reader, sink, builder, decoder, frame, chunk)
    return builder


def _copy_chunk(
    reader: Reader, sink: Sink, builder: IndexBuilder, decoder: EventDecoder, frame: Frame, chunk: Chunk
) -> None:
    rows = decoder.good_rows(chunk.rows, reader.blobs.data)
    if not rows:
        return
    first_seq = builder.index.n_events
    for event in decoder.events(rows, chunk.base_ns, first_seq, reader.blobs.presence):
        builder.add(event.type, event.t_ns, event.connection, event.exchange, event.fields)
    if len(rows) == len(chunk.rows):
        *_, raw_bytes = CHUNK_PROLOGUE.unpack_from(frame.payload)
        prologue = CHUNK_PROLOGUE.pack(chunk.base_ns, first_seq, chunk.n_events, raw_bytes)
        offset = sink.frame(FrameType.CHUNK, prologue + frame.payload[CHUNK_PROLOGUE.size :], flags=frame.flags)
    else:
        offset = sink.chunk(chunk.base_ns, first_seq, [_packed(row, seq) for seq, row in enumerate(rows)])
    builder.seal_chunk(offset, first_seq, len(rows))


def _packed(row: tuple[Any, ...], seq: int) -> bytes:
    values = [msgpack.ExtType(BLOB_EXT, bytes(v)) if type(v) is BlobRef else v for v in row[2:]]
    return ValuePacker().pack((row[0], seq, *values))
