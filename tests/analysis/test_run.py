from __future__ import annotations

from pathlib import Path

import pytest

from analysis.run import (
    RUN_FILE,
    Ended,
    Judging,
    RunEnd,
    append_judging,
    open_run,
    prepare_directory,
    read_run,
)
from analysis.slots import SecondSlot
from analysis.steplog import StepLog, StepRecord
from captures.errors import CaptureError, ConfigError
from tests.analysis.runs import FINISHED, QUOTES, a_run, a_slot, measured
from tests.analysis.synthetic_run import facts, slots

JUDGING = Judging(thresholds=(("http p95 < 1s", "--threshold"),), strict=True, allow_lag=True)


def stored(directory: Path, some_slots: list[SecondSlot], end: RunEnd | None = FINISHED) -> Path:
    writer = open_run(directory, facts())
    for slot in some_slots:
        writer.add(slot)
    if end is None:
        writer.close()
    else:
        writer.finish(end)
    return directory


def test_a_run_comes_back_as_it_was_measured(tmp_path: Path) -> None:
    some = list(slots(n_workers=3, n_seconds=40))
    run = read_run(stored(tmp_path / "run", some))
    expected = a_run(some, run_facts=facts())
    assert (run.facts, run.end, run.damage) == (facts(), FINISHED, [])
    assert (run.seconds, run.windows, run.workers) == (expected.seconds, expected.windows, expected.workers)
    assert run.is_complete


def test_facts_and_end_keep_every_field(tmp_path: Path) -> None:
    end = RunEnd(duration_s=3.5, ended=Ended.ABORTED, lost_workers=(1, 3), notes=("a note",))
    special = facts(notes=("said before",), options={"header": ["a", 1, None, True]}, dropped_origins={"http://x": 3})
    writer = open_run(tmp_path / "run", special)
    writer.judge_by(JUDGING)
    writer.finish(end)
    run = read_run(tmp_path / "run")
    assert (run.facts, run.end, run.judging) == (special, end, JUDGING)


def test_the_last_judging_counts(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run", [])
    append_judging(directory, JUDGING)
    append_judging(directory, Judging())
    assert read_run(directory).judging == Judging()


def test_whole_steps_are_kept(tmp_path: Path) -> None:
    step = StepRecord(3, 0, 7, QUOTES, 10, 20, 30, "status_500", 500, "what was seen")
    slot = a_slot({QUOTES: measured(1.0)})
    slot.steps.append(step)
    assert read_run(stored(tmp_path / "run", [slot])).whole.steps == StepLog([step])


def test_a_slot_that_comes_twice_is_stored_once(tmp_path: Path) -> None:
    writer = open_run(tmp_path / "run", facts())
    assert writer.add(a_slot({QUOTES: measured(1.0)}))
    assert not writer.add(a_slot({QUOTES: measured(1.0)}))
    writer.finish(FINISHED)
    assert read_run(tmp_path / "run").measure("http").ok == 1


def test_a_killed_controller_leaves_all_but_the_last_seconds(tmp_path: Path) -> None:
    writer = open_run(tmp_path / "run", facts())
    for second in range(30):
        writer.add(a_slot({QUOTES: measured(1.0)}, second=second))
    run = read_run(tmp_path / "run")
    writer.close()
    assert run.end is None
    assert not run.is_complete
    assert run.measure("http").ok >= 27
    assert any("no end" in sentence for sentence in run.damage)


def test_what_was_added_before_an_error_of_ours_stays(tmp_path: Path) -> None:
    run = read_run(stored(tmp_path / "run", [a_slot({QUOTES: measured(1.0)})], end=None))
    assert run.measure("http").ok == 1
    assert run.duration_s == 1.0


def test_a_truncated_file_gives_what_is_whole_and_says_what_is_missing(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run", [a_slot({QUOTES: measured(1.0)}, second=s) for s in range(40)])
    path = directory / RUN_FILE
    path.write_bytes(path.read_bytes()[:-200])
    run = read_run(directory)
    assert 0 < run.measure("http").ok <= 40
    assert any("cannot be read" in sentence for sentence in run.damage)
    assert not run.is_complete


def test_a_file_cut_before_its_facts_cannot_be_reported(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run", [])
    path = directory / RUN_FILE
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CaptureError, match="facts of the run are missing"):
        read_run(directory)


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="not a run directory"):
            read_run(directory)


def test_an_output_that_exists_and_is_not_empty_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="not empty"):
        open_run(tmp_path, facts())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match="cannot make the run directory"):
        prepare_directory(tmp_path / "file")


def test_an_empty_directory_and_missing_parents_will_do(tmp_path: Path) -> None:
    prepare_directory(tmp_path)
    prepare_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_run_file_is_small(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run", list(slots()))
    assert (directory / RUN_FILE).stat().st_size < 1_000_000
