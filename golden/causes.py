"""Why a golden no longer fits: the target's contract changed, the target is broken, or it is slower. Pure.

A difference of one step makes others of later steps: what was not found cannot be sent. So the first step with a
difference that is no mere consequence decides, and within it what says that the target failed. The target is broken
where it did not answer, answered 429 or 5xx, said itself that something went wrong, or sent nothing where there always
was something. All else that the recording cannot explain is a change of the contract: another status, type, key or
kind of value, a message of a kind that never comes any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from analysis.thresholds import Op
from captures.errors import ExitCode
from replayer import failures
from replayer.verify.records import Aspect, Difference, StepReport
from replayer.verify.rendering import difference_text
from replayer.verify.reporting import Report

_TOO_MANY, _SERVER_ERROR = 429, 500
_NOT_SENT = "not_sent_"
_BROKEN_ASPECTS = frozenset({Aspect.EMPTY, Aspect.BODY, Aspect.VALUE, Aspect.ADDED})


class Cause(Enum):
    """What a check of a golden comes to, in one word."""

    AS_RECORDED = "as recorded"
    SLOWER = "slower"
    BROKEN = "server broken"
    CHANGED = "contract changed"
    UNTRUSTED = "measurement not trusted"
    OPEN = "inconclusive"


EXIT_CODES = {
    Cause.AS_RECORDED: ExitCode.PASS,
    Cause.SLOWER: ExitCode.FAIL,
    Cause.BROKEN: ExitCode.UNREACHABLE,
    Cause.CHANGED: ExitCode.CHANGED,
    Cause.UNTRUSTED: ExitCode.INVALID,
    Cause.OPEN: ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause, and the one clause that shows it."""

    cause: Cause
    evidence: str


def cause_of_report(report: Report) -> Finding | None:
    """Return why the target does not answer as it was recorded, None where it does."""
    found = list(_of_steps(report)) or list(_of_messages(report))
    if not found and report.lost:
        return Finding(cause=Cause.BROKEN, evidence=report.lost[0])
    if not found and report.n_unexplained:
        return Finding(cause=Cause.CHANGED, evidence="steps were not sent that had been recorded")
    return found[0] if found else None


def cause_of_summary(summary: Mapping[str, Any]) -> Finding:
    """Return what the smoke says of a target that answers one user as it was recorded."""
    verdict, reason = summary["verdict"], summary["reasons"][0]
    match verdict:
        case "pass":
            return Finding(cause=Cause.AS_RECORDED, evidence=reason)
        case "fail":
            failed = [row for row in summary["thresholds"] if row["outcome"] == "fail"]
            wrong = [row for row in failed if not _is_of_time(row)]
            cause = Cause.BROKEN if wrong else Cause.SLOWER
            shown = f"{wrong[0]['expr']} was not met" if wrong else reason
            return Finding(cause=cause, evidence=f"under load, {shown}" if wrong else shown)
        case "unreachable" | "aborted":
            return Finding(cause=Cause.BROKEN, evidence=f"under load, {reason}")
        case "inconclusive":
            return Finding(cause=Cause.OPEN, evidence=reason)
        case _:
            return Finding(cause=Cause.UNTRUSTED, evidence=reason)


def _is_of_time(row: Mapping[str, Any]) -> bool:
    """Tell whether a threshold failed because of how long something took, or how much of it came in a second.

    One whose limit is met, or that has no value, failed because what was due never came.
    """
    if row["unit"] not in ("ms", "/s"):
        return False
    value, limit = row["value"], row["limit"]
    return limit is None or (value is not None and not Op(row["op"]).holds(value, limit))


def _of_steps(report: Report) -> Iterator[Finding]:
    """Yield the findings of the first step that has any that is no consequence of another."""
    for step in report.steps:
        found = [
            Finding(cause=cause, evidence=f"step {step.step}, {step.what}: {difference_text(difference)}")
            for difference in step.differences
            if not difference.is_explained and (cause := _cause_of(step, difference)) is not None
        ]
        if found:
            yield from sorted(found, key=lambda finding: finding.cause is not Cause.BROKEN)
            return


def _cause_of(step: StepReport, difference: Difference) -> Cause | None:
    """Return what a difference speaks for, None where it only follows from an earlier one."""
    if difference.aspect is Aspect.OUTCOME:
        return _cause_of_outcome(step)
    if difference.aspect is Aspect.STATUS:
        return _cause_of_status(step.live_status)
    return Cause.BROKEN if difference.aspect in _BROKEN_ASPECTS else Cause.CHANGED


def _cause_of_outcome(step: StepReport) -> Cause | None:
    outcome = step.outcome
    if not outcome or outcome.startswith(_NOT_SENT):
        return None
    if step.live_status and outcome not in failures.FIXED:
        return _cause_of_status(step.live_status)
    return Cause.BROKEN


def _cause_of_status(status: int) -> Cause:
    return Cause.BROKEN if status == _TOO_MANY or status >= _SERVER_ERROR else Cause.CHANGED


def _of_messages(report: Report) -> Iterator[Finding]:
    """A stream that is silent altogether is broken; one that leaves out a kind of message has changed."""
    speaking = {each.route for each in report.messages if each.n_live}
    for each in report.messages:
        for difference in each.differences:
            if not difference.is_explained:
                cause = Cause.CHANGED if each.route in speaking else Cause.BROKEN
                yield Finding(cause=cause, evidence=f"{each.name} on {each.route}: {difference_text(difference)}")
