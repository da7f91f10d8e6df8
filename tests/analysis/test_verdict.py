from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.evaluate import Outcome
from analysis.run import Ended, Run, RunEnd
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import Verdict, Word, judge, lag_limit
from captures.errors import ExitCode
from tests.analysis.runs import (
    CONNECT,
    FINISHED,
    MESSAGE,
    PLAN_OF_HTTP,
    QUOTES,
    REPLY,
    a_good_run,
    a_run,
    a_slot,
    measured,
    sessions,
)
from tests.analysis.synthetic_run import facts

WITH_SOCKETS = facts(planned={"http": 3, "ws.connect": 1, "ws.reply": 4, "session": 1})


def outcome_of(verdict: Verdict, expr: str) -> Outcome:
    return next(result.outcome for result in verdict.results if result.threshold.expr == expr)


def test_a_run_that_meets_every_default_passes() -> None:
    verdict = judge(a_good_run(), DEFAULTS)
    assert (verdict.word, verdict.exit_code, verdict.invalid) == (Word.PASS, ExitCode.PASS, ())


def test_a_default_on_what_the_plan_lacks_is_not_applicable() -> None:
    verdict = judge(a_good_run(), DEFAULTS)
    for expr in ("ws.reply p99 < 100ms", "ws.push_lag p99 < 100ms", "ws.connect errors < 1%"):
        assert outcome_of(verdict, expr) is Outcome.NOT_APPLICABLE


def test_an_own_threshold_on_what_the_plan_lacks_is_inconclusive() -> None:
    verdict = judge(a_good_run(), in_force([parse_threshold("ws.reply p99 < 50ms")]))
    assert outcome_of(verdict, "ws.reply p99 < 50ms") is Outcome.INCONCLUSIVE
    assert verdict.word is Word.INCONCLUSIVE


# -- a run with dead sockets or wrong answers never passes by default


def test_no_request_although_some_were_planned_is_inconclusive() -> None:
    verdict = judge(a_run([a_slot(counts=sessions(20))]), DEFAULTS)
    assert outcome_of(verdict, "http p95 < 200ms") is Outcome.INCONCLUSIVE
    assert (verdict.word, verdict.exit_code) == (Word.INCONCLUSIVE, ExitCode.INCONCLUSIVE)


def test_a_run_in_which_nothing_happened_is_inconclusive() -> None:
    assert judge(a_run([]), DEFAULTS).word is Word.INCONCLUSIVE


def test_every_upgrade_refused_fails() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 500), CONNECT: measured(errors={"status_403": 20})}, counts=sessions(20))
    verdict = judge(a_run([slot], run_facts=WITH_SOCKETS), DEFAULTS)
    assert outcome_of(verdict, "ws.connect errors < 1%") is Outcome.FAIL
    assert outcome_of(verdict, "ws.reply p99 < 100ms") is Outcome.INCONCLUSIVE
    assert verdict.exit_code == ExitCode.FAIL


def test_sockets_that_accept_and_stay_silent_fail_by_their_time_limits() -> None:
    silent = measured(*[10_000.0] * 20)
    silent.ok, silent.errors = 0, {"timeout_message": 20}
    slot = a_slot({QUOTES: measured(*[20.0] * 500), CONNECT: measured(*[5.0] * 20), REPLY: silent}, counts=sessions(20))
    verdict = judge(a_run([slot], run_facts=WITH_SOCKETS), DEFAULTS)
    assert outcome_of(verdict, "ws.reply p99 < 100ms") is Outcome.FAIL
    assert verdict.word is Word.FAIL


def test_a_login_that_answers_200_with_an_error_page_fails() -> None:
    slot = a_slot({QUOTES: measured(mismatches={"content_type": 20})}, counts=sessions(20, 0, verify_checked=20))
    verdict = judge(a_run([slot]), DEFAULTS)
    assert outcome_of(verdict, "verify mismatch < 1%") is Outcome.FAIL
    assert outcome_of(verdict, "session complete >= 99%") is Outcome.FAIL
    assert outcome_of(verdict, "http p95 < 200ms") is Outcome.INCONCLUSIVE


