"""The timers of one worker, woken on a grid of half a millisecond.

Waking the loop for every due time costs four times as much CPU a send as waking it on a grid, and slows a target on the
same machine (docs/performance.md); spinning would do worse. So whatever is due is called at the next point of the grid;
where that are few calls, when the last of them is due, so that what a worker with time to spare sends is not late.
Calls that fall on one point stand in one list, and only the points are kept in a heap: setting a timer is appending to
a list, however many users there are.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from replayer.pool.alarm import open_alarm

GRID_NS = 500_000
SLICE_NS = 1_000_000
"""How long due calls may keep the loop from its sockets: a crowd that is due at one instant neither holds back its
first connections until the last has been asked for, nor the answers that have come meanwhile."""
PATIENCE_RATIO = 8
"""Calls that are later than so many slices get longer ones: an eighth of what they are late by, and at most as long as
the sockets had before. Else a worker with more sockets than it can serve would begin nothing more, and end nothing."""
FEW_CALLS = 8
"""A point with more calls is called at its own time: it is close to that of the last of them."""
TOGETHER = 8
"""So many calls are followed by ``after`` and a look at the clock."""

Call = Callable[[Any, int], None]
_Due = tuple[int, Call, Any]
_due_ns = itemgetter(0)


class Timers:
    """Calls in order of their due times, never early, at most a grid step and the loop's lag late.

    Args:
        after: called after every few calls, and after the last before the loop gets its turn again.
    """

    __slots__ = ("_after", "_alarm", "_armed", "_calls", "_is_running", "_points", "_rested_ns")

    def __init__(self, loop: asyncio.AbstractEventLoop, after: Callable[[], None] = lambda: None) -> None:
        self._after = after
        self._alarm = open_alarm(loop, self._wake)
        self._calls: dict[int, list[_Due]] = {}  # by point of the grid
        self._points: list[int] = []  # a heap of those that have calls
        self._armed = 0  # The point for which the alarm goes off; 0 where it does not.
        self._is_running = False
        self._rested_ns = 0  # When the loop got its turn.

    def call_at(self, due_ns: int, call: Call, argument: Any) -> None:
        """Call ``call(argument, due_ns)`` when the monotonic clock has reached ``due_ns``."""
        point = -(-due_ns // GRID_NS)
        calls = self._calls.get(point)
        if calls is not None:
            calls.append((due_ns, call, argument))
            return
        self._calls[point] = [(due_ns, call, argument)]
        heapq.heappush(self._points, point)
        if not self._is_running and (not self._armed or point < self._armed):
            self._arm(point)

    def close(self) -> None:
        """Forget every call, and call nothing any more."""
        self._calls.clear()
        self._points.clear()
        self._alarm.close()

    def _arm(self, point: int) -> None:
        self._armed = point
        calls = self._calls[point]
        self._alarm.set(point * GRID_NS if len(calls) > FEW_CALLS else max(map(_due_ns, calls)))

    def _wake(self) -> None:
        points = self._points
        if not points:
            return  # Closed in the meantime.
        self._is_running = True
        now_ns = time.monotonic_ns()
        late_ns = now_ns - points[0] * GRID_NS  # Below 0 where few calls were waited for.
        until_ns = now_ns + max(SLICE_NS, min(late_ns // PATIENCE_RATIO, now_ns - self._rested_ns))
        n_called, last_point = 0, max(self._armed, now_ns // GRID_NS)
        try:
            while points and points[0] <= last_point:
                n_before = n_called
                n_called += self._call_point(heapq.heappop(points), n_before, now_ns, until_ns)
                if n_called == n_before or time.monotonic_ns() > until_ns:
                    break  # What is left of a point that was not waited for whole is not due, or there is no time.
        finally:
            self._is_running = False
            if n_called % TOGETHER:
                self._after()
            self._rested_ns = time.monotonic_ns()
        if not points:
            self._armed = 0
            self._alarm.unset()
        else:
            self._arm(points[0])

    def _call_point(self, point: int, n_before: int, now_ns: int, until_ns: int) -> int:
        """Call what stands at a point; what is not due yet or has no time stays there. Return how many were called."""
        calls = self._calls.pop(point)
        if len(calls) > 1:
            calls.sort(key=_due_ns)
        n_called = n_before
        for due_ns, call, argument in calls:
            if due_ns > now_ns:
                self._keep(point, calls[n_called - n_before :])
                break
            call(argument, due_ns)
            n_called += 1
            if n_called % TOGETHER == 0:
                self._after()
                if time.monotonic_ns() > until_ns:
                    self._keep(point, calls[n_called - n_before :])
                    break
        return n_called - n_before

    def _keep(self, point: int, calls: list[_Due]) -> None:
        if not calls:
            return
        if point not in self._calls:
            self._calls[point] = []
            heapq.heappush(self._points, point)
        self._calls[point] += calls
