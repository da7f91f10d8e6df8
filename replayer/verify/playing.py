"""Plays one user in this very process: the worker, its loop and its sockets, with a controller that only says go."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop

from analysis.merge import merge_slot
from analysis.slotcodec import slot_from_body
from analysis.slots import SecondSlot
from captures.errors import ReplayError
from replayer.pool.protocol import Kind
from replayer.pool.worker import Worker
from replayer.user.link import LinkedScript
from replayer.user.port import Run
from replayer.user.steps import User
from replayer.verify.witness import Witness

_LEASE_NS = 1 << 62
_CLOSING_S = 3.0
"""How long sockets may take for their close handshakes after the user is gone."""
_LOOK_AGAIN_S = 0.01


@dataclass(slots=True)
class Played:
    """What one user saw, and what the worker measured."""

    witness: Witness
    measured: SecondSlot = field(default_factory=lambda: SecondSlot(worker=0, second=0))


class _Listener:
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


def play(assignment: dict[str, Any]) -> Played:
    """Play the one user of an assignment to the end of its script.

    Args:
        assignment: the body of a worker's assignment, with one worker and one user.

    Raises:
        ReplayError: our side broke.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_play(assignment))


async def _play(assignment: dict[str, Any]) -> Played:
    witnesses: list[Witness] = []

    def seat(number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool) -> User:
        witness = Witness(number, script, run, inputs, is_sampled=is_sampled)
        witnesses.append(witness)
        return witness

    worker = Worker(asyncio.get_running_loop(), seat=seat)
    listener = _Listener(worker)
    worker.take_message(Kind.ASSIGN, assignment)
    await worker.work(listener)
    await _connections_gone(worker)
    if listener.problem or not witnesses:
        raise ReplayError(f"the user could not be played: {listener.problem or 'the script has no steps'}")
    return Played(witnesses[0], listener.measured)


async def _connections_gone(worker: Worker) -> None:
    """Let what the user left behind end in order, but not for ever: the loop cannot close before."""
    for _ in range(int(_CLOSING_S / _LOOK_AGAIN_S)):
        if not worker.n_open:
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
