"""The frames of a run file: append-only, each with its length and CRC-32, so that what was written stays readable.

Layout::

    8 bytes  magic  b"RUSHRUN\\x01"
    then frames: u32 length, u32 CRC-32 of the payload (both big-endian), payload
    payload: zstd of msgpack [kind, body]

A reader takes every whole frame up to the first damage and says what is missing. Knows nothing of what the frames mean
(``run``).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import zstandard

from captures.errors import CaptureError, ConfigError, ReplayError

_NAME, VERSION = b"RUSHRUN", 1
MAGIC = _NAME + bytes([VERSION])
MAX_FRAME_BYTES = 64 << 20
_HEAD = struct.Struct("!II")
_LEVEL = 3


class FrameWriter:
    """Appends frames to a new file of mode 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigError(f"cannot create {path}: {exc.strerror}", "choose another --out") from exc
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._write(MAGIC)

    @classmethod
    def reopen(cls, path: Path) -> FrameWriter:
        """Open an undamaged file to append to it."""
        writer = cls.__new__(cls)
        writer._path = path
        try:
            writer._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as exc:
            raise ConfigError(f"cannot write {path}: {exc.strerror}", "make it writable, or copy the run") from exc
        writer._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        return writer

    def append(self, kind: int, body: Any) -> None:
        """Write one frame; it is in the hands of the operating system when this returns."""
        payload = self._compressor.compress(msgpack.packb([kind, body], use_bin_type=True))
        end = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            self._write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        except ReplayError:
            with suppress(OSError):  # half a frame makes the file look damaged, which is then the truth
                os.ftruncate(self._fd, end)
            raise

    def sync(self) -> None:
        """Bring what was written to the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Sync and close; further calls do nothing."""
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as exc:
            kept = f"rushhour report {self._path.parent} shows what was stored until then"
            hint = f"free some space and run again; {kept}" if exc.errno == 28 else kept
            raise ReplayError(f"cannot write {self._path}: {exc.strerror}", hint) from exc


@dataclass(slots=True)
class FrameReader:
    """Reads the frames of a file up to its first damage.

    Attributes:
        damage: what is wrong with the file, in sentences; filled while ``frames`` runs.
    """

    path: Path
    damage: list[str] = field(default_factory=list)

    def frames(self) -> Iterator[tuple[int, Any]]:
        """Yield (kind, body) of every good frame.

        Raises:
            ConfigError: there is no such file.
            CaptureError: the file is not a run file.
        """
        try:
            file = self.path.open("rb")
        except OSError as exc:
            raise ConfigError(
                f"cannot read {self.path}: {exc.strerror}", "name a directory that a replay wrote"
            ) from exc
        with file:
            size_bytes = os.fstat(file.fileno()).st_size
            _check_magic(self.path, file.read(len(MAGIC)))
            offset = len(MAGIC)
            while offset < size_bytes:
                head = file.read(_HEAD.size)
                payload = b""
                if len(head) == _HEAD.size:
                    length, crc = _HEAD.unpack(head)
                    payload = file.read(length) if length <= MAX_FRAME_BYTES else b""
                frame = _decode(payload, crc) if payload and len(payload) == length else None
                if frame is None:
                    self.damage.append(f"{self.path}: {size_bytes - offset} bytes from byte {offset} on cannot be read")
                    return
                yield frame
                offset += _HEAD.size + length


def _check_magic(path: Path, magic: bytes) -> None:
    if magic == MAGIC:
        return
    if magic[:-1] == _NAME and magic[-1] > VERSION:
        problem = f"written by a newer Rushhour (format {magic[-1]}, this one reads {VERSION})"
        raise CaptureError(str(path), problem, hint="pip install --upgrade rushhour, then report it again")
    raise CaptureError(str(path), "not the run file of a replay", 0, "name a directory that a replay wrote")


def _decode(payload: bytes, crc: int) -> tuple[int, Any] | None:
    if zlib.crc32(payload) != crc:
        return None
    try:
        if zstandard.frame_content_size(payload) not in range(1, MAX_FRAME_BYTES + 1):
            return None
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=MAX_FRAME_BYTES)
        kind, body = msgpack.unpackb(raw, strict_map_key=False)
    except (zstandard.ZstdError, ValueError, TypeError, msgpack.exceptions.UnpackException):
        return None
    return (kind, body) if isinstance(kind, int) else None
