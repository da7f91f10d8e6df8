"""The controller gives way to the workers where they share a core: what it does can wait, a send cannot.

What it does runs in a thread with a higher nice value. The kernel lets a worker that wakes have the core at once then,
instead of when the controller's slice is over: beside a worker that was busy for three fifths of the time, a process
that used 12 ms four times a second kept it waiting 22 ms a second, in the batch class 20, at nice 5 or 10 it was 3.
Next to a worker that never rests it keeps a quarter of a core, and it renews leases between what it merges, so that a
machine with more busy workers than cores does not lose them.

A worker that has lost the core to somebody who is ready to run gets it back when that one sleeps, or at the kernel's
next tick, 4 ms later. So the controller also rests between its pieces: a worker waits for one of them, not for all.

Subtle: a thread of its own, since Linux has nice values by thread and nobody without privileges may take one back; what
the main thread starts, such as the commands of storms, inherits its own. Where nice values belong to processes (macOS),
it only rests.

Source: setpriority(2), "C library/kernel differences"; sched(7), "The nice value".
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

NICE_STEPS = 5
"""Above the workers' own: a third of their weight."""
_NICEST = 19
"""What the kernel knows; more is cut off by setpriority(2) as well."""

REST_S = 0.001
MOST_RESTS_PER_S = 100
"""A tenth of the time: who merges the slots of many workers has no more of it."""

Calmly = Callable[[Callable[[], None]], None]


@contextlib.contextmanager
def giving_way() -> Iterator[Calmly]:
    """Yield what calls a function in the thread that gives way, waits for it and passes on what it raises."""
    if sys.platform != "linux":
        yield _call
        return
    with ThreadPoolExecutor(1, "controller", initializer=_give_way) as thread:
        yield lambda call: thread.submit(call).result()


def _give_way() -> None:
    nice = os.getpriority(os.PRIO_PROCESS, 0) + NICE_STEPS
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(nice, _NICEST))


def _call(call: Callable[[], None]) -> None:
    call()


def _sleep(seconds: float) -> None:
    select.select((), (), (), seconds)  # Subtle: time.sleep waits for a point of time, which faketime moves a year off.


class Rests:
    """Called between two pieces of work that can wait."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = _sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until_s = 0.0
        self._n_left = 0

    def __call__(self) -> None:
        """Rest, unless there were as many rests in this second as there may be."""
        now_s = self._clock()
        if now_s >= self._until_s:
            self._until_s, self._n_left = now_s + 1, MOST_RESTS_PER_S
        if self._n_left:
            self._n_left -= 1
            self._sleep(REST_S)
