"""The payloads of chunk, blob and index frames: their prologues, and rows as one msgpack array. Sans-I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from captures.format.blocks import BlockOpener
from captures.format.container import BLOCK_LIMIT_BYTES, RECORD_LIMIT_BYTES, Flaw
from captures.format.values import unpack

# base_ns (signed), first_seq, n_events, raw_bytes
CHUNK_PROLOGUE = struct.Struct("<qQII")
# digest, raw_bytes
BLOB_PROLOGUE = struct.Struct("<16sI")
# raw_bytes
INDEX_PROLOGUE = struct.Struct("<I")
_ARRAY32 = struct.Struct(">BI")


def array_of(packed: list[bytes]) -> bytes:
    """One msgpack array (format ``array 32``) of values that are packed already."""
    return _ARRAY32.pack(0xDD, len(packed)) + b"".join(packed)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A decoded chunk frame; ``rows`` are still as msgpack gave them."""

    base_ns: int
    first_seq: int
    n_events: int
    rows: tuple[Any, ...]


def chunk_start(payload: bytes) -> tuple[int, int]:
    """``first_seq`` and ``n_events`` of a chunk, without decompressing it.

    Raises:
        Flaw: too short to be a chunk.
    """
    if len(payload) < CHUNK_PROLOGUE.size:
        raise Flaw("chunk too short")
    _, first_seq, n_events, _ = CHUNK_PROLOGUE.unpack_from(payload)
    return first_seq, n_events


def open_chunk(opener: BlockOpener, flags: int, payload: bytes) -> Chunk:
    """Decode a chunk frame.

    Raises:
        Flaw: it does not hold what its prologue says, or is over a limit.
    """
    if len(payload) < CHUNK_PROLOGUE.size:
        raise Flaw("chunk too short")
    base_ns, first_seq, n_events, raw_bytes = CHUNK_PROLOGUE.unpack_from(payload)
    raw = opener.open(flags, payload[CHUNK_PROLOGUE.size :], raw_bytes, BLOCK_LIMIT_BYTES)
    rows = unpack(raw, BLOCK_LIMIT_BYTES)
    if type(rows) is not tuple or len(rows) != n_events:
        raise Flaw("chunk with another number of events than stated")
    return Chunk(base_ns, first_seq, n_events, rows)


def blob_digest(payload: bytes) -> bytes:
    """The digest that a blob frame states.

    Raises:
        Flaw: too short to be a blob.
    """
    if len(payload) < BLOB_PROLOGUE.size:
        raise Flaw("blob too short")
    return bytes(payload[:16])


def open_blob(opener: BlockOpener, flags: int, payload: bytes) -> tuple[bytes, bytes]:
    """Digest and data of a blob frame; the digest is not recomputed, the frame's CRC stands for it.

    Raises:
        Flaw: it does not hold what its prologue says, or is over a limit.
    """
    if len(payload) < BLOB_PROLOGUE.size:
        raise Flaw("blob too short")
    digest, raw_bytes = BLOB_PROLOGUE.unpack_from(payload)
    return digest, opener.open(flags, payload[BLOB_PROLOGUE.size :], raw_bytes, RECORD_LIMIT_BYTES)


def open_page(opener: BlockOpener, flags: int, payload: bytes) -> tuple[tuple[Any, ...], int]:
    """The rows of an index frame, and its decoded size in bytes.

    Raises:
        Flaw: it is not an index page, or is over a limit.
    """
    if len(payload) < INDEX_PROLOGUE.size:
        raise Flaw("index page too short")
    (raw_bytes,) = INDEX_PROLOGUE.unpack_from(payload)
    rows = unpack(opener.open(flags, payload[INDEX_PROLOGUE.size :], raw_bytes, BLOCK_LIMIT_BYTES), BLOCK_LIMIT_BYTES)
    if type(rows) is not tuple:
        raise Flaw("index page that is no array")
    return rows, raw_bytes
