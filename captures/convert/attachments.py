"""Files that belong to a HAR: beside it in its directory, or with it in one zip archive (Playwright writes both).

Only names that the caller made sure of are opened; nothing is ever extracted. An archive is not trusted: how much it
lists and how much comes out of it are limited.
"""

from __future__ import annotations

import errno
import io
import os
import zipfile
import zlib
from typing import IO, BinaryIO, Protocol

from captures.errors import CaptureError

ZIP_MAGIC = b"PK\x03\x04"
MAX_DIRECTORY_BYTES = 16 << 20
"""Of an archive's list of files, which is held in memory."""
MAX_UNPACKED_BYTES = 256 << 20
MAX_UNPACKED_RATIO = 200
"""What comes out of an archive is at most the one, or so many times its own size, whichever is more. HARs shrink to a
twentieth; zeros to a thousandth."""

_END = b"PK\x05\x06"
_END_BYTES = 22
_MAX_COMMENT_BYTES = 1 << 16
_DIRECTORY_SIZE_AT = 12
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HAR = "har.har"


class Attachments(Protocol):
    """Where the files of a HAR are."""

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """A file, and its size in bytes.

        Raises:
            OSError: it is not there or cannot be read.
            CaptureError: more comes out of the archive than is believed.
        """
        ...


class Folder:
    """The directory of a HAR."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """See ``Attachments``; links are not followed."""
        fd = os.open(os.path.join(self._path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        return open(fd, "rb"), os.fstat(fd).st_size


class Archive:
    """A zip archive that holds a HAR.

    Args:
        path: as the user named it.
        raw: its bytes; stays with whoever opened it.

    Raises:
        CaptureError: it is damaged, lists too much, or holds no HAR.
    """

    def __init__(self, path: str, raw: BinaryIO) -> None:
        self._path = path
        self.unpacked_bytes = 0
        size_bytes = os.fstat(raw.fileno()).st_size
        self._limit_bytes = max(MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO * size_bytes)
        self._check_directory(raw, size_bytes)
        try:
            self._zip = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise CaptureError(path, f"is a damaged zip archive: {exc}", None, "export it again") from exc

    def har(self) -> BinaryIO:
        """The HAR: ``har.har``, or the only file at the top that is one.

        Raises:
            CaptureError: there is none, or it cannot be read.
        """
        names = [name for name in self._zip.namelist() if name.lower().endswith(".har") and "/" not in name]
        if _HAR not in names and len(names) != 1:
            raise CaptureError(self._path, "is a zip archive without a HAR in it", None, "it should hold har.har")
        name = _HAR if _HAR in names else names[0]
        try:
            return self.open(name)[0]
        except OSError as exc:
            raise CaptureError(self._path, f"cannot be read: {name}: {exc.strerror}") from exc

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """See ``Attachments``."""
        try:
            info = self._zip.getinfo(name)
        except KeyError as exc:
            raise FileNotFoundError(errno.ENOENT, "it is not in the archive") from exc
        if info.compress_type not in _METHODS or info.flag_bits & 1:
            raise OSError(errno.ENOTSUP, "it is encrypted, or compressed in a way that HARs are not")
        try:
            member = self._zip.open(info)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise OSError(errno.EIO, f"it is damaged: {exc}") from exc
        return io.BufferedReader(_Member(self, member)), info.file_size

    def count(self, n_bytes: int) -> None:
        """Note what came out.

        Raises:
            CaptureError: that is too much.
        """
        self.unpacked_bytes += n_bytes
        if self.unpacked_bytes > self._limit_bytes:
            problem = f"unpacks to more than {self._limit_bytes >> 20} MiB, which no HAR of this size does"
            raise CaptureError(self._path, problem, None, "unpack it yourself and convert the HAR that is in it")

    def _check_directory(self, raw: BinaryIO, size_bytes: int) -> None:
        tail_bytes = min(size_bytes, _END_BYTES + _MAX_COMMENT_BYTES)
        tail = os.pread(raw.fileno(), tail_bytes, size_bytes - tail_bytes)
        at = tail.rfind(_END)
        stated = int.from_bytes(tail[at + _DIRECTORY_SIZE_AT :][:4], "little") if at >= 0 else 0
        # A list of 4 GiB and more (ZIP64) states all ones here.
        if stated > MAX_DIRECTORY_BYTES:
            raise CaptureError(self._path, "is a zip archive that lists too many files", None, "unpack it yourself")


class _Member(io.RawIOBase):
    """A file in an archive, as it comes out."""

    def __init__(self, archive: Archive, member: IO[bytes]) -> None:
        super().__init__()
        self._archive = archive
        self._member = member

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._member.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
            raise OSError(errno.EIO, f"it is damaged: {exc}") from exc
        self._archive.count(len(data))
        buffer[: len(data)] = data
        return len(data)
