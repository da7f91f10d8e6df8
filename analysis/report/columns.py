"""A run cut into columns of time, at most ``MOST_COLUMNS`` of them: what the charts over time show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from analysis.histogram import Histogram, merge_buckets
from analysis.report.text import printable
from analysis.run import Run
from analysis.series import UNASKED, histogram_mid, is_selected, n_errors, n_mismatched
from analysis.slots import Buckets, Measure, SecondSlot, SeriesKey

MOST_COLUMNS = 240
ROWS_PER_DECADE = 16
LEAST_ROWS = 20
"""A heatmap of answers that were all alike has rows without any, so that they do not look like noise."""
_LIMIT_SHOWN = 6.0
"""A limit up to so many times the largest value is within the heatmap."""
HEATS = {"http": "HTTP latency", "ws.reply": "WebSocket reply latency"}
"""Series with a heatmap, and its title."""
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


@dataclass(slots=True, kw_only=True)
class _Column:
    """What is shown of one column; ``latency`` only of series with a heatmap, the rest are sums."""

    latency: dict[str, Buckets] = field(default_factory=dict)
    planned: int = 0
    ok: int = 0
    bad: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    gauges: Counter[str] = field(default_factory=Counter)
    lag: Buckets = field(default_factory=dict)
    loop: Buckets = field(default_factory=dict)
    n_seconds: int = 0

    def add(self, slot: SecondSlot) -> None:
        self.n_seconds += 1
        for key, measure in slot.measures.items():
            self._add_measure(key, measure)
        self.counts.update(slot.counts)
        self.gauges.update(slot.gauges)
        merge_buckets(self.lag, slot.lag)
        merge_buckets(self.loop, slot.loop)
        self.classes.update({f"not sent: {name[9:]}": n for name, n in slot.counts.items() if name[:9] == "not_sent:"})

    def _add_measure(self, key: SeriesKey, measure: Measure) -> None:
        if key[0] not in UNASKED:
            self.planned += measure.planned
            self.ok += measure.ok
            self.bad += n_errors(measure) + n_mismatched(measure)
        if key[0] in HEATS and is_selected(key, key[0], ()):
            merge_buckets(self.latency.setdefault(key[0], {}), measure.latency)
        if measure.errors or measure.mismatches:
            self.classes.update(measure.errors)
            self.classes.update({f"mismatch {kind}": n for kind, n in measure.mismatches.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns.

    Attributes:
        width_s: whole seconds of each column.
        spans_s: what each column really covers; the last may be cut short by the end of the run.
    """

    columns: Sequence[_Column]
    width_s: int
    spans_s: Sequence[float]

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def end_s(self) -> float:
        """Where the time axis ends."""
        return float(len(self.columns) * self.width_s)

    def place(self, at_s: float) -> float:
        """Where a time lies on the axis, 0–1."""
        return min(1.0, max(0.0, at_s / self.end_s))

    def offered_per_s(self) -> list[float]:
        """Return how many steps were due."""
        return self._per_s([column.planned for column in self.columns])

    def answered_per_s(self) -> tuple[list[float], list[float]]:
        """Return how many steps ended as recorded, and how many in another way."""
        return self._per_s([column.ok for column in self.columns]), self._per_s([column.bad for column in self.columns])

    def counted_per_s(self, name: str) -> list[float]:
        """Return a counter as a rate."""
        return self._per_s([column.counts[name] for column in self.columns])

    def gauge(self, name: str) -> list[float]:
        """Return the mean of a gauge over the seconds of each column."""
        return [round(column.gauges[name] / max(1, column.n_seconds), 1) for column in self.columns]

    def by_second(self, values: Sequence[float]) -> list[float]:
        """Return the mean over each column of what is known for every second from the start on; 0 after its end."""
        width = self.width_s
        pieces = (values[at : at + width] for at in range(0, len(self) * width, width))
        return [round(sum(piece) / max(1, len(piece)), 1) for piece in pieces]

    def heat(self, name: str, limits_ms: Sequence[float] = ()) -> Heat | None:
        """Return the heatmap of one of ``HEATS``, None where nothing was timed; limits that are near are within it."""
        return _heat([column.latency.get(name, {}) for column in self.columns], limits_ms)

    def errors(self) -> list[tuple[str, list[int]]]:
        """Return failures, wrong answers and what was not sent by class, the most frequent first, the rest as one."""
        per_column = [column.classes for column in self.columns]
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
        return [_quantile_ms(column.lag, q) for column in self.columns]

    def loop_ms(self, q: float) -> Values:
        """Return a quantile of how late event loops woke up."""
        return [_quantile_ms(column.loop, q) for column in self.columns]

    def _per_s(self, counts: Sequence[int]) -> list[float]:
        return [round(count / span_s, 2) for count, span_s in zip(counts, self.spans_s, strict=True)]


def columns_of(run: Run) -> Columns:
    """Cut a run into columns."""
    n_seconds = max(max(run.seconds, default=0) + 1, ceil(run.duration_s), 1)
    width_s = max(1, ceil(n_seconds / MOST_COLUMNS))
    columns = [_Column() for _ in range(ceil(n_seconds / width_s))]
    for second, slot in run.seconds.items():
        if second >= 0:
            columns[second // width_s].add(slot)
    starts = range(0, len(columns) * width_s, width_s)
    return Columns(
        columns=columns,
        width_s=width_s,
        spans_s=[max(_SHORTEST_S, min(width_s, run.duration_s - start)) for start in starts],
    )


def windows_p95_ms(windows: dict[int, dict[SeriesKey, Measure]], key: SeriesKey) -> Values:
    """Return p95 of a series per ten seconds, None where it has no samples."""
    measures = (windows[start].get(key) for start in sorted(windows))
    return [None if measure is None else _quantile_ms(measure.latency, 0.95) for measure in measures]


def round_ms(us: float) -> float:
    """Return ms with four significant digits, at least 0.001 (the charts are logarithmic)."""
    return float(f"{max(us, 1) / 1000:.4g}")


def _quantile_ms(buckets: Buckets, q: float) -> float | None:
    us = Histogram(buckets).quantile(q) if buckets else None
    return None if us is None else round_ms(us)


def _heat(latencies: Sequence[Buckets], limits_ms: Sequence[float]) -> Heat | None:
    used = {bucket for latency in latencies for bucket in latency}
    if not used:
        return None
    row_of = {bucket: _row(histogram_mid(bucket)) for bucket in used}
    low, high = min(row_of.values()), max(row_of.values())
    top_us = histogram_mid(max(used))
    high = max([high, *(_row(1000 * ms) for ms in limits_ms if 1000 * ms < _LIMIT_SHOWN * top_us)])
    missing = max(0, LEAST_ROWS - (high - low + 1))
    low, high = max(0, low - missing // 2), high + missing - missing // 2
    counts = [[0] * len(latencies) for _ in range(high - low + 1)]
    for column, latency in enumerate(latencies):
        for bucket, count in latency.items():
            counts[row_of[bucket] - low][column] += count
    quantiles: dict[str, Values] = {name: [] for name in QUANTILES}
    for latency in latencies:
        values = Histogram(latency).quantiles(QUANTILES.values())
        for name, us in zip(QUANTILES, values, strict=True):
            quantiles[name].append(None if us is None else round_ms(us))
    edges = [round_ms(10 ** (row / ROWS_PER_DECADE)) for row in range(low, high + 2)]
    return Heat(edges=edges, counts=counts, quantiles=quantiles)


def _row(us: float) -> int:
    return floor(log10(max(1, us)) * ROWS_PER_DECADE)
