"""A whole replay: real capture, real plan, real workers, a real server, the run directory and the exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from replayer.pool.protocol import LEASE_S
from tests.commands import ROOT, RUSHHOUR
from tests.replayer.shop import N_REQUESTS, STRANGER, Shop, open_shop, write_visit

pytestmark = pytest.mark.process

COMMAND = [sys.executable, str(ROOT / "rushhour.py")]
RELAXED = ("--allow-lag", "--threshold", "http p95 < 5s")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.fixture
def visit(tmp_path: Path, shop: Shop) -> Path:
    shop.seen.clear()
    shop.headers.clear()
    return write_visit(tmp_path / "visit.rush")


def replay(
    cwd: Path, *arguments: str, command: Sequence[str] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "replay", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def summary_of(directory: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((directory / "summary.json").read_text())
    return summary


def test_a_crowd_replays_a_visit_and_the_targets_ledger_balances(visit: Path, shop: Shop, tmp_path: Path) -> None:
    ended = replay(
        tmp_path, visit.name, "--target", shop.url, "--scale", "6", "--workers", "2", "--out", "run", *RELAXED
    )
    assert ended.returncode == 0, ended.stderr
    assert f"https://{STRANGER}: 1 exchanges left out" in ended.stderr
    assert "POST /api/orders" in ended.stderr
    summary = summary_of(tmp_path / "run")
    assert summary["users"]["completed"] == 6
    assert summary["totals"]["ok"] == 6 * N_REQUESTS
    assert summary["dropped_origins"] == {f"https://{STRANGER}": 1}
    assert summary["options"]["scale"] == 6
    assert Counter(shop.seen) == {
        ("GET", "/"): 6,
        ("GET", "/api/quotes"): 12,
        ("POST", "/api/orders"): 6,
    }, "and the probe asked for nothing"
    assert {headers["host"] for headers in shop.headers} == {shop.url.removeprefix("http://")}
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert modes["run.rush"] == 0o600


def test_json_is_one_document_on_stdout(visit: Path, shop: Shop, tmp_path: Path) -> None:
    ended = replay(tmp_path, visit.name, "--target", shop.url, "--out", "run", "--json", *RELAXED)
    assert json.loads(ended.stdout) == summary_of(tmp_path / "run")


def test_headers_from_the_environment_reach_the_target_and_no_file(visit: Path, shop: Shop, tmp_path: Path) -> None:
    ended = replay(
        tmp_path, visit.name, "--target", shop.url, "--out", "run", "--header", "X-Key=env:KEY", *RELAXED, KEY="hunter2"
    )
    assert ended.returncode == 0, ended.stderr
    assert {headers.get("x-key") for headers in shop.headers} == {"hunter2"}
    assert not [path for path in (tmp_path / "run").iterdir() if b"hunter2" in path.read_bytes()]


def test_a_threshold_that_fails_exits_with_1(visit: Path, shop: Shop, tmp_path: Path) -> None:
    ended = replay(tmp_path, visit.name, "--target", shop.url, "--threshold", "http count > 1000", "--allow-lag")
    assert ended.returncode == 1, ended.stderr
    (directory,) = (tmp_path / "runs").iterdir()
    assert summary_of(directory)["verdict"] == "fail"


@pytest.mark.parametrize("command", [[RUSHHOUR], [sys.executable, "-m", "rushhour"]], ids=["script", "module"])
def test_it_works_beside_foreign_packages_of_the_same_names(
    visit: Path, shop: Shop, tmp_path: Path, command: list[str]
) -> None:
    foreign = ["analysis", "captures", "demo", "recorder", "replayer"]
    if command == [RUSHHOUR]:
        foreign += ["multiprocess", "dill"]  # python -m looks into the current directory first, by Python's own rule
    for package in foreign:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('a foreign package was imported')\n")
    ended = replay(tmp_path, visit.name, "--target", shop.url, "--out", "run", *RELAXED, command=command)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_is_sent_to_a_target_that_is_refused(visit: Path, shop: Shop, tmp_path: Path) -> None:
    port = shop.url.rpartition(":")[2]
    ended = replay(
        tmp_path, visit.name, "--target", f"http://shop.example:{port}", "--resolve", "shop.example=192.0.2.1"
    )
    assert ended.returncode == 2
    assert "--allow-target shop.example" in ended.stderr
    assert shop.seen == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [visit.name]


def test_a_project_file_is_not_enough_for_the_recorded_host(visit: Path, tmp_path: Path) -> None:
    (tmp_path / "rushhour.toml").write_text('[targets]\nallow = ["shop.example"]\n')
    ended = replay(tmp_path, visit.name, "--target", "https://shop.example", "--resolve", "shop.example=192.0.2.1")
    assert ended.returncode == 2
    assert "rushhour.toml is not enough" in ended.stderr


def test_many_writers_need_leave_off_loopback(visit: Path, tmp_path: Path) -> None:
    arguments = (visit.name, "--target", "http://stage.example", "--resolve", "stage.example=192.0.2.1")
    ended = replay(tmp_path, *arguments, "--users", "2", "--allow-target", "stage.example")
    assert ended.returncode == 2
    assert "POST /api/orders" in ended.stderr
    assert "--allow-writes" in ended.stderr


def test_a_closed_port_is_unreachable(visit: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = replay(tmp_path, visit.name, "--target", f"http://127.0.0.1:{port}")
    assert ended.returncode == 3
    assert "unreachable" in ended.stderr


def test_a_map_of_an_origin_that_was_not_recorded_is_refused(visit: Path, shop: Shop, tmp_path: Path) -> None:
    ended = replay(tmp_path, visit.name, "--target", shop.url, "--map", f"https://other.example={shop.url}")
    assert ended.returncode == 2
    assert "https://cdn.example" in ended.stderr


@pytest.fixture
def running(shop: Shop, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start a replay with long pauses and wait until its users have begun."""
    processes: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        shop.seen.clear()
        visit = write_visit(tmp_path / "slow.rush", gap_ms=4000)
        arguments = ["replay", visit.name, "--target", shop.url, "--users", "4", "--workers", "2", "--out", "run"]
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--shape", "burst"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        deadline_s = time.monotonic() + 30
        while len(shop.seen) < 4:
            assert time.monotonic() < deadline_s and process.poll() is None
            time.sleep(0.02)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_it_has(
    running: Callable[[], subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    process = running()
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    summary = summary_of(tmp_path / "run")
    assert summary["verdict"] == "interrupted"
    assert summary["totals"]["ok"] >= 4


def test_a_killed_worker_makes_the_run_invalid(
    running: Callable[[], subprocess.Popen[str]], tmp_path: Path, shop: Shop
) -> None:
    process = running()
    killed, survivor = workers_of(process)
    os.kill(killed, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 4, said
    assert summary_of(tmp_path / "run")["verdict"] == "invalid"
    assert "worker" in said or "killed by signal 9" in json.dumps(summary_of(tmp_path / "run"))
    assert shop.seen.count(("GET", "/")) == 4, "nobody played the lost users again"
    with pytest.raises(ProcessLookupError):
        os.kill(survivor, 0)


@pytest.mark.parametrize("who", ["worker", "controller"])
def test_a_pause_longer_than_the_lease_makes_the_run_invalid(
    running: Callable[[], subprocess.Popen[str]], tmp_path: Path, shop: Shop, who: str
) -> None:
    process = running()
    pid = workers_of(process)[0] if who == "worker" else process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(LEASE_S * 1.5)
    os.kill(pid, signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 4
    assert summary_of(tmp_path / "run")["verdict"] == "invalid"
    assert shop.seen.count(("GET", "/")) == 4


def test_no_worker_outlives_a_killed_controller(running: Callable[[], subprocess.Popen[str]]) -> None:
    process = running()
    workers = workers_of(process)
    assert len(workers) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline_s = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline_s, "a worker is left"
        time.sleep(0.05)
