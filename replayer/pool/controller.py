"""The controller: brings workers up together, keeps them on a lease, merges what they measure, and knows how it ended.

Theory of operation. ``Controller`` is a state machine that is told what happened and what time it is, and answers by
calling ``send`` and ``kill`` of an executor; it opens nothing and never reads a clock. ``conduct`` is the shell around
it. A run has five phases::

    PREPARING   every worker gets ASSIGN and must say READY before a deadline; nothing is sent to the target
    RUNNING     GO with one common t0 a moment ahead; a LEASE every 0.4 s; second-slots come in
    DRAINING    STOP was sent (Ctrl-C, SIGTERM, a lost worker): steps in flight may end, then DONE
    ABORTING    ABORT was sent (second Ctrl-C, drain overrun): whoever is left after a second is killed
    OVER        every worker is DONE or LOST

A worker is STARTING, READY, RUNNING, DONE or LOST, and may say only what ``_MAY_SAY`` lists for its state. GO is given
at most once: the only transition to RUNNING is from READY, and no transition leads back. A worker that dies, reports an
error of its own, breaks the conversation or falls silent is LOST: it is never started again, its users are never given
to others, the rest is drained (or, with ``OnLoss.CONTINUE``, plays on), and the run cannot pass.

A slot is a delta keyed by (worker, second) and is merged once, whatever arrives twice. All times are int nanoseconds on
CLOCK_MONOTONIC, which all processes of one machine share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from analysis.slotcodec import slot_from_body
from analysis.slots import SecondSlot
from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.pool.executors.executor import Executor, Exited, Received, Report
from replayer.pool.onloss import OnLoss
from replayer.pool.protocol import LEASE_RENEWAL_S, LEASE_S, FrameBuffer, Kind, encode

LEASE_NS = int(LEASE_S * NS_PER_S)
RENEWAL_NS = int(LEASE_RENEWAL_S * NS_PER_S)


class Phase(Enum):
    """Where the run is."""

    PREPARING = auto()
    PREPARED = auto()
    RUNNING = auto()
    DRAINING = auto()
    ABORTING = auto()
    OVER = auto()


class State(Enum):
    """Where one worker is."""

    STARTING = auto()
    READY = auto()
    RUNNING = auto()
    DONE = auto()
    LOST = auto()


class Ending(Enum):
    """Why a run ended."""

    FINISHED = "finished"
    """Every worker played its users to the end."""
    INTERRUPTED = "interrupted"
    """Ctrl-C or SIGTERM."""
    ABORTED = "aborted"
    """A threshold that ends the run was broken."""
    LOST = "lost"
    """A worker was lost; the rest was drained."""


_MAY_SAY = {
    State.STARTING: frozenset({Kind.READY, Kind.FAILED}),
    State.READY: frozenset({Kind.FAILED}),
    State.RUNNING: frozenset({Kind.SLOT, Kind.DONE, Kind.FAILED}),
    State.DONE: frozenset(),
    State.LOST: frozenset(),
}
_OVER = frozenset({State.DONE, State.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the controller waits, ns.

    Attributes:
        ready_ns: from launch to READY of all workers.
        lead_ns: from GO to t0, so that every worker has it in time.
        silence_ns: without a word of a running worker; twice the lease, so a worker given up here has stopped sending.
        drain_ns: from STOP to the end of the steps in flight.
        grace_ns: from the end of the drain to DONE.
        abort_ns: from ABORT to SIGKILL.
    """

    ready_ns: int = 60 * NS_PER_S
    lead_ns: int = 100 * NS_PER_MS
    silence_ns: int = 2 * LEASE_NS
    drain_ns: int = 10 * NS_PER_S
    grace_ns: int = 2 * NS_PER_S
    abort_ns: int = 600 * NS_PER_MS


@dataclass(slots=True)
class _Worker:
    state: State = State.STARTING
    frames: FrameBuffer = field(default_factory=FrameBuffer)
    heard_ns: int = 0
    seconds: set[int] = field(default_factory=set)


