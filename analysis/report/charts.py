"""The data of the report's charts: binned in time, bounded in size, plain lists. Pure.

A run of any length becomes at most ``MOST_BINS`` columns. ``page.js`` draws what stands here and computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Any

from analysis.merge import MERGED, merge_slot
from analysis.report.text import printable
from analysis.run import Run
from analysis.series import (
    Distribution,
    histogram_mid,
    latency_of,
    n_outcomes,
    service_of,
    steps_of,
    total_of,
)
from analysis.slots import Measure, SecondSlot, SeriesKey

MOST_BINS = 240
_ROWS_PER_DECADE = 12
_MOST_CLASSES = 8
_SHORTEST_BIN_S = 0.5
_TIMED = ("http", "ws.reply", "ws.connect", "ws.ready")
_QUANTILES = (0.5, 0.95, 0.99)


def chart_data(run: Run, summary: dict[str, Any]) -> dict[str, Any]:
    """Return everything the page draws, JSON-able."""
    width_s = bin_width_s(run)
    bins = _bins(run, width_s)
    limits = _limits(summary["thresholds"])
    return {
        "t": [index * width_s for index in range(len(bins))],
        "width": width_s,
        "throughput": _throughput(bins, width_s, run.duration_s),
        "users": {
            name: _gauge(bins, name, run, width_s) for name in ("users_active", "connections_open", "sockets_open")
        },
        "heat": {name: heat for name in _TIMED if (heat := _heat(bins, name, limits.get(name)))},
        "errors": _errors(bins),
        "lag": {**_lag(bins), "limit": summary["generator"]["limit_ms"]},
        "percentiles": list(_percentiles(run)),
        "messages": _messages(bins, width_s, run.duration_s),
    }


def bin_width_s(run: Run) -> int:
    """Return the width of a column in whole seconds, so that there are at most ``MOST_BINS``."""
    return max(1, ceil(_n_seconds(run) / MOST_BINS))


def _n_seconds(run: Run) -> int:
    return max(max(run.seconds, default=0) + 1, ceil(run.duration_s), 1)


def _bins(run: Run, width_s: int) -> list[SecondSlot]:
    bins = [SecondSlot(worker=MERGED, second=0) for _ in range(ceil(_n_seconds(run) / width_s))]
    for second, slot in run.seconds.items():
        if second >= 0:
            merge_slot(bins[second // width_s], slot)
    return bins


def _spans(n: int, width_s: int, duration_s: float) -> list[float]:
    """Return the seconds that each bin really covers; the last one may be cut short by the end of the run."""
    return [max(_SHORTEST_BIN_S, min(width_s, duration_s - index * width_s)) for index in range(n)]


def _throughput(bins: Sequence[SecondSlot], width_s: int, duration_s: float) -> dict[str, list[float]]:
    totals = [steps_of(slot.measures) for slot in bins]
    spans = _spans(len(bins), width_s, duration_s)
    pairs = list(zip(totals, spans, strict=True))
    return {
        "offered": [round(total.planned / span, 2) for total, span in pairs],
        "ok": [round(total.ok / span, 2) for total, span in pairs],
        "bad": [round((n_outcomes(total) - total.ok) / span, 2) for total, span in pairs],
    }


def _gauge(bins: Sequence[SecondSlot], name: str, run: Run, width_s: int) -> list[float]:
    n_seconds = Counter(second // width_s for second in run.seconds)
    return [round(slot.gauges.get(name, 0) / max(1, n_seconds[index]), 1) for index, slot in enumerate(bins)]


def _messages(bins: Sequence[SecondSlot], width_s: int, duration_s: float) -> dict[str, list[float]] | None:
    if not any(slot.counts.get("messages_in") or slot.counts.get("messages_out") for slot in bins):
        return None
    spans = _spans(len(bins), width_s, duration_s)
    return {
        short: [round(slot.counts.get(name, 0) / span, 2) for slot, span in zip(bins, spans, strict=True)]
        for short, name in (("in", "messages_in"), ("out", "messages_out"))
    }


def _limits(thresholds: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the latency limits on unlabelled series, by series."""
    limits: dict[str, list[dict[str, Any]]] = {}
    for row in thresholds:
        name, _, stat = row["expr"].partition(" ")
        if row["unit"] == "ms" and row["limit"] and name in _TIMED:
            limits.setdefault(name, []).append({"ms": row["limit"], "stat": stat.split(" ")[0]})
    return limits


