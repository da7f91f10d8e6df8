"""The blobs of an open capture: where they lie, and a small cache of what was read last."""

from __future__ import annotations

from collections import OrderedDict

from captures.format.blocks import BlockOpener
from captures.format.container import Flaw, FrameType, Identity
from captures.format.framing import open_blob
from captures.format.source import Source

CACHE_BYTES = 16 * 1024 * 1024


class BlobStore:
    """Finds blobs by their digest.

    Attributes:
        offsets: of the blob frames known so far.
    """

    def __init__(self, source: Source, identity: Identity, opener: BlockOpener) -> None:
        self.offsets: dict[bytes, int] = {}
        self._source = source
        self._identity = identity
        self._opener = opener
        self._cache: OrderedDict[bytes, bytes] = OrderedDict()
        self._cache_bytes = 0

    def data(self, digest: bytes) -> bytes | None:
        """The bytes of a blob, or None where it is lost."""
        if digest in self._cache:
            self._cache.move_to_end(digest)
            return self._cache[digest]
        data = self._read(digest)
        if data is not None:
            self._remember(digest, data)
        return data

    def presence(self, digest: bytes) -> bytes | None:
        """Empty bytes where the blob is known, None where not: for those who do not need its data."""
        return b"" if digest in self.offsets else None

    def _read(self, digest: bytes) -> bytes | None:
        offset = self.offsets.get(digest)
        if offset is None:
            return None
        try:
            frame = self._source.frame(self._identity, offset)
            stored, data = open_blob(self._opener, frame.flags, frame.payload)
        except Flaw:
            return None
        return data if frame.type == FrameType.BLOB and stored == digest else None

    def _remember(self, digest: bytes, data: bytes) -> None:
        self._cache[digest] = data
        self._cache_bytes += len(data)
        while self._cache_bytes > CACHE_BYTES:
            _, dropped = self._cache.popitem(last=False)
            self._cache_bytes -= len(dropped)
