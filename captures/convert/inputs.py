"""The file that is converted, read forward only, through gzip or out of a zip archive where its first bytes say so."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from types import TracebackType
from typing import BinaryIO

from captures.convert.attachments import ZIP_MAGIC, Archive, Attachments, Folder
from captures.errors import CaptureError

_GZIP_MAGIC = b"\x1f\x8b"


class Input:
    """An open file.

    Args:
        path: as the user named it.
        may_be_archive: a zip archive is opened for the HAR in it.

    Raises:
        CaptureError: it cannot be read.

    Attributes:
        attachments: where the files are that belong to it.
        offset: bytes read so far, after decompression.
        damage: why the file ended before its end, or an empty string.
    """

    def __init__(self, path: str, *, may_be_archive: bool = False) -> None:
        self.path = path
        self.offset = 0
        self.damage = ""
        try:
            # Subtle: opening a pipe that nobody writes to would wait for ever.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise CaptureError(path, "is not a file")
            self._raw = open(path, "rb")
            magic = self._raw.read(len(ZIP_MAGIC))
            self._raw.seek(0)
        except (OSError, ValueError) as exc:
            problem = exc.strerror if isinstance(exc, OSError) else exc
            raise CaptureError(path, f"cannot be read: {problem}") from exc
        self.attachments: Attachments = Folder(os.path.dirname(path) or ".")
        self._file: BinaryIO | gzip.GzipFile = self._raw
        if magic.startswith(_GZIP_MAGIC):
            self._file = gzip.GzipFile(fileobj=self._raw)
        elif magic == ZIP_MAGIC and may_be_archive:
            self._open_archive()

    def read(self, n_bytes: int) -> bytes:
        """Up to ``n_bytes``, at least one; none at the end, or where ``damage`` says why.

        Raises:
            CaptureError: the disk fails.
        """
        try:
            # Subtle: read() of a damaged gzip file would lose what was good before the damage.
            data = self._file.read1(n_bytes)  # type: ignore[union-attr]
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            self.damage = f"its gzip stream is damaged: {exc}"
            return b""
        except OSError as exc:
            raise CaptureError(self.path, f"cannot be read: {exc.strerror}", self.offset) from exc
        self.offset += len(data)
        return data

    def _open_archive(self) -> None:
        try:
            archive = Archive(self.path, self._raw)
            self.attachments, self._file = archive, archive.har()
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def __enter__(self) -> Input:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
