"""Contract tests of controller and local executor: real processes, real pipes, fake workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.slots import SecondSlot
from captures.errors import ReplayError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.pool.controller import LEASE_NS, Ending, Patience
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.run import Outcome, run_workers
from tests.fakes_workers import N_SECONDS

pytestmark = pytest.mark.process

FAKES = "tests.fakes_workers:main"
HOUR_NS = 3600 * NS_PER_S
QUICK = Patience(lead_ns=20 * NS_PER_MS, drain_ns=300 * NS_PER_MS, grace_ns=200 * NS_PER_MS, abort_ns=200 * NS_PER_MS)
ROOT = Path(__file__).resolve().parents[2]


class Stage:
    """Runs fake workers, one per mode, and keeps what came of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.slots: list[SecondSlot] = []
        self.warnings: list[str] = []
        self.pids: dict[int, int] = {}
        self.executor = LocalExecutor(FAKES)

    def run(
        self, *modes: str, patience: Patience = QUICK, on_turn: Callable[[float], None] = lambda _: None, **extra: Any
    ) -> Outcome:
        bodies = [
            {"worker": number, "mode": mode, "log": str(self.directory / f"{number}.log"), **extra}
            for number, mode in enumerate(modes)
        ]
        return run_workers(
            bodies,
            executor=self.executor,
            on_ready=self._ready,
            on_slot=self.slots.append,
            on_turn=on_turn,
            patience=patience,
        )

    def log(self, worker: int) -> list[str]:
        path = self.directory / f"{worker}.log"
        return path.read_text().splitlines() if path.exists() else []

    def seconds(self, worker: int) -> list[int]:
        return [slot.second for slot in self.slots if slot.worker == worker]

    def _ready(self, warnings: Any) -> None:
        self.warnings = list(warnings)
        self.pids = self.executor.pids()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for pid in stage.pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def once(action: Callable[[], None], *, after_s: float = 0.1) -> Callable[[float], None]:
    """Call ``action`` at the first turn later than ``after_s``."""
    done: list[bool] = []

    def on_turn(elapsed_s: float) -> None:
        if elapsed_s > after_s and not done:
            done.append(True)
            action()

    return on_turn


def test_all_workers_start_at_one_instant_and_their_slots_arrive_once(stage: Stage) -> None:
    outcome = stage.run("plays", "plays", "repeats_itself")
    assert outcome.ending is Ending.FINISHED
    assert outcome.lost == ()
    for worker in range(3):
        assert stage.seconds(worker) == list(range(N_SECONDS))
    starts = [line for worker in range(3) for line in stage.log(worker) if line.startswith("go")]
    assert len(starts) == 3
    assert len(set(starts)) == 1
    assert sorted(stage.warnings) == ["worker 0: few descriptors", "worker 1: few descriptors"]


def test_a_worker_does_not_import_our_main_nor_look_into_the_current_directory(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for package in ("analysis", "captures", "replayer", "recorder"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('a foreign package was imported')\n")
    monkeypatch.syspath_prepend("")
    assert stage.run("plays").ending is Ending.FINISHED
    assert stage.log(0)[0] == "path False main __main__ click False"


def test_a_killed_worker_is_lost_and_not_started_again(stage: Stage) -> None:
    patience = Patience(lead_ns=QUICK.lead_ns, silence_ns=HOUR_NS, drain_ns=HOUR_NS)
    kill = once(lambda: os.kill(stage.pids[1], signal.SIGKILL))
    outcome = stage.run("plays_on", "plays_on", patience=patience, on_turn=kill)
    assert outcome.ending is Ending.LOST
    assert outcome.lost == (1,)
    assert "worker 1 was killed by signal 9" in outcome.notes
    assert [line.split()[0] for line in stage.log(1)].count("go") == 1
    assert stage.log(0)[-1] == "end stop"


def test_a_stopped_worker_falls_silent_and_is_lost(stage: Stage) -> None:
    patience = Patience(lead_ns=QUICK.lead_ns, silence_ns=400 * NS_PER_MS, drain_ns=HOUR_NS)
    stop = once(lambda: os.kill(stage.pids[0], signal.SIGSTOP))
    outcome = stage.run("plays_on", "plays_on", patience=patience, on_turn=stop)
    assert outcome.lost == (0,)
    assert outcome.notes[-1] == "worker 0 fell silent"
    assert stage.log(1)[-1] == "end stop"


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("talks_nonsense", "sent what is no message"),
        ("fails_while_running", "failed: descriptors are exhausted"),
    ],
)
def test_a_worker_that_breaks_the_conversation_is_lost(stage: Stage, mode: str, note: str) -> None:
    outcome = stage.run("plays_on", mode)
    assert outcome.ending is Ending.LOST
    assert outcome.lost == (1,)
    assert note in " ".join(outcome.notes)


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("fails_to_prepare", "failed: too few descriptors"),
        ("never_gets_ready", "was not ready in time"),
    ],
)
def test_nothing_starts_unless_every_worker_is_ready(stage: Stage, mode: str, note: str) -> None:
    with pytest.raises(ReplayError, match=note):
        stage.run("plays", mode, patience=Patience(ready_ns=3 * NS_PER_S, abort_ns=QUICK.abort_ns))
    assert not any(line.startswith("go") for line in stage.log(0))
    assert stage.slots == []


