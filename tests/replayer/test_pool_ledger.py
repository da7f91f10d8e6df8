"""Faults of workers and controller against the target's own ledger: nothing twice, nothing lost, nothing after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.run import Run
from analysis.series import n_errors, n_mismatched, steps_of
from captures.units import NS_PER_S
from replayer.pool.controller import LEASE_NS, Ending
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.onloss import OnLoss
from tests.storm_runs import ROOT, Server, identities, play, request_plan, upgrade_server

pytestmark = pytest.mark.process

USERS = 12
N_REQUESTS = 30
PLAN = request_plan(n_requests=N_REQUESTS, every_s=0.05)
SLACK_NS = NS_PER_S // 4
"""How long what was sent may take to be seen on a busy machine."""


def seen_ids(server: Server) -> Counter[str]:
    return Counter(path for _, path in server.ledger()["seen"])


def check_books(run: Run) -> None:
    total = steps_of(run.whole.measures)
    not_sent = sum(n for name, n in run.whole.counts.items() if name.startswith("not_sent:"))
    assert total.planned == total.ok + n_errors(total) + n_mismatched(total) + not_sent


def once(action: Callable[[], None], *, after_s: float) -> Callable[[float], None]:
    done: list[bool] = []

    def on_turn(now_s: float) -> None:
        if now_s > after_s and not done:
            done.append(True)
            action()

    return on_turn


def of_worker(path: str, worker: int, n_workers: int = 2) -> bool:
    return int(path.split("/")[2]) % n_workers == worker


def test_every_planned_request_is_seen_by_the_target_exactly_once(tmp_path: Path) -> None:
    with upgrade_server() as server:
        run, outcome = play(tmp_path, PLAN, server, users=USERS, workers=2, identities=identities(USERS))
        seen = seen_ids(server)
    assert outcome.ending is Ending.FINISHED
    assert seen == {f"/r/{user}/{index}": 1 for user in range(USERS) for index in range(N_REQUESTS)}
    total = steps_of(run.whole.measures)
    assert (total.planned, total.ok) == (USERS * N_REQUESTS, USERS * N_REQUESTS)


@pytest.mark.parametrize("on_loss", list(OnLoss))
def test_a_killed_worker_is_not_run_again_and_its_users_are_nobodys(tmp_path: Path, on_loss: OnLoss) -> None:
    executor, killed_ns = LocalExecutor(), [0]

    def kill() -> None:
        os.kill(executor.pids()[1], signal.SIGKILL)
        killed_ns[0] = time.monotonic_ns()

    with upgrade_server() as server:
        run, outcome = play(
            tmp_path,
            PLAN,
            server,
            users=USERS,
            workers=2,
            identities=identities(USERS),
            executor=executor,
            on_turn=once(kill, after_s=0.4),
            on_loss=on_loss,
        )
        seen = server.ledger()["seen"]
    assert outcome.lost == (1,)
    assert outcome.ending is Ending.LOST
    assert set(Counter(path for _, path in seen).values()) == {1}, "no shard starts twice"
    assert all(at_ns < killed_ns[0] + SLACK_NS for at_ns, path in seen if of_worker(path, 1))
    n_other = sum(of_worker(path, 0) for _, path in seen)
    assert (n_other == USERS // 2 * N_REQUESTS) is (on_loss is OnLoss.CONTINUE)
    check_books(run)


def test_a_stopped_worker_sends_nothing_when_it_wakes_after_its_lease(tmp_path: Path) -> None:
    executor, stopped_ns, woken_ns = LocalExecutor(), [0], [0]

    def stop_and_wake(now_s: float) -> None:
        if now_s > 0.3 and not stopped_ns[0]:
            os.kill(executor.pids()[1], signal.SIGSTOP)
            stopped_ns[0] = time.monotonic_ns()
        elif stopped_ns[0] and not woken_ns[0] and time.monotonic_ns() > stopped_ns[0] + LEASE_NS + SLACK_NS:
            woken_ns[0] = time.monotonic_ns()
            os.kill(executor.pids()[1], signal.SIGCONT)

    plan = request_plan(n_requests=100, every_s=0.04)
    with upgrade_server() as server:
        run, outcome = play(
            tmp_path,
            plan,
            server,
            users=USERS,
            workers=2,
            identities=identities(USERS),
            executor=executor,
            on_turn=stop_and_wake,
            on_loss=OnLoss.CONTINUE,
        )
        seen = server.ledger()["seen"]
    assert woken_ns[0]
    assert outcome.lost == (1,)
    assert "its lease ran out" in " ".join(outcome.notes)
    assert set(Counter(path for _, path in seen).values()) == {1}
    assert not [path for at_ns, path in seen if of_worker(path, 1) and at_ns > stopped_ns[0] + SLACK_NS]
    check_books(run)


SCRIPT = """
import sys
from pathlib import Path
from tests.storm_runs import Server, identities, play, request_plan

port, directory = int(sys.argv[1]), Path(sys.argv[2])
plan = request_plan(n_requests=2000, every_s=0.02)
play(directory, plan, Server(port), users=8, workers=2, identities=identities(8),
     on_turn=lambda now_s: print("turn", flush=True))
"""


def test_nothing_is_sent_two_seconds_after_the_controller_is_killed_and_no_process_is_left(tmp_path: Path) -> None:
    with upgrade_server() as server:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(server.port), str(tmp_path / "run")],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"turn\n"
        while not server.ledger()["seen"]:
            time.sleep(0.02)
        process.kill()
        killed_ns = time.monotonic_ns()
        process.communicate(timeout=30)
        await_end_of_group(process.pid)
        seen = server.ledger()["seen"]
    assert seen
    assert max(at_ns for at_ns, _ in seen) < killed_ns + LEASE_NS + SLACK_NS
    assert set(Counter(path for _, path in seen).values()) == {1}


def await_end_of_group(group: int) -> None:
    deadline_s = time.monotonic() + 30
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline_s, "a process is left"
        time.sleep(0.02)
