"""The writer gives way, and takes its turn again when it falls behind; asked of the system, not of ourselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recorder.priority import BEHIND_NS, CAUGHT_UP_NS
from tests.commands import ROOT

_CODE = """
import os
from recorder.priority import Priority
priority = Priority()
for behind_ns in map(int, os.environ["BEHIND"].split()):
    priority.follow(behind_ns) if behind_ns >= 0 else priority.hurry()
    print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
"""


def told(*behind_ns: int, before: str = "") -> list[str]:
    """Policy and nice value of a process of its own after each step; below zero: the end."""
    environment = {"PYTHONPATH": str(ROOT), "BEHIND": " ".join(map(str, behind_ns))}
    command = [sys.executable, "-P", "-c", before + _CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


@pytest.mark.process
def test_a_writer_that_keeps_up_gives_way_and_one_that_is_behind_does_not() -> None:
    kept_up, behind, between, caught_up, at_the_end = told(0, BEHIND_NS + 1, CAUGHT_UP_NS + 1, 0, -1)
    assert kept_up == caught_up and behind == between == at_the_end
    if kept_up.startswith(f"{os.SCHED_IDLE} "):
        assert behind.startswith(f"{os.SCHED_OTHER} ")
    else:
        assert kept_up.split()[1] == behind.split()[1] != "0", "it stays nice where it could not take its place back"


@pytest.mark.process
def test_a_writer_that_could_not_take_its_place_back_is_merely_nice() -> None:
    refusal = "import os\ndef refused(*_):\n    raise PermissionError\nos.sched_setscheduler = refused\n"
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    expected = f"{os.SCHED_OTHER} {min(19, nice + 10)}"
    assert told(0, BEHIND_NS + 1, before=refusal) == [expected] * 2
