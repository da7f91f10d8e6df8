"""The file that a capture is written to: new, private, and only ever holding whole frames.

The only module here that writes. Knows frames and offsets, not what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from captures.errors import ConfigError
from captures.format.blocks import BlockPacker
from captures.format.container import FrameType, Identity, encode_frame, encode_trailer
from captures.format.framing import BLOB_PROLOGUE, CHUNK_PROLOGUE, INDEX_PROLOGUE, array_of
from captures.format.header import Header, encode_header
from captures.format.index import Index
from captures.format.values import ValuePacker
from captures.records import EventType

PAGE_BYTES = 256 * 1024
_TYPE_NAMES = {int(event_type): event_type.name.lower() for event_type in EventType}


class Sink:
    """An open capture file. Each write appends whole frames, or raises OSError and leaves the last one out.

    Args:
        path: must not exist.
        header: written at once.

    Raises:
        ConfigError: the path exists, or cannot be written.
    """

    def __init__(self, path: str, header: Header) -> None:
        self.path = path
        self.identity: Identity = header.identity
        self.size_bytes = 0
        self._blocks = BlockPacker()
        start = encode_header(header, _TYPE_NAMES)
        self._fd = _open_new(path)
        try:
            self._append(start)
        except OSError as exc:
            self.close()
            os.unlink(path)
            raise ConfigError(f"{path} cannot be written: {exc.strerror}", "choose another place with -o FILE") from exc

    def frame(self, frame_type: FrameType, payload: bytes, *, flags: int = 0) -> int:
        """Append one frame and return its offset."""
        return self._append(encode_frame(self.identity, frame_type, payload, flags=flags))

    def blob(self, digest: bytes, data: bytes) -> int:
        """Append a blob frame and return its offset."""
        flags, block = self._blocks.pack(data)
        return self.frame(FrameType.BLOB, BLOB_PROLOGUE.pack(digest, len(data)) + block, flags=flags)

    def chunk(self, base_ns: int, first_seq: int, packed_rows: list[bytes]) -> int:
        """Append a chunk of msgpack rows and return its offset."""
        raw = array_of(packed_rows)
        flags, block = self._blocks.pack(raw)
        prologue = CHUNK_PROLOGUE.pack(base_ns, first_seq, len(packed_rows), len(raw))
        return self.frame(FrameType.CHUNK, prologue + block, flags=flags)

    def finish(self, index: Index, *, n_lost: int = 0, reason: str = "") -> None:
        """Append index, root and trailer.

        Args:
            n_lost: events that could not be written, where the capture ends early.
            reason: why it ends early, or an empty string.
        """
        pages = [self._page(page) for page in _pages(index.rows())]
        payload = ValuePacker().pack((pages, index.n_events, n_lost, reason))
        root_offset = self.frame(FrameType.ROOT, payload)
        self._append(encode_trailer(self.identity, root_offset, self.size_bytes - root_offset))

    def _page(self, packed_rows: list[bytes]) -> int:
        raw = array_of(packed_rows)
        flags, block = self._blocks.pack(raw)
        return self.frame(FrameType.INDEX, INDEX_PROLOGUE.pack(len(raw)) + block, flags=flags)

    def cut(self, size_bytes: int) -> None:
        """Take back everything after ``size_bytes``."""
        os.ftruncate(self._fd, size_bytes)
        os.lseek(self._fd, size_bytes, os.SEEK_SET)
        self.size_bytes = size_bytes

    def sync(self) -> None:
        """Have the operating system put everything on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _append(self, data: bytes) -> int:
        start = self.size_bytes
        view = memoryview(data)
        try:
            while view:
                # Subtle: on a disk that fills up, write() takes a part and raises nothing; the next call raises.
                view = view[os.write(self._fd, view) :]
        except OSError:
            self.cut(start)
            raise
        self.size_bytes = start + len(data)
        return start


def _open_new(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise ConfigError(f"{path} exists already", "nothing is overwritten: choose another -o FILE") from exc
    except (OSError, ValueError) as exc:
        problem = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(f"{path} cannot be written: {problem}", "choose another place with -o FILE") from exc


def _pages(rows: Iterable[tuple[Any, ...]]) -> Iterable[list[bytes]]:
    pack = ValuePacker().pack
    page: list[bytes] = []
    size_bytes = 0
    for row in rows:
        packed = pack(row)
        if page and size_bytes + len(packed) > PAGE_BYTES:
            yield page
            page, size_bytes = [], 0
        page.append(packed)
        size_bytes += len(packed)
    if page:
        yield page