def test_a_login_that_always_fails_does_not_drown_in_a_stream_of_messages() -> None:
    slot = a_slot(
        {QUOTES: measured(*[20.0] * 500, mismatches={"size": 20}), MESSAGE: measured(*[0.0] * 90_000)},
        counts=sessions(20),
    )
    verdict = judge(a_run([slot]), DEFAULTS)
    assert outcome_of(verdict, "verify mismatch < 1%") is Outcome.FAIL


def test_wrong_answers_count_in_a_plan_without_documents_to_parse() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 500, mismatches={"status": 20})}, counts=sessions(20, verify_checked=0))
    verdict = judge(a_run([slot], run_facts=facts(planned={**PLAN_OF_HTTP, "verify": 0})), DEFAULTS)
    assert outcome_of(verdict, "verify mismatch < 1%") is Outcome.FAIL


def test_fast_refusals_do_not_improve_a_percentile() -> None:
    slow = measured(*[500.0] * 300, errors={"connect_refused": 700})
    for bucket in range(10):
        slow.failed[bucket] = 70
    verdict = judge(a_run([a_slot({QUOTES: slow}, counts=sessions(20))]), DEFAULTS)
    assert outcome_of(verdict, "http p95 < 200ms") is Outcome.FAIL


def test_a_value_that_was_not_found_in_an_answer_fails() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 500)}, counts=sessions(20, correlation_misses=1))
    assert outcome_of(judge(a_run([slot]), DEFAULTS), "correlation misses == 0") is Outcome.FAIL


# -- when the measurement cannot be trusted


@pytest.mark.parametrize(
    ("expr", "limit_ms"),
    [
        ("http p95 < 200ms", 20.0),  # the defaults on sockets do not apply to a plan without
        ("http p95 < 30ms", 5.0),  # never under the floor
        ("http p95 < 2s", 200.0),
        ("http p95 > 1ms", 5.0),  # a lower limit does not count
    ],
)
def test_lag_may_be_a_tenth_of_the_smallest_latency_limit_in_force(expr: str, limit_ms: float) -> None:
    verdict = judge(a_good_run(), in_force([parse_threshold(expr)]))
    assert verdict.lag_limit_ms == limit_ms == lag_limit(verdict.results)


def a_late_run(*, lag_ms: float = 0.2, loop_ms: float = 0.1, **counts: int) -> Run:
    slot = a_slot({QUOTES: measured(*[20.0] * 500)}, counts=sessions(20) | counts, lag_ms=lag_ms, loop_ms=loop_ms)
    return a_run([slot])


@pytest.mark.parametrize(("lag_ms", "loop_ms", "word"), [(19, 19, "pass"), (21, 1, "invalid"), (1, 21, "invalid")])
def test_a_late_generator_makes_a_run_invalid(lag_ms: float, loop_ms: float, word: str) -> None:
    assert judge(a_late_run(lag_ms=lag_ms, loop_ms=loop_ms), DEFAULTS).word.value == word


def test_a_late_generator_that_had_no_core_says_so() -> None:
    run = a_late_run(lag_ms=40)
    assert "core" not in judge(run, DEFAULTS).invalid[0]
    waiting = a_late_run(lag_ms=40, core_wait_ms=300)  # one worker, of whom one second is known
    assert "waited for a core for 30% of their time" in judge(waiting, DEFAULTS).invalid[0]


def test_allow_lag_keeps_the_verdict_and_says_so() -> None:
    verdict = judge(a_late_run(lag_ms=40), DEFAULTS, allow_lag=True)
    assert (verdict.word, verdict.exit_code) == (Word.PASS, ExitCode.PASS)
    assert any("--allow-lag" in warning for warning in verdict.warnings)


