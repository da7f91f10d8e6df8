"""Runs against a baseline of runs, statistic by statistic. Pure; the random generator is an argument.

What decides (``GATED``) is a short list, because every further gate is one more chance of a false alarm: with more than
five times among them the intervals are widened (Holm). A default gate whose quantile the samples do not carry moves to
one that they do, and says so by its name. All other statistics, those of single routes too, are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from analysis.evidence import by_one_estimator, evidence_for
from analysis.gates import GATED, SHOWN, busy_routes, samples_needed
from analysis.histogram import merge_buckets
from analysis.merge import merge_measure
from analysis.resampling import Chooser, holm_levels, median, p_value, percentile_interval, prediction_ratios
from analysis.run import Run
from analysis.series import Stat, Unit, n_outcomes, steps_of
from analysis.slots import Buckets, Measure
from analysis.spread import draws_of
from analysis.thresholds import Subject

MAX_PLAIN_GATES = 5
FEW_TOLERANCE = 0.5
"""What a single run may differ by: with 20 %, as of several, up to a tenth of builds seemed slower than themselves."""
_KNOWN_NOISE = 3
_LEVEL = 0.95
_SHARES = frozenset({Stat.ERRORS, Stat.MISMATCH, Stat.FAILED})
COMPARED_STATS = frozenset({Stat.QUANTILE, Stat.AVG, Stat.MAX}) | _SHARES
"""What can be compared: where small is good, and an interval is known."""

DRAWN = ("http", "ws.reply", "ws.connect")
"""Series whose whole distribution is kept of a baseline."""

MakeChooser = Callable[[], Chooser]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a run was compared with, and what came of it.

    Attributes:
        runs: of the baseline, for people: ``path``, ``started_at``, ``target``, ``host``, ``verdict``.
        comparisons: those that decide first.
        warnings: what makes the comparison weaker, in sentences.
        latency: histograms of all runs together, by series; for the report's percentiles.
    """

    runs: tuple[Mapping[str, Any], ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()
    latency: Mapping[str, Buckets] = field(default_factory=dict)

    def to_body(self) -> dict[str, Any]:
        """Return it as run files hold it."""
        return {**self.to_summary(), "latency": {name: dict(buckets) for name, buckets in self.latency.items()}}

    def to_summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` says of it."""
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
            latency=body.get("latency", {}),
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
    shown: Sequence[Subject] | None = None,
    strict: bool = False,
) -> tuple[Comparison, ...]:
    """Compare runs with those of a baseline.

    Args:
        base, runs: at least one each, of the same plan and load.
        make_chooser: makes a random generator, always with the same seed: what is said of one statistic does not
            depend on which others are looked at.
        gated: what decides.
        also: what decides elsewhere, by thresholds relative to the baseline; it counts as one of several gates.
        shown: what is looked at besides; the usual statistics and the busiest routes where nobody said.
        strict: what the intervals leave open is inconclusive.

    Returns:
        What was measured on at least one side: first ``gated``, then the others, then routes, then error classes
        that the baseline did not have.
    """
    deciding = tuple(dict.fromkeys((*gated, *also)))
    listed = (*SHOWN, *GATED, *busy_routes(base, runs)) if shown is None else shown
    others = [subject for subject in listed if subject not in deciding]
    weighed = [_weigh(subject, base, runs, make_chooser) for subject in deciding]
    weighed += [_weigh(subject, base, runs, make_chooser) for subject in dict.fromkeys(others)]
    levels = [*_levels(weighed[: len(deciding)]), *[_LEVEL] * (len(weighed) - len(deciding))]
    found = [_decided(each, level, strict=strict) for each, level in zip(weighed, levels, strict=True)]
    names = set(map(str, gated))
    compared = [replace(each, is_gated=each.subject in names) for each in found if _has_data(each)]
    return (*compared, *_new_errors(base, runs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weighed:
    """A statistic of both sides, and the ratios to the baseline that might have come out; empty where none are."""

    known: Comparison
    ratios: tuple[float, ...] = ()


def _levels(weighed: Sequence[_Weighed]) -> list[float]:
    """Return the level of every interval: 95 %, and more where so many times decide that one is wrong by chance."""
    p_values = [p_value(each.ratios) for each in weighed if each.ratios]
    if len(p_values) <= MAX_PLAIN_GATES:
        return [_LEVEL] * len(weighed)
    levels = iter(holm_levels(p_values, _LEVEL))
    return [next(levels) if each.ratios else _LEVEL for each in weighed]


def _decided(weighed: _Weighed, level: float, *, strict: bool) -> Comparison:
    if not weighed.ratios:
        return weighed.known
    low, high = percentile_interval(weighed.ratios, level)
    return decide_time(replace(weighed.known, low=low - 1, high=high - 1, level=level), strict=strict)


def _has_data(each: Comparison) -> bool:
    return any(value is not None for value in (*each.base, *each.runs))


def _weigh(subject: Subject, base: Sequence[Run], runs: Sequence[Run], make_chooser: MakeChooser) -> _Weighed:
    told, subject = str(subject), by_one_estimator(subject, (*base, *runs))
    sides = [[point_of(subject, evidence_for(run, subject)) for run in side] for side in (base, runs)]
    known = Comparison(
        subject=told,
        unit=subject.stat.unit,
        base=tuple(value for value, _ in sides[0]),
        runs=tuple(value for value, _ in sides[1]),
        tolerance=_tolerance(subject, len(base), len(runs)),
        floor=FLOOR_POINTS if subject.stat in _SHARES else FLOOR_MS,
        is_low=min(len(base), len(runs)) < MIN_RUNS and subject.stat not in _SHARES,
    )
    if subject.stat not in COMPARED_STATS:
        return _Weighed(known=_only_values(known))
    if subject.stat in _SHARES:
        return _Weighed(known=compare_shares(known, _pooled(subject, base), _pooled(subject, runs)))
    known = _few(known, subject, [n for side in sides for _, n in side])
    return _weigh_time(known, subject, base, runs, make_chooser())


def _tolerance(subject: Subject, n_base: int, n_runs: int) -> float:
    """Return by how much a time may grow; by half at least where a side is a single run, or both are hardly more."""
    if subject.stat in _SHARES:
        return 0.0
    usual = tolerance_of(subject.quantile or 0.0)
    is_known = min(n_base, n_runs) > 1 and max(n_base, n_runs) >= _KNOWN_NOISE
    return usual if is_known else max(usual, FEW_TOLERANCE)


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
    least, needed = min(counts), samples_needed(subject.quantile)
    if least >= needed:
        return known
    return replace(known, is_low=True, note=f"{least} of the {needed} samples that a run needs for it")


def _weigh_time(
    known: Comparison, subject: Subject, base: Sequence[Run], runs: Sequence[Run], chooser: Chooser
) -> _Weighed:
    base_values = [value for value in known.base if value is not None]
    run_values = [value for value in known.runs if value is not None]
    if len(base_values) < len(base) or len(run_values) < len(runs):
        n_silent = len(base) + len(runs) - len(base_values) - len(run_values)
        return _Weighed(known=replace(known, note=f"{n_silent} of the runs measured none"))
    base_value, run_value = median(base_values), median(run_values)
    known = replace(known, base_value=base_value, run_value=run_value)
    if base_value <= 0:
        return _Weighed(known=replace(known, note="the baseline is 0"))
    known = replace(known, change=run_value / base_value - 1)
    fewer, more = sorted((base_values, run_values), key=len)
    if len(fewer) == 1 and len(more) >= _KNOWN_NOISE and min(more) > 0:
        ratios = prediction_ratios(max(run_value, 1e-9) / base_value, more)
        return _Weighed(known=replace(known, drawn=Drawn.OTHERS), ratios=tuple(ratios))
    base_draws, base_unit = draws_of(base, base_values, subject, chooser)
    run_draws, run_unit = draws_of(runs, run_values, subject, chooser)
    if not base_draws or not run_draws:
        note = "a single run of few users and seconds has no interval"
        return _Weighed(known=replace(known, note=note, more_runs=MIN_RUNS))
    ratios = [ours / theirs for ours, theirs in zip(run_draws, base_draws, strict=True) if theirs > 0]
    drawn = run_unit if run_unit is not Drawn.RUNS else base_unit
    return _Weighed(known=replace(known, drawn=drawn), ratios=tuple(ratios))


def _pooled(subject: Subject, side: Sequence[Run]) -> tuple[int, int]:
    shares = [share_of(subject, evidence_for(run, subject)) for run in side]
    return sum(k for k, _, _ in shares), sum(max(n, 0) for _, n, _ in shares)


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


def latency_together(base: Sequence[Run]) -> dict[str, Buckets]:
    """Return the latency of all runs of a baseline, of the series in ``DRAWN``."""
    found: dict[str, Buckets] = {}
    for run in base:
        for name in DRAWN:
            merge_buckets(found.setdefault(name, {}), run.measure(name).latency)
    return {name: buckets for name, buckets in found.items() if buckets}
