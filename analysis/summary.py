"""``summary.json``: the machine's view of a run, schema 1 (design §9). Pure.

Keys may be added, never renamed. Times are ms, shares of thresholds are in the unit of their expression (``unit``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from analysis.attendance import attendance_report
from analysis.baseline import Baseline
from analysis.calibration import Calibration, calibration_report
from analysis.comparison import Change, sentence
from analysis.compression import compression_notes
from analysis.delivery import stream_reports
from analysis.evaluate import Outcome, Result
from analysis.failures import failure_reports
from analysis.machine import core_wait_ratio, cpu_by_worker, cpu_ratio
from analysis.pacing import server_paced_ratio
from analysis.populations import population_reports, unachieved
from analysis.report.text import format_value
from analysis.representation import representation_report
from analysis.run import Run
from analysis.series import (
    Distribution,
    Labels,
    Unit,
    is_selected,
    latency_of,
    n_errors,
    n_mismatched,
    n_outcomes,
    service_of,
    steps_of,
    sum_of,
)
from analysis.slots import Buckets, Measure
from analysis.storms import storm_reports
from analysis.thresholds import Origin, Severity
from analysis.verdict import Verdict, Word

SCHEMA = 1
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_NOT_SENT = "not_sent:"
_RATE_LIMITED = "rate_limited"
"""The failure class of an answer 429."""
_USERS = ("started", "completed", "failed", "dropped", "retired")
_SESSIONS = ("started", "completed", "failed", "cut", "retired")
_ELSEWHERE = frozenset({"session.slip", "session.stretch", "storm.touched"})


def summarise(run: Run, verdict: Verdict) -> dict[str, Any]:
    """Return the summary of a judged run, JSON-able throughout."""
    stored = run.judging.calibrations if run.judging is not None else ()
    calibrations = [Calibration.from_body(body) for body in stored]
    facts, whole = run.facts, run.whole
    counts = whole.counts
    calibration = calibration_report(run, verdict.results, calibrations)
    return {
        "schema": SCHEMA,
        "verdict": verdict.word.value,
        "exit_code": int(verdict.exit_code),
        "reasons": reasons(run, verdict),
        "warnings": [*verdict.warnings, *unachieved(run), *calibration["doubts"]],
        "capture": {"path": facts.capture.path, "sha256": facts.capture.sha256, "sessions": facts.capture.sessions},
        "plan": {"sha256": facts.plan_sha256, "planned": dict(facts.planned)},
        "target": facts.target,
        "options": _plain(facts.options),
        "environment": _plain(facts.environment),
        "started_at": facts.started_at,
        "duration_s": round(run.duration_s, 3),
        "warmup_s": facts.warmup_s,
        "ended": run.end.ended.value if run.end else "unknown",
        "workers": facts.workers,
        "lost_workers": list(run.end.lost_workers) if run.end else [],
        "users": {"planned": facts.users_planned, **{name: counts.get(f"users_{name}", 0) for name in _USERS}},
        "sessions": {name: counts.get(f"sessions_{name}", 0) for name in _SESSIONS},
        "totals": _totals(run),
        "series": list(_series(run)),
        "generator": _generator(run, verdict),
        "pacing": _pacing(run),
        "storms": storm_reports(run),
        "populations": population_reports(run),
        "attendance": attendance_report(run),
        "verification": _verification(run),
        "representation": representation_report(run),
        "pushes": stream_reports(run),
        "failures": failure_reports(run),
        "thresholds": [_threshold(result, calibration) for result in verdict.results],
        "baseline": (verdict.baseline or Baseline()).to_summary(),
        "calibration": calibration,
        "dropped_origins": dict(facts.dropped_origins),
        "counts": dict(sorted(counts.items())),
        "notes": [*facts.notes, *_warmup(run), *_of_connections(run, counts)],
        "complete": run.is_complete,
    }


def reasons(run: Run, verdict: Verdict) -> list[str]:
    """Say in sentences why the verdict is what it is; the first is the headline."""
    found = _reasons_of_end(run, verdict)
    found += verdict.invalid
    for outcome, words in ((Outcome.FAIL, "was not met"), (Outcome.INCONCLUSIVE, "cannot be decided")):
        found += [_reason(result, words) for result in verdict.results if _is_a_reason(result, outcome)]
        change = Change.REGRESSED if outcome is Outcome.FAIL else Change.INCONCLUSIVE
        found += verdict.unlike if outcome is Outcome.INCONCLUSIVE else ()
        found += [sentence(each) for each in verdict.baseline.gated(change)] if verdict.baseline is not None else []
    if not found:
        n = sum(result.outcome is Outcome.PASS for result in verdict.results)
        found.append(f"all {n} thresholds were met" if n != 1 else "the threshold was met")
    return [*found, *_reasons_of_limit(run)]


def _is_a_reason(result: Result, outcome: Outcome) -> bool:
    is_told = outcome is Outcome.FAIL and result.threshold.severity is Severity.INVALID
    return result.outcome is outcome and result.threshold.severity is not Severity.WARN and not is_told


def _warmup(run: Run) -> list[str]:
    warmup_s = run.facts.warmup_s
    return [f"the first {warmup_s} s were a warm-up: measured, not judged"] if warmup_s else []


def _of_connections(run: Run, counts: Mapping[str, int]) -> list[str]:
    n_full, n_resumed = counts.get("tls_full", 0), counts.get("tls_resumed", 0)
    said = [f"{n_full + n_resumed} TLS handshakes, {n_resumed} of them resumed"] if n_full + n_resumed else []
    return [*said, *compression_notes(run, counts), *(run.end.notes if run.end else ())]


def _reasons_of_limit(run: Run) -> list[str]:
    total = steps_of(run.whole.measures)
    n_limited = total.errors.get(_RATE_LIMITED, 0)
    if not n_limited:
        return []
    share = f"{n_limited} of {total.planned} steps were answered 429 (rate_limited)"
    return [f"{share}: the target's limit was measured, not what it can carry; lower the load or lift the limit"]


def _reasons_of_end(run: Run, verdict: Verdict) -> list[str]:
    if verdict.word is Word.INTERRUPTED:
        return [f"stopped by hand after {run.duration_s:.1f} s; the figures are of what ran"]
    if verdict.word is Word.ABORTED:
        told = [note for note in (run.end.notes if run.end is not None else ()) if note.startswith("aborted")]
        return told[:1] or [f"aborted after {run.duration_s:.1f} s"]
    if verdict.word is Word.UNREACHABLE:
        return [f"nobody accepted connections at {run.facts.target}"]
    return []


def _reason(result: Result, words: str) -> str:
    value = "" if result.value is None else f": {format_value(result.value, result.threshold.limit.unit.value)}"
    is_guess = result.threshold.set_by is Origin.DEFAULT and result.threshold.limit.unit is Unit.MS
    doubt = "this limit is a default, not calibrated on this target" if is_guess else ""
    notes = "; ".join(filter(None, (result.note, doubt)))
    return f"{result.threshold.expr} {words}{value}" + (f" ({notes})" if notes else "")


def _totals(run: Run) -> dict[str, Any]:
    total = steps_of(run.whole.measures)
    not_sent = {
        name.removeprefix(_NOT_SENT): count
        for name, count in sorted(run.whole.counts.items())
        if name.startswith(_NOT_SENT)
    }
    return {
        "planned": total.planned,
        "ok": total.ok,
        "failed": n_errors(total),
        "mismatched": n_mismatched(total),
        "not_sent": not_sent,
        "errors": dict(sorted(total.errors.items())),
        "bytes_in": total.bytes_in,
    }


def _series(run: Run) -> Iterator[dict[str, Any]]:
    names = sorted(({name for name, _ in run.judged.measures} | {name for name, _ in run.by_route}) - _ELSEWHERE)
    for name in names:
        yield _series_entry(run, name, (), run.measure(name))
        for key in sorted(key for key in run.by_route if key[0] == name and key[1]):
            yield _series_entry(run, name, key[1], run.by_route[key])


def _series_entry(run: Run, name: str, labels: Labels, measure: Measure) -> dict[str, Any]:
    n = n_outcomes(measure)
    return {
        "name": name,
        "labels": dict(labels),
        "count": n,
        "planned": measure.planned,
        "ok": measure.ok,
        "errors": dict(sorted(measure.errors.items())),
        "mismatches": n_mismatched(measure),
        "rate_per_s": round(n / run.judged_s, 3) if run.judged_s > 0 else 0.0,
        "latency_ms": _times_ms(latency_of(measure)),
        "service_ms": _times_ms(service_of(measure)),
        "in_headline": is_selected((name, labels), name, ()),
    }


def _times_ms(times: Distribution) -> dict[str, float | None]:
    values = times.quantiles_us(tuple(_QUANTILES.values()))
    found = {name: _ms(value) for name, value in zip(_QUANTILES, values, strict=True)}
    mean = times.mean_us()
    return {**found, "max": _ms(times.max_us) if mean is not None else None, "mean": _ms(mean)}


def _generator(run: Run, verdict: Verdict) -> dict[str, Any]:
    return {
        "lag_ms": _lag_ms(run.judged.lag),
        "loop_ms": _lag_ms(run.judged.loop),
        "pool_ms": _waits_ms(run, "lag.pool"),
        "connect_ms": _waits_ms(run, "lag.connect"),
        "memory_kib": max((second.gauges.get("memory_kib", 0) for second in run.seconds.values()), default=0),
        "cpu_ratio": cpu_ratio(run),
        "cpu_by_worker": [{"worker": n, "cpu_ratio": ratio} for n, ratio in cpu_by_worker(run).items()],
        "core_wait_ratio": core_wait_ratio(run),
        "valid": not verdict.invalid,
        "limit_ms": verdict.lag_limit_ms,
        "invalid": list(verdict.invalid),
    }


def _pacing(run: Run) -> dict[str, Any]:
    """How sessions went against the recorded timeline; a stretch of 1.0 is as long as on time."""
    stretch = _times_ms(latency_of(run.measure("session.stretch")))
    return {
        "sessions": n_outcomes(run.measure("session.slip")),
        "slip_ms": _times_ms(latency_of(run.measure("session.slip"))),
        "stretch_ratio": {name: None if ms is None else round(ms / 1000, 4) for name, ms in stretch.items()},
        "server_paced_ratio": _rounded(server_paced_ratio(run)),
    }


def _lag_ms(buckets: Buckets) -> dict[str, float | None]:
    times = Distribution.of_buckets(buckets)
    p50, p99 = times.quantiles_us((0.5, 0.99))
    return {"p50": _ms(p50), "p99": _ms(p99), "max": _ms(times.max_us) if buckets else None}


def _waits_ms(run: Run, name: str) -> dict[str, Any]:
    """Of the requests that found no free connection; all others waited 0 ms."""
    measure = run.measure(name)
    return {"count": measure.ok, **_lag_ms(measure.latency)}


def _verification(run: Run) -> dict[str, Any]:
    whole = sum_of(run.judged.measures.values())
    counts = run.judged.counts
    return {
        "checked": counts.get("verify_checked", 0),
        "eligible": counts.get("verify_eligible", 0),
        "mismatched": sum(whole.mismatches.values()),
        "by_kind": dict(sorted(whole.mismatches.items())),
        "warned": dict(sorted(whole.warnings.items())),
        "series": [
            {
                "name": name,
                "labels": dict(labels),
                "checked": measure.checked,
                "eligible": measure.eligible,
                "mismatched": sum(measure.mismatches.values()),
                "by_kind": dict(sorted(measure.mismatches.items())),
                "warned": dict(sorted(measure.warnings.items())),
            }
            for (name, labels), measure in sorted(run.by_route.items())
            if measure.eligible or measure.mismatches
        ],
    }


def _threshold(result: Result, calibration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a threshold; ``calibrated`` is None where a limit has no target to fit, or is the user's own."""
    limit = result.threshold.limit
    return {
        "expr": result.threshold.expr,
        "value": _rounded(result.value),
        "limit": _rounded(limit.value) if limit.factor is None or limit.value else None,
        "outcome": result.outcome.value,
        "origin": result.threshold.set_by.value,
        "source": result.threshold.source,
        "calibrated": _is_calibrated(result.threshold.expr, calibration),
        "severity": result.threshold.severity.value,
        "confidence": result.confidence.value,
        "op": result.threshold.op.value,
        "unit": limit.unit.value,
        "n": result.n,
        "low": _rounded(result.low),
        "high": _rounded(result.high),
        "note": result.note,
        "gated": result.gated,
    }


def _is_calibrated(expr: str, calibration: Mapping[str, Any]) -> bool | None:
    is_known = expr in calibration["calibrated"] or expr in calibration["not_calibrated"]
    return expr in calibration["calibrated"] if is_known else None


def _plain(value: object) -> Any:
    """Return a value as JSON can hold it; what it cannot becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    return value if is_plain else str(value)


def _ms(us: float | None) -> float | None:
    return None if us is None else round(us / 1000, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