def test_allow_lag_does_not_excuse_a_lost_worker() -> None:
    run = a_late_run(lag_ms=40)
    run.end = replace(FINISHED, lost_workers=(2,))
    assert judge(run, DEFAULTS, allow_lag=True).word is Word.INVALID


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"users_dropped": 3}, "3 users were never started"),
        ({"not_sent:local_resource": 7}, "7 steps could not be sent"),
    ],
)
def test_what_this_machine_could_not_do_makes_a_run_invalid(counts: dict[str, int], says: str) -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 500)}, counts=sessions(20, **counts))
    verdict = judge(a_run([slot]), DEFAULTS)
    assert verdict.exit_code == ExitCode.INVALID
    assert says in verdict.invalid[0]


def test_descriptors_that_ran_out_make_a_run_invalid_and_not_failed() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 50, errors={"local_resource": 50})}, counts=sessions(20))
    assert judge(a_run([slot]), DEFAULTS).word is Word.INVALID


def test_a_run_without_an_end_is_invalid() -> None:
    assert judge(a_good_run(end=None), DEFAULTS).word is Word.INVALID


def test_steps_without_an_outcome_are_told() -> None:
    measure = measured(*[20.0] * 500)
    measure.planned += 9
    slot = a_slot({QUOTES: measure}, counts=sessions(20, **{"not_sent:correlation_miss": 2}))
    assert "7 of 509 steps that were due have no outcome" in judge(a_run([slot]), DEFAULTS).warnings


# -- precedence: interrupted > aborted, unreachable > invalid > fail > inconclusive > pass


def a_bad_run(*, ended: Ended, is_invalid: bool, is_failing: bool, is_open: bool) -> Run:
    measures = {} if is_open else {QUOTES: measured(*[20.0] * 2000)}
    if is_failing:
        measures[CONNECT] = measured(errors={"reset": 50})
    end = RunEnd(duration_s=10.0, ended=ended, lost_workers=(1,) if is_invalid else ())
    return a_run([a_slot(measures, counts=sessions(20))], end=end, run_facts=facts(planned=PLAN_OF_HTTP))


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("is_failing", [False, True])
@pytest.mark.parametrize("is_invalid", [False, True])
@pytest.mark.parametrize("ended", list(Ended))
def test_of_several_words_the_weightier_wins(ended: Ended, is_invalid: bool, is_failing: bool, is_open: bool) -> None:
    verdict = judge(a_bad_run(ended=ended, is_invalid=is_invalid, is_failing=is_failing, is_open=is_open), DEFAULTS)
    if ended is Ended.INTERRUPTED:
        expected = (Word.INTERRUPTED, 130)
    elif ended in (Ended.ABORTED, Ended.UNREACHABLE):
        expected = (Word(ended.value), 3)
    elif is_invalid:
        expected = (Word.INVALID, 4)
    elif is_failing:
        expected = (Word.FAIL, 1)
    elif is_open:
        expected = (Word.INCONCLUSIVE, 5)
    else:
        expected = (Word.PASS, 0)
    assert (verdict.word, int(verdict.exit_code)) == expected


def test_allow_inconclusive_exits_with_zero_and_a_warning_but_keeps_the_word() -> None:
    verdict = judge(a_run([a_slot(counts=sessions(20))]), DEFAULTS, allow_inconclusive=True)
    assert (verdict.word, verdict.exit_code) == (Word.INCONCLUSIVE, ExitCode.PASS)
    assert "--allow-inconclusive" in verdict.warnings[-1]


def test_allow_inconclusive_does_not_excuse_a_failure() -> None:
    run = a_bad_run(ended=Ended.FINISHED, is_invalid=False, is_failing=True, is_open=True)
    assert judge(run, DEFAULTS, allow_inconclusive=True).exit_code == ExitCode.FAIL


def test_no_threshold_at_all_is_not_a_pass() -> None:
    assert judge(a_good_run(), []).word is Word.INCONCLUSIVE


def test_strict_leaves_open_what_few_samples_leave_open() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 30, 900.0)}, counts=sessions(20))
    assert judge(a_run([slot]), DEFAULTS).word is Word.PASS
    assert judge(a_run([slot]), DEFAULTS, strict=True).word is Word.INCONCLUSIVE
