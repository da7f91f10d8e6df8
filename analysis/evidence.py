"""What of a run a threshold is held against. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from analysis.evaluate import Evidence
from analysis.run import Run
from analysis.series import ESTIMATORS, GENERATOR, PUSH_LAG, n_outcomes
from analysis.thresholds import Subject
from analysis.verification import tallies_of

_ENDINGS = ("completed", "failed", "cut", "retired")


def evidence_for(run: Run, subject: Subject) -> Evidence:
    """Collect what a threshold on a subject is held against."""
    judged = run.judged
    return Evidence(
        measure=run.measure(subject.metric, subject.labels),
        counts=counts_after(run.facts.warmup_s, judged.counts),
        lag=judged.lag,
        loop=judged.loop,
        duration_s=run.judged_s,
        tallies=tallies_of(judged.measures, judged.counts) if subject.metric == "verify" else (),
    )


def by_one_estimator(subject: Subject, runs: Iterable[Run]) -> Subject:
    """Return a subject that means the same in all runs: of ``ws.push_lag`` the first estimator that all have."""
    if subject.metric != PUSH_LAG or any(key == "estimator" for key, _ in subject.labels):
        return subject
    found = [
        {
            dict(labels).get("estimator")
            for (name, labels), each in run.judged.measures.items()
            if name == PUSH_LAG and each.ok
        }
        for run in runs
    ]
    chosen = next((name for name in ESTIMATORS if all(name in each for each in found)), ESTIMATORS[0])
    return replace(subject, labels=tuple(sorted((*subject.labels, ("estimator", chosen)))))


def counts_after(warmup_s: int, counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counters of what came after a warm-up as thresholds read them.

    Sessions may have started in the warm-up: those that ended after it count as started.
    """
    if not warmup_s:
        return counts
    return {**counts, "sessions_started": sum(counts.get(f"sessions_{ending}", 0) for ending in _ENDINGS)}


def is_planned(run: Run, metric: str, evidence: Evidence) -> bool:
    """Return whether the plan has steps of this metric, or the run measured some."""
    planned = run.facts.planned
    if metric.startswith(GENERATOR):
        return True
    if metric == "verify":
        return bool(evidence.tallies) or any(planned.get(name, 0) for name in ("verify", "http", "ws.connect"))
    if metric in ("session", "correlation"):
        return planned.get(metric, 1) > 0 or evidence.counts.get("sessions_started", 0) > 0
    return planned.get(metric, 0) > 0 or evidence.measure.planned > 0 or n_outcomes(evidence.measure) > 0
