from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analysis.outputs import rebuild_outputs, write_outputs
from analysis.run import RUN_FILE, open_run, read_run
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import Word
from tests.analysis.runs import FINISHED, QUOTES, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

OWN = (parse_threshold("http p95 < 5ms"),)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    writer = open_run(tmp_path / "run", facts(planned={"http": 3, "session": 1}))
    writer.add(a_slot({QUOTES: measured(*[20.0] * 300)}, counts=sessions(20)))
    writer.finish(FINISHED)
    return tmp_path / "run"


def test_summary_and_report_are_written_for_the_owner_only(run_dir: Path) -> None:
    assert write_outputs(run_dir, DEFAULTS).verdict.word is Word.PASS
    assert sorted(path.name for path in run_dir.iterdir()) == ["report.html", RUN_FILE, "summary.json"]
    assert {path.stat().st_mode & 0o777 for path in run_dir.iterdir()} == {0o600}


def test_everything_is_rebuilt_from_the_run_file_alone(run_dir: Path) -> None:
    write_outputs(run_dir, in_force(OWN), strict=True)
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    (run_dir / "summary.json").unlink()
    (run_dir / "report.html").write_text("something else")
    judged = rebuild_outputs(run_dir)
    assert judged.verdict.word is Word.FAIL
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before
    assert json.loads(before["summary.json"]) == judged.summary


def test_judging_again_by_other_thresholds_is_remembered(run_dir: Path) -> None:
    assert write_outputs(run_dir, in_force(OWN)).verdict.word is Word.FAIL
    assert write_outputs(run_dir, DEFAULTS).verdict.word is Word.PASS
    assert rebuild_outputs(run_dir).verdict.word is Word.PASS


def test_judging_again_the_same_way_does_not_grow_the_file(run_dir: Path) -> None:
    write_outputs(run_dir, DEFAULTS)
    size = (run_dir / RUN_FILE).stat().st_size
    write_outputs(run_dir, DEFAULTS)
    assert (run_dir / RUN_FILE).stat().st_size == size


def test_a_run_that_was_never_judged_is_judged_by_the_defaults(run_dir: Path) -> None:
    assert len(rebuild_outputs(run_dir).summary["thresholds"]) == len(DEFAULTS)


def test_a_damaged_run_is_reported_and_its_file_left_alone(run_dir: Path) -> None:
    path = run_dir / RUN_FILE
    path.write_bytes(path.read_bytes()[:-3])
    before = path.read_bytes()
    assert write_outputs(run_dir, DEFAULTS).verdict.word is Word.INVALID
    assert path.read_bytes() == before
    assert read_run(run_dir).damage


def test_what_cannot_be_written_is_told_and_takes_nothing_from_the_verdict(run_dir: Path) -> None:
    (run_dir / "summary.json").mkdir()
    judged = write_outputs(run_dir, in_force(OWN))
    assert judged.verdict.word is Word.FAIL
    assert "cannot write" in judged.unwritten[0]
    assert "summary.json" in judged.unwritten[0]
    assert f"rushhour report {run_dir}" in judged.unwritten[-1]
    assert sorted(path.name for path in run_dir.iterdir()) == ["report.html", RUN_FILE, "summary.json"]
    assert rebuild_outputs(run_dir).verdict.word is Word.FAIL


def test_a_run_file_that_cannot_be_written_any_more_is_judged_all_the_same(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (run_dir / RUN_FILE).stat().st_size

    def half(descriptor: int, data: Buffer) -> int:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(descriptor, memoryview(data)[:5]))
        return written[-1]

    written: list[int] = []
    write = os.write
    monkeypatch.setattr("analysis.runfile.os.write", half)
    judged = write_outputs(run_dir, in_force(OWN))
    monkeypatch.undo()
    assert judged.verdict.word is Word.FAIL
    assert "No space left" in judged.unwritten[0]
    assert (run_dir / RUN_FILE).stat().st_size == size
    assert not read_run(run_dir).damage
