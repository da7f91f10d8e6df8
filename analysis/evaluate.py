"""One threshold against what was measured: value, interval, outcome, confidence. Pure.

Rules: no data is never a pass. With few samples (fewer than ``min_samples``, else fewer than n·(1−q) ≥ 10 needs) a
quantile passes when even the largest value meets the limit; otherwise the point estimate decides, with low confidence
unless the whole 95 % interval is beyond the limit. Strict: what the interval leaves open is inconclusive. The same for
shares, with Wilson's interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil, sqrt

from analysis.histogram import HIGHEST_US, rank_interval
from analysis.series import (
    Distribution,
    Stat,
    latency_of,
    n_errors,
    n_mismatched,
    n_outcomes,
)
from analysis.slots import Buckets, Measure
from analysis.thresholds import Subject, Threshold
from analysis.verification import Tally, worst_of

_Z_95 = 1.959964
_NUMBERS = {
    Stat.COUNT: "nothing was counted",
    Stat.RATE: "the run has no duration",
    Stat.MISSES: "no session was started",
    Stat.RATIO: "nothing was due",
}
"""Statistics without an interval, and why they may have no value."""
_ENOUGH_BEYOND = 10
"""A quantile is well known where at least so many values lie beyond it (measurement method §5.3)."""


class Outcome(Enum):
    """What came of one threshold."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"


class Confidence(Enum):
    """Whether the samples carry the outcome."""

    HIGH = "high"
    LOW = "low"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a threshold is held against.

    Attributes:
        measure: the total of the threshold's series.
        counts: counters of the whole run (``SecondSlot.counts``).
        lag, loop: buckets (µs) of the generator.
        duration_s: how long it was measured.
        tallies: what was compared with the recording.
    """

    measure: Measure
    counts: Mapping[str, int]
    lag: Buckets
    loop: Buckets
    duration_s: float
    tallies: tuple[Tally, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one threshold.

    Attributes:
        value: in the unit of the limit, or None without data.
        n: number of samples the value rests on.
        low, high: 95 % interval of the value where there is one; ``high`` None is open.
        is_few: fewer samples than the rules ask for.
        note: why, for people, or an empty string.
        gated: of ``ws.push_lag``: the estimator that it was held against.
    """

    threshold: Threshold
    outcome: Outcome
    value: float | None = None
    n: int = 0
    low: float | None = None
    high: float | None = None
    confidence: Confidence = Confidence.NONE
    is_few: bool = False
    note: str = ""
    gated: str = ""


def evaluate(threshold: Threshold, evidence: Evidence, *, strict: bool = False) -> Result:
    """Hold a threshold against the evidence."""
    if threshold.limit.factor is not None:
        return Result(threshold=threshold, outcome=Outcome.INCONCLUSIVE, note="no baseline to compare with")
    stat = threshold.subject.stat
    if stat in (Stat.QUANTILE, Stat.AVG, Stat.MIN, Stat.MAX):
        return _evaluate_times(threshold, distribution_of(threshold.subject, evidence), strict=strict)
    if stat in _NUMBERS:
        return _evaluate_number(threshold, evidence)
    result = _evaluate_share(threshold, *share_of(threshold.subject, evidence), strict=strict)
    return _with_tally(result, evidence) if threshold.subject.metric == "verify" else result


def point_of(subject: Subject, evidence: Evidence) -> tuple[float | None, int]:
    """Return a statistic in the unit of its limit, None without data, and the number of samples it rests on."""
    stat = subject.stat
    if stat in (Stat.QUANTILE, Stat.AVG, Stat.MIN, Stat.MAX):
        times = distribution_of(subject, evidence)
        n = times.histogram.n
        if not n:
            return None, 0
        return (
            _moment_ms(stat, times) if subject.quantile is None else _ms(times.quantile_us(subject.quantile) or 0)
        ), n
    if stat in _NUMBERS:
        return _number(subject, evidence)
    k, n, _ = share_of(subject, evidence)
    return (100 * k / n if n > 0 else None), max(n, 0)


