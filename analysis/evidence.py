"""What of a run a threshold is held against. Pure."""

from __future__ import annotations

from analysis.evaluate import Evidence
from analysis.run import Run
from analysis.series import GENERATOR, n_outcomes
from analysis.thresholds import Subject
from analysis.verification import tallies_of


def evidence_for(run: Run, subject: Subject) -> Evidence:
    """Collect what a threshold on a subject is held against."""
    whole = run.whole
    return Evidence(
        measure=run.measure(subject.metric, subject.labels),
        counts=whole.counts,
        lag=whole.lag,
        loop=whole.loop,
        duration_s=run.duration_s,
        tallies=tallies_of(whole.measures, whole.counts) if subject.metric == "verify" else (),
    )


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
