"""A run cut into columns of time, at most ``MOST_COLUMNS`` of them: what the charts over time show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from analysis.merge import MERGED, merge_slot
from analysis.report.text import printable
from analysis.run import Run
from analysis.series import Distribution, histogram_mid, latency_of, n_outcomes, steps_of, total_of
from analysis.slots import Buckets, Measure, SecondSlot, SeriesKey

MOST_COLUMNS = 240
ROWS_PER_DECADE = 16
LEAST_ROWS = 20
"""A heatmap of answers that were all alike has rows without any, so that they do not look like noise."""
_LIMIT_SHOWN = 6.0
"""A limit up to so many times the largest value is within the heatmap."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MOST_CLASSES = 8
_SHORTEST_S = 0.5

Values = list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A heatmap of latency: ``counts`` by row from the bottom and column; ``edges`` of the rows, ms, one more."""

    edges: Sequence[float]
    counts: Sequence[Sequence[int]]
    quantiles: dict[str, Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns.

    Attributes:
        width_s: whole seconds of each column.
        spans_s: what each column really covers; the last may be cut short by the end of the run.
        n_seconds: seconds with slots in each column.
    """

    slots: Sequence[SecondSlot]
    width_s: int
    spans_s: Sequence[float]
    n_seconds: Sequence[int]
    _measures: dict[str, list[Measure]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def end_s(self) -> float:
        """Where the time axis ends."""
        return float(len(self.slots) * self.width_s)

    def place(self, at_s: float) -> float:
        """Where a time lies on the axis, 0–1."""
        return min(1.0, max(0.0, at_s / self.end_s))

    def measures(self, name: str) -> list[Measure]:
        """Return the totals of a series by column."""
        found = self._measures.get(name)
        if found is None:
            found = self._measures[name] = [total_of(slot.measures, name) for slot in self.slots]
        return found

    def offered_per_s(self) -> list[float]:
        """Return how many steps were due."""
        return self._per_s([steps_of(slot.measures).planned for slot in self.slots])

    def answered_per_s(self) -> tuple[list[float], list[float]]:
        """Return how many steps ended as recorded, and how many in another way."""
        totals = [steps_of(slot.measures) for slot in self.slots]
        return self._per_s([t.ok for t in totals]), self._per_s([n_outcomes(t) - t.ok for t in totals])

    def counted_per_s(self, name: str) -> list[float]:
        """Return a counter as a rate."""
        return self._per_s([slot.counts.get(name, 0) for slot in self.slots])

    def gauge(self, name: str) -> list[float]:
        """Return the mean of a gauge over the seconds of each column."""
        pairs = zip(self.slots, self.n_seconds, strict=True)
        return [round(slot.gauges.get(name, 0) / max(1, n), 1) for slot, n in pairs]

    def by_second(self, values: Sequence[float]) -> list[float]:
        """Return the mean over each column of what is known for every second from the start on; 0 after its end."""
        width = self.width_s
        pieces = (values[at : at + width] for at in range(0, len(self.slots) * width, width))
        return [round(sum(piece) / max(1, len(piece)), 1) for piece in pieces]

    def heat(self, name: str, limits_ms: Sequence[float] = ()) -> Heat | None:
        """Return the heatmap of a series, None where nothing was timed; limits that are near are within it."""
        return _heat(self.measures(name), limits_ms)

    def errors(self) -> list[tuple[str, list[int]]]:
        """Return failures, wrong answers and what was not sent by class, the most frequent first, the rest as one."""
        per_column = [_classes(slot) for slot in self.slots]
        total: Counter[str] = Counter()
        for classes in per_column:
            total.update(classes)
        shown = [name for name, _ in total.most_common(_MOST_CLASSES)]
        rows = [(printable(name, 60), [classes[name] for classes in per_column]) for name in shown]
        if len(total) > len(shown):
            others = [sum(classes.values()) - sum(classes[name] for name in shown) for classes in per_column]
            rows.append(("others", others))
        return rows

    def lag_ms(self, q: float) -> Values:
        """Return a quantile of how late sends were."""
        return [_quantile_ms(slot.lag, q) for slot in self.slots]

    def loop_ms(self, q: float) -> Values:
        """Return a quantile of how late event loops woke up."""
        return [_quantile_ms(slot.loop, q) for slot in self.slots]

    def _per_s(self, counts: Sequence[int]) -> list[float]:
        return [round(count / span_s, 2) for count, span_s in zip(counts, self.spans_s, strict=True)]


def columns_of(run: Run) -> Columns:
    """Cut a run into columns."""
    n_seconds = max(max(run.seconds, default=0) + 1, ceil(run.duration_s), 1)
    width_s = max(1, ceil(n_seconds / MOST_COLUMNS))
    slots = [SecondSlot(worker=MERGED, second=0) for _ in range(ceil(n_seconds / width_s))]
    for second, slot in run.seconds.items():
        if second >= 0:
            merge_slot(slots[second // width_s], slot)
    counted = Counter(second // width_s for second in run.seconds)
    starts = range(0, len(slots) * width_s, width_s)
    return Columns(
        slots=slots,
        width_s=width_s,
        spans_s=[max(_SHORTEST_S, min(width_s, run.duration_s - start)) for start in starts],
        n_seconds=[counted[index] for index in range(len(slots))],
    )


def windows_p95_ms(windows: dict[int, dict[SeriesKey, Measure]], key: SeriesKey) -> Values:
    """Return p95 of a series per ten seconds, None where it has no samples."""
    measures = (windows[start].get(key) for start in sorted(windows))
    return [None if measure is None else _quantile_ms(measure.latency, 0.95) for measure in measures]


def round_ms(us: float) -> float:
    """Return ms with four significant digits, at least 0.001 (the charts are logarithmic)."""
    return float(f"{max(us, 1) / 1000:.4g}")


def _quantile_ms(buckets: Buckets, q: float) -> float | None:
    us = Distribution.of_buckets(buckets).quantile_us(q) if buckets else None
    return None if us is None else round_ms(us)


def _heat(measures: Sequence[Measure], limits_ms: Sequence[float]) -> Heat | None:
    used = {bucket for measure in measures for bucket in measure.latency}
    if not used:
        return None
    row_of = {bucket: _row(histogram_mid(bucket)) for bucket in used}
    low, high = min(row_of.values()), max(row_of.values())
    top_us = histogram_mid(max(used))
    high = max([high, *(_row(1000 * ms) for ms in limits_ms if 1000 * ms < _LIMIT_SHOWN * top_us)])
    missing = max(0, LEAST_ROWS - (high - low + 1))
    low, high = max(0, low - missing // 2), high + missing - missing // 2
    counts = [[0] * len(measures) for _ in range(high - low + 1)]
    for column, measure in enumerate(measures):
        for bucket, count in measure.latency.items():
            counts[row_of[bucket] - low][column] += count
    quantiles: dict[str, Values] = {name: [] for name in QUANTILES}
    for measure in measures:
        values = latency_of(measure).quantiles_us(tuple(QUANTILES.values()))
        for name, us in zip(QUANTILES, values, strict=True):
            quantiles[name].append(None if us is None else round_ms(us))
    edges = [round_ms(10 ** (row / ROWS_PER_DECADE)) for row in range(low, high + 2)]
    return Heat(edges=edges, counts=counts, quantiles=quantiles)


def _row(us: float) -> int:
    return floor(log10(max(1, us)) * ROWS_PER_DECADE)


def _classes(slot: SecondSlot) -> Counter[str]:
    classes: Counter[str] = Counter()
    for measure in slot.measures.values():
        classes.update(measure.errors)
        classes.update({f"mismatch {kind}": n for kind, n in measure.mismatches.items()})
    classes.update({f"not sent: {name[9:]}": n for name, n in slot.counts.items() if name.startswith("not_sent:")})
    return classes
