from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.recorded import MAX_STEPS, Recorded, RecordedSession, RecordedStep, within_budget
from analysis.report.played import chosen_sessions, sessions_of
from analysis.run import Run, open_run, read_run
from analysis.steplog import StepLog, StepRecord
from tests.analysis.runs import FINISHED, a_run, a_slot
from tests.analysis.synthetic_run import facts, recorded

MS = 1_000_000
SERIES = ("http", (("kind", "api"), ("route", "GET /a")))
OTHER = ("http", (("kind", "api"), ("route", "GET /b")))


def a_step(step: int, at_ms: int, took_ms: int = 5, *, user: int = 0, outcome: str = "ok") -> StepRecord:
    at_ns = at_ms * MS
    return StepRecord(user, 0, step, SERIES, at_ns, at_ns + MS, at_ns + took_ms * MS, outcome)


def then(index: int, at_ms: int, series: tuple[str, tuple[tuple[str, str], ...]] = SERIES) -> RecordedStep:
    return RecordedStep(index=index, series=series, at_ns=at_ms * MS, duration_ns=2 * MS)


def played(*steps: StepRecord, sessions: tuple[RecordedSession, ...] = ()) -> Run:
    slot = a_slot()
    slot.steps = StepLog(steps)
    run = a_run([slot])
    run.recorded = Recorded(sessions=sessions)
    return run


def test_a_step_that_comes_again_begins_the_next_pass() -> None:
    run = played(*(a_step(step, at_ms) for at_ms, step in enumerate((0, 1, 2, 0, 1, 2, 1))))
    assert [[step.index for step in each.steps] for each in sessions_of(run)] == [[0, 1, 2], [0, 1, 2], [1]]


def test_a_user_arrives_where_no_step_is_due_before_its_recorded_place() -> None:
    session = RecordedSession(number=0, steps=(then(0, 0), then(1, 100), then(2, 300)))
    # Step 1 of the run is the first that was on time, so it says when the user came: at 1000 ms.
    run = played(a_step(0, 1040), a_step(1, 1100), a_step(2, 1350), sessions=(session,))
    (found,) = sessions_of(run)
    assert found.arrived_ns == 1000 * MS
    assert [step.intended_ns // MS for step in found.steps] == [40, 100, 350]
    assert found.late_ns == (355 - 302) * MS


def test_sessions_that_share_a_number_are_told_apart_by_their_steps() -> None:
    wrong = RecordedSession(number=0, steps=(then(0, 0, OTHER), then(1, 900, OTHER)))
    right = RecordedSession(number=0, steps=(then(0, 0), then(1, 10)))
    (found,) = sessions_of(played(a_step(0, 0), a_step(1, 10), sessions=(wrong, right)))
    assert [step.recorded for step in found.steps] == list(right.steps)


def test_without_a_recording_there_is_only_what_was_played() -> None:
    (found,) = sessions_of(played(a_step(0, 50), a_step(1, 80)))
    assert [step.recorded for step in found.steps] == [None, None]
    assert found.arrived_ns == 50 * MS


def test_slowest_median_and_failed_are_chosen_among_sessions_of_several_steps() -> None:
    steps = [a_step(step, 10 * step, 5 + 20 * user, user=user) for user in range(5) for step in range(3)]
    steps += [a_step(0, 0, 900, user=7), a_step(0, 0, user=8), a_step(1, 1, user=8)]
    steps += [a_step(step, step, user=9, outcome="reset" if step == 2 else "ok") for step in range(3)]
    chosen = {name: session.user for name, session in chosen_sessions(played(*steps))}
    assert chosen == {"slowest": 4, "median": 2, "failed": 9}


def test_what_was_recorded_comes_back_from_the_run_file(tmp_path: Path) -> None:
    writer = open_run(tmp_path / "run", facts())
    writer.tell_recorded(recorded())
    writer.finish(FINISHED)
    assert read_run(tmp_path / "run").recorded == recorded()


def test_a_run_file_without_a_recording_is_whole(tmp_path: Path) -> None:
    writer = open_run(tmp_path / "run", facts())
    writer.finish(FINISHED)
    run = read_run(tmp_path / "run")
    assert run.recorded == Recorded()
    assert run.is_complete


@pytest.mark.parametrize(("sizes", "kept"), [((3, 4), 2), ((3, MAX_STEPS, 4), 2), ((MAX_STEPS + 1,), 0)])
def test_sessions_are_kept_whole_or_not_at_all(sizes: tuple[int, ...], kept: int) -> None:
    steps = (then(0, 0),) * (MAX_STEPS + 1)
    sessions = [RecordedSession(number=number, steps=steps[:size]) for number, size in enumerate(sizes)]
    assert len(within_budget(sessions)) == kept


def test_recorded_times_are_chosen_as_a_threshold_chooses_them() -> None:
    asset = ("http", (("kind", "asset"), ("route", "GET /x")))
    times = replace(recorded(), times={SERIES: {100: 2}, OTHER: {100: 3}, asset: {7: 9}})
    assert times.distribution("http").histogram.n == 5
    assert times.distribution(*SERIES).histogram.n == 2
    assert times.distribution(*asset).histogram.n == 9
