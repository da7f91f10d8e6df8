"""One worker in this very process: its loop and its sockets, with a controller that only says go.

For what wants to see more of a run than second-slots; a run under load has processes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvloop

from analysis.merge import merge_slot
from analysis.slotcodec import slot_from_body
from analysis.slots import SecondSlot
from captures.errors import ReplayError
from replayer.pool.crowd import Seat
from replayer.pool.protocol import Kind
from replayer.pool.worker import Worker

_LEASE_NS = 1 << 62
_CLOSING_S = 3.0
"""How long sockets may take for their close handshakes after the users are gone."""
_LOOK_AGAIN_S = 0.01


class _Controller:
    """Stands where the controller does: one worker needs no pipe to be told to go."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.measured = SecondSlot(worker=0, second=0)
        self.problem = ""

    def send(self, kind: Kind, body: Any = None) -> None:
        if kind is Kind.READY:
            self._worker.take_message(Kind.LEASE, {"until_ns": _LEASE_NS})
            self._worker.take_message(Kind.GO, {"t0_ns": time.monotonic_ns()})
        elif kind is Kind.SLOT:
            merge_slot(self.measured, slot_from_body(body))
        elif kind is Kind.FAILED:
            self.problem = body["text"]


def play_here(assignment: dict[str, Any], *, seat: Seat) -> SecondSlot:
    """Play all users of an assignment to the end of their scripts; return what the worker measured, as one slot.

    Args:
        assignment: the body of the assignment of a run with one worker.
        seat: makes the users.

    Raises:
        ReplayError: our side broke.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_play(assignment, seat))


async def _play(assignment: dict[str, Any], seat: Seat) -> SecondSlot:
    worker = Worker(asyncio.get_running_loop(), seat=seat)
    controller = _Controller(worker)
    worker.take_message(Kind.ASSIGN, assignment)
    await worker.work(controller)
    await _connections_gone(worker)
    if controller.problem:
        raise ReplayError(f"the run broke off: {controller.problem}")
    return controller.measured


async def _connections_gone(worker: Worker) -> None:
    """Let what the users left behind end in order, but not for ever: the loop cannot close before."""
    for _ in range(int(_CLOSING_S / _LOOK_AGAIN_S)):
        if not worker.n_open:
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
