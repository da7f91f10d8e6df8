"""From a run and its thresholds to one word and an exit code (design §9). Pure.

Several words may hold; the first of these wins: interrupted, aborted or unreachable, invalid, fail, inconclusive, pass.
A run is invalid when the measurement cannot be trusted: this machine was late, lost a worker, left users out or ran
out of descriptors or ports, or the run has no end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from analysis.baseline import Baseline
from analysis.comparison import Change
from analysis.delivery import evaluate_delivery, floods, streams_of, unmeasured
from analysis.evaluate import Outcome, Result, evaluate, no_data
from analysis.evidence import evidence_for, is_planned
from analysis.histogram import Histogram
from analysis.machine import NOTED_RATIO, core_wait_ratio
from analysis.relative import evaluate_relative
from analysis.representation import MOST, heavier, silent, unlike
from analysis.run import Ended, Judging, Run
from analysis.series import GENERATOR, PUSH_LAG, Unit, n_outcomes, steps_of
from analysis.thresholds import DEFAULT_ORIGIN, DEFAULTS, Severity, Threshold, parse_threshold
from captures.errors import ExitCode

LAG_FLOOR_MS = 5.0
LAG_SHARE = 0.1
"""Lag may be a tenth of the smallest latency limit in force, and never has to be under the floor."""

_LOCAL = "local_resource"


class Word(Enum):
    """The verdict in one word."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    UNREACHABLE = "unreachable"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"


