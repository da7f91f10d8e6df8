"""The file that a capture is read from: frames at known places, a walk over all, the search for the next after damage.

The only module here that opens captures for reading.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from captures.errors import CaptureError
from captures.format.container import FRAME_HEAD, HEADER_IDENTITY, MAGIC, Flaw, Identity, check_payload, parse_head

_SEARCH_BYTES = 1024 * 1024
# Both copies of the header lie near the start; a file that is no capture is not searched to its end.
_HEADER_REACH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame with a right CRC: bytes ``offset`` to ``end`` (exclusive) of the file."""

    type: int
    flags: int
    payload: bytes
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes ``offset`` to ``end`` (exclusive) that are no frame."""

    offset: int
    end: int


class Source:
    """An open capture file; its size is taken when it is opened.

    Raises:
        CaptureError: there is no such file, or it is not a regular file, or it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                status = os.fstat(fd)
            except OSError:
                os.close(fd)
                raise
        except FileNotFoundError as exc:
            raise CaptureError(
                path, "no such file", None, "check the path, or record one: rushhour record URL"
            ) from exc
        except (OSError, ValueError) as exc:
            problem = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise CaptureError(path, f"cannot be read: {problem}") from exc
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise CaptureError(path, "not a file", None, "name a capture, such as market.rush")
        self._fd = fd
        self.size_bytes = status.st_size
        # What re-reading after damage may cost before it is given up: a file made of frame starts would take forever.
        self._patience_bytes = 4 * self.size_bytes + 256 * 1024 * 1024

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Up to ``n_bytes`` from ``offset``, fewer only at the end of the file."""
        if self._fd < 0:
            raise CaptureError(self.path, "the reader is closed")
        if not 0 <= offset < self.size_bytes:
            return b""
        try:
            data = os.pread(self._fd, n_bytes, offset)
            while (
                data and len(data) < n_bytes and (more := os.pread(self._fd, n_bytes - len(data), offset + len(data)))
            ):
                data += more
        except OSError as exc:
            raise CaptureError(self.path, f"cannot be read: {exc.strerror}", offset) from exc
        return data

    def frame(self, identity: Identity, offset: int) -> Frame:
        """The frame at ``offset``.

        Raises:
            Flaw: there is none, or its CRC is wrong.
        """
        head = parse_head(identity, self.read(offset, FRAME_HEAD.size))
        start = offset + FRAME_HEAD.size
        if start + head.length > self.size_bytes:
            raise Flaw("the file ends inside a frame")
        payload = self.read(start, head.length)
        check_payload(identity, head, payload)
        return Frame(head.type, head.flags, payload, offset, start + head.length)

    def walk(self, identity: Identity, start: int, stop: int) -> Iterator[Frame | Gap]:
        """Every frame from ``start`` to ``stop``, and what lies between good ones."""
        offset = start
        while offset < stop:
            try:
                found: Frame | None = self.frame(identity, offset)
            except Flaw:
                found = self.next_frame(identity, offset + 1, stop)
                yield Gap(offset, found.offset if found else stop)
            if found is None:
                return
            yield found
            offset = found.end

    def next_frame(self, identity: Identity, start: int, stop: int) -> Frame | None:
        """The first good frame at or after ``start``, or None."""
        for offset in self._markers(identity.sync, start, stop):
            try:
                return self.frame(identity, offset)
            except Flaw:
                head = self.read(offset, FRAME_HEAD.size)
                self._patience_bytes -= min(int.from_bytes(head[12:16], "little"), self.size_bytes)
                if self._patience_bytes < 0:
                    return None
        return None

    def header_frame(self) -> tuple[Frame | None, bool]:
        """The first good header frame, and whether the start of the file is intact.

        Raises:
            CaptureError: this is not a capture.
        """
        has_magic = self.read(0, len(MAGIC)) == MAGIC
        reach = min(self.size_bytes, _HEADER_REACH_BYTES)
        frame = self.next_frame(HEADER_IDENTITY, len(MAGIC), reach)
        if frame is None and not has_magic:
            hint = "captures are made with: rushhour record URL"
            raise CaptureError(self.path, "empty file" if not self.size_bytes else "not a capture", None, hint)
        return frame, has_magic and frame is not None and frame.offset == len(MAGIC)

    def _markers(self, sync: bytes, start: int, stop: int) -> Iterator[int]:
        offset = start
        while offset < stop:
            window = self.read(offset, min(_SEARCH_BYTES, stop - offset))
            at = window.find(sync)
            while at >= 0:
                yield offset + at
                at = window.find(sync, at + 1)
            if len(window) < _SEARCH_BYTES:
                return
            offset += len(window) - len(sync) + 1
