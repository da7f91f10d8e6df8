"""A threshold whose limit is a baseline's value times a factor. Pure.

A time whose limit is an upper one of at least the baseline is decided as every comparison is, with the factor for
tolerance: the interval counts, not only the value. Everything else, and everything where the recording is the
baseline, is held against factor × baseline.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.baseline import Baseline
from analysis.comparison import FLOOR_MS, Change, Comparison, Drawn, decide_time
from analysis.evaluate import Confidence, Evidence, Outcome, Result, evaluate, no_data
from analysis.series import Unit
from analysis.thresholds import Threshold

_OUTCOMES = {
    Change.REGRESSED: Outcome.FAIL,
    Change.OK: Outcome.PASS,
    Change.IMPROVED: Outcome.PASS,
    Change.INCONCLUSIVE: Outcome.INCONCLUSIVE,
}


def evaluate_relative(
    threshold: Threshold, evidence: Evidence, baseline: Baseline | None, *, strict: bool = False
) -> Result:
    """Hold a threshold against the evidence and the baseline's value of the same statistic."""
    factor = threshold.limit.factor
    compared = baseline.comparison(threshold.subject) if baseline is not None else None
    if factor is None or compared is None:
        return no_data(threshold, "no baseline to compare with")
    if compared.base_value is None:
        return no_data(threshold, compared.note or "the baseline measured none")
    resolved = replace(threshold, limit=replace(threshold.limit, value=factor * compared.base_value))
    has_interval = compared.drawn is not Drawn.RECORDED and threshold.limit.unit is Unit.MS
    if not has_interval or not threshold.op.is_upper or factor < 1:
        plain = replace(resolved, limit=replace(resolved.limit, factor=None))
        return replace(evaluate(plain, evidence, strict=strict), threshold=resolved)
    floor = FLOOR_MS if threshold.floor_ms is None else threshold.floor_ms
    known = decide_time(replace(compared, tolerance=factor - 1, floor=floor, note="", more_runs=0), strict=strict)
    return _result(resolved, known, evidence)


def _result(threshold: Threshold, known: Comparison, evidence: Evidence) -> Result:
    base = known.base_value or 0.0
    is_known = known.low is not None and known.high is not None
    confidence = Confidence.LOW if known.is_low else Confidence.HIGH
    return Result(
        threshold=threshold,
        outcome=_OUTCOMES.get(known.outcome, Outcome.INCONCLUSIVE),
        value=known.run_value,
        n=sum(evidence.measure.latency.values()),
        low=base * (1 + known.low) if known.low is not None else None,
        high=base * (1 + known.high) if known.high is not None else None,
        confidence=confidence if is_known else Confidence.NONE,
        is_few=known.is_low,
        note=_note(known, len(known.base)),
    )


def _note(known: Comparison, n_base: int) -> str:
    runs = f"{n_base} runs" if n_base != 1 else "1 run"
    parts = [f"the baseline of {runs} has {known.base_value:.4g} ms"]
    if known.low is not None and known.high is not None:
        parts.append(f"{known.change:+.0%} (95% CI {known.low:+.0%}..{known.high:+.0%})")
    if known.outcome is Change.INCONCLUSIVE and known.more_runs:
        parts.append(f"run {known.more_runs} more of each")
    return "; ".join(filter(None, (*parts, known.note)))
