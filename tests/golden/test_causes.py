"""Contract changed, server broken or slower: which of them a report speaks for."""

from __future__ import annotations

from typing import Any

import pytest

from captures.errors import ExitCode
from golden.causes import EXIT_CODES, Cause, cause_of_report, cause_of_summary
from replayer.verify.records import Aspect, Difference, MessageReport, StepReport
from replayer.verify.reporting import Report


def a_step(number: int, *aspects: Aspect, outcome: str = "ok", status: int = 200, reason: str = "") -> StepReport:
    return StepReport(
        step=number,
        what=f"GET /{number}",
        kind="api",
        outcome=outcome,
        recorded_status=200,
        live_status=status,
        content_type="application/json",
        n_wanted=0,
        n_found=0,
        n_fresh=0,
        differences=tuple(Difference(aspect=aspect, place="quotes/0/price", reason=reason) for aspect in aspects),
    )


def a_report(*steps: StepReport, messages: tuple[MessageReport, ...] = (), lost: tuple[str, ...] = ()) -> Report:
    return Report(target="http://127.0.0.1:1", session=0, steps=steps, messages=messages, lost=lost)


def a_kind(name: str, n_live: int, *aspects: Aspect) -> MessageReport:
    differences = tuple(Difference(aspect=aspect, recorded="50", live=str(n_live)) for aspect in aspects)
    return MessageReport(route="WS /ws", name=name, n_recorded=50, n_live=n_live, differences=differences)


FAILED = Aspect.OUTCOME

# What one user met · what it speaks for.
REPORTS = {
    "nothing": (a_report(a_step(0)), None),
    "explained": (a_report(a_step(0, Aspect.VALUE, reason="a time")), None),
    "a key is gone": (a_report(a_step(0, Aspect.MISSING)), Cause.CHANGED),
    "another kind of value": (a_report(a_step(0, Aspect.KIND)), Cause.CHANGED),
    "another type": (a_report(a_step(0, Aspect.CONTENT_TYPE)), Cause.CHANGED),
    "a value is not where it was": (a_report(a_step(0, Aspect.EXTRACTOR)), Cause.CHANGED),
    "a route is gone": (a_report(a_step(0, FAILED, outcome="status_404", status=404)), Cause.CHANGED),
    "an operation is refused": (a_report(a_step(0, FAILED, outcome="status_422", status=422)), Cause.CHANGED),
    "it redirects": (a_report(a_step(0, Aspect.STATUS, status=302)), Cause.CHANGED),
    "it fails": (a_report(a_step(0, FAILED, outcome="status_500", status=500)), Cause.BROKEN),
    "it fails where failing was recorded": (a_report(a_step(0, Aspect.STATUS, status=502)), Cause.BROKEN),
    "it has enough": (a_report(a_step(0, FAILED, outcome="rate_limited", status=429)), Cause.BROKEN),
    "nobody listens": (a_report(a_step(0, FAILED, outcome="connect_refused", status=0)), Cause.BROKEN),
    "it says nothing": (a_report(a_step(0, FAILED, outcome="timeout_request", status=0)), Cause.BROKEN),
    "it hangs up in a body": (a_report(a_step(0, FAILED, outcome="eof", status=200)), Cause.BROKEN),
    "an empty list": (a_report(a_step(0, Aspect.EMPTY)), Cause.BROKEN),
    "an error in a 200": (a_report(a_step(0, Aspect.ADDED)), Cause.BROKEN),
    "a body of nothing": (a_report(a_step(0, Aspect.BODY)), Cause.BROKEN),
    "a socket is lost": (a_report(a_step(0), lost=("the socket ended with 1011",)), Cause.BROKEN),
    "a stream is silent": (a_report(messages=(a_kind("tick", 0, Aspect.MESSAGES),)), Cause.BROKEN),
    "a kind of message is gone": (
        a_report(messages=(a_kind("tick", 0, Aspect.MESSAGES), a_kind("quote", 9))),
        Cause.CHANGED,
    ),
    "what follows from a change": (
        a_report(a_step(0, Aspect.EXTRACTOR), a_step(1, FAILED, outcome="not_sent_correlation_miss", status=0)),
        Cause.CHANGED,
    ),
    "what follows from a failure": (
        a_report(a_step(0, FAILED, outcome="status_503", status=503), a_step(1, Aspect.MISSING)),
        Cause.BROKEN,
    ),
    "a change that makes it fail later": (
        a_report(a_step(0, Aspect.MISSING), a_step(1, FAILED, outcome="status_500", status=500)),
        Cause.CHANGED,
    ),
    "only consequences": (a_report(a_step(0, FAILED, outcome="not_sent_ended", status=0)), Cause.CHANGED),
}


@pytest.mark.parametrize(("report", "cause"), REPORTS.values(), ids=REPORTS)
def test_the_first_difference_that_is_no_consequence_decides(report: Report, cause: Cause | None) -> None:
    finding = cause_of_report(report)
    assert (finding.cause if finding is not None else None) is cause


def a_row(expr: str, outcome: str, unit: str, *, value: float | None, limit: float | None) -> dict[str, Any]:
    return {"expr": expr, "outcome": outcome, "unit": unit, "op": "<", "value": value, "limit": limit}


SLOW = a_row("http p95 < 200ms", "fail", "ms", value=300.0, limit=200.0)
SLOWER = a_row("http p95 < 1.2x baseline", "fail", "ms", value=300.0, limit=None)
WRONG = a_row("verify mismatch < 1%", "fail", "%", value=2.0, limit=1.0)
FINE = a_row("http errors < 1%", "pass", "%", value=0.0, limit=1.0)
SILENT = a_row("ws.push_lag p99 < 100ms", "fail", "ms", value=None, limit=100.0)
SPARSE = a_row("ws.push_lag p99 < 100ms", "fail", "ms", value=3.0, limit=100.0)


@pytest.mark.parametrize(
    ("verdict", "rows", "cause"),
    [
        ("pass", [FINE], Cause.AS_RECORDED),
        ("fail", [SLOW, FINE], Cause.SLOWER),
        ("fail", [SLOWER, FINE], Cause.SLOWER),
        ("fail", [SLOW, WRONG], Cause.BROKEN),
        ("fail", [SILENT], Cause.BROKEN),
        ("fail", [SPARSE, SLOW], Cause.BROKEN),
        ("aborted", [], Cause.BROKEN),
        ("unreachable", [], Cause.BROKEN),
        ("inconclusive", [], Cause.OPEN),
        ("invalid", [SLOW], Cause.UNTRUSTED),
    ],
)
def test_under_load_only_time_is_slowness(verdict: str, rows: list[dict[str, Any]], cause: Cause) -> None:
    summary = {"verdict": verdict, "reasons": ["because"], "thresholds": rows}
    assert cause_of_summary(summary).cause is cause


def test_every_cause_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == set(Cause)
    assert len(set(EXIT_CODES.values())) == len(Cause)
    assert EXIT_CODES[Cause.CHANGED] is ExitCode.CHANGED
