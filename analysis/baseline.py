"""Runs against a baseline of runs, statistic by statistic. Pure; the random generator is an argument.

What decides (``GATED``) is a short list, because every further gate is one more chance of a false alarm: with more than
five of them the intervals are widened (Bonferroni). All other statistics, those of single routes too, are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.comparison import (
    FLOOR_MS,
    FLOOR_POINTS,
    MIN_RUNS,
    Change,
    Comparison,
    Drawn,
    compare_shares,
    decide_time,
    tolerance_of,
)
from analysis.evaluate import point_of, share_of
from analysis.evidence import evidence_for
from analysis.histogram import bucket_of
from analysis.merge import merge_measure
from analysis.resampling import N_DRAWS, Chooser, median, median_draws, percentile_interval, quantile_draws
from analysis.run import Run
from analysis.series import Stat, Unit, is_coarse, is_selected, n_outcomes, steps_of, total_of
from analysis.slots import Buckets, Measure, SeriesKey
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
        ),
    )
)
SHOWN = tuple(map(parse_subject, ("http p50", "http p99", "ws.connect p95", "ws.reply p50", "ws.reply p95")))
MAX_ROUTES = 100
ROUTE_SAMPLES = 200
"""Routes with fewer values on a side are left out: their p95 has fewer than ten values beyond it."""
MAX_PLAIN_GATES = 5
FEW_TOLERANCE = 0.5
"""What single runs may differ by: of the same build they are 20 % apart in one of ten comparisons and more."""
_KNOWN_NOISE = 3
_LEVEL = 0.95
_MIN_CLUSTERS = 5
_SHARES = frozenset({Stat.ERRORS, Stat.MISMATCH, Stat.FAILED})
COMPARED_STATS = frozenset({Stat.QUANTILE, Stat.AVG, Stat.MAX}) | _SHARES
"""What can be compared: where small is good, and an interval is known."""

MakeChooser = Callable[[], Chooser]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a run was compared with, and what came of it.

    Attributes:
        runs: of the baseline, for people: ``path``, ``started_at``, ``target``, ``host``, ``verdict``.
        comparisons: those that decide first.
        warnings: what makes the comparison weaker, in sentences.
    """

    runs: tuple[Mapping[str, Any], ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """Return it as ``summary.json`` and run files hold it."""
        comparisons = [comparison.to_body() for comparison in self.comparisons]
        return {"runs": [dict(run) for run in self.runs], "comparisons": comparisons, "warnings": list(self.warnings)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Baseline:
        """Return what ``to_body`` wrote.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        return cls(
            runs=tuple(body["runs"]),
            comparisons=tuple(map(Comparison.from_body, body["comparisons"])),
            warnings=tuple(body["warnings"]),
        )

    def comparison(self, subject: Subject) -> Comparison | None:
        """Return what came of a subject, None where it was not compared."""
        return next((each for each in self.comparisons if each.subject == str(subject)), None)

    def gated(self, change: Change) -> list[Comparison]:
        """Return those that decide and came out so."""
        return [each for each in self.comparisons if each.is_gated and each.outcome is change]


def compare_runs(
    base: Sequence[Run],
    runs: Sequence[Run],
    make_chooser: MakeChooser,
    *,
    gated: Sequence[Subject] = GATED,
    also: Sequence[Subject] = (),
) -> tuple[Comparison, ...]:
    """Compare runs with those of a baseline.

    Args:
        base, runs: at least one each, of the same plan and load.
        make_chooser: makes a random generator, always with the same seed: what is said of one statistic does not
            depend on which others are looked at.
        gated: what decides.
        also: what is to be compared besides, and decides nothing here.

    Returns:
        What was measured on at least one side: first ``gated``, then the others, then routes, then error classes
        that the baseline did not have.
    """
    n_times = sum(subject.stat not in _SHARES for subject in gated)
    level = _LEVEL if n_times <= MAX_PLAIN_GATES else 1 - (1 - _LEVEL) / n_times
    found = [_compare(subject, base, runs, make_chooser, level) for subject in gated]
    others = [subject for subject in (*also, *SHOWN, *_routes(base, runs)) if subject not in gated]
    shown = [_compare(subject, base, runs, make_chooser, _LEVEL) for subject in dict.fromkeys(others)]
    compared = [each for each in (*found, *(replace(each, is_gated=False) for each in shown)) if _has_data(each)]
    return (*compared, *_new_errors(base, runs))


def _has_data(each: Comparison) -> bool:
    return any(value is not None for value in (*each.base, *each.runs))


def _compare(
    subject: Subject, base: Sequence[Run], runs: Sequence[Run], make_chooser: MakeChooser, level: float
) -> Comparison:
    sides = [[point_of(subject, evidence_for(run, subject)) for run in side] for side in (base, runs)]
    known = Comparison(
        subject=str(subject),
        unit=subject.stat.unit,
        base=tuple(value for value, _ in sides[0]),
        runs=tuple(value for value, _ in sides[1]),
        tolerance=_tolerance(subject, len(base), len(runs)),
        floor=FLOOR_POINTS if subject.stat in _SHARES else FLOOR_MS,
        is_low=min(len(base), len(runs)) < MIN_RUNS and subject.stat not in _SHARES,
    )
    if subject.stat not in COMPARED_STATS:
        return _only_values(known)
    if subject.stat in _SHARES:
        return compare_shares(known, _pooled(subject, base), _pooled(subject, runs))
    known = _few(known, subject, [n for side in sides for _, n in side])
    return compare_times(known, subject, base, runs, make_chooser(), level)


def _tolerance(subject: Subject, n_base: int, n_runs: int) -> float:
    """Return by how much a time may grow; where both sides are too few to know their noise, by half at least."""
    if subject.stat in _SHARES:
        return 0.0
    usual = tolerance_of(subject.quantile or 0.0)
    return usual if max(n_base, n_runs) >= _KNOWN_NOISE else max(usual, FEW_TOLERANCE)


def _only_values(known: Comparison) -> Comparison:
    base = [value for value in known.base if value is not None]
    runs = [value for value in known.runs if value is not None]
    return replace(
        known,
        base_value=median(base) if base else None,
        run_value=median(runs) if runs else None,
        outcome=Change.SHOWN,
        tolerance=0.0,
        floor=0.0,
    )


def _few(known: Comparison, subject: Subject, counts: Sequence[int]) -> Comparison:
    if subject.quantile is None or not counts:
        return known
    least, needed = min(counts), round(10 / (1 - subject.quantile))
    if least >= needed:
        return known
    return replace(known, is_low=True, note=f"{least} of the {needed} samples that a run needs for it")


def compare_times(
    known: Comparison, subject: Subject, base: Sequence[Run], runs: Sequence[Run], chooser: Chooser, level: float
) -> Comparison:
    """Fill in values, change, interval and outcome of a time."""
    base_values = [value for value in known.base if value is not None]
    run_values = [value for value in known.runs if value is not None]
    if len(base_values) < len(base) or len(run_values) < len(runs):
        n_silent = len(base) + len(runs) - len(base_values) - len(run_values)
        return replace(known, note=f"{n_silent} of the runs measured none")
    base_value, run_value = median(base_values), median(run_values)
    if base_value <= 0:
        return replace(known, base_value=base_value, run_value=run_value, note="the baseline is 0")
    known = replace(known, base_value=base_value, run_value=run_value, change=run_value / base_value - 1)
    base_draws, base_unit = _draws(base, base_values, run_values, subject, chooser)
    run_draws, run_unit = _draws(runs, run_values, base_values, subject, chooser)
    if not base_draws or not run_draws:
        return replace(known, note="a single run of few users and seconds has no interval", more_runs=MIN_RUNS)
    ratios = [ours / theirs for ours, theirs in zip(run_draws, base_draws, strict=True) if theirs > 0]
    low, high = percentile_interval(ratios, level)
    drawn = run_unit if run_unit is not Drawn.RUNS else base_unit
    return decide_time(replace(known, low=low - 1, high=high - 1, drawn=drawn))


def _draws(
    side: Sequence[Run], values: Sequence[float], others: Sequence[float], subject: Subject, chooser: Chooser
) -> tuple[list[float], Drawn]:
    """Return how else a side's median might have come out, and over what that was drawn.

    A single run beside several is taken to differ from the next as those do; beside another single run only what is
    inside of it is left, and that knows nothing of the difference between runs.
    """
    if len(values) > 1:
        return median_draws(values, chooser), Drawn.RUNS
    if len(others) >= MIN_RUNS:
        middle = median(others)
        return [values[0] * others[i] / middle for i in chooser.choices(range(len(others)), k=N_DRAWS)], Drawn.OTHERS
    if subject.quantile is None:
        return [], Drawn.NOTHING
    clusters, unit = _clusters(side[0], subject)
    if len(clusters) < _MIN_CLUSTERS:
        return [], Drawn.NOTHING
    whole: Buckets = {}
    for cluster in clusters:
        for bucket, count in cluster.items():
            whole[bucket] = whole.get(bucket, 0) + count
    of_all = quantile_draws([whole], subject.quantile, chooser, n_draws=1)[0]
    draws = quantile_draws(clusters, subject.quantile, chooser)
    # Kept whole are at most 200 users: their spread is taken, the value is that of everybody.
    return [values[0] * draw / of_all for draw in draws] if of_all > 0 else [], unit


def _clusters(run: Run, subject: Subject) -> tuple[list[Buckets], Drawn]:
    """Return the histograms of users whose steps were kept whole; where those are few, of the run's seconds."""
    users: dict[int, Buckets] = {}
    sampled: set[int] = set()
    for step in run.whole.steps:
        if step.outcome == "ok":
            sampled.add(step.user)
        if is_selected(step.series, subject.metric, subject.labels) and _is_timed(step.outcome):
            buckets = users.setdefault(step.user, {})
            bucket = bucket_of(max(0, (step.end_ns - step.intended_ns) // 1000))
            buckets[bucket] = buckets.get(bucket, 0) + 1
    by_user = [buckets for user, buckets in users.items() if user in sampled]
    if len(by_user) >= 2 * _MIN_CLUSTERS:
        return by_user, Drawn.USERS
    by_second = [buckets for buckets in _by_second(run, subject) if buckets]
    return by_second, Drawn.SECONDS


def _is_timed(outcome: str) -> bool:
    return outcome == "ok" or outcome.startswith("timeout_")


def _by_second(run: Run, subject: Subject) -> Iterable[Buckets]:
    spans: Iterable[Mapping[SeriesKey, Measure]] = (slot.measures for slot in run.judged_seconds.values())
    if not is_coarse(subject.labels):
        spans = run.judged_windows.values()
    return (total_of(measures, subject.metric, subject.labels).latency for measures in spans)


def _pooled(subject: Subject, side: Sequence[Run]) -> tuple[int, int]:
    shares = [share_of(subject, evidence_for(run, subject)) for run in side]
    return sum(k for k, _, _ in shares), sum(max(n, 0) for _, n, _ in shares)


def _routes(base: Sequence[Run], runs: Sequence[Run]) -> list[Subject]:
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


def _new_errors(base: Sequence[Run], runs: Sequence[Run]) -> list[Comparison]:
    """Return the classes of errors that only the runs have, where they are more than 0.1 % of all steps."""
    totals = [_total(side) for side in (base, runs)]
    n_base, n_runs = map(n_outcomes, totals)
    found = []
    for name, count in sorted(totals[1].errors.items(), key=lambda item: -item[1]):
        if name in totals[0].errors or not n_base or 100 * count / n_runs <= FLOOR_POINTS:
            continue
        known = Comparison(
            subject=f"new errors {name}",
            unit=Unit.PERCENT,
            base=(0.0,) * len(base),
            runs=tuple(100 * steps.errors.get(name, 0) / max(1, n_outcomes(steps)) for steps in map(_steps, runs)),
            floor=FLOOR_POINTS,
            is_gated=False,
        )
        found.append(compare_shares(known, (0, n_base), (count, n_runs)))
    return found


def _total(side: Sequence[Run]) -> Measure:
    total = Measure()
    for run in side:
        merge_measure(total, _steps(run))
    return total


def _steps(run: Run) -> Measure:
    return steps_of(run.judged.measures)
