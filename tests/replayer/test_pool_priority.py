"""The controller gives way, and takes it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replayer.load.storms import parse_storm
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.hooks import Hooks
from replayer.pool.priority import giving_way
from replayer.pool.run import run_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the batch class is Linux's")

_TOLD = "import os; print(os.sched_getscheduler(0))"


def policy() -> int:
    return os.sched_getscheduler(0)


def test_controller_is_in_the_batch_class_for_as_long_as_the_run_takes() -> None:
    for _ in range(2):
        assert policy() == os.SCHED_OTHER
        with giving_way():
            assert policy() == os.SCHED_BATCH
        assert policy() == os.SCHED_OTHER


@pytest.mark.process
def test_command_of_a_storm_is_not_in_it_while_slots_are_taken_in_it(tmp_path: Path) -> None:
    hooks = Hooks([parse_storm(f"at=0s,how=hook:{sys.executable} -c '{_TOLD}' > {tmp_path}/told; sleep 0")])
    taken: list[int] = []
    run_workers(
        [{"worker": 0, "mode": "plays", "log": str(tmp_path / "log")}],
        executor=LocalExecutor("tests.fakes_workers:main"),
        on_ready=lambda _warnings: None,
        on_slot=lambda _slot: taken.append(policy()),
        on_turn=lambda _now_s: None,
        hooks=hooks,
    )
    assert taken and set(taken) == {os.SCHED_BATCH}
    assert int((tmp_path / "told").read_text()) == os.SCHED_OTHER


def test_class_that_somebody_chose_is_left_alone() -> None:
    code = (
        "import os\n"
        "from replayer.pool.priority import giving_way\n"
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "with giving_way():\n    print(os.sched_getscheduler(0) == os.SCHED_IDLE)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"
