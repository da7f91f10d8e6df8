"""Compressed blocks: zstd where it helps, and decompression that cannot be made to take more memory than it may.

Sans-I/O. A ``Packer`` or an ``Opener`` belongs to one thread: both reuse their zstd context.
"""

from __future__ import annotations

import zstandard

from captures.format.container import Flaw

# Frame flag: the block is one zstd frame; without it the block is stored as it is.
FLAG_ZSTD = 1
# Levels 1 to 3 compress repetitive traffic at more than 1 GB/s, far above the speed of any recording; 3 is zstd's own
# default.
LEVEL = 3
# Every writer stays under this window (zstd level 3: 2 MiB); a reader refuses more, for the window is memory taken up
# front.
WINDOW_LIMIT_BYTES = 8 * 1024 * 1024
_STEP_BYTES = 1024 * 1024


class BlockPacker:
    """Compresses blocks."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)

    def pack(self, raw: bytes) -> tuple[int, bytes]:
        """Flags and bytes of the block: compressed only where that saves something."""
        packed = self._compressor.compress(raw)
        return (FLAG_ZSTD, packed) if len(packed) < len(raw) else (0, raw)


class BlockOpener:
    """Decompresses blocks."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT_BYTES)

    def open(self, flags: int, block: bytes, raw_bytes: int, limit_bytes: int) -> bytes:
        """The decoded block.

        Subtle: ``decompress(max_output_size=…)`` ignores its limit where the frame states its own size, so the output
        is counted here while it streams.

        Raises:
            Flaw: ``raw_bytes`` is over the limit, or the block is not exactly ``raw_bytes`` long, or not zstd.
        """
        if raw_bytes > limit_bytes:
            raise Flaw("block over the size limit")
        raw = self._inflated(block, raw_bytes) if flags & FLAG_ZSTD else block
        if len(raw) != raw_bytes:
            raise Flaw("block of another size than stated")
        return raw

    def _inflated(self, block: bytes, raw_bytes: int) -> bytes:
        try:
            with self._decompressor.stream_reader(block) as stream:
                if raw_bytes < _STEP_BYTES:
                    return stream.read(raw_bytes + 1)
                parts, room_bytes = [], raw_bytes + 1
                while room_bytes > 0 and (part := stream.read(min(room_bytes, _STEP_BYTES))):
                    parts.append(part)
                    room_bytes -= len(part)
                return b"".join(parts)
        except (zstandard.ZstdError, MemoryError) as exc:
            raise Flaw("block is not valid zstd") from exc
