"""What went wrong in a run, by class and route, each with the first that were seen. Pure.

A class is one of ``replayer.failures``, ``mismatch_<kind>`` or ``not_sent_<reason>``. Counts are of the whole run; each
worker keeps the first few whole records of every class and series, so the earliest of all are among them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.run import Run
from analysis.series import STORMS
from analysis.slots import SeriesKey
from analysis.steplog import StepRecord

EXAMPLES = 5
"""Of each class and route."""
NOT_SENT = "not_sent_"
"""How the class of a step begins that was never sent; a slot counts it as ``not_sent:<reason>``."""
_NOT_SENT_COUNT = "not_sent:"
_ENDINGS = frozenset({"cut", "retired", "storm", "user_ended"})
"""Reasons not to send that follow from another end, which is told itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All failures of one class in one series; ``series`` is empty where a class is counted for all of them."""

    kind: str
    series: SeriesKey
    count: int
    examples: tuple[StepRecord, ...]

    @property
    def route(self) -> str:
        """The route, or an empty string."""
        return dict(self.series[1]).get("route", "")


def failures_of(run: Run) -> list[Group]:
    """Return the groups, the most frequent first."""
    evidence: defaultdict[tuple[str, SeriesKey], list[StepRecord]] = defaultdict(list)
    for step in run.judged.steps:
        if step.outcome != "ok":
            series = ("", ()) if step.outcome.startswith(NOT_SENT) else step.series
            evidence[step.outcome, series].append(step)
    groups = [
        Group(kind=kind, series=series, count=n, examples=_first(evidence[kind, series]))
        for (kind, series), n in _counts(run).items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.kind, group.series))


def failure_reports(run: Run) -> list[dict[str, Any]]:
    """Return ``failures`` of the summary; times are of the run, in s and ms."""
    return [
        {
            "class": group.kind,
            "series": group.series[0],
            "route": group.route,
            "message": dict(group.series[1]).get("message", ""),
            "count": group.count,
            "examples": [_example(step) for step in group.examples],
        }
        for group in failures_of(run)
    ]


def sentence(example: Mapping[str, Any]) -> str:
    """Say in one line what one example of the summary shows."""
    parts = [
        f"at {example['at_s']:.3f} s, user {example['user']}, session {example['session']} step {example['step']}",
        f"{example['request']} → {example['seen'] or 'no answer'} after {example['latency_ms']:.0f} ms"
        if example["request"]
        else example["seen"],
        " ".join(f"{slot['name']}={slot['value']}" for slot in example["slots"]),
        f"recorded: {example['recorded']}" if example["recorded"] else "",
    ]
    return "; ".join(part for part in parts if part)


def _counts(run: Run) -> Counter[tuple[str, SeriesKey]]:
    counts: Counter[tuple[str, SeriesKey]] = Counter()
    for series, measure in run.by_route.items():
        if series[0] in STORMS:
            continue
        for kind, n in measure.errors.items():
            counts[kind, series] += n
        for kind, n in measure.mismatches.items():
            counts[f"mismatch_{kind}", series] += n
    for name, n in run.judged.counts.items():
        reason = name.removeprefix(_NOT_SENT_COUNT)
        if name.startswith(_NOT_SENT_COUNT) and reason not in _ENDINGS and n:
            counts[NOT_SENT + reason, ("", ())] += n
    return counts


def _first(steps: list[StepRecord]) -> tuple[StepRecord, ...]:
    return tuple(sorted(steps, key=lambda step: (step.end_ns, step.user, step.step))[:EXAMPLES])


def _example(step: StepRecord) -> dict[str, Any]:
    return {
        "at_s": round(step.end_ns / 1e9, 6),
        "user": step.user,
        "session": step.session,
        "step": step.step,
        "route": dict(step.series[1]).get("route", ""),
        "latency_ms": round(max(0, step.end_ns - step.intended_ns) / 1e6, 3),
        "status": step.status,
        "request": step.request,
        "seen": step.detail,
        "slots": [{"name": name, "value": value} for name, value in step.slots],
        "recorded": step.recorded,
    }