class Controller:
    """Leads the workers of one run through the conversation of ``replayer.pool.protocol``.

    Args:
        executor: launches workers and carries bytes.
        on_slot: called with every second-slot, once per worker and second.
        shortfall: asked when a worker says unbidden that it is done: what it left undone, or None.
        patience: deadlines.
        on_loss: what becomes of the others when a running worker is lost.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        on_slot: Callable[[SecondSlot], None],
        shortfall: Callable[[int], str | None] = lambda _: None,
        patience: Patience | None = None,
        on_loss: OnLoss = OnLoss.ABORT,
    ) -> None:
        self._on_loss = on_loss
        self._executor = executor
        self._on_slot = on_slot
        self._shortfall = shortfall
        self._patience = patience or Patience()
        self._workers: list[_Worker] = []
        self._deadline_ns = 0
        self._renew_ns = 0
        self._ticked_ns = 0
        self.phase = Phase.PREPARING
        self.ending = Ending.FINISHED
        self.t0_ns = 0
        self.notes: list[str] = []

    @property
    def lost(self) -> tuple[int, ...]:
        """Numbers of the lost workers."""
        return tuple(number for number, worker in enumerate(self._workers) if worker.state is State.LOST)

    @property
    def wake_at_ns(self) -> int:
        """When ``tick`` is due next."""
        if self.phase in (Phase.RUNNING, Phase.DRAINING):
            return min(self._renew_ns, self._deadline_ns or self._renew_ns)
        return self._deadline_ns

    def prepare(self, assignments: Sequence[dict[str, Any]], *, now_ns: int) -> None:
        """Launch one worker per assignment body and tell each its own."""
        if not assignments:
            raise ConfigError("no workers to run", "ask for at least one with --workers")
        self._workers = [_Worker(heard_ns=now_ns) for _ in assignments]
        self._deadline_ns = now_ns + self._patience.ready_ns
        self._ticked_ns = now_ns
        self._executor.launch(range(len(assignments)))
        for number, body in enumerate(assignments):
            self._executor.send(number, encode(Kind.ASSIGN, body))

    def go(self, *, now_ns: int) -> None:
        """Start every worker at one instant; does nothing unless all are READY and none was started before."""
        if self.phase is not Phase.PREPARED:
            return
        self.phase = Phase.RUNNING
        self.t0_ns = now_ns + self._patience.lead_ns
        self._deadline_ns = 0
        self._ticked_ns = now_ns
        self._renew(now_ns)
        for number, worker in enumerate(self._workers):
            worker.state = State.RUNNING
            worker.heard_ns = self.t0_ns
            self._executor.send(number, encode(Kind.GO, {"t0_ns": self.t0_ns}))

    def interrupt(self, *, now_ns: int) -> None:
        """Ctrl-C or SIGTERM: the first drains, the second aborts. Before GO there is nothing to drain."""
        if self.phase is Phase.OVER:
            return
        is_first = self.ending is not Ending.INTERRUPTED
        self.ending = Ending.INTERRUPTED
        if is_first and self.phase in (Phase.RUNNING, Phase.DRAINING):
            self._drain(now_ns)
        else:
            self._abort(now_ns)

    def break_off(self, why: str, *, now_ns: int) -> None:
        """End a running run early, because of what it measured."""
        if self.phase is Phase.RUNNING:
            self.ending = Ending.ABORTED
            self.notes.append(why)
            self._drain(now_ns)

    def take(self, report: Report, *, now_ns: int) -> None:
        """Take in what an executor reported."""
        match report:
            case Received(worker=number, data=data):
                self._hear(number, data, now_ns)
            case Exited(worker=number, exit_code=exit_code):
                self._bury(number, exit_code, now_ns)
        if all(worker.state in _OVER for worker in self._workers):
            self.phase = Phase.OVER

    def tick(self, *, now_ns: int) -> None:
        """Renew leases and act on deadlines that have passed."""
        if now_ns - self._ticked_ns > NS_PER_S:
            self._forgive(now_ns)
        self._ticked_ns = now_ns
        if self.phase in (Phase.RUNNING, Phase.DRAINING):
            if now_ns >= self._renew_ns:
                self._renew(now_ns)
            for number, worker in enumerate(self._workers):
                if worker.state is State.RUNNING and now_ns - worker.heard_ns > self._patience.silence_ns:
                    self._lose(number, "fell silent", now_ns)
        if self._deadline_ns and now_ns >= self._deadline_ns:
            self._overdue(now_ns)

    def _overdue(self, now_ns: int) -> None:
        match self.phase:
            case Phase.PREPARING:
                for number, worker in enumerate(self._workers):
                    if worker.state is State.STARTING:
                        self._lose(number, "was not ready in time", now_ns)
            case Phase.DRAINING:
                self._abort(now_ns)
            case Phase.ABORTING:
                self._deadline_ns = now_ns + self._patience.abort_ns
                for number, worker in enumerate(self._workers):
                    if worker.state not in _OVER:
                        self._executor.kill(number)
            case _:
                self._deadline_ns = 0

    def _hear(self, number: int, data: bytes, now_ns: int) -> None:
        worker = self._workers[number]
        worker.heard_ns = max(worker.heard_ns, now_ns)
        try:
            messages = worker.frames.feed(data)
        except (ValueError, TypeError) as exc:
            self._lose(number, f"sent what is no message ({exc})", now_ns)
            return
        for kind, body in messages:
            if worker.state is State.LOST:
                return
            if not self._may_say(worker, kind):
                self._lose(number, f"said {kind.name} while {worker.state.name}", now_ns)
                return
            self._answer(number, worker, kind, body, now_ns)

    def _may_say(self, worker: _Worker, kind: Kind) -> bool:
        is_farewell = kind is Kind.DONE and self.phase is Phase.ABORTING and worker.state is not State.DONE
        return is_farewell or kind in _MAY_SAY[worker.state]

    def _answer(self, number: int, worker: _Worker, kind: Kind, body: Any, now_ns: int) -> None:
        match kind:
            case Kind.READY:
                worker.state = State.READY
                self.notes += [f"worker {number}: {warning}" for warning in body.get("warnings", ())]
                if self.phase is Phase.PREPARING and all(each.state is State.READY for each in self._workers):
                    self.phase = Phase.PREPARED
                    self._deadline_ns = 0
            case Kind.SLOT:
                self._merge(number, body, now_ns)
            case Kind.DONE:
                self._finish(number, worker, now_ns)
            case Kind.FAILED:
                self._lose(number, f"failed: {body['text']}", now_ns)

    def _finish(self, number: int, worker: _Worker, now_ns: int) -> None:
        undone = self._shortfall(number) if self.phase is Phase.RUNNING else None
        if undone is None:
            worker.state = State.DONE
        else:
            self._lose(number, f"stopped early: {undone}", now_ns)

    def _merge(self, number: int, body: Any, now_ns: int) -> None:
        try:
            slot = slot_from_body(body)
        except ValueError as exc:
            self._lose(number, f"sent what is no second-slot ({exc})", now_ns)
            return
        seconds = self._workers[number].seconds
        if slot.worker == number and slot.second not in seconds:
            seconds.add(slot.second)
            self._on_slot(slot)

    def _bury(self, number: int, exit_code: int, now_ns: int) -> None:
        """A worker's process is gone: after ABORT as it should be, else too early."""
        worker = self._workers[number]
        if self.phase is Phase.ABORTING and worker.state not in _OVER:
            worker.state = State.DONE
            if self.t0_ns:
                self.notes.append(f"worker {number} was cut off; its last second may be missing")
        else:
            self._lose(number, _death(exit_code), now_ns)

    def _lose(self, number: int, how: str, now_ns: int) -> None:
        worker = self._workers[number]
        if worker.state in _OVER:
            return
        worker.state = State.LOST
        self._executor.kill(number)
        self.notes.append(f"worker {number} {how}")
        if self.ending is Ending.FINISHED:
            self.ending = Ending.LOST
        if self.phase is Phase.RUNNING:
            if self._on_loss is OnLoss.ABORT:
                self._drain(now_ns)
        elif self.phase in (Phase.PREPARING, Phase.PREPARED):
            self._abort(now_ns)

    def _drain(self, now_ns: int) -> None:
        if self.phase is Phase.DRAINING:
            return
        self.phase = Phase.DRAINING
        drain_until_ns = now_ns + self._patience.drain_ns
        self._deadline_ns = drain_until_ns + self._patience.grace_ns
        self._tell(Kind.STOP, {"drain_until_ns": drain_until_ns})

    def _abort(self, now_ns: int) -> None:
        if self.phase is not Phase.ABORTING:
            self._deadline_ns = now_ns + self._patience.abort_ns
        self.phase = Phase.ABORTING
        self._tell(Kind.ABORT, None)

    def _renew(self, now_ns: int) -> None:
        self._renew_ns = now_ns + RENEWAL_NS
        self._tell(Kind.LEASE, {"until_ns": now_ns + LEASE_NS})

    def _tell(self, kind: Kind, body: Any) -> None:
        frame = encode(kind, body)
        for number, worker in enumerate(self._workers):
            if worker.state not in _OVER:
                self._executor.send(number, frame)

    def _forgive(self, now_ns: int) -> None:
        """We were stopped ourselves: the silence was ours, not the workers'."""
        for worker in self._workers:
            worker.heard_ns = max(worker.heard_ns, now_ns)


def _death(exit_code: int) -> str:
    return (
        f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code} before its time"
    )