EXIT_CODES = {
    Word.PASS: ExitCode.PASS,
    Word.FAIL: ExitCode.FAIL,
    Word.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Word.INVALID: ExitCode.INVALID,
    Word.UNREACHABLE: ExitCode.UNREACHABLE,
    Word.ABORTED: ExitCode.UNREACHABLE,
    Word.INTERRUPTED: ExitCode.INTERRUPTED,
}
_OF_END = {
    Ended.INTERRUPTED: Word.INTERRUPTED,
    Ended.ABORTED: Word.ABORTED,
    Ended.UNREACHABLE: Word.UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said about a run.

    Attributes:
        invalid: why the measurement cannot be trusted, in sentences; empty where it can.
        warnings: what holds back trust without ending it, in sentences.
        lag_limit_ms: the limit of the generator's lag that was applied.
        baseline: what the run was compared with, None without one.
        unlike: what makes the run no measure of the recorded system, in sentences: it is no pass.
    """

    word: Word
    exit_code: ExitCode
    results: tuple[Result, ...]
    invalid: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lag_limit_ms: float = LAG_FLOOR_MS
    baseline: Baseline | None = None
    unlike: tuple[str, ...] = ()


def judge(
    run: Run,
    thresholds: Sequence[Threshold],
    *,
    strict: bool = False,
    allow_lag: bool = False,
    allow_inconclusive: bool = False,
    baseline: Baseline | None = None,
) -> Verdict:
    """Judge a run.

    Args:
        thresholds: those in force (``thresholds.in_force``).
        strict: what the samples leave open is inconclusive.
        allow_lag: a late generator becomes a warning.
        allow_inconclusive: inconclusive exits with 0, with a warning.
        baseline: what it was compared with; what regressed fails the run.
    """
    results = tuple(_result(run, threshold, baseline, strict=strict) for threshold in thresholds)
    lag_limit_ms = lag_limit(results)
    late = _late(run, lag_limit_ms)
    invalid = _untrusted(run) + ([] if allow_lag else late) + _broken(results, Severity.INVALID)
    warnings = [f"{sentence} (allowed by --allow-lag)" for sentence in late] if allow_lag else []
    warnings += _warnings(run) + _broken(results, Severity.WARN)
    warnings += baseline.warnings if baseline is not None else ()
    other = tuple(unlike(run))
    word = _word(run, results, invalid, baseline, is_unlike=bool(other))
    exit_code = EXIT_CODES[word]
    if word is Word.INCONCLUSIVE and allow_inconclusive:
        exit_code = ExitCode.PASS
        warnings.append("the verdict is inconclusive (exit code 0 by --allow-inconclusive)")
    return Verdict(
        word=word,
        exit_code=exit_code,
        results=results,
        invalid=tuple(invalid),
        warnings=tuple(warnings),
        lag_limit_ms=lag_limit_ms,
        baseline=baseline,
        unlike=other,
    )


def thresholds_of(judging: Judging | None) -> Sequence[Threshold]:
    """Return the thresholds that a run was judged by, the defaults where nothing was stored."""
    stored = judging.thresholds if judging is not None else ()
    return [_reread(expr, origin) for expr, origin in stored] or DEFAULTS


def _reread(expr: str, origin: str) -> Threshold:
    if origin == DEFAULT_ORIGIN:
        for default in DEFAULTS:
            if default.expr == expr:
                return default
    return parse_threshold(expr, origin=origin, has_baseline=True)


def _broken(results: Sequence[Result], severity: Severity) -> list[str]:
    """Say which thresholds of a severity were not met; what nobody could decide counts where it only warns."""
    outcomes = {Outcome.FAIL: "was not met"} | (
        {Outcome.INCONCLUSIVE: "cannot be decided"} if severity is Severity.WARN else {}
    )
    return [
        f"{result.threshold.expr} {outcomes[result.outcome]}"
        for result in results
        if result.threshold.severity is severity and result.outcome in outcomes
    ]


def _result(run: Run, threshold: Threshold, baseline: Baseline | None, *, strict: bool) -> Result:
    evidence = evidence_for(run, threshold.subject)
    if threshold.limit.factor is not None:
        return evaluate_relative(threshold, evidence, baseline, strict=strict)
    if threshold.subject.metric == PUSH_LAG and all(key != "estimator" for key, _ in threshold.subject.labels):
        return evaluate_delivery(run, threshold, strict=strict)
    if is_planned(run, threshold.subject.metric, evidence):
        return evaluate(threshold, evidence, strict=strict)
    if threshold.origin == DEFAULT_ORIGIN:
        return Result(threshold=threshold, outcome=Outcome.NOT_APPLICABLE, note="the plan has no such steps")
    return no_data(threshold, "the plan has no such steps")


def lag_limit(results: Sequence[Result]) -> float:
    """Return the limit (ms) of the generator's p99 lag: max(5 ms, 10 % of the smallest latency limit in force)."""
    limits = [
        result.threshold.limit.value
        for result in results
        if result.threshold.limit.unit is Unit.MS
        and result.threshold.limit.factor is None
        and result.threshold.op.is_upper
        and result.outcome is not Outcome.NOT_APPLICABLE
        and not result.threshold.subject.metric.startswith(GENERATOR)
    ]
    return max(LAG_FLOOR_MS, LAG_SHARE * min(limits)) if limits else LAG_FLOOR_MS


def _late(run: Run, limit_ms: float) -> list[str]:
    late = []
    for buckets, what in ((run.judged.lag, "sends left"), (run.judged.loop, "event loops woke up")):
        p99_us = Histogram(buckets).quantile(0.99)
        if p99_us is not None and p99_us / 1000 > limit_ms:
            lag = f"{what} {p99_us / 1000:.1f} ms after plan at p99"
            late.append(f"this machine was late: {lag}, {limit_ms:.1f} ms is allowed{_why_late(run)}")
    return late


def _why_late(run: Run) -> str:
    share = core_wait_ratio(run)
    if share < NOTED_RATIO:
        return ""
    return f"; workers waited for a core for {share:.0%} of their time, so too much runs on this machine"


def _untrusted(run: Run) -> list[str]:
    reasons = []
    if run.end is None:
        reasons.append("the run has no end: its controller was killed")
    elif run.damage:
        reasons.append("the run file is damaged: what it was judged by, or part of what was measured, is lost")
    elif run.end.lost_workers:
        numbers = ", ".join(str(worker) for worker in run.end.lost_workers)
        reasons.append(f"{len(run.end.lost_workers)} of {run.facts.workers} workers were lost (number {numbers})")
    whole = run.whole
    dropped = whole.counts.get("users_dropped", 0)
    if dropped:
        reasons.append(f"{dropped} users were never started, this machine could not hold them")
    exhausted = whole.counts.get(f"not_sent:{_LOCAL}", 0)
    exhausted += sum(measure.errors.get(_LOCAL, 0) for measure in whole.measures.values())
    if exhausted:
        reasons.append(f"{exhausted} steps could not be sent, descriptors, ports or memory of this machine ran out")
    return reasons


def _warnings(run: Run) -> list[str]:
    warnings = list(run.damage)
    if run.facts.warmup_s and not run.judged_s:
        warnings.append(f"the run was over after {run.duration_s:.1f} s, its warm-up lasts {run.facts.warmup_s} s")
    total = steps_of(run.whole.measures)
    not_sent = sum(count for name, count in run.whole.counts.items() if name.startswith("not_sent:"))
    missing = total.planned - n_outcomes(total) - not_sent
    if run.end is not None and run.end.ended is Ended.FINISHED and missing > 0:
        warnings.append(f"{missing} of {total.planned} steps that were due have no outcome")
    why = unmeasured(run)
    told = [f"delivery was not measured: {why}"] if why else []
    return [*warnings, *told, *heavier(run), *silent(run), *floods(streams_of(run), MOST)]


def _word(
    run: Run, results: Sequence[Result], invalid: Sequence[str], baseline: Baseline | None, *, is_unlike: bool
) -> Word:
    if run.end is not None and run.end.ended in _OF_END:
        return _OF_END[run.end.ended]
    if invalid:
        return Word.INVALID
    outcomes = {result.outcome for result in results if result.threshold.severity is not Severity.WARN}
    if Outcome.FAIL in outcomes or (baseline is not None and baseline.gated(Change.REGRESSED)):
        return Word.FAIL
    is_open = is_unlike or (baseline is not None and baseline.gated(Change.INCONCLUSIVE))
    if is_open or Outcome.INCONCLUSIVE in outcomes or Outcome.PASS not in outcomes:
        return Word.INCONCLUSIVE
    return Word.PASS
