"""Rendered requests of one worker that are written together, right after the answers that set them off.

Each write to a server that sleeps wakes it, which costs more than all that a virtual user does with an answer. A
server that is faster than its client falls asleep after every request; one that is handed a batch does not. So what
the answers of one turn of the loop set off is written at the end of that turn: a sixth less CPU a request against
nginx on a core of its own (docs/performance.md).

No send is hidden by that: ``actual_ns`` is stamped at the write itself, and no more than ``MOST`` requests wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

MOST = 64
"""Requests that are written at once; rendering and answering so many takes a quarter of a millisecond."""


class Outgoing(Protocol):
    """A connection with a request to write.

    Attributes:
        unsent: the request; write: takes it.
        actual_ns: when it was written.
    """

    unsent: bytes
    write: Callable[[bytes], None]
    actual_ns: int


class Outbox:
    """What is to be written; ``call_soon`` is the loop's."""

    __slots__ = ("_call_soon", "_waiting")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._waiting: list[Outgoing] = []

    def add(self, outgoing: Outgoing) -> None:
        """Write a request at the end of this turn of the loop, or as soon as there are enough."""
        waiting = self._waiting
        if not waiting:
            self._call_soon(self.flush)
        waiting.append(outgoing)
        if len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        clock = time.monotonic_ns
        for outgoing in waiting:
            outgoing.actual_ns = clock()
            outgoing.write(outgoing.unsent)
