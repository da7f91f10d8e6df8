from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.cli import report
from analysis.outputs import write_outputs
from analysis.run import RUN_FILE, open_run
from analysis.thresholds import in_force, parse_threshold
from captures.errors import ConfigError
from tests.analysis.runs import FINISHED, QUOTES, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    writer = open_run(tmp_path / "run", facts(planned={"http": 3, "session": 1}))
    writer.add(a_slot({QUOTES: measured(*[20.0] * 300)}, counts=sessions(20)))
    writer.finish(FINISHED)
    write_outputs(tmp_path / "run", in_force([parse_threshold("http p95 < 5ms")]))
    return tmp_path / "run"


def test_report_exits_with_zero_whatever_the_verdict_was(run_dir: Path) -> None:
    result = CliRunner().invoke(report, [str(run_dir)])
    assert result.exit_code == 0
    assert result.output.startswith("FAIL")
    assert "report.html" in result.output


def test_json_is_exactly_one_document(run_dir: Path) -> None:
    result = CliRunner().invoke(report, [str(run_dir), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"] == "fail"
    assert json.loads(result.stdout) == json.loads((run_dir / "summary.json").read_text())


def test_a_damaged_run_exits_with_2_and_is_reported_all_the_same(
    run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = run_dir / RUN_FILE
    path.write_bytes(path.read_bytes()[:-3])
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(report, [str(run_dir), "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["complete"] is False
    assert "cannot be read" in caplog.text


def test_what_is_no_run_directory_is_an_error_of_the_user(tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(tmp_path)])
    assert isinstance(result.exception, ConfigError)


def test_help_has_two_examples() -> None:
    text = CliRunner().invoke(report, ["--help"]).output
    assert text.count("\n    rushhour report") >= 2
