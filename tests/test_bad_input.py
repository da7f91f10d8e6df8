"""What goes wrong on the command line ends with one clear sentence and its exit code; nothing is overwritten."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Target
from tests.commands import RUSHHOUR, run_rushhour
from tests.ledgers import await_requests, n_requests

pytestmark = pytest.mark.process

READERS = [("inspect",), ("plan",), ("recover", "-o", "out.rush"), ("replay", "--target", "http://127.0.0.1:9")]


def _refused(ended: subprocess.CompletedProcess[str], exit_code: int, *named: str) -> None:
    """Check that a command ended with this code and one sentence that names these words.

    Indented lines under it may show the place.
    """
    assert ended.returncode == exit_code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    sentence, *pointers = ended.stderr.splitlines()
    assert all(line.startswith("  ") for line in pointers)
    for word in named:
        assert word in sentence


def _closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
def test_a_file_that_is_not_there(command: tuple[str, ...], tmp_path: Path) -> None:
    _refused(run_rushhour(*command, "missing.rush", cwd=tmp_path), 2, "missing.rush")
    assert not list(tmp_path.iterdir())


def test_a_run_directory_that_is_not_there(tmp_path: Path) -> None:
    _refused(run_rushhour("report", "runs/missing", cwd=tmp_path), 2, "runs/missing")


# What a user may take for a capture.
NO_CAPTURES = {
    "empty": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "har": b'{"log": {"entries": []}}',
    "picture": b"\x89PNG\r\n",
}


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize("content", NO_CAPTURES.values(), ids=NO_CAPTURES)
def test_a_file_that_is_no_capture(command: tuple[str, ...], content: bytes, tmp_path: Path) -> None:
    (tmp_path / "some.rush").write_bytes(content)
    _refused(run_rushhour(*command, "some.rush", cwd=tmp_path), 2, "some.rush")
    assert [path.name for path in tmp_path.iterdir()] == ["some.rush"]


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
def test_a_directory_in_place_of_a_capture(command: tuple[str, ...], tmp_path: Path) -> None:
    _refused(run_rushhour(*command, ".", cwd=tmp_path), 2)


@pytest.fixture
def truncated(market: Path) -> Path:
    """The golden capture as a recorder leaves it that was killed: its end is missing."""
    whole = market.read_bytes()
    market.write_bytes(whole[: len(whole) * 2 // 3])
    return market


def test_a_truncated_capture_is_shown_as_far_as_it_is_good(truncated: Path, tmp_path: Path) -> None:
    shown = run_rushhour("inspect", truncated.name, "--json", cwd=tmp_path)
    assert shown.returncode == 0
    document = json.loads(shown.stdout)
    assert document["complete"] is False
    assert document["damage"]
    assert document["exchanges"]


def test_a_truncated_capture_is_not_replayed_before_it_is_recovered(truncated: Path, tmp_path: Path) -> None:
    target = f"http://127.0.0.1:{_closed_port()}"
    _refused(
        run_rushhour("replay", truncated.name, "--target", target, cwd=tmp_path),
        2,
        f"rushhour recover {truncated.name} -o ",
    )
    assert not (tmp_path / "runs").exists()
    recovered = run_rushhour("recover", truncated.name, "-o", "good.rush", cwd=tmp_path)
    assert recovered.returncode == 0
    assert "lost" in recovered.stdout
    assert json.loads(run_rushhour("inspect", "good.rush", "--json", cwd=tmp_path).stdout)["complete"] is True
    _refused(run_rushhour("replay", "good.rush", "--target", target, cwd=tmp_path), 3, target)


# What is typed after FILE · exit code · what the sentence names.
REFUSED_REPLAYS = [
    ((), 2, ("--target",)),
    (("--target", "http://127.0.0.1:9/api"), 2, ("--target",)),
    (("--target", "ftp://127.0.0.1"), 2, ("ftp",)),
    (("--target", "127.0.0.1:9"), 2, ("127.0.0.1:9",)),
    (("--target", "http://192.0.2.1"), 2, ("192.0.2.1", "--allow-target")),
    (("--target", "http://127.0.0.1:9", "--scale", "0"), 2, ("--scale",)),
    (("--target", "http://127.0.0.1:9", "--scale", "2", "--users", "2"), 2, ("--scale", "--users")),
    (("--target", "http://127.0.0.1:9", "--users", "-1"), 2, ("--users",)),
    (("--target", "http://127.0.0.1:9", "--speed", "0"), 2, ("speed",)),
    (("--target", "http://127.0.0.1:9", "--shape", "square"), 2, ("square",)),
    (("--target", "http://127.0.0.1:9", "--max-gap", "5"), 2, ("--max-gap",)),
    (("--target", "http://127.0.0.1:9", "--threshold", "htp p95 < 200ms"), 2, ("htp",)),
    (("--target", "http://127.0.0.1:9", "--threshold", "http p95 < 200"), 2, ("200",)),
    (("--target", "http://127.0.0.1:9", "--thresholds", "missing.toml"), 2, ("missing.toml",)),
]


@pytest.mark.parametrize(("typed", "exit_code", "named"), REFUSED_REPLAYS)
def test_a_replay_that_cannot_be_is_refused_before_it_starts(
    typed: tuple[str, ...], exit_code: int, named: tuple[str, ...], market: Path, tmp_path: Path
) -> None:
    _refused(run_rushhour("replay", market.name, *typed, cwd=tmp_path), exit_code, *named)
    assert [path.name for path in tmp_path.iterdir()] == [market.name]


def test_a_target_that_is_down_is_unreachable(market: Path, tmp_path: Path) -> None:
    target = f"http://127.0.0.1:{_closed_port()}"
    _refused(run_rushhour("replay", market.name, "--target", target, cwd=tmp_path), 3, target, "refused")


def test_a_run_directory_that_holds_something_is_left_alone(market: Path, tmp_path: Path, demo_target: Target) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text("mine")
    ended = run_rushhour("replay", market.name, "--target", demo_target.url, "--out", "run", cwd=tmp_path)
    _refused(ended, 2, "run")
    assert (tmp_path / "run" / "summary.json").read_text() == "mine"
    assert len(list((tmp_path / "run").iterdir())) == 1


def test_a_capture_that_exists_is_never_written_over(market: Path, tmp_path: Path) -> None:
    before = market.read_bytes()
    _refused(run_rushhour("recover", market.name, "-o", market.name, cwd=tmp_path), 2, market.name)
    url = "http://127.0.0.1:9/"
    _refused(run_rushhour("record", url, "--headless", "-o", market.name, cwd=tmp_path), 2, market.name)
    assert market.read_bytes() == before


@pytest.fixture
def replaying(market: Path, tmp_path: Path, demo_target: Target) -> Iterator[subprocess.Popen[str]]:
    """A replay that has begun to send and has seconds to go."""
    n_before = n_requests(demo_target)
    arguments = ["replay", market.name, "--target", demo_target.url, "--users", "4", "--out", "run"]
    with subprocess.Popen([RUSHHOUR, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        await_requests(demo_target, n_before + 4)
        yield process
        process.kill()


def test_ctrl_c_writes_what_was_measured_and_exits_with_130(replaying: subprocess.Popen[str], tmp_path: Path) -> None:
    replaying.send_signal(signal.SIGINT)
    _, said = replaying.communicate(timeout=30)
    assert replaying.returncode == 130
    assert "Traceback" not in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["verdict"], summary["exit_code"]) == ("interrupted", 130)
    assert (tmp_path / "run" / "report.html").exists()
