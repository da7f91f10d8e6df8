"""What a run measures while it warms up is kept and shown, and judged by nobody."""

from __future__ import annotations

import pytest

from analysis.baseline import Baseline
from analysis.evaluate import Outcome
from analysis.merge import SlotMerge
from analysis.run import Ended, Run, RunEnd
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, parse_threshold
from analysis.verdict import Word, judge
from tests.analysis.runs import PLAN_OF_HTTP, QUOTES, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts
from tests.analysis.test_live import a_model

WARMUP_S = 13


def a_cold_start(*, warmup_s: int = WARMUP_S, duration_s: float = 30.0) -> Run:
    """A target that is slow, wrong and late until second 13, and well from then on."""
    run_facts = facts(planned=PLAN_OF_HTTP, warmup_s=warmup_s)
    run = Run(facts=run_facts, end=RunEnd(duration_s=duration_s, ended=Ended.FINISHED))
    merge = SlotMerge(warmup_s=warmup_s)
    for second in range(int(duration_s)):
        is_cold = second < WARMUP_S
        measure = measured(*[900.0 if is_cold else 20.0] * 100, errors={"status_503": 9} if is_cold else None)
        counts = sessions(9, 3) if is_cold else sessions(4)
        merge.add(a_slot({QUOTES: measure}, second=second, counts=counts, lag_ms=80.0 if is_cold else 0.2))
    for total in merge.rest():
        run.add(total)
    return run


def test_only_what_ended_after_the_warm_up_is_judged() -> None:
    assert judge(a_cold_start(warmup_s=0), DEFAULTS).word is Word.INVALID
    run = a_cold_start()
    verdict = judge(run, DEFAULTS)
    assert verdict.word is Word.PASS
    assert {result.outcome for result in verdict.results} <= {Outcome.PASS, Outcome.NOT_APPLICABLE}
    (http,) = [result for result in verdict.results if result.threshold.expr.startswith("http p95")]
    assert http.n == 17 * 100
    assert http.value == pytest.approx(20.0, rel=0.01)


def test_the_figures_beside_the_verdict_are_those_it_rests_on_and_the_totals_are_of_the_whole_run() -> None:
    run = a_cold_start()
    summary = summarise(run, judge(run, DEFAULTS))
    assert summary["warmup_s"] == WARMUP_S
    (http,) = [entry for entry in summary["series"] if entry["name"] == "http" and not entry["labels"]]
    assert (http["count"], http["rate_per_s"]) == (1700, 100.0)
    (route,) = [entry for entry in summary["series"] if entry["labels"].get("route") == "GET /api/quotes"]
    assert route["count"] == 1700
    totals = summary["totals"]
    assert totals["planned"] == totals["ok"] + totals["failed"] == 3000 + 9 * WARMUP_S


def test_a_window_by_route_never_reaches_over_the_end_of_the_warm_up() -> None:
    run = a_cold_start()
    assert sorted(run.windows) == [0, 10, 13, 20]
    assert sum(measures[QUOTES].ok for measures in run.judged_windows.values()) == 1700


def test_a_session_that_began_in_the_warm_up_counts_where_it_ends() -> None:
    run = Run(facts=facts(planned=PLAN_OF_HTTP, warmup_s=5), end=RunEnd(duration_s=10.0, ended=Ended.FINISHED))
    merge = SlotMerge(warmup_s=5)
    merge.add(a_slot(counts={"sessions_started": 20}))
    merge.add(a_slot({QUOTES: measured(*[20.0] * 2000)}, second=9, counts={"sessions_completed": 20}))
    for total in merge.rest():
        run.add(total)
    (result,) = judge(run, [parse_threshold("session complete >= 99%")]).results
    assert (result.outcome, result.value, result.n) == (Outcome.PASS, 100.0, 20)


def test_a_run_that_was_over_before_its_warm_up_is_no_pass() -> None:
    run = a_cold_start(warmup_s=40)
    verdict = judge(run, DEFAULTS, baseline=Baseline())
    assert verdict.word is Word.INCONCLUSIVE
    assert "the run was over after 30.0 s, its warm-up lasts 40 s" in verdict.warnings


def test_a_threshold_that_aborts_waits_for_the_end_of_the_warm_up() -> None:
    model = a_model("http p95 < 200ms; abort", warmup_s=3)
    for second in range(3):
        model.update(a_slot({QUOTES: measured(*[900.0] * 500)}, second=second))
    assert model.broken(3.0) is None
    assert model.progress(3.0).http.rate_per_s == 500
    model.update(a_slot({QUOTES: measured(*[900.0] * 500)}, second=3))
    assert model.broken(4.0) is not None
