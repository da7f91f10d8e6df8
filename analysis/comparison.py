"""One statistic of some runs against the same of a baseline: what is known, what is said. Pure.

A time has *regressed* where the interval of the ratio lies above 1, the ratio above 1 + tolerance, and the difference
above the floor; *improved* is the mirror image. It is *ok* where the interval ends below 1 + tolerance, or where even
its end is less than the floor away; with low confidence also where only the ratio is below it (strict: inconclusive),
and then the sentence says what cannot be ruled out. All else is *inconclusive*. Both say how many more runs would tell.

A share has regressed where the interval of the difference lies above 0, the difference above the floor, and more than
half of the runs are worse by more than the floor; it is ok where the difference is not above the floor.

Source: measurement method §5.4; Kalibera & Jones, Quantifying Performance Changes with Effect Size Confidence
Intervals (2012).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from math import ceil, log, sqrt
from typing import Any

from analysis.evaluate import wilson_interval
from analysis.series import Unit

FLOOR_MS = 5.0
"""Smaller differences of a time are nobody's regression."""
FLOOR_POINTS = 0.1
"""The same of a share, in percentage points; a new class of errors above it is told as well."""
MAX_MORE_RUNS = 20
MIN_RUNS = 4
"""Fewer runs on a side have low confidence: of 3 against 3 no rank test reaches 95 %, of 4 against 4 one does.

Source: the smallest p-value of Mann-Whitney's test, 2·n!²/(2n)!: 0.1 for n = 3, 0.029 for n = 4.
"""
_TOLERANCES = ((0.9, 0.10), (0.975, 0.20), (1.0, 0.50))
"""Up to which quantile a time may grow by how much: p50 10 %, p95 20 %, p99 50 %."""


class Change(Enum):
    """What became of a statistic."""

    REGRESSED = "regressed"
    OK = "ok"
    IMPROVED = "improved"
    INCONCLUSIVE = "inconclusive"
    SHOWN = "shown"
    """Values only: nobody says which direction is good, or what interval it has."""


class Drawn(Enum):
    """What the interval was drawn over; the value is how people read it."""

    RUNS = "runs"
    OTHERS = "the runs of the other side"
    USERS = "users of one run"
    SECONDS = "seconds of one run"
    ANSWERS = "answers"
    RECORDED = "the recording"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A statistic on both sides, and what is said about it.

    Attributes:
        subject: as a threshold names it: ``http p95``.
        unit: ms, or % of a share.
        base, runs: the statistic of each run, None where it measured nothing.
        base_value, run_value: median over the runs; of a share the whole side's.
        change: ratio − 1, or the difference of a share in percentage points; None without values.
        low, high: its interval; level: how sure (0–1), 95 % unless many times decide.
        tolerance: ratio above 1 that is allowed; 0 of a share.
        floor: in ``unit``; of a share percentage points.
        is_low: the runs carry little.
        is_gated: it decides; others are shown.
        more_runs: how many more of each side would probably tell, 0 where they need not.
        note: why, for people.
    """

    subject: str
    unit: Unit
    base: tuple[float | None, ...]
    runs: tuple[float | None, ...]
    base_value: float | None = None
    run_value: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    tolerance: float = 0.0
    floor: float = 0.0
    outcome: Change = Change.INCONCLUSIVE
    drawn: Drawn = Drawn.NOTHING
    is_low: bool = False
    is_gated: bool = True
    more_runs: int = 0
    note: str = ""

    def to_body(self) -> dict[str, Any]:
        """Return it as JSON and run files hold it."""
        body = asdict(self)
        shown = {name: value.value if isinstance(value, Enum) else value for name, value in body.items()}
        return {**shown, "base": list(self.base), "runs": list(self.runs), "sentence": sentence(self)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Comparison:
        """Return what ``to_body`` wrote, without what only a newer version knows.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        known = {each.name for each in fields(cls)}
        return cls(
            **{
                **{name: value for name, value in body.items() if name in known},
                "unit": Unit(body["unit"]),
                "outcome": Change(body["outcome"]),
                "drawn": Drawn(body["drawn"]),
                "base": tuple(body["base"]),
                "runs": tuple(body["runs"]),
            }
        )


def tolerance_of(quantile: float) -> float:
    """Return by how much (ratio) a quantile (0–1) may grow."""
    return next(tolerance for highest, tolerance in _TOLERANCES if quantile < highest or highest == 1.0)


def decide_time(known: Comparison, *, strict: bool = False) -> Comparison:
    """Say what became of a time whose values, change and interval are known.

    Args:
        strict: what the interval leaves open is inconclusive.
    """
    if known.change is None or known.low is None or known.high is None or known.base_value is None:
        return known
    allowed, base, floor = 1 + known.tolerance, known.base_value, known.floor
    effect, low, high = 1 + known.change, 1 + known.low, 1 + known.high
    if low > 1 and effect > allowed and (effect - 1) * base > floor:
        return replace(known, outcome=Change.REGRESSED)
    if high < 1 and effect < 1 / allowed and (1 - effect) * base > floor:
        return replace(known, outcome=Change.IMPROVED)
    if high < allowed or (high - 1) * base <= floor:
        return replace(known, outcome=Change.OK)
    n = min(len(known.base), len(known.runs))
    known = replace(known, more_runs=_more_runs(effect, low, high, max(allowed, 1e-9), n))
    if effect > allowed or strict:
        return replace(known, outcome=Change.INCONCLUSIVE)
    open_end = f"up to {_change(high - 1, known.unit)} cannot be ruled out"
    return replace(known, outcome=Change.OK, is_low=True, note="; ".join(filter(None, (known.note, open_end))))


