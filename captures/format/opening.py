"""How a capture is opened: its header with the copy behind it, and the index that its trailer leads to."""

from __future__ import annotations

from dataclasses import dataclass

from captures.errors import CaptureError
from captures.format.blocks import BlockOpener
from captures.format.container import (
    BLOCK_LIMIT_BYTES,
    MAGIC,
    MAJOR,
    RECORD_LIMIT_BYTES,
    TRAILER,
    Flaw,
    FrameType,
    decode_trailer,
)
from captures.format.damage import DamageLog
from captures.format.framing import open_page
from captures.format.header import Header, decode_header
from captures.format.index import Index, index_from_rows
from captures.format.source import Frame, Source
from captures.format.values import unpack


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of a file tells: its index, and where the index begins, which is where the events stop."""

    index: Index
    stop: int
    n_lost: int
    reason: str


def read_header(source: Source, damage: DamageLog) -> tuple[Header, int]:
    """The header, and the offset behind its two copies.

    Raises:
        CaptureError: not a capture, of a newer major version, or both copies are damaged.
    """
    frame, is_intact = source.header_frame()
    if frame is None:
        raise CaptureError(source.path, "both copies of the header are damaged", len(MAGIC), "nothing can be recovered")
    try:
        header = decode_header(frame.payload)
    except Flaw as exc:
        raise CaptureError(source.path, str(exc), frame.offset) from exc
    if header.major > MAJOR:
        problem = f"written in capture format {header.major}.{header.minor}, this version reads up to {MAJOR}.x"
        raise CaptureError(source.path, problem, None, "upgrade with: pip install --upgrade rushhour")
    return header, _after_copies(source, damage, frame, is_intact=is_intact)


def _after_copies(source: Source, damage: DamageLog, frame: Frame, *, is_intact: bool) -> int:
    length = frame.end - frame.offset
    if not is_intact:
        damage.add(0, "header", f"the first {frame.offset} bytes are damaged", bytes_lost=frame.offset)
    if frame.offset != len(MAGIC):
        return frame.end
    if source.read(frame.end, length) != source.read(frame.offset, length):
        sentence = f"bytes {frame.end} to {frame.end + length}, the second copy of the header, are damaged"
        damage.add(frame.end, "header", sentence, bytes_lost=max(0, min(length, source.size_bytes - frame.end)))
    return frame.end + length


def read_ending(source: Source, header: Header, start: int, damage: DamageLog) -> Ending | None:
    """Index and stop, or None where the file ends without a usable index; damage is noted."""
    try:
        return _ending(source, header, start, damage)
    except Flaw as exc:
        sentence = (
            f"the file ends at byte {source.size_bytes} without a usable index ({exc}): the recording was cut off"
        )
        damage.add(source.size_bytes, "end", sentence)
        return None


def _ending(source: Source, header: Header, start: int, damage: DamageLog) -> Ending:
    trailer = source.read(max(0, source.size_bytes - TRAILER.size), TRAILER.size)
    root_offset = decode_trailer(header.identity, trailer, source.size_bytes)
    root = source.frame(header.identity, root_offset)
    pages, n_events, n_lost, reason = _root(root)
    bounds = [start, *pages, root_offset]
    if bounds != sorted(bounds):
        raise Flaw("the root is malformed")
    index = index_from_rows(_rows(source, header, pages), n_events)
    if reason:
        sentence = f"the recording ended early ({reason}); {n_lost} events were not written"
        damage.add(root_offset, "early", sentence)
    return Ending(index, pages[0] if pages else root_offset, n_lost, reason)


def _root(frame: Frame) -> tuple[list[int], int, int, str]:
    values = unpack(frame.payload, BLOCK_LIMIT_BYTES)
    if frame.type != FrameType.ROOT or type(values) is not tuple or len(values) < 4:
        raise Flaw("the root is malformed")
    pages, n_events, n_lost, reason = values[:4]
    if tuple(map(type, values[:4])) != (tuple, int, int, str) or any(type(page) is not int for page in pages):
        raise Flaw("the root is malformed")
    return list(pages), n_events, n_lost, reason


def _rows(source: Source, header: Header, pages: list[int]) -> list[object]:
    # An index is a few percent of its file: one that claims much more was made to fill memory.
    room_bytes = min(RECORD_LIMIT_BYTES, max(BLOCK_LIMIT_BYTES, source.size_bytes // 4))
    opener = BlockOpener()
    rows: list[object] = []
    for offset in pages:
        frame = source.frame(header.identity, offset)
        if frame.type != FrameType.INDEX:
            raise Flaw("the root is malformed")
        page, raw_bytes = open_page(opener, frame.flags, frame.payload)
        room_bytes -= raw_bytes
        if room_bytes < 0:
            raise Flaw("the index is over its size limit")
        rows.extend(page)
    return rows
