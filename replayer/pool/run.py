"""Runs workers from launch to the last one's end: the loop, the clock and the signals around the controller."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Self

from analysis.slots import SecondSlot
from captures.errors import ReplayError
from captures.units import NS_PER_S
from replayer.pool.controller import Controller, Ending, Patience, Phase
from replayer.pool.executors.executor import Executor
from replayer.pool.hooks import Hooks
from replayer.pool.onloss import OnLoss
from replayer.pool.priority import giving_way

TURN_S = 0.2
"""Longest pause between two turns of the loop: what the live view needs."""

_CLOSE_GRACE_S = 1.0
_NEVER_NS = 1 << 62
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PREPARED = frozenset({Phase.PREPARED, Phase.OVER})
_OVER = frozenset({Phase.OVER})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of workers ended.

    Attributes:
        ending: why it ended.
        lost: numbers of the lost workers.
        notes: what people should know, one sentence each.
        has_started: whether GO was given.
        duration_s: from t0 to the end, 0 where it never started.
    """

    ending: Ending
    lost: tuple[int, ...]
    notes: tuple[str, ...]
    has_started: bool
    duration_s: float


class Interrupts:
    """Counts Ctrl-C, SIGTERM and SIGHUP while it is entered, instead of letting them end the process."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._before: dict[signal.Signals, Any] = {}
        self._count = self._n_told = 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self._wake()

    def untold(self) -> range:
        """Return the ordinals, from 1, of the signals that came since the last call."""
        first, self._n_told = self._n_told + 1, self._count
        return range(first, self._n_told + 1)


def run_workers(
    assignments: Sequence[dict[str, Any]],
    *,
    executor: Executor,
    on_ready: Callable[[Sequence[str]], None],
    on_slot: Callable[[SecondSlot], None],
    on_turn: Callable[[float], str | None],
    shortfall: Callable[[int], str | None] = lambda _: None,
    patience: Patience | None = None,
    on_loss: OnLoss = OnLoss.ABORT,
    hooks: Hooks | None = None,
) -> Outcome:
    """Run one worker per assignment body until all have ended; no process is left, whatever happens.

    Args:
        executor: closed when this returns or raises.
        on_ready: called once when all workers are ready, before any may send, with their warnings.
        on_slot: called with every second-slot.
        on_turn: called a few times a second with the seconds since t0, negative just before it; may return why the run
            is to be ended early.
        shortfall: asked when a worker says unbidden that it is done: what it left undone, or None.
        on_loss: what becomes of the others when a worker is lost.
        hooks: commands of storms, run while the run is.

    Raises:
        ReplayError: a worker was lost before the start; nothing was sent to the target.
    """
    controller = Controller(executor, on_slot=on_slot, shortfall=shortfall, patience=patience, on_loss=on_loss)
    hooks = hooks or Hooks(())
    try:
        with Interrupts(executor.wake) as interrupts, giving_way() as calmly:
            controller.prepare(assignments, now_ns=time.monotonic_ns())
            turn = partial(_turn, controller, executor, hooks, on_turn)
            _pump(controller, interrupts, hooks, until=_PREPARED, turn=partial(calmly, turn))
            if controller.phase is Phase.PREPARED:
                on_ready(tuple(controller.notes))
                controller.go(now_ns=time.monotonic_ns())
                _pump(controller, interrupts, hooks, until=_OVER, turn=partial(calmly, turn))
            end_ns = time.monotonic_ns()
            executor.close(_CLOSE_GRACE_S)
    except BaseException:
        executor.close(0)
        raise
    finally:
        hooks.close()
    if not controller.t0_ns and controller.ending is Ending.LOST:
        raise ReplayError(
            f"the run did not start: {'; '.join(controller.notes)}",
            "nothing was sent to the target",
        )
    return Outcome(
        ending=controller.ending,
        lost=controller.lost,
        notes=(*controller.notes, *hooks.notes),
        has_started=bool(controller.t0_ns),
        duration_s=max(0, end_ns - controller.t0_ns) / NS_PER_S if controller.t0_ns else 0.0,
    )


def _pump(
    controller: Controller,
    interrupts: Interrupts,
    hooks: Hooks,
    *,
    until: frozenset[Phase],
    turn: Callable[[], None],
) -> None:
    """Take turns until the controller is in one of these phases; carry signals to it, and time to the hooks."""
    while controller.phase not in until:
        for ordinal in interrupts.untold():
            _explain(ordinal, controller)
            controller.interrupt(now_ns=time.monotonic_ns())
        turn()
        if controller.phase is Phase.RUNNING:
            # Subtle: not in the turn, which gives way: what it starts would too, and may be a target.
            hooks.tick(time.monotonic_ns() - controller.t0_ns)


def _turn(controller: Controller, executor: Executor, hooks: Hooks, on_turn: Callable[[float], str | None]) -> None:
    """Carry reports and time to the controller once, waiting for what is due next."""
    wake_ns = min(controller.wake_at_ns, _hook_ns(controller, hooks))
    for report in executor.reports(min(TURN_S, (wake_ns - time.monotonic_ns()) / NS_PER_S)):
        controller.take(report, now_ns=time.monotonic_ns())
        if time.monotonic_ns() >= controller.wake_at_ns:
            controller.tick(now_ns=time.monotonic_ns())  # Leases do not wait for what is to be merged.
    now_ns = time.monotonic_ns()
    controller.tick(now_ns=now_ns)
    if controller.t0_ns:
        why = on_turn((now_ns - controller.t0_ns) / NS_PER_S)
        if why is not None:
            controller.break_off(why, now_ns=now_ns)


def _hook_ns(controller: Controller, hooks: Hooks) -> int:
    """When the next command is due, on the monotonic clock; far away where none is."""
    next_ns = hooks.next_ns() if controller.phase is Phase.RUNNING else None
    return _NEVER_NS if next_ns is None else controller.t0_ns + next_ns


def _explain(ordinal: int, controller: Controller) -> None:
    if ordinal == 1 and controller.phase in (Phase.RUNNING, Phase.DRAINING):
        _log.warning("stopping: steps in flight may end, no new one starts; Ctrl-C again stops at once")
    elif ordinal > 1:
        _log.warning("stopping at once")
