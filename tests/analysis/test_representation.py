"""Answers that are not what was recorded: less than half is no pass, more than twice is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report.following import next_step
from analysis.representation import likenesses, representation_report
from analysis.run import Run
from analysis.slots import Measure
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS
from analysis.verdict import Verdict, Word, judge
from captures.errors import ExitCode
from tests.analysis.runs import MESSAGE, PLAN_OF_HTTP, QUOTES, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

SIZE = {
    "route": "GET /api/quotes",
    "message": "",
    "kind": "api",
    "wire_bytes": 2_000,
    "decoded_bytes": 8_000,
    "items": 24.0,
}


def a_sized_run(mean_bytes: float, *, items: int = 0, checked: int = 0, n: int = 2000, **size: object) -> Run:
    measure = measured(*[20.0] * n)
    measure.bytes_in, measure.items, measure.checked = round(mean_bytes * n), items, checked
    slot = a_slot({QUOTES: measure}, counts=sessions(20))
    return a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP, sizes=({**SIZE, **size},)))


def verdict_of(run: Run) -> Verdict:
    return judge(run, DEFAULTS)


@pytest.mark.parametrize(
    ("mean_bytes", "ratio", "word"),
    [
        (8_000, 1.0, Word.PASS),
        (2_000, 1.0, Word.PASS),  # Compressed as recorded.
        (4_200, 0.525, Word.PASS),  # Nearer to the decoded size.
        (900, 0.45, Word.INCONCLUSIVE),
        (30, 0.015, Word.INCONCLUSIVE),
        (15_000, 1.875, Word.PASS),
        (90_000, 11.25, Word.PASS),
    ],
)
def test_less_than_half_of_either_recorded_size_is_no_pass(mean_bytes: float, ratio: float, word: Word) -> None:
    run = a_sized_run(mean_bytes)
    (likeness,) = likenesses(run)
    assert likeness.size_ratio == pytest.approx(ratio, rel=0.01)
    assert verdict_of(run).word is word


def test_the_reason_says_not_representative_and_the_exit_code_is_5() -> None:
    run = a_sized_run(30)
    verdict = verdict_of(run)
    assert verdict.exit_code is ExitCode.INCONCLUSIVE
    summary = summarise(run, verdict)
    assert summary["reasons"][0].startswith("not representative of the recording: GET /api/quotes: 0.01 of")
    assert summary["representation"]["is_representative"] is False
    assert summary["representation"]["routes"][0]["is_representative"] is False
    assert next_step(summary, Path("run")).startswith("rushhour verify "), "a longer run would not help"


def test_a_failure_stays_a_failure() -> None:
    measure = measured(*[20.0] * 10, errors={"status_500": 10})
    slot = a_slot({QUOTES: measure}, counts=sessions(20))
    assert verdict_of(a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP, sizes=(SIZE,)))).word is Word.FAIL


def test_heavier_answers_are_a_warning() -> None:
    run = a_sized_run(90_000)
    verdict = verdict_of(run)
    (warning,) = verdict.warnings
    assert warning.startswith("not representative of the recording, but heavier: GET /api/quotes: 11.25 of")
    summary = summarise(run, verdict)
    assert summary["warnings"] == [warning]
    assert summary["representation"]["is_representative"] is False


@pytest.mark.parametrize(
    ("n_events", "recorded_bytes", "is_said"), [(0, 2_000, True), (1, 2_000, False), (0, 20, False)]
)
def test_event_streams_that_bring_nothing_are_a_warning(n_events: int, recorded_bytes: int, is_said: bool) -> None:
    labels = (("route", "GET /events"),)
    size = {**SIZE, "route": "GET /events", "wire_bytes": recorded_bytes, "decoded_bytes": recorded_bytes, "items": 0.0}
    measures = {
        QUOTES: measured(*[20.0] * 2000),
        ("sse.connect", labels): measured(*[5.0] * 7),
        ("sse.event", labels): Measure(planned=n_events, ok=n_events),
    }
    run = a_run([a_slot(measures, counts=sessions(20))], run_facts=facts(planned=PLAN_OF_HTTP, sizes=(size,)))
    verdict = verdict_of(run)
    told = "not representative of the recording: GET /events: 7 event streams brought no event"
    assert (told in verdict.warnings) is is_said
    assert verdict.word is Word.PASS


def test_items_tell_what_sizes_do_not() -> None:
    assert verdict_of(a_sized_run(8_000, items=100, checked=100)).word is Word.INCONCLUSIVE
    assert verdict_of(a_sized_run(8_000, items=2400, checked=100)).word is Word.PASS
    assert verdict_of(a_sized_run(8_000, items=0, checked=4)).word is Word.PASS, "four answers are few"


@pytest.mark.parametrize(
    "changes", [{"kind": "asset"}, {"wire_bytes": 150, "decoded_bytes": 150}, {"wire_bytes": 0, "decoded_bytes": 0}]
)
def test_assets_small_bodies_and_none_at_all_are_not_judged(changes: dict[str, object]) -> None:
    assert verdict_of(a_sized_run(2, **{"items": 0.0, **changes})).word is Word.PASS  # type: ignore[arg-type]


def test_a_few_answers_say_nothing() -> None:
    run = a_sized_run(30, n=4)
    assert likenesses(run)[0].size_ratio is None and verdict_of(run).unlike == ()


def test_kinds_of_messages_are_compared_too() -> None:
    size = {**SIZE, "route": "WS /ws/market", "message": "snapshot", "kind": "message"}
    message = Measure(planned=50, ok=50, bytes_in=50 * 70)
    slot = a_slot({QUOTES: measured(*[20.0] * 2000), MESSAGE: message}, counts=sessions(20))
    run = a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP, sizes=(size,)))
    assert verdict_of(run).word is Word.INCONCLUSIVE
    assert representation_report(run)["routes"][0]["message"] == "snapshot"
