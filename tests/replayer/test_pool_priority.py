"""The controller gives way, and nobody else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replayer.load.storms import parse_storm
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.hooks import Hooks
from replayer.pool.priority import MOST_RESTS_PER_S, NICE_STEPS, REST_S, Rests, giving_way
from replayer.pool.run import run_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has nice values by thread")

_TOLD = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_what_is_called_calmly_gives_way_and_who_calls_does_not() -> None:
    before, found = nice(), []
    with giving_way() as calmly:
        for _ in range(2):
            calmly(lambda: found.append(nice()))
    assert found == [before + NICE_STEPS] * 2 and nice() == before


def test_what_goes_wrong_in_it_is_told() -> None:
    nothing: list[None] = []
    with pytest.raises(IndexError), giving_way() as calmly:
        calmly(nothing.pop)


@pytest.mark.process
def test_slots_are_taken_while_giving_way_and_the_command_of_a_storm_does_not(tmp_path: Path) -> None:
    hooks = Hooks([parse_storm(f"at=0s,how=hook:{sys.executable} -c '{_TOLD}' > {tmp_path}/told; sleep 0")])
    taken: list[int] = []
    run_workers(
        [{"worker": 0, "mode": "plays", "log": str(tmp_path / "log")}],
        executor=LocalExecutor("tests.fakes_workers:main"),
        on_ready=lambda _warnings: None,
        on_slot=lambda _slot: taken.append(nice()),
        on_turn=lambda _now_s: None,
        hooks=hooks,
    )
    assert taken and set(taken) == {nice() + NICE_STEPS}
    assert int((tmp_path / "told").read_text()) == nice()


def test_nice_value_that_somebody_chose_is_counted_from_and_has_an_end() -> None:
    code = (
        "import os\n"
        "from replayer.pool.priority import giving_way\n"
        "os.nice(15)\n"
        "with giving_way() as calmly:\n    calmly(lambda: print(os.getpriority(os.PRIO_PROCESS, 0)))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "19"


def test_rests_between_pieces_take_a_tenth_of_the_time_at_most() -> None:
    slept_s: list[float] = []
    now_s = 7.0
    rest = Rests(clock=lambda: now_s, sleep=slept_s.append)
    for _ in range(2 * MOST_RESTS_PER_S):
        rest()
    assert slept_s == [REST_S] * MOST_RESTS_PER_S
    now_s = 8.0
    rest()
    assert len(slept_s) == MOST_RESTS_PER_S + 1 and round(MOST_RESTS_PER_S * REST_S, 6) <= 0.1
