"""How far one pushed message spreads: the time between its first arrival anywhere and each of its others. Pure.

Workers report the arrivals of equal bytes (``slots.Broadcast``), each relative to its own first. Here they meet: with
the arrivals t_i of all sockets of all workers, the spread of arrival i is t_i − min t. Nothing is rounded before that
minimum is known, so the histogram is the one that a single worker with all the sockets would have measured.

It is a lower bound of how late a message is: the first receiver may have got it late too.

Worked: arrivals at 5.000, 5.001 and 5.100 s, the last one at another worker, have spreads of 0, 1 and 100 ms.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from analysis.histogram import bucket_of
from analysis.slots import Broadcast, Measure, SecondSlot, SeriesKey
from captures.units import NS_PER_S

WINDOW_S = 10
"""Equal bytes this long after the first arrival are another message."""
WAIT_S = 2 * WINDOW_S + 3
"""When the last worker has spoken: its own first arrival may be late by a window, and it waits for one more."""

_Name = tuple[str, str, bytes]
_NS_PER_US = 1000


@dataclass(slots=True)
class _Meeting:
    first_ns: int
    arrivals: list[Broadcast] = field(default_factory=list)


class BroadcastMerge:
    """Brings the workers' arrivals of each broadcast together."""

    def __init__(self) -> None:
        self._open: dict[_Name, _Meeting] = {}
        self._over: list[_Meeting] = []

    def add(self, slot: SecondSlot) -> None:
        """Take the arrivals of a slot; a slot is given once."""
        for broadcast in slot.broadcasts:
            name = (broadcast.route, broadcast.message, broadcast.digest)
            meeting = self._open.get(name)
            if meeting is not None and abs(broadcast.first_ns - meeting.first_ns) > WINDOW_S * NS_PER_S:
                self._over.append(meeting)
                meeting = None
            if meeting is None:
                meeting = self._open[name] = _Meeting(broadcast.first_ns)
            meeting.first_ns = min(meeting.first_ns, broadcast.first_ns)
            meeting.arrivals.append(broadcast)

    def ripe(self, newest_s: int) -> Iterator[tuple[int, dict[SeriesKey, Measure]]]:
        """Yield by second, once, the spreads of what no worker will say more about."""
        until_ns = (newest_s - WAIT_S) * NS_PER_S
        names = [name for name, meeting in self._open.items() if meeting.first_ns < until_ns]
        over, self._over = self._over, []
        yield from _measured([*over, *(self._open.pop(name) for name in names)])

    def rest(self) -> Iterator[tuple[int, dict[SeriesKey, Measure]]]:
        """Yield by second the spreads of everything that is left."""
        over = [*self._over, *self._open.values()]
        self._over, self._open = [], {}
        yield from _measured(over)


def late_of(arrivals: Sequence[int]) -> bytes:
    """Pack arrivals (ns, the first of them first) as ``Broadcast.late_us`` has them."""
    first_ns = arrivals[0]
    packed = array("I", [(arrival_ns - first_ns) // _NS_PER_US for arrival_ns in arrivals])
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _measured(meetings: list[_Meeting]) -> Iterator[tuple[int, dict[SeriesKey, Measure]]]:
    seconds: dict[int, dict[SeriesKey, Measure]] = {}
    for meeting in meetings:
        late_us = [us for broadcast in meeting.arrivals for us in _late_us(broadcast, meeting.first_ns)]
        if len(late_us) < 2:
            continue  # One receiver has no spread.
        one = meeting.arrivals[0]
        key = ("ws.push_lag", (("estimator", "skew"), ("message", one.message), ("route", one.route)))
        measures = seconds.setdefault(meeting.first_ns // NS_PER_S, {})
        _record(measures.setdefault(key, Measure()), late_us)
    yield from sorted(seconds.items())


def _late_us(broadcast: Broadcast, first_ns: int) -> Iterator[int]:
    packed = array("I")
    packed.frombytes(broadcast.late_us)
    if sys.byteorder == "big":
        packed.byteswap()
    behind_us = (broadcast.first_ns - first_ns) // _NS_PER_US
    return (us + behind_us for us in packed)


def _record(measure: Measure, late_us: list[int]) -> None:
    buckets = measure.latency
    for us in late_us:
        bucket = bucket_of(us)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    measure.planned += len(late_us)
    measure.ok += len(late_us)
    measure.latency_sum_us += sum(late_us)
    measure.latency_max_us = max(measure.latency_max_us, max(late_us))