def no_data(threshold: Threshold, note: str) -> Result:
    """Return the result of a threshold that nothing was measured for."""
    return Result(threshold=threshold, outcome=Outcome.INCONCLUSIVE, note=note)


def distribution_of(subject: Subject, evidence: Evidence) -> Distribution:
    """Return the times that a quantile, a mean or an extreme is taken of."""
    metric = subject.metric
    if metric == "generator.lag":
        return Distribution.of_buckets(evidence.lag)
    if metric == "generator.loop":
        return Distribution.of_buckets(evidence.loop)
    return latency_of(evidence.measure)


def _evaluate_times(threshold: Threshold, times: Distribution, *, strict: bool) -> Result:
    n = times.histogram.n
    if not n:
        return no_data(threshold, "no samples")
    q = threshold.subject.quantile
    if q is None:
        return _decide(threshold, _moment_ms(threshold.subject.stat, times), n)
    ranks = rank_interval(q, n)
    low = _ms(min(times.histogram.value_at(ranks.low), times.max_us)) if ranks.low else 0.0
    high = None if ranks.high is None else _ms(min(times.histogram.value_at(ranks.high), times.max_us))
    value = _ms(times.quantile_us(q) or 0)
    needed = threshold.min_samples or ceil(_ENOUGH_BEYOND / (1 - q) - 1e-6)
    op, limit = threshold.op, threshold.limit.value
    extreme = _ms(times.max_us if op.is_upper else times.histogram.minimum() or 0)
    return _weigh(
        threshold,
        _Estimate(value=value, n=n, low=low, high=high),
        is_few=n < needed,
        all_hold=op.holds(extreme, limit),
        strict=strict,
        few_note=f"{n} of the {needed} that a p{q * 100:.10g} needs",
        n_over=times.histogram.n_over,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    value: float
    n: int
    low: float
    high: float | None

    def is_open(self, threshold: Threshold) -> bool:
        """Return whether the interval lies on both sides of the limit."""
        op, limit = threshold.op, threshold.limit.value
        worst, best = (self.high, self.low) if op.is_upper else (self.low, self.high)
        return (worst is None or not op.holds(worst, limit)) and (best is None or op.holds(best, limit))


def _weigh(
    threshold: Threshold,
    estimate: _Estimate,
    *,
    is_few: bool,
    all_hold: bool,
    strict: bool,
    few_note: str,
    n_over: int = 0,
) -> Result:
    """Decide by the point estimate, the interval and the number of samples."""
    is_open = not all_hold and estimate.is_open(threshold)
    holds = all_hold or threshold.op.holds(estimate.value, threshold.limit.value)
    outcome = Outcome.PASS if holds else Outcome.FAIL
    if strict and (is_open or (is_few and holds and not all_hold)):
        outcome = Outcome.INCONCLUSIVE
    is_low = is_open or (is_few and holds)
    notes = []
    if is_few and is_low:
        notes.append(f"few samples: {few_note}" + ("; all of them meet the limit" if all_hold else ""))
    elif is_open:
        notes.append("the 95% interval reaches over the limit")
    if n_over:
        notes.append(f"{n_over} values above {HIGHEST_US // 60_000_000} min count as that")
    return Result(
        threshold=threshold,
        outcome=outcome,
        value=estimate.value,
        n=estimate.n,
        low=estimate.low,
        high=estimate.high,
        confidence=Confidence.LOW if is_low else Confidence.HIGH,
        is_few=is_few,
        note="; ".join(notes),
    )


def _moment_ms(stat: Stat, times: Distribution) -> float:
    if stat is Stat.AVG:
        return (times.mean_us() or 0.0) / 1000
    return _ms(times.max_us if stat is Stat.MAX else times.histogram.minimum() or 0)


def _evaluate_number(threshold: Threshold, evidence: Evidence) -> Result:
    value, n = _number(threshold.subject, evidence)
    if value is not None:
        return _decide(threshold, value, n)
    return no_data(threshold, _NUMBERS[threshold.subject.stat])


def _number(subject: Subject, evidence: Evidence) -> tuple[float | None, int]:
    if subject.stat is Stat.MISSES:
        n = evidence.counts.get("sessions_started", 0)
        misses = evidence.counts.get("correlation_misses", 0)
        return (misses if n or misses else None), n
    if subject.stat is Stat.RATIO:
        received, due = evidence.measure.ok, evidence.measure.due_milli / 1000
        return (100 * received / due if due > 0 else None), received
    count = _count(subject.metric, evidence)
    if subject.stat is Stat.COUNT:
        return count, count
    return (count / evidence.duration_s if evidence.duration_s > 0 else None), count


def _count(metric: str, evidence: Evidence) -> int:
    if metric == "session":
        return evidence.counts.get("sessions_started", 0)
    return n_outcomes(evidence.measure)


def _decide(threshold: Threshold, value: float, n: int) -> Result:
    """Decide on a value that has no interval."""
    holds = threshold.op.holds(value, threshold.limit.value)
    is_few = threshold.min_samples is not None and n < threshold.min_samples
    return Result(
        threshold=threshold,
        outcome=Outcome.PASS if holds else Outcome.FAIL,
        value=value,
        n=n,
        confidence=Confidence.LOW if is_few else Confidence.HIGH,
        is_few=is_few,
        note=f"few samples: {n} of {threshold.min_samples}" if is_few else "",
    )


_PLAYED = (("started", 1), ("cut", -1), ("retired", -1))
"""Sessions that had their chance: what the end of the run, or of its load, took away is neither complete nor not."""


def share_of(subject: Subject, evidence: Evidence) -> tuple[int, int, str]:
    """Return how many of how many, and what is missing where there are none."""
    stat, counts, measure = subject.stat, evidence.counts, evidence.measure
    if subject.metric == "session":
        n = sum(counts.get(f"sessions_{ending}", 0) * sign for ending, sign in _PLAYED)
        name = "sessions_completed" if stat is Stat.COMPLETE else "sessions_failed"
        return counts.get(name, 0), max(n, 0), "no session was started and played to an end"
    if subject.metric == "verify":
        worst = worst_of(evidence.tallies)
        return (worst.wrong, worst.of, "") if worst else (0, 0, "no answer was checked")
    wrong = n_errors(measure) if stat is Stat.ERRORS else n_mismatched(measure)
    return wrong, n_outcomes(measure), "no step of this series ended"


def _with_tally(result: Result, evidence: Evidence) -> Result:
    """Say which answers a share of wrong ones is about."""
    worst = worst_of(evidence.tallies)
    if worst is None or not worst.wrong:
        return result
    tally = f"{worst.wrong} of {worst.of} {worst.what}"
    return replace(result, note=f"{tally}; {result.note}" if result.note else tally)


def _evaluate_share(threshold: Threshold, k: int, n: int, missing: str, *, strict: bool) -> Result:
    if n <= 0:
        return no_data(threshold, missing)
    low, high = wilson_interval(k, n)
    op, limit = threshold.op, threshold.limit.value
    tail = min(limit, 100 - limit) / 100
    needed = threshold.min_samples or (ceil(_ENOUGH_BEYOND / tail) if tail else 1)
    return _weigh(
        threshold,
        _Estimate(value=100 * k / n, n=n, low=100 * low, high=100 * high),
        is_few=n < needed,
        all_hold=op.holds(0.0 if op.is_upper else 100.0, limit) and k == (0 if op.is_upper else n),
        strict=strict,
        few_note=f"{n} of the {needed} that a limit of {limit:.10g}% needs",
    )


def wilson_interval(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval (0–1) of a share of k in n; n > 0.

    With p = k/n and z = 1.96: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Worked: 1 of 20 gives 0.9 % to 23.6 %.

    Source: Wilson, Probable inference (1927), JASA 22:209.
    """
    p, z2 = k / n, _Z_95 * _Z_95
    centre = p + z2 / (2 * n)
    reach = _Z_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (centre - reach) / (1 + z2 / n)), min(1.0, (centre + reach) / (1 + z2 / n))


def _ms(us: int) -> float:
    return us / 1000
