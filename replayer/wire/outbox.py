"""Rendered requests of one worker that are written together, right after the answers that set them off.

Each write to a server that sleeps wakes it, which costs more than all that a virtual user does with an answer. A
server that is faster than its client falls asleep after every request; one that is handed a batch does not. So what
the answers of one turn of the loop set off is written at the end of that turn: a sixth less CPU a request against
nginx on a core of its own (docs/performance.md).

No send is hidden by that: ``actual_ns`` is stamped at the write itself, and no more than ``MOST`` requests wait. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

MOST = 64
"""Requests that are written at once; rendering and answering so many takes a quarter of a millisecond."""


class Outgoing(Protocol):
    """A connection with something to write: ``unsent``, which ``write`` takes. It is told when that was."""

    actual_ns: int

    @property
    def unsent(self) -> bytes:
        """What is to be written."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """What takes it: the transport's method, without a call between."""


class Outbox:
    """What is to be written.

    Args:
        call_soon: calls at the end of this turn of the loop.
        clock: CLOCK_MONOTONIC in ns.
    """

    __slots__ = ("_call_soon", "_clock", "_waiting")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], int]) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._waiting: list[Outgoing] = []

    def add(self, outgoing: Outgoing) -> None:
        """Write a request at the end of this turn of the loop, or as soon as there are enough."""
        waiting = self._waiting
        waiting.append(outgoing)
        n_waiting = len(waiting)
        if n_waiting == 1:
            self._call_soon(self.flush)
        elif n_waiting == MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        clock = self._clock
        for outgoing in waiting:
            outgoing.actual_ns = clock()
            outgoing.write(outgoing.unsent)
