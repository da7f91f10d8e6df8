"""The container of a capture: frames, how they are checked, and the fixed ends of the file. Sans-I/O.

Theory of operation
===================
A capture is written by a process that may die at any byte, on a disk that may fill up, and it is read years later,
perhaps after somebody else damaged it. So nothing in the file depends on what comes after it, and each part vouches
for itself::

    MAGIC · header frame · header frame (a copy) · (blob frame | chunk frame)* · index frame* · root frame · TRAILER

* **Frames.** All that is stored sits in frames: a sync marker, type, flags, length, CRC-32, payload. The CRC covers
  the type, flags and length too and is salted with the file's random id, so bytes of another capture, or of an older
  file whose disk blocks are reused, never pass as frames of this one.
* **Sync marker.** Eight random bytes, made per file and written before every frame. After damage a reader looks for
  the next marker whose frame has the right CRC and goes on there. Header frames use a fixed marker (``HEADER_SYNC``),
  since the random one is not known before a header was read; there are two copies because losing it would lose
  everything.
* **Chunks** hold events. Each is compressed by itself and is decodable alone: no dictionary, no string table, no time
  base reaches across chunks. A sealed chunk is therefore safe whatever happens later.
* **Blobs** hold large values (bodies, messages), once each, named by their hash. They precede the first chunk that
  refers to them.
* **Index and root** make a long file quick to open. They repeat what a scan of the chunks finds out and are never
  needed. The trailer, the last 24 bytes, tells where the root is; a file without a valid one was cut off, or its
  writer died.

A frame with a right CRC is believed to be what its writer wrote, not to be harmless: whoever makes a file on purpose
can make CRCs too. Every length is therefore checked against a limit before memory is taken, decompression counts its
own output (``blocks``), and decoded values are checked by type (``codec``).

Nothing here knows of events or files. ``Flaw`` is how the parts of this package say "these bytes are no good";
readers turn it into a sentence or into a ``CaptureError``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum

MAGIC = b"\x89RUSH\r\n\x1a"
END_MAGIC = b"\x89RUSHend"
HEADER_SYNC = b"\x8fRUSHhdr"
MAJOR, MINOR = 1, 0

# The largest value that is stored whole (a blob, decoded). Larger ones are cut by the writer.
RECORD_LIMIT_BYTES = 64 * 1024 * 1024
# A frame is at most one record that did not compress, its prologue included.
FRAME_LIMIT_BYTES = RECORD_LIMIT_BYTES + 4096
# The decoded size of a chunk or index page. Writers seal at a quarter of it. Subtle: a byte of msgpack can become
# some 80 bytes of Python objects, so this, and not RECORD_LIMIT_BYTES, is what bounds the memory that a hostile chunk
# can take.
BLOCK_LIMIT_BYTES = 1024 * 1024

FRAME_HEAD = struct.Struct("<8sBBHII")
_CHECKED = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
TRAILER = struct.Struct("<QII8s")


class Flaw(Exception):
    """These bytes are no good: ``Flaw(problem)``. Never leaves this package."""


class FrameType(IntEnum):
    """Types of frames; unknown ones are skipped by readers."""

    HEADER = 1
    CHUNK = 2
    BLOB = 3
    INDEX = 4
    ROOT = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """Ties frames to their file: ``file_id`` (16 random bytes) salts CRCs, ``sync`` (8 random bytes) marks starts."""

    file_id: bytes
    sync: bytes
    salt: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "salt", zlib.crc32(self.file_id))


# Header frames are read before the file's identity is known.
HEADER_IDENTITY = Identity(b"", HEADER_SYNC)


@dataclass(frozen=True, slots=True)
class FrameHead:
    """The fixed part of a frame, not yet known to be right: only ``check_payload`` tells."""

    type: int
    flags: int
    length: int
    crc: int
    checked: bytes


def encode_frame(identity: Identity, frame_type: FrameType, payload: bytes, *, flags: int = 0) -> bytes:
    """The bytes of one frame."""
    checked = _CHECKED.pack(frame_type, flags, 0, len(payload))
    crc = zlib.crc32(payload, zlib.crc32(checked, identity.salt))
    return b"".join((identity.sync, checked, _CRC.pack(crc), payload))


def parse_head(identity: Identity, data: bytes) -> FrameHead:
    """Read the ``FRAME_HEAD.size`` bytes before a payload.

    Raises:
        Flaw: too short, another marker, or a length over the limit.
    """
    if len(data) < FRAME_HEAD.size:
        raise Flaw("the file ends inside a frame")
    sync, frame_type, flags, _, length, crc = FRAME_HEAD.unpack_from(data)
    if sync != identity.sync:
        raise Flaw("no frame starts here")
    if length > FRAME_LIMIT_BYTES:
        raise Flaw("frame over the size limit")
    return FrameHead(frame_type, flags, length, crc, bytes(data[8:16]))


def check_payload(identity: Identity, head: FrameHead, payload: bytes) -> None:
    """Verify length and CRC.

    Raises:
        Flaw: they differ.
    """
    if len(payload) != head.length:
        raise Flaw("the file ends inside a frame")
    if zlib.crc32(payload, zlib.crc32(head.checked, identity.salt)) != head.crc:
        raise Flaw("frame with a wrong checksum")


def encode_trailer(identity: Identity, root_offset: int, root_length: int) -> bytes:
    """The last ``TRAILER.size`` bytes: where the root frame starts, its whole length, a salted CRC of both."""
    crc = zlib.crc32(struct.pack("<QI", root_offset, root_length), identity.salt)
    return TRAILER.pack(root_offset, root_length, crc, END_MAGIC)


def decode_trailer(identity: Identity, data: bytes, file_bytes: int) -> int:
    """The root frame's offset.

    Raises:
        Flaw: this is not the trailer of this file.
    """
    if len(data) != TRAILER.size:
        raise Flaw("no trailer")
    root_offset, root_length, crc, magic = TRAILER.unpack(data)
    if magic != END_MAGIC or crc != zlib.crc32(data[:12], identity.salt):
        raise Flaw("no trailer")
    if root_offset + root_length + TRAILER.size != file_bytes:
        raise Flaw("the trailer points elsewhere")
    return int(root_offset)
