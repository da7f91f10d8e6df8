"""Failures and wrong answers: how often, what was expected, what came, and the first that were seen. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, format_seconds, printable
from analysis.run import Run
from analysis.slots import SeriesKey, StepRecord
from analysis.verification import MISMATCHES

_MOST_GROUPS = 60
_MOST_OPEN = 6
_EXAMPLES = 3
_NOT_SENT = "not_sent_"
"""How the outcome of a step begins that was never sent; a slot counts it as ``not_sent:<reason>``."""
_MISMATCH = "mismatch_"

_Group = tuple[SeriesKey, str]


def failures_section(run: Run) -> Html | None:
    """Return every kind of failure and wrong answer with its first evidence; None where there was none."""
    counts = _counts(run)
    if not counts:
        return None
    evidence: defaultdict[_Group, list[StepRecord]] = defaultdict(list)
    for step in run.whole.steps:
        if step.outcome.startswith(_NOT_SENT):
            evidence[("not sent", ()), step.outcome.removeprefix(_NOT_SENT)].append(step)
        elif step.outcome != "ok":
            evidence[step.series, step.outcome].append(step)
    expected = {
        (session.number, step.index, step.series): step.expected
        for session in run.recorded.sessions
        for step in session.steps
        if step.expected
    }
    groups = counts.most_common(_MOST_GROUPS)
    shown = [
        _failure(group, n, evidence[group], expected, is_open=place < _MOST_OPEN)
        for place, (group, n) in enumerate(groups)
    ]
    n_more = len(counts) - len(shown)
    note = tag("p", f"and {n_more} more kinds in summary.json", class_="muted") if n_more else None
    return tag("div", *shown, note, class_="failures")


def _counts(run: Run) -> Counter[_Group]:
    counts: Counter[_Group] = Counter()
    for series, measure in run.by_route.items():
        for name, n in measure.errors.items():
            counts[series, name] += n
        for kind, n in measure.mismatches.items():
            counts[series, f"{_MISMATCH}{kind}"] += n
    for name, n in run.whole.counts.items():
        if name.startswith("not_sent:") and n:
            counts[("not sent", ()), name.removeprefix("not_sent:")] += n
    return counts


def _failure(
    group: _Group,
    n: int,
    steps: list[StepRecord],
    expected: dict[tuple[int, int, SeriesKey], str],
    *,
    is_open: bool,
) -> Html:
    (name, labels), outcome = group
    steps.sort(key=lambda step: step.end_ns)
    is_mismatch = outcome.startswith(_MISMATCH)
    explains = MISMATCHES.get(outcome.removeprefix(_MISMATCH), "") if is_mismatch else ""
    route = dict(labels).get("route", "")
    head = tag(
        "summary",
        tag("span", format_count(n), class_="times"),
        tag("code", outcome, class_="mismatch" if is_mismatch else "failure"),
        tag("span", tag("code", route) if route else name, tag("span", explains, class_="note") if explains else None),
        tag("span", _when(steps), class_="where"),
    )
    rows = [_evidence(step, expected.get((step.session, step.step, step.series), "")) for step in _varied(steps)]
    body = tag("ol", *rows) if rows else tag("p", "no whole record was kept", class_="muted")
    return tag("details", head, body, open="open" if is_open and rows else None)


def _when(steps: Sequence[StepRecord]) -> str:
    return f"first at {format_seconds(max(0, steps[0].end_ns) / 1e9)}" if steps else ""


def _varied(steps: Iterable[StepRecord]) -> list[StepRecord]:
    """Return the first few that differ in what was seen."""
    first: dict[str, StepRecord] = {}
    for step in steps:
        first.setdefault(step.detail, step)
    return list(first.values())[:_EXAMPLES]


def _evidence(step: StepRecord, expected: str) -> Html:
    seen = printable(step.detail) or (f"status {step.status}" if step.status else "")
    wanted = tag("p", tag("b", "expected"), tag("code", expected), class_="expected") if expected and seen else None
    came = tag("p", tag("b", "came"), tag("code", seen), class_="came") if seen else None
    return tag("li", wanted, came, tag("p", " · ".join(_facts(step)), class_="muted"))


def _facts(step: StepRecord) -> Iterable[str]:
    if step.outcome.startswith(_NOT_SENT):
        yield printable(dict(step.series[1]).get("route", step.series[0]))
    yield f"at {format_seconds(max(0, step.intended_ns) / 1e9)}"
    yield f"user {step.user}"
    yield f"session {step.session}, step {step.step}"
    yield f"after {format_ms(max(0, step.end_ns - step.intended_ns) / 1e6)}"