def _heat(bins: Sequence[SecondSlot], name: str, limits: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    measures = [total_of(slot.measures, name) for slot in bins]
    used = {bucket for measure in measures for bucket in measure.latency}
    if not used:
        return None
    low, high = (floor(log10(max(1, histogram_mid(edge))) * _ROWS_PER_DECADE) for edge in (min(used), max(used)))
    rows = {bucket: floor(log10(max(1, histogram_mid(bucket))) * _ROWS_PER_DECADE) - low for bucket in used}
    counts = [[0] * len(bins) for _ in range(high - low + 1)]
    for column, measure in enumerate(measures):
        for bucket, count in measure.latency.items():
            counts[rows[bucket]][column] += count
    quantiles = [latency_of(measure).quantiles_us(_QUANTILES) for measure in measures]
    return {
        "edges": [_round_ms(10 ** (row / _ROWS_PER_DECADE)) for row in range(low, high + 2)],
        "counts": counts,
        **{
            label: [None if values[index] is None else _round_ms(values[index] or 0) for values in quantiles]
            for index, label in enumerate(("p50", "p95", "p99"))
        },
        "limits": limits or [],
    }


def _errors(bins: Sequence[SecondSlot]) -> list[dict[str, Any]]:
    per_bin = [_classes(slot) for slot in bins]
    total: Counter[str] = Counter()
    for classes in per_bin:
        total.update(classes)
    shown = [name for name, _ in total.most_common(_MOST_CLASSES)]
    rows = [{"name": printable(name, 60), "n": [classes[name] for classes in per_bin]} for name in shown]
    if len(total) > len(shown):
        others = [sum(classes.values()) - sum(classes[name] for name in shown) for classes in per_bin]
        rows.append({"name": "others", "n": others})
    return rows


def _classes(slot: SecondSlot) -> Counter[str]:
    classes: Counter[str] = Counter()
    for measure in slot.measures.values():
        classes.update(measure.errors)
        classes.update({f"mismatch {kind}": n for kind, n in measure.mismatches.items()})
    classes.update({f"not sent: {name[9:]}": n for name, n in slot.counts.items() if name.startswith("not_sent:")})
    return classes


def _lag(bins: Sequence[SecondSlot]) -> dict[str, list[float | None]]:
    lag = [Distribution.of_buckets(slot.lag).quantiles_us(_QUANTILES) for slot in bins]
    loop = [Distribution.of_buckets(slot.loop).quantiles_us(_QUANTILES) for slot in bins]
    return {
        "p50": [_ms_or_none(values[0]) for values in lag],
        "p99": [_ms_or_none(values[2]) for values in lag],
        "loop99": [_ms_or_none(values[2]) for values in loop],
    }


def _percentiles(run: Run) -> Iterable[dict[str, Any]]:
    for name in _TIMED[:2]:
        measure = run.measure(name)
        for kind, times in (("latency", latency_of(measure)), ("service", service_of(measure))):
            curve = _curve(times)
            if curve:
                yield {"name": name, "kind": kind, "x": [x for x, _ in curve], "y": [y for _, y in curve]}


def _curve(times: Distribution) -> list[tuple[float, float]]:
    """Return the points (1/(1−q), ms) up to where one value is left beyond."""
    n = times.histogram.n
    if n < 2:
        return []
    xs = [10 ** (step / 24) for step in range(floor(24 * log10(n)) + 1)] + [float(n)]
    values = times.quantiles_us(tuple(1 - 1 / x for x in xs))
    return [(round(x, 4), _round_ms(value)) for x, value in zip(xs, values, strict=True) if value is not None]


def sparkline_points(windows: dict[int, dict[SeriesKey, Measure]], key: SeriesKey) -> list[float | None]:
    """Return p95 (ms) of a series per ten seconds, None where it has no samples."""
    points: list[float | None] = []
    for start in sorted(windows):
        measure = windows[start].get(key)
        p95 = latency_of(measure).quantile_us(0.95) if measure is not None else None
        points.append(_ms_or_none(p95))
    return points


def _ms_or_none(us: float | None) -> float | None:
    return None if us is None else _round_ms(us)


def _round_ms(us: float) -> float:
    """Return ms with four significant digits, at least 0.001 (the charts are logarithmic)."""
    return float(f"{max(us, 1) / 1000:.4g}")
