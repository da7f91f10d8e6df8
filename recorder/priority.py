"""Lets the writer's process give way to the proxy, whose delays the recorded page feels, until it falls behind.

Where the system lets a process take its place back, it steps back as far as it can: then the proxy never waits for it,
not even on two cores. Elsewhere it is merely nicer. Source: sched(7), "SCHED_IDLE" and ``RLIMIT_NICE``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread

from captures.units import NS_PER_S

NICENESS = 10
BEHIND_NS = 2 * NS_PER_S
"""A writer that is this far behind what happens is given its turn like everybody else."""
CAUGHT_UP_NS = NS_PER_S // 4


class Priority:
    """How much this process gives way; made in the process itself."""

    def __init__(self) -> None:
        self._has_both_ways = _may_take_back()
        self.gives_way = False
        if not self._has_both_ways:
            os.nice(NICENESS)

    def follow(self, behind_ns: int) -> None:
        """Change it where the writer fell behind, or has caught up; ``behind_ns``: age of what was written last."""
        if behind_ns > BEHIND_NS:
            self.hurry()
        elif self._has_both_ways and not self.gives_way and behind_ns < CAUGHT_UP_NS:
            self._give_way()

    def hurry(self) -> None:
        """Take a turn like everybody else: somebody waits for the end."""
        if self.gives_way:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            self.gives_way = False

    def _give_way(self) -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        self.gives_way = True


def _may_take_back() -> bool:
    """Try it with a thread that has nothing else to do: what it may depends on limits, capabilities and namespaces."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    was_allowed: list[bool] = []
    thread = Thread(target=_there_and_back, args=(was_allowed,))
    thread.start()
    thread.join()
    return bool(was_allowed)


def _there_and_back(was_allowed: list[bool]) -> None:
    with suppress(PermissionError):
        for policy in (os.SCHED_IDLE, os.SCHED_OTHER):
            os.sched_setscheduler(0, policy, os.sched_param(0))
        was_allowed.append(True)