def _more_runs(effect: float, low: float, high: float, allowed: float, n: int) -> int:
    """Return how many more runs bring the end of the interval to the side of the limit that it has to be on.

    An interval shrinks with the root of the number of runs: of half-width h (of the logarithm) with n runs, a distance
    d to the limit needs n·(h/d)² runs. Worked: +10 % (95 % CI −10 %..+34 %), limit +20 %, 4 runs: h = 0.199,
    d = 0.087, 21 runs in all, 17 more.
    """
    if n < MIN_RUNS:
        return MIN_RUNS + 1 - n
    half = (log(max(high, 1e-9)) - log(max(low, 1e-9))) / 2
    distance = log(max(effect, 1e-9)) if effect > allowed else log(allowed) - log(max(effect, 1e-9))
    if distance <= half / sqrt((n + MAX_MORE_RUNS) / n):
        return MAX_MORE_RUNS
    return max(1, ceil(n * (half / distance) ** 2 - 1e-6) - n)


def compare_shares(known: Comparison, base: tuple[int, int], runs: tuple[int, int]) -> Comparison:
    """Say what became of a share: so many of so many answers on each side."""
    (base_k, base_n), (runs_k, runs_n) = base, runs
    if not base_n or not runs_n:
        return replace(known, note="nothing was measured on one side")
    low, high = newcombe_interval(base, runs)
    change = 100 * (runs_k / runs_n - base_k / base_n)
    known = replace(
        known,
        base_value=100 * base_k / base_n,
        run_value=100 * runs_k / runs_n,
        change=change,
        low=100 * low,
        high=100 * high,
        drawn=Drawn.ANSWERS,
    )
    if change > known.floor and low > 0:
        return _regressed_in_most(known)
    if change > known.floor:
        return replace(known, more_runs=_more_answers(known))
    is_better = high < 0 and -change > known.floor
    return replace(known, outcome=Change.IMPROVED if is_better else Change.OK)


def _regressed_in_most(known: Comparison) -> Comparison:
    """Let one bad run of several not stand for all: its answers failed together, not each by itself."""
    worst = (known.base_value or 0.0) + known.floor
    n_worse = sum(value is not None and value > worst for value in known.runs)
    if 2 * n_worse > len(known.runs):
        return replace(known, outcome=Change.REGRESSED)
    return replace(known, more_runs=1, note=f"only {n_worse} of {len(known.runs)} runs are worse")


def _more_answers(known: Comparison) -> int:
    assert known.change is not None and known.low is not None
    n = min(len(known.base), len(known.runs))
    wanted = ceil(n * ((known.change - known.low) / known.change) ** 2 - 1e-6)
    return min(MAX_MORE_RUNS, max(1, wanted - n))


def newcombe_interval(base: tuple[int, int], runs: tuple[int, int]) -> tuple[float, float]:
    """Return the 95 % interval (−1 to 1) of the difference of two shares, the second minus the first.

    With Wilson's intervals l1..u1 and l2..u2 of p1 and p2 and d = p2 − p1: d − √((p2−l2)² + (u1−p1)²) to
    d + √((u2−p2)² + (p1−l1)²). Worked: 48 of 80 less than 56 of 70 is +20 points, CI +5.2 to +33.4.

    Source: Newcombe, Interval estimation for the difference between independent proportions (1998), method 10.
    """
    (k1, n1), (k2, n2) = base, runs
    p1, p2 = k1 / n1, k2 / n2
    (l1, u1), (l2, u2) = wilson_interval(k1, n1), wilson_interval(k2, n2)
    d = p2 - p1
    return d - sqrt((p2 - l2) ** 2 + (u1 - p1) ** 2), d + sqrt((u2 - p2) ** 2 + (p1 - l1) ** 2)


def sentence(known: Comparison) -> str:
    """Say it: ``http p95 212 ms vs 176 ms: +20% (95% CI +11%..+31%, 5 vs 5 runs) REGRESSED (limit +20% and +5 ms)``."""
    if known.drawn is Drawn.RECORDED and known.change is not None:
        ours, theirs = _value(known.run_value, known.unit), _value(known.base_value, known.unit)
        return (
            f"{known.subject} {ours}, {theirs} when it was recorded: {_change(known.change, known.unit)} ({known.note})"
        )
    values = f"{_value(known.run_value, known.unit)} vs {_value(known.base_value, known.unit)}"
    sides = f"{len(known.runs)} vs {len(known.base)} runs"
    interval = "no interval, "
    if known.low is not None and known.high is not None:
        interval = f"{100 * known.level:.3g}% CI {_change(known.low, known.unit)}..{_change(known.high, known.unit)}, "
    points = " points" if known.unit is Unit.PERCENT else ""
    change = "" if known.change is None else f": {_change(known.change, known.unit)}{points}"
    extras = [_limit(known)]
    if known.more_runs:
        extras.append(f"run {known.more_runs} more of each")
    if known.is_low:
        extras.append(f"low confidence, drawn over {known.drawn.value}")
    if known.note:
        extras.append(known.note)
    word = known.outcome.value.upper() if known.is_gated else known.outcome.value
    return f"{known.subject} {values}{change} ({interval}{sides}) {word} ({'; '.join(extras)})"


def _limit(known: Comparison) -> str:
    if known.unit is Unit.PERCENT:
        return f"limit +{known.floor:g} points"
    percent = f"{100 * known.tolerance:+.10g}%"
    return f"limit {percent} and +{known.floor:g} ms" if known.floor else f"limit {percent}"


def _value(value: float | None, unit: Unit) -> str:
    if value is None:
        return "nothing"
    if unit is Unit.PERCENT:
        return f"{value:.3g}%"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _change(change: float, unit: Unit) -> str:
    return f"{change:+.2g}" if unit is Unit.PERCENT else f"{100 * change:+.0f}%"
