"""Second-slots as a run file holds them: the same as ``slotcodec``, packed for hours of them. Pure.

Histograms are bytes, little-endian: two letters, how wide steps and counts are (``B`` 1, ``H`` 2, ``I`` 4, ``Q`` 8
bytes), the lowest bucket in 8 bytes, the steps from bucket to bucket, the counts. An empty one is no bytes::

    [worker, second, measures, lag, loop, counts, gauges, cpu_ns, steps]
    measure: as of ``slotcodec``, its four histograms packed
    steps:   as of ``steplog``

Worked: the histogram {3: 1, 5: 2} is ``B B 03 00 00 00 00 00 00 00 02 01 02``.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from analysis.earliersteps import is_columns, steps_from_columns
from analysis.slotcodec import slot_from_body, slot_to_body
from analysis.slots import Buckets, SecondSlot
from analysis.steplog import StepLog

_HISTOGRAMS = slice(4, 8)
_MEASURES, _LAG, _LOOP, _STEPS = 2, 3, 4, 8
_TYPES = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32), ("Q", 1 << 64))
_SIZES = {kind.encode(): array(kind).itemsize for kind, _ in _TYPES}
_HEAD = struct.Struct("<ccQ")


def slot_to_stored(slot: SecondSlot) -> list[Any]:
    """Return a slot as a run file holds it; broadcasts are counted before anything is stored."""
    body = slot_to_body(slot)[: _STEPS + 1]
    for row in body[_MEASURES]:
        row[_HISTOGRAMS] = [packed(buckets) for buckets in row[_HISTOGRAMS]]
    body[_LAG], body[_LOOP] = packed(slot.lag), packed(slot.loop)
    return body


def slot_from_stored(body: Any) -> SecondSlot:
    """Reverse ``slot_to_stored``.

    Raises:
        ValueError: the body is not a slot.
    """
    try:
        for row in body[_MEASURES]:
            row[_HISTOGRAMS] = [unpacked(data) for data in row[_HISTOGRAMS]]
        body[_LAG], body[_LOOP] = unpacked(body[_LAG]), unpacked(body[_LOOP])
        earlier = StepLog(steps_from_columns(body[_STEPS])) if is_columns(body[_STEPS]) else None
    except (TypeError, IndexError, KeyError) as exc:
        raise ValueError(f"not a stored second-slot: {exc}") from exc
    if earlier is None:
        return slot_from_body(body)
    slot = slot_from_body([*body[:_STEPS], []])
    slot.steps = earlier
    return slot


def packed(buckets: Buckets) -> bytes:
    """Return a histogram as bytes."""
    if not buckets:
        return b""
    ordered = sorted(buckets)
    gaps = [late - early for early, late in pairwise(ordered)]
    counts = [buckets[bucket] for bucket in ordered]
    kinds = [next(kind for kind, end in _TYPES if max(values, default=0) < end) for values in (gaps, counts)]
    head = _HEAD.pack(*(kind.encode() for kind in kinds), ordered[0])
    return head + b"".join(_little(array(kind, values)) for kind, values in zip(kinds, (gaps, counts), strict=True))


def unpacked(data: bytes) -> Buckets:
    """Reverse ``packed``.

    Raises:
        ValueError: it is none.
    """
    if not data:
        return {}
    if len(data) <= _HEAD.size:
        raise ValueError(f"a histogram of {len(data)} bytes")
    gap_kind, count_kind, lowest = _HEAD.unpack_from(data)
    gap_bytes, count_bytes = _SIZES[gap_kind], _SIZES[count_kind]
    n, rest = divmod(len(data) - _HEAD.size + gap_bytes, gap_bytes + count_bytes)
    if rest:
        raise ValueError(f"a histogram of {len(data)} bytes")
    middle = _HEAD.size + (n - 1) * gap_bytes
    gaps = _numbers(gap_kind, data[_HEAD.size : middle])
    return dict(zip(accumulate(gaps, initial=lowest), _numbers(count_kind, data[middle:]), strict=True))


def _numbers(kind: bytes, data: bytes) -> Sequence[int]:
    if kind == b"B":
        return data  # Bytes are numbers as they are.
    values = array(kind.decode(), data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
