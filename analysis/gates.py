"""Which statistics of runs are compared: those that decide, those that are shown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from analysis.evaluate import point_of
from analysis.evidence import evidence_for
from analysis.run import Run
from analysis.series import Stat
from analysis.thresholds import Subject, parse_subject

GATED = tuple(
    map(
        parse_subject,
        (
            "http p95",
            "ws.reply p99",
            "ws.push_lag p99",
            "http errors",
            "ws.connect errors",
            "session failed",
            "verify mismatch",
        ),
    )
)
SHOWN = tuple(map(parse_subject, ("http p50", "http p99", "ws.connect p95", "ws.reply p50", "ws.reply p95")))
MAX_ROUTES = 100
ROUTE_SAMPLES = 200
"""Routes with fewer values on a side are left out: their p95 has fewer than ten values beyond it."""
_LOWER = (0.95, 0.5)


def default_gates(base: Sequence[Run], runs: Sequence[Run]) -> tuple[Subject, ...]:
    """Return what decides where nobody said: ``GATED``, with quantiles that the samples of every run carry.

    Worked: ``ws.reply p99`` wants 1,000 replies in each run; with 300 of them ``ws.reply p95`` decides.
    """
    sides = (*base, *runs)
    return tuple(dict.fromkeys(_carried(subject, sides) for subject in GATED))


def _carried(subject: Subject, runs: Sequence[Run]) -> Subject:
    if subject.quantile is None:
        return subject
    counts = [n for _, n in (point_of(subject, evidence_for(run, subject)) for run in runs) if n]
    fitting = [
        q for q in (subject.quantile, *_LOWER) if q <= subject.quantile and min(counts, default=0) >= samples_needed(q)
    ]
    return replace(subject, quantile=fitting[0]) if fitting else subject


def samples_needed(quantile: float) -> int:
    """Return how many samples have ten beyond a quantile."""
    return round(10 / (1 - quantile))


def busy_routes(base: Sequence[Run], runs: Sequence[Run]) -> list[Subject]:
    """Return the p95 of every route that both sides measured often enough, the busiest first."""
    counts = [_counts_by_route(side) for side in (base, runs)]
    least = {name: min(n, counts[1].get(name, 0)) for name, n in counts[0].items()}
    names = sorted((name for name, n in least.items() if n >= ROUTE_SAMPLES), key=lambda name: (-least[name], name))
    return [
        Subject(metric="http", labels=(("route", name),), stat=Stat.QUANTILE, quantile=0.95)
        for name in names[:MAX_ROUTES]
    ]


def _counts_by_route(side: Sequence[Run]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for run in side:
        for (name, labels), measure in run.by_route.items():
            if name == "http":
                found[dict(labels).get("route", "")] += measure.ok
    found.pop("", None)
    return found
