"""What a limit on ``ws.push_lag`` is held against."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.delivery import stream_reports
from analysis.evaluate import Outcome, Result
from analysis.evidence import by_one_estimator
from analysis.run import Run
from analysis.slots import Measure, SeriesKey
from analysis.thresholds import DEFAULTS, parse_threshold
from analysis.verdict import Word, judge
from tests.analysis.runs import PLAN_OF_HTTP, QUOTES, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

FEED = "WS /feed"
GATE = "ws.push_lag p99 < 100ms"


def lag(estimator: str, message: str = "quote") -> SeriesKey:
    return "ws.push_lag", (("estimator", estimator), ("message", message), ("route", FEED))


def complete(received: int, due: float, message: str = "quote") -> dict[SeriesKey, Measure]:
    key = ("ws.completeness", (("message", message), ("route", FEED)))
    return {key: Measure(ok=received, due_milli=round(1000 * due))}


def a_push_run(measures: dict[SeriesKey, Measure], *, messages: dict[str, str] | None = None) -> Run:
    """Return a run; ``messages`` are planned kinds and what their delivery can be measured by."""
    messages = messages or {"quote": "stamped"}
    pushes = tuple(
        {"route": FEED, "message": name, "estimator": estimator, "due_ms": 1000.0}
        for name, estimator in messages.items()
    )
    planned = {**PLAN_OF_HTTP, "ws.push_lag": sum(bool(estimator) for estimator in messages.values())}
    slot = a_slot({QUOTES: measured(*[20.0] * 2000), **measures}, counts=sessions(20))
    return a_run([slot], run_facts=facts(planned=planned, pushes=pushes))


def gate(run: Run, expr: str = GATE, **options: Any) -> Result:
    threshold = next((each for each in DEFAULTS if each.expr == expr), None) or parse_threshold(expr)
    (result,) = judge(run, [threshold], **options).results
    return result


def test_the_servers_stamps_come_first_and_the_result_says_so() -> None:
    run = a_push_run({lag("stamped"): measured(*[150.0] * 2000), lag("skew"): measured(*[1.0] * 2000)})
    result = gate(run)
    assert (result.outcome, result.gated, result.n) == (Outcome.FAIL, "stamped", 2000)
    assert result.note.startswith("gated: server stamp to arrival")


def test_without_stamps_the_spread_is_gated() -> None:
    result = gate(a_push_run({lag("skew"): measured(*[1.0] * 980, *[250.0] * 20)}))
    assert (result.outcome, result.gated) == (Outcome.FAIL, "skew")


def test_a_relative_stamp_is_shown_and_not_gated() -> None:
    result = gate(a_push_run({lag("stamped_relative"): measured(*[500.0] * 2000), **complete(100, 100)}))
    assert result.outcome is Outcome.INCONCLUSIVE and result.gated == ""


def test_each_kind_of_message_is_gated_by_its_best_and_the_worst_decides() -> None:
    run = a_push_run(
        {
            lag("stamped"): measured(*[1.0] * 2000),
            lag("skew", "depth"): measured(*[300.0] * 2000),
            lag("skew"): measured(*[900.0] * 2000),
        },
        messages={"quote": "stamped", "depth": "skew"},
    )
    result = gate(run)
    assert (result.outcome, result.gated, result.n) == (Outcome.FAIL, "skew", 2000)
    assert result.value == pytest.approx(300, rel=0.01), "the spread of what is stamped is not added to it"


def test_an_estimator_or_message_may_be_named() -> None:
    run = a_push_run({lag("stamped"): measured(*[150.0] * 2000), lag("skew"): measured(*[1.0] * 2000)})
    assert gate(run, 'ws.push_lag{estimator="skew"} p99 < 100ms').outcome is Outcome.PASS
    assert gate(run, 'ws.push_lag{message="quote"} p99 < 100ms').outcome is Outcome.FAIL
    assert gate(run, 'ws.push_lag{message="other"} p99 < 100ms').outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("received", "outcome"), [(0, Outcome.FAIL), (49, Outcome.FAIL), (60, Outcome.PASS)])
def test_what_never_comes_is_later_than_any_limit(received: int, outcome: Outcome) -> None:
    measures = {lag("stamped"): measured(*[1.0] * 2000)} if received else {}
    result = gate(a_push_run({**measures, **complete(received, 100)}))
    assert result.outcome is outcome
    assert (f"{received} of 100 quote messages that were due came" in result.note) is (outcome is Outcome.FAIL)


def test_one_silent_kind_is_not_hidden_by_another_that_is_fast() -> None:
    measures = {lag("stamped"): measured(*[1.0] * 2000), **complete(100, 100), **complete(0, 50, "depth")}
    result = gate(a_push_run(measures, messages={"quote": "stamped", "depth": "stamped"}))
    assert result.outcome is Outcome.FAIL and "0 of 50 depth" in result.note


def test_no_data_although_it_was_planned_is_inconclusive() -> None:
    assert gate(a_push_run({})).outcome is Outcome.INCONCLUSIVE


def test_a_capture_without_pushes_is_not_gated_and_one_that_cannot_be_measured_says_why() -> None:
    plain = a_run([a_slot({QUOTES: measured(*[20.0] * 2000)}, counts=sessions(20))])
    assert gate(plain).outcome is Outcome.NOT_APPLICABLE
    run = a_push_run(complete(100, 100), messages={"quote": ""})
    verdict = judge(run, DEFAULTS)
    assert gate(run).outcome is Outcome.NOT_APPLICABLE and verdict.word is Word.PASS
    assert any("delivery was not measured" in warning and "--trust-clock" in warning for warning in verdict.warnings)


def test_completeness_is_a_ratio_of_what_was_due() -> None:
    run = a_push_run(complete(95, 100))
    result = gate(run, "ws.completeness ratio >= 98%")
    assert (result.outcome, result.value) == (Outcome.FAIL, 95.0)
    assert gate(a_push_run(complete(103, 100)), "ws.completeness ratio >= 98%").outcome is Outcome.PASS


def test_the_unlabelled_series_is_that_of_one_estimator() -> None:
    run = a_push_run({lag("stamped"): measured(*[1.0] * 10), lag("skew"): measured(*[9.0] * 90)})
    assert run.measure("ws.push_lag").ok == 10


def test_the_summary_tells_each_kind_with_all_its_estimators() -> None:
    gap = ("ws.gap", (("message", "quote"), ("route", FEED)))
    stall = ("ws.stall", (("message", "quote"), ("route", FEED)))
    measures = {
        lag("stamped"): measured(4.0),
        lag("skew"): measured(1.0),
        gap: measured(2.0),
        stall: measured(9000.0),
        **complete(99, 100),
    }
    (report,) = stream_reports(a_push_run(measures))
    assert (report["gated"], report["received"], report["due"], report["completeness"]) == ("stamped", 99, 100.0, 0.99)
    assert sorted(report["lag_ms"]) == ["skew", "stamped"] and report["lag_ms"]["skew"]["count"] == 1
    assert (report["stalls"], report["gap_ms"]["count"]) == (1, 1)
    assert (report["live_s"], report["stalls_per_live_s"]) == (100.0, 0.01), "100 messages, one due every second"
    assert report["longest_stall_ms"] == pytest.approx(9000, rel=0.01)


def test_far_more_than_was_due_is_a_warning() -> None:
    verdict = judge(a_push_run({lag("stamped"): measured(*[1.0] * 2000), **complete(500, 100)}), DEFAULTS)
    assert verdict.word is Word.PASS
    (warning,) = [warning for warning in verdict.warnings if "5.0 times as many quote messages" in warning]
    assert warning.startswith("not representative of the recording: ")


def test_runs_are_compared_by_an_estimator_that_all_of_them_have() -> None:
    stamped = a_push_run({lag("stamped"): measured(*[1.0] * 10), lag("skew"): measured(*[9.0] * 90)})
    spread = a_push_run({lag("skew"): measured(*[9.0] * 90)})
    subject = parse_threshold(GATE).subject
    assert dict(by_one_estimator(subject, [stamped]).labels)["estimator"] == "stamped"
    assert dict(by_one_estimator(subject, [stamped, spread]).labels)["estimator"] == "skew"
    named = parse_threshold('ws.push_lag{estimator="triggered"} p99 < 1s').subject
    assert by_one_estimator(named, [spread]) == named