def test_a_worker_that_dies_at_birth_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.executor.close(0)
    stage.executor = LocalExecutor("tests.fakes_workers:dies_at_birth")
    with pytest.raises(ReplayError, match="exit code 7"):
        stage.run("plays")


def test_a_worker_that_is_ready_twice_is_never_told_to_go_twice(stage: Stage) -> None:
    try:
        stage.run("plays", "is_ready_twice")
    except ReplayError as error:
        assert "READY while READY" in str(error)
    assert sum(line.startswith("go") for line in stage.log(1)) <= 1


def test_a_worker_that_reads_late_holds_nobody_up(stage: Stage) -> None:
    outcome = stage.run("reads_late", "plays", filler=b"\0" * 3_000_000)
    assert outcome.ending is Ending.FINISHED
    assert stage.seconds(0) == stage.seconds(1) == list(range(N_SECONDS))


def test_a_stubborn_worker_is_ended_after_the_drain(stage: Stage) -> None:
    interrupt = once(lambda: os.kill(os.getpid(), signal.SIGINT))
    outcome = stage.run("ignores_everything", "plays_on", on_turn=interrupt)
    assert outcome.ending is Ending.INTERRUPTED
    assert outcome.notes[-1].startswith("worker 0 was cut off")
    assert stage.log(1)[-1] == "end stop"


def test_an_error_of_the_caller_leaves_no_worker_behind(stage: Stage) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        stage.run("plays_on", "ignores_everything", on_turn=once(fail))


SCRIPT = """
import json, sys
from captures.units import NS_PER_S
from replayer.pool.controller import Patience
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.run import run_workers

directory, *modes = sys.argv[1:]
bodies = [{"worker": n, "mode": mode, "log": f"{directory}/{n}.log"} for n, mode in enumerate(modes)]
executor = LocalExecutor("tests.fakes_workers:main")
slots = []
outcome = run_workers(
    bodies, executor=executor, on_ready=lambda _: None, on_slot=slots.append,
    on_turn=lambda elapsed_s: print("turn", flush=True), patience=Patience(drain_ns=3600 * NS_PER_S),
)
print(json.dumps({"ending": outcome.ending.value, "lost": outcome.lost, "slots": len(slots)}), flush=True)
"""


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*modes: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path), *modes],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "turn\n"
        while "send" not in (tmp_path / "0.log").read_text() and modes[0] == "plays_on":
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        if group_is_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def await_end_of_group(group: int) -> None:
    deadline_s = time.monotonic() + 30
    while group_is_alive(group):
        assert time.monotonic() < deadline_s, "a process is left"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_to_the_whole_group_drains(
    launch: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    process = launch("plays_on", "plays_on")
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=30)
    report = json.loads(out.splitlines()[-1])
    assert report["ending"] == "interrupted"
    assert report["lost"] == []
    assert report["slots"] > 0
    assert [(tmp_path / f"{n}.log").read_text().splitlines()[-1] for n in range(2)] == ["end stop", "end stop"]
    await_end_of_group(process.pid)


def test_the_second_ctrl_c_ends_even_a_worker_that_ignores_everything(
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    process = launch("plays_on", "ignores_everything")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None, "the first one drains, and this worker never ends its drain"
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert json.loads(out.splitlines()[-1])["ending"] == "interrupted"
    await_end_of_group(process.pid)


def test_when_the_controller_is_killed_its_workers_end_within_their_lease(
    launch: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = launch("plays_on", "plays_on")
    logs = [tmp_path / f"{worker}.log" for worker in range(2)]
    given_up_ns = time.monotonic_ns() + 10 * LEASE_NS
    while not all(log.exists() and "send" in log.read_text() for log in logs):
        assert time.monotonic_ns() < given_up_ns
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    process.communicate(timeout=30)
    await_end_of_group(process.pid)
    for log in logs:
        lines = log.read_text().splitlines()
        last_send_ns = max(int(line.split()[1]) for line in lines if line.startswith("send"))
        assert last_send_ns <= killed_ns + LEASE_NS


def test_without_renewals_a_worker_sends_nothing_after_its_lease(
    launch: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = launch("plays_on")
    os.kill(process.pid, signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    log = tmp_path / "0.log"
    while "\nend" not in log.read_text():
        assert time.monotonic_ns() < stopped_ns + 10 * LEASE_NS
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=30)
    assert log.read_text().splitlines()[-1] == "end lease ran out"
    last_send_ns = max(int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("send"))
    assert last_send_ns <= stopped_ns + LEASE_NS
    assert json.loads(out.splitlines()[-1])["lost"] == [0]
