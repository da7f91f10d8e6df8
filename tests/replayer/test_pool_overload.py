"""A worker that has far more to do than it can says what it measures all the same: late, not silent."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from captures.units import NS_PER_S
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst
from replayer.plan.codec import plan_to_bytes
from replayer.pool.assignment import Assignment, assignment_to_body
from replayer.pool.protocol import Kind
from replayer.pool.worker import Worker
from replayer.user.steps import User
from tests.fakes_server import closed_port
from tests.replayer.asking import run, target_at
from tests.storm_runs import request_plan

N_USERS = 200
COST_S = 0.01


class Boss:
    """Says go; keeps after how many arrivals each second was told."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.n_arrived = 0
        self.told_after: list[int] = []

    def send(self, kind: Kind, body: Any = None) -> None:
        if kind is Kind.READY:
            self._worker.take_message(Kind.LEASE, {"until_ns": time.monotonic_ns() + 600 * NS_PER_S})
            self._worker.take_message(Kind.GO, {"t0_ns": time.monotonic_ns()})
        elif kind is Kind.SLOT:
            self.told_after.append(self.n_arrived)


def test_a_worker_that_is_seconds_behind_its_plan_still_tells_every_second() -> None:
    async def main() -> Boss:
        bosses: list[Boss] = []

        def seat(*args: Any, **kwargs: Any) -> User:
            bosses[0].n_arrived += 1
            time.sleep(COST_S)
            return User(*args, **kwargs)

        worker = Worker(asyncio.get_running_loop(), seat=seat)
        bosses.append(Boss(worker))
        assignment = Assignment(
            worker=0,
            n_workers=1,
            plan=plan_to_bytes(request_plan(n_requests=1, every_s=0)),
            targets=(target_at(closed_port()),),
            load=LoadOptions(users=N_USERS, shape=Burst()),
            per_run_key=bytes(16),
            identities=({"id": "1"},),
        )
        worker.take_message(Kind.ASSIGN, assignment_to_body(assignment))
        await worker.work(bosses[0])
        return bosses[0]

    boss = run(main)
    assert boss.n_arrived == N_USERS
    assert 0 < boss.told_after[0] < N_USERS  # All were due at once, and take twice as long as the first second.
