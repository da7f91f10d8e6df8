"""Adding up second-slots: measures, whole slots, and the totals that a run file keeps. Pure.

A slot is a delta keyed by (worker, second). Each key counts once, in whatever order and however often a slot arrives.
Kept are every second in total (series without their routes), every ten seconds by route, whole step records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from analysis.broadcasts import BroadcastMerge
from analysis.histogram import merge_buckets
from analysis.slots import Measure, SecondSlot, SeriesKey

WINDOW_S = 10
"""Seconds per window of the series by route."""
SETTLE_S = 2
"""A second is written once a slot this much newer has come; what comes later is written as a further delta."""
COARSE_LABELS = frozenset({"kind", "origin", "storm", "of", "estimator"})
"""Labels that the totals of a second keep."""
MERGED = -1
"""``worker`` of a slot that is the sum of several."""
ACROSS = -2
"""``worker`` in the key of what only all workers together show; the other half of the key is a running number."""


class Grain(IntEnum):
    """What a stored slot sums up; the numbers are part of the run file."""

    SECOND = 1
    WINDOW = 2


@dataclass(slots=True)
class Total:
    """A sum of slots: of which (worker, second) keys, and the sum."""

    grain: Grain
    slot: SecondSlot
    keys: list[tuple[int, int]] = field(default_factory=list)


def merge_counts(into: dict[str, int], other: dict[str, int]) -> None:
    """Add counters by name."""
    for name, count in other.items():
        into[name] = into.get(name, 0) + count


def merge_measure(into: Measure, other: Measure) -> None:
    """Add one measure to another of the same series."""
    into.planned += other.planned
    into.ok += other.ok
    merge_buckets(into.latency, other.latency)
    merge_buckets(into.service, other.service)
    if other.errors or other.failed:
        merge_buckets(into.failed, other.failed)
        merge_counts(into.errors, other.errors)
    if other.mismatches or other.mismatched:
        merge_buckets(into.mismatched, other.mismatched)
        merge_counts(into.mismatches, other.mismatches)
    into.latency_sum_us += other.latency_sum_us
    into.service_sum_us += other.service_sum_us
    into.latency_max_us = max(into.latency_max_us, other.latency_max_us)
    into.service_max_us = max(into.service_max_us, other.service_max_us)
    into.bytes_in += other.bytes_in
    into.eligible += other.eligible
    into.checked += other.checked
    into.items += other.items
    into.due_milli += other.due_milli
    if other.warnings:
        merge_counts(into.warnings, other.warnings)


def merge_measures(into: dict[SeriesKey, Measure], other: dict[SeriesKey, Measure]) -> None:
    """Add measures by series; ``into`` never shares a measure with ``other``."""
    for key, measure in other.items():
        kept = into.get(key)
        if kept is None:
            kept = into[key] = Measure()
        merge_measure(kept, measure)


def merge_slot(into: SecondSlot, other: SecondSlot) -> None:
    """Add everything of a slot to another."""
    merge_measures(into.measures, other.measures)
    into.steps += other.steps
    merge_buckets(into.lag, other.lag)
    merge_buckets(into.loop, other.loop)
    merge_counts(into.counts, other.counts)
    merge_counts(into.gauges, other.gauges)
    into.cpu_ns += other.cpu_ns


def coarse_key(key: SeriesKey) -> SeriesKey:
    """Return the key of the total that a series belongs to: its name with only the labels in ``COARSE_LABELS``."""
    name, labels = key
    return name, tuple(label for label in labels if label[0] in COARSE_LABELS)


class SlotMerge:
    """Sums slots as they arrive and hands out totals that are ripe to be stored.

    All workers' slots of a second are added up first, by full series; what comes out is folded once into the total of
    the second and once into the window, so a bucket of a worker is touched about once.

    Args:
        warmup_s: a window that reaches over this second ends there, and another begins.
    """

    def __init__(self, *, warmup_s: int = 0) -> None:
        self._warmup_s = warmup_s
        self._seen: set[tuple[int, int]] = set()
        self._seconds: dict[int, Total] = {}
        self._windows: dict[int, Total] = {}
        self._newest = 0
        self._broadcasts = BroadcastMerge()
        self._n_across = 0

    def add(self, slot: SecondSlot) -> bool:
        """Count a slot; return False for one that was counted already, which changes nothing."""
        key = (slot.worker, slot.second)
        if key in self._seen:
            return False
        self._seen.add(key)
        self._newest = max(self._newest, slot.second)
        total = _total_at(self._seconds, Grain.SECOND, slot.second)
        total.keys.append(key)
        merge_slot(total.slot, slot)
        self._broadcasts.add(slot)
        return True

    def ripe(self) -> Iterator[Total]:
        """Hand out, once, what is old enough not to be waited for any longer."""
        settled = self._newest - SETTLE_S
        yield from self._across(self._broadcasts.ripe(self._newest))
        yield from self._take_seconds(settled)
        yield from _take(self._windows, settled - WINDOW_S + 1)

    def rest(self) -> Iterator[Total]:
        """Hand out everything that is left."""
        yield from self._across(self._broadcasts.rest())
        yield from self._take_seconds(self._newest)
        yield from _take(self._windows, self._newest)

    def _across(self, spreads: Iterable[tuple[int, dict[SeriesKey, Measure]]]) -> Iterator[Total]:
        """Hand out what is known of a second only later, as further totals of it."""
        for second, measures in spreads:
            self._n_across += 1
            key = (ACROSS, self._n_across)
            yield Total(Grain.SECOND, SecondSlot(worker=MERGED, second=second, measures=_coarse(measures)), [key])
            start = self._window_of(second)
            yield Total(Grain.WINDOW, SecondSlot(worker=MERGED, second=start, measures=measures), [key])

    def _take_seconds(self, until: int) -> Iterator[Total]:
        for total in _take(self._seconds, until):
            slot = total.slot
            window = _total_at(self._windows, Grain.WINDOW, self._window_of(slot.second))
            window.keys += total.keys
            merge_measures(window.slot.measures, slot.measures)
            slot.measures = _coarse(slot.measures)
            yield total

    def _window_of(self, second: int) -> int:
        start = second - second % WINDOW_S
        return max(start, self._warmup_s) if second >= self._warmup_s else start


def _total_at(totals: dict[int, Total], grain: Grain, second: int) -> Total:
    total = totals.get(second)
    if total is None:
        total = totals[second] = Total(grain, SecondSlot(worker=MERGED, second=second))
    return total


def _take(totals: dict[int, Total], until: int) -> Iterator[Total]:
    for second in sorted(second for second in totals if second <= until):
        yield totals.pop(second)


def _coarse(measures: dict[SeriesKey, Measure]) -> dict[SeriesKey, Measure]:
    """Return the sums by ``coarse_key``."""
    coarse: dict[SeriesKey, Measure] = {}
    for series, measure in measures.items():
        merge_measure(coarse.setdefault(coarse_key(series), Measure()), measure)
    return coarse
