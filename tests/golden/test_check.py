"""A golden against a target that is as it was, changed, broken and slowed on purpose; and a golden that is old."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from captures.errors import ConfigError
from demo.server import Target, running_target
from demo.target.faults import Faults
from demo.target.settings import NS_PER_MS, Settings
from golden.folder import open_golden
from golden.scanning import scanned
from tests.commands import ROOT, RUSHHOUR, run_rushhour

pytestmark = pytest.mark.process

GOLDEN = ROOT / "captures" / "golden" / "demo"
# The machine that runs the tests may be busy; what counts here is what the target does.
SCENARIO = """\
users = 3
speed = 2
shape = "burst"
for = "3s"
at-end = "repeat"
allow-lag = true
threshold = ["session complete >= 0%", "http p95 < 500ms", "ws.reply p99 < 5s"]
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden of the first three seconds of the demo's."""
    directory = tmp_path_factory.mktemp("goldens") / "short"
    directory.mkdir()
    shutil.copy(GOLDEN / "users.csv", directory)
    (directory / "scenario.toml").write_text(SCENARIO)
    cut = run_rushhour("edit", str(GOLDEN / "market.rush"), "-o", "market.rush", "--to", "3s", cwd=directory)
    assert cut.returncode == 0, cut.stderr
    return directory


def checked(directory: Path, url: str, cwd: Path) -> dict[str, Any]:
    ended = run_rushhour("golden", "check", str(directory), "--target", url, "--json", cwd=cwd)
    document: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == document["exit_code"], ended.stderr
    return document


def test_a_target_that_is_as_it_was(short: Path, demo_target: Target, tmp_path: Path) -> None:
    ended = run_rushhour("golden", "check", str(short), "--target", demo_target.url, "--out", "run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["scan", "verify", "smoke", "golden"]
    assert ended.stdout.splitlines()[-1].startswith("golden   as recorded: ")
    assert (tmp_path / "run" / "report.html").is_file()


CAUSES = {
    "changed": (
        Settings(api_version=2),
        6,
        "contract changed: record again (rushhour golden update",
        "last is missing",
    ),
    "broken": (Settings(faults=Faults(error_rate=1.0)), 3, "server broken: ", "status_500"),
    "slowed": (Settings(faults=Faults(latency_ns=700 * NS_PER_MS)), 1, "slower: ", "http p95 < 500ms was not met: "),
}


@pytest.mark.parametrize(("settings", "code", "says", "shows"), CAUSES.values(), ids=CAUSES)
def test_the_causes_are_told_apart(
    settings: Settings, code: int, says: str, shows: str, short: Path, tmp_path: Path
) -> None:
    with running_target(settings) as target:
        document = checked(short, target.url, tmp_path)
    assert document["exit_code"] == code, document
    assert document["sentence"].startswith(says)
    assert shows in document["sentence"]


def test_a_target_that_is_not_there_is_broken(short: Path, tmp_path: Path) -> None:
    document = checked(short, "http://127.0.0.1:9", tmp_path)
    assert (document["exit_code"], document["cause"]) == (3, "server broken")
    assert "unreachable" in document["evidence"]


def test_what_is_no_golden_says_so(tmp_path: Path, market: Path) -> None:
    shutil.copy(market, tmp_path / "second.rush")
    for place, complaint in ((tmp_path, "holds 2 captures"), (tmp_path / "missing", "is no directory")):
        ended = run_rushhour("golden", "check", str(place), "--target", "http://127.0.0.1:9", cwd=tmp_path)
        assert ended.returncode == 2
        assert complaint in ended.stderr


def test_a_golden_with_a_secret_is_refused(tmp_path: Path) -> None:
    entry = {
        "startedDateTime": "2026-03-14T09:26:53.000Z",
        "time": 5,
        "request": {
            "method": "GET",
            "url": "http://shop.example/api?access_token=9aK3mPq7Zx1bT5vR8nLw2cYd",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Authorization", "value": "Bearer 9aK3mPq7Zx1bT5vR8nLw2cYd"}],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": [],
            "cookies": [],
            "content": {"size": 2, "mimeType": "text/plain", "text": "ok"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": 2,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 5, "receive": 0},
    }
    document = {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [entry]}}
    (tmp_path / "in.har").write_text(json.dumps(document))
    assert run_rushhour("convert", "in.har", "shop.rush", cwd=tmp_path).returncode == 0
    with pytest.raises(ConfigError, match="holds what looks like secrets"):
        scanned(open_golden(tmp_path).capture, None)


def a_year_later() -> dict[str, str]:
    """The environment of processes that live a year later; their monotonic clocks are left alone.

    Subtle: ``faketime`` stays as a parent that hands no signal on, so its library is loaded without it.
    """
    shown = subprocess.run(
        ["faketime", "-f", "+1y", "sh", "-c", 'echo "$LD_PRELOAD"'], capture_output=True, text=True, check=True
    )
    return {"LD_PRELOAD": shown.stdout.strip(), "FAKETIME": "+1y", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """The demo's target in a process with this environment; gives its URL."""
    process = subprocess.Popen(
        [RUSHHOUR, "demo", "--serve", "0"],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed: apt-get install faketime")
def test_a_golden_replays_a_year_later(tmp_path: Path) -> None:
    later = a_year_later()
    with serving(later) as url:
        arguments = ["replay", str(GOLDEN / "market.rush"), "--target", url, "--users", "3", "--speed", "5"]
        ended = run_rushhour(*arguments, "--allow-lag", "--out", "run", cwd=tmp_path, env=later)
    assert ended.returncode != 2, ended.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert datetime.fromisoformat(summary["started_at"]) > datetime.now(UTC) + timedelta(days=300)
    assert (summary["sessions"]["completed"], summary["totals"]["failed"]) == (3, 0), ended.stdout
    assert not summary["totals"]["not_sent"]


def test_without_a_command_it_explains_itself(tmp_path: Path) -> None:
    ended = run_rushhour("golden", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == run_rushhour("golden", "-h", cwd=tmp_path).stdout
