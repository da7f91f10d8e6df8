"""The timer heap of one worker, woken on a 1 ms grid.

Re-arming the loop for every due time costs 138 µs of CPU per send against 31 µs on the grid, and slows a target on the
same machine (docs/performance.md); spinning would do worse. So whatever is due is called at the next millisecond.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Any

GRID_NS = 1_000_000
SLICE_NS = 5_000_000
"""How long due calls may keep the loop from its sockets: a crowd that is due at one instant neither holds back its
first connections until the last has been asked for, nor the answers that have come meanwhile."""

Call = Callable[[Any, int], None]


class Timers:
    """Calls in order of their due times, never early, at most a grid step and the loop's lag late."""

    __slots__ = ("_armed_ns", "_handle", "_heap", "_is_running", "_loop", "_sequence")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Call, Any]] = []
        self._sequence = 0
        self._handle: asyncio.TimerHandle | None = None
        self._armed_ns = 0
        self._is_running = False

    def call_at(self, due_ns: int, call: Call, argument: Any) -> None:
        """Call ``call(argument, due_ns)`` when the monotonic clock has reached ``due_ns``."""
        self._sequence += 1
        heapq.heappush(self._heap, (due_ns, self._sequence, call, argument))
        if not self._is_running and (self._handle is None or due_ns < self._armed_ns):
            self._arm()

    def clear(self) -> None:
        """Forget every call."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_ns = self._heap[0][0]
        wait_ns = max(0, self._armed_ns - time.monotonic_ns())
        self._handle = self._loop.call_later(-(-wait_ns // GRID_NS) / 1000, self._wake)

    def _wake(self) -> None:
        self._handle = None
        self._is_running = True
        heap, now_ns = self._heap, time.monotonic_ns()
        n_called = 0
        try:
            while heap and heap[0][0] <= now_ns:
                due_ns, _, call, argument = heapq.heappop(heap)
                call(argument, due_ns)
                n_called += 1
                if n_called & 63 == 0 and time.monotonic_ns() - now_ns > SLICE_NS:
                    break
        finally:
            self._is_running = False
        if heap:
            self._arm()
