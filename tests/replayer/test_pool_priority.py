"""The controller gives way, and takes it back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from replayer.pool.priority import as_before, giving_way

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


def test_what_is_started_for_others_meanwhile_is_not_in_it() -> None:
    with giving_way():
        with as_before():
            told = subprocess.run([sys.executable, "-c", _TOLD], capture_output=True, text=True, check=True)
        assert policy() == os.SCHED_BATCH
    assert int(told.stdout) == os.SCHED_OTHER


def test_class_that_somebody_chose_is_left_alone() -> None:
    code = (
        "import os\n"
        "from replayer.pool.priority import giving_way\n"
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "with giving_way():\n    print(os.sched_getscheduler(0) == os.SCHED_IDLE)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"
