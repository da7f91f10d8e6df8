"""``rushhour demo`` from start to verdict, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from demo.server import Target
from tests.commands import RUSHHOUR, run_rushhour

pytestmark = pytest.mark.process

SHORT = ("demo", "--seconds", "4", "--scale", "4", "--speed", "2", "--out", "run")


def _summary(directory: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((directory / "run" / "summary.json").read_text())
    return body


# A busy machine is late on top, and says so first; no machine lets such a target pass.
_FAILED = {1, 4}


def _failed(directory: Path) -> list[str]:
    return [row["expr"] for row in _summary(directory)["thresholds"] if row["outcome"] == "fail"]


@pytest.mark.browser
def test_the_demo_records_replays_judges_and_says_where_the_report_lies(tmp_path: Path) -> None:
    ended = run_rushhour(*SHORT, cwd=tmp_path)
    summary = _summary(tmp_path)
    assert summary["users"]["planned"] == summary["users"]["completed"] == 4
    assert summary["totals"]["failed"] == 0
    (storm,) = summary["storms"]
    assert storm["lost"] == storm["recovered"]
    assert ended.returncode == summary["exit_code"]
    assert "run/report.html" in ended.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "run.rush").is_file()


def test_without_chromium_a_script_visits_and_the_demo_says_so(tmp_path: Path) -> None:
    ended = run_rushhour(*SHORT, cwd=tmp_path, env={"PATH": "", "RUSHHOUR_BROWSER": ""})
    assert "no Chromium here" in ended.stderr
    summary = _summary(tmp_path)
    assert summary["users"]["completed"] == 4
    assert summary["totals"]["failed"] == 0


def test_an_injected_latency_fails_with_the_threshold_named(tmp_path: Path) -> None:
    ended = run_rushhour(*SHORT, "--latency", "300ms", cwd=tmp_path, env={"PATH": "", "RUSHHOUR_BROWSER": ""})
    assert ended.returncode in _FAILED
    assert "http p95 < 200ms" in _failed(tmp_path)
    assert "http p95 < 200ms was not met" in ended.stdout
    assert "300ms later" in ended.stderr


def test_refused_sockets_never_pass(tmp_path: Path) -> None:
    ended = run_rushhour(*SHORT, "--refuse-upgrades", cwd=tmp_path, env={"PATH": "", "RUSHHOUR_BROWSER": ""})
    assert ended.returncode in _FAILED
    assert "ws.connect errors < 1%" in _failed(tmp_path)


@pytest.mark.browser
@pytest.mark.parametrize("sign", ["record", "keep"])
def test_ctrl_c_ends_a_recording_with_130_and_a_kept_target_with_the_verdict(tmp_path: Path, sign: str) -> None:
    command = [RUSHHOUR, *SHORT, "--keep"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        next(line for line in demo.stderr if line.startswith(sign))
        time.sleep(1.5)
        demo.send_signal(signal.SIGINT)
        code = demo.wait(60)
    is_judged = (tmp_path / "run" / "summary.json").exists()
    assert code == (_summary(tmp_path)["exit_code"] if is_judged else 130)
    assert is_judged is (sign == "keep")


@pytest.mark.parametrize("taken", ["run", "run.rush"])
def test_what_exists_is_not_overwritten_and_nothing_is_recorded_first(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    ended = run_rushhour(*SHORT, cwd=tmp_path)
    assert ended.returncode == 2
    assert "--out" in ended.stderr
    assert (tmp_path / taken).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--latency", "300"),
        ("--seconds", "1"),
        ("--error-rate", "2"),
        ("--scale", "0"),
        ("--speed", "0"),
        ("--workers", "0"),
    ],
)
def test_a_wrong_option_is_a_usage_error(tmp_path: Path, wrong: tuple[str, str]) -> None:
    ended = run_rushhour("demo", *wrong, cwd=tmp_path)
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in ended.stderr


def test_a_setting_of_the_environment_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    ended = run_rushhour(*SHORT, cwd=tmp_path, env={"DEMO_TICK": "often"})
    assert ended.returncode == 2
    assert "DEMO_TICK" in ended.stderr


def test_a_port_that_is_taken_is_named_with_what_to_do(demo_target: Target, tmp_path: Path) -> None:
    port = demo_target.url.rpartition(":")[2]
    ended = run_rushhour("demo", "--serve", port, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--serve 0" in ended.stderr
