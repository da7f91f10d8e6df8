"""The user's commands before and after a run: when they run, what they are told, and what becomes of their failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from captures.errors import ConfigError, SetupFailed
from demo.server import Target
from replayer.around import Around
from replayer.options.around import AroundOptions, around_from
from tests.commands import run_rushhour

pytestmark = pytest.mark.process

TELL = 'echo "$RUSHHOUR_VERDICT/$RUSHHOUR_EXIT_CODE/$RUSHHOUR_TARGET/$RUSHHOUR_RUN_DIR" > told'
NOBODY = "http://127.0.0.1:9"


def test_after_is_told_the_verdict_and_finds_the_report(market: Path, demo_target: Target, tmp_path: Path) -> None:
    quick = ["--speed", "10", "--allow-lag", "--out", "run", "--json"]
    around = ["--before", "echo from before; date > begun", "--after", f"test -s run/report.html && {TELL}"]
    ended = run_rushhour("replay", market.name, "--target", demo_target.url, *quick, *around, cwd=tmp_path)
    summary = json.loads(ended.stdout)
    assert (tmp_path / "begun").is_file()
    assert "from before" in ended.stderr
    expected = f"{summary['verdict']}/{ended.returncode}/{demo_target.url}/run"
    assert (tmp_path / "told").read_text().strip() == expected


def test_a_before_that_fails_is_the_end_and_after_still_runs(market: Path, tmp_path: Path) -> None:
    around = ["--before", "exit 7", "--after", TELL]
    ended = run_rushhour("replay", market.name, "--target", NOBODY, *around, "--out", "run", cwd=tmp_path)
    assert ended.returncode == 3
    assert "--before ended with 7" in ended.stderr
    assert "nothing was sent" in ended.stderr
    assert (tmp_path / "told").read_text().strip() == f"/3/{NOBODY}/run"
    assert not (tmp_path / "run").exists()


def test_nothing_runs_where_the_command_line_is_wrong(market: Path, tmp_path: Path) -> None:
    around = ["--before", "date > begun", "--after", "date > ended", "--threshold", "htp p95 < 1ms"]
    assert run_rushhour("replay", market.name, "--target", NOBODY, *around, cwd=tmp_path).returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == [market.name]


def test_a_warm_up_as_long_as_the_run_is_refused(market: Path, tmp_path: Path) -> None:
    ended = run_rushhour("replay", market.name, "--target", NOBODY, "--warmup", "1m", cwd=tmp_path)
    assert ended.returncode == 2
    assert "nothing would be judged" in ended.stderr


def test_a_failing_after_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    around = Around(AroundOptions(after="exit 3"), target=NOBODY)
    around.begin(tmp_path)
    around.end(exit_code=0, verdict="pass")
    assert "--after ended with 3; the verdict stays as it is" in caplog.text


def test_after_does_not_run_where_nothing_was_begun(tmp_path: Path) -> None:
    Around(AroundOptions(after=f"date > {tmp_path}/ended"), target=NOBODY).end(exit_code=2, verdict="")
    assert not list(tmp_path.iterdir())


def test_a_before_that_is_no_command_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="--before ended with 127"):
        Around(AroundOptions(before="no-such-command-here"), target=NOBODY).begin(tmp_path)


@pytest.mark.parametrize("name", ["before", "after"])
def test_an_empty_command_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--{name} is empty"):
        around_from({"before": None, "after": None, name: " "})
