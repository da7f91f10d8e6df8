"""One worker: a process, a loop, many virtual users.

It implements the users' port: timers, connections and sockets. It says once a second what it measured, and it sends
only while it holds a lease of its controller, so that a run never outlives who watches it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

import uvloop

from analysis.slotcodec import slot_to_body
from analysis.slots import WORKER_CPU_MS
from captures.errors import ReplayError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.populations import scripts_played
from replayer.plan.codec import plan_from_bytes
from replayer.plan.records import Plan
from replayer.pool.assignment import Assignment, assignment_from_body
from replayer.pool.crowd import Crowd, Seat
from replayer.pool.link import open_link
from replayer.pool.protocol import Kind
from replayer.pool.timers import Timers
from replayer.pool.usage import core_wait_ns, peak_kib
from replayer.user.checks import Budget
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.port import Connection, Run, SocketConnection
from replayer.user.steps import User
from replayer.user.storm import Storms
from replayer.wire.kinds import WireKind
from replayer.wire.tally import Tally
from replayer.wire.wires import Attempting, Opening, open_wire

if TYPE_CHECKING:
    from multiprocess.connection import Connection as Pipe

HEARTBEAT_S = 0.010
"""How often the loop shows that it is alive; what it is late by is ``generator.loop`` (hot_path: a stalled loop would
otherwise hide as service time)."""
_GC_THRESHOLDS = (2_000, 1 << 30, 1 << 30)
"""Only what is young is looked through, at a third of a millisecond a time: a pass over all users and their scripts
takes 100 ms and more, in which nothing is sent. Users leave no cycles behind (``User._end``)."""
FAREWELL_S = 5.0
"""How long the last words may take to reach the controller."""


def main(pipe: Pipe) -> None:
    """Be a worker until the run is over; the entry point of the process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(pipe))


async def _work(pipe: Pipe) -> None:
    worker = Worker(asyncio.get_running_loop())
    link = await open_link(pipe, worker.take_message, worker.lose_controller)
    await worker.work(link)
    await link.aclose(FAREWELL_S)


class Listener(Protocol):
    """Who hears what a worker says: the link to its controller."""

    def send(self, kind: Kind, body: Any = None) -> None:
        """Take one message."""


class Worker:
    """Plays one worker's share of a run; implements ``replayer.user.port.Port``.

    Args:
        seat: makes the users.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, seat: Seat = User) -> None:
        self._loop = loop
        self._seat = seat
        self._timers = Timers(loop, self._write_due)
        self.call_at = self._timers.call_at  # Of the port, without a call between.
        self._assigned: asyncio.Future[Assignment] = loop.create_future()
        self._granted: asyncio.Future[int] = loop.create_future()
        self._over: asyncio.Future[None] = loop.create_future()
        self._connections = Tally()
        self._sockets = Tally()
        self._lease_until_ns = 0
        self._has_begun = False
        self._second = 0
        self._cpu_ns = time.process_time_ns()
        self._core_wait_ns = 0
        self._heartbeat_ns = 0
        self._late_ns = 0

    @property
    def n_open(self) -> int:
        """Connections and sockets that have not ended yet; what users leave behind closes in its own time."""
        return self._connections.n + max(self._sockets.n, self._sockets.n_wires)

    # The conversation.

    def take_message(self, kind: Kind, body: Any) -> None:
        """Act on one message of the controller."""
        if kind is Kind.ASSIGN:
            self._assigned.set_result(assignment_from_body(body))
        elif kind is Kind.LEASE:
            # Subtle: a worker that was stopped may hear of new leases before it has seen that the old one ran out.
            if self._has_begun and self._lease_has_run_out(time.monotonic_ns()):
                return
            self._lease_until_ns = max(self._lease_until_ns, body["until_ns"])
            if self._has_begun:
                for run in self._crowd.runs:
                    run.lease_until_ns = self._lease_until_ns
        elif kind is Kind.GO and not self._granted.done():
            self._granted.set_result(body["t0_ns"])
        elif kind is Kind.STOP:
            self._stop(body["drain_until_ns"])
        elif kind is Kind.ABORT:
            self._end()

    def lose_controller(self) -> None:
        """End at once: nobody listens any more."""
        self._end()

    async def work(self, link: Listener) -> None:
        """Play the run from ASSIGN to DONE."""
        self._link = link
        self._loop.set_exception_handler(self._own_error)
        try:
            assignment = await _first(self._assigned, self._over)
            if assignment is None:
                return
            self._prepare(assignment)
            link.send(Kind.READY, {"pid": os.getpid(), "warnings": []})
            t0_ns = await _first(self._granted, self._over)
            if t0_ns is None:
                return
            self._begin(t0_ns)
            await self._over
        except Exception as exc:  # The worker's top frame: whatever went wrong here is ours and ends the run.
            link.send(Kind.FAILED, {"text": str(exc) if isinstance(exc, ReplayError) else _without_values(exc)})
            return
        finally:
            await self._close()
        self._flush(time.monotonic_ns())
        link.send(Kind.DONE, {})

    def _own_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._over.done():
            exc = context.get("exception")
            self._over.set_exception(exc if isinstance(exc, Exception) else RuntimeError(context["message"]))

    # Beginning and end.

    def _prepare(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._plan: Plan = plan_from_bytes(assignment.plan)
        self._meter = Meter(assignment.worker)
        self._populations = assignment.crowd(len(self._plan.scripts))
        self._scripts = self._linked_scripts()
        self._wire = open_wire(
            assignment.wire,
            self._loop,
            assignment.reach,
            connections=self._connections,
            sockets=self._sockets,
            on_error=self._connect_error,
            count=self._meter.count,
            max_message_bytes=assignment.max_message_bytes,
        )
        self._wire.warm_up(assignment.targets)
        gc.collect()
        gc.set_threshold(*_GC_THRESHOLDS)
        gc.freeze()  # Plan and scripts live as long as the process; no collection need look at them again.

    def _begin(self, t0_ns: int) -> None:
        assignment = self._assignment
        runs = self._runs(assignment, t0_ns)
        self._run = runs[0]
        self._crowd = Crowd(
            self._plan,
            self._populations,
            runs,
            self._scripts,
            worker=assignment.worker,
            n_workers=assignment.n_workers,
            sampled_users=assignment.sampled_users,
            on_over=self._end,
            seat=self._seat,
        )
        self._has_begun = True
        self._cpu_ns = time.process_time_ns()  # What came before was preparation.
        self._meter.pushes.wall_offset_ns = time.time_ns() - time.monotonic_ns()
        if assignment.storms:
            self._arm_storms(assignment, runs)
        self._crowd.begin()
        self._timers.call_at(t0_ns + NS_PER_S, self._second_over, None)
        self._core_wait_ns = core_wait_ns()
        self._heartbeat_ns = time.monotonic_ns()
        self._heartbeat = self._loop.call_later(HEARTBEAT_S, self._beat)

    def _arm_storms(self, assignment: Assignment, runs: Sequence[Run]) -> None:
        storms = Storms(
            assignment.storms,
            seed=assignment.load.seed,
            plan=self._plan,
            meter=self._meter,
            port=self,
            users=lambda: self._crowd.users,
            is_stopping=lambda: self._run.is_stopping,
        )
        for run in runs:
            run.storms = storms
        storms.arm(self._run.start_ns)

    def _runs(self, assignment: Assignment, t0_ns: int) -> list[Run]:
        """What the users of each population share; port, meter and budget are the same for all."""
        budget = Budget(time.monotonic_ns)
        return [
            Run(
                plan=self._plan,
                port=self,
                meter=self._meter,
                budget=budget,
                pacing=population.pacing,
                deadlines=assignment.deadlines,
                speed=population.load.speed,
                max_gap_ns=population.load.max_gap_ns,
                max_failures=assignment.max_failures,
                start_ns=t0_ns,
                key=assignment.per_run_key,
                at_end=population.at_end,
                lease_until_ns=self._lease_until_ns,
                clock=time.monotonic_ns,
                request_ns=assignment.deadlines.request_ns,
            )
            for population in self._populations
        ]

    def _linked_scripts(self) -> dict[int, LinkedScript]:
        """Link, before the run begins, every script that a user of this worker will play."""
        assignment = self._assignment
        targets = assignment.targets
        if assignment.wire is WireKind.REFERENCE:
            targets = tuple(replace(target, http="1.1") for target in targets)  # It reads requests as HTTP/1.1 text.
        return {
            number: LinkedScript(
                self._plan,
                self._plan.scripts[number],
                targets=targets,
                added=assignment.headers,
                meter=self._meter,
                speed=population.load.speed,
                max_gap_ns=population.load.max_gap_ns,
                pacing=population.pacing,
                at_end=population.at_end,
                trusts_clock=assignment.trusts_clock,
            )
            for number, population in scripts_played(
                self._populations, worker=assignment.worker, n_workers=assignment.n_workers
            )
        }

    def user_ended(self, user: User) -> None:
        self._wire.forget(user.number)
        self._crowd.user_ended(user)

    def _stop(self, drain_until_ns: int) -> None:
        if not self._granted.done():
            self._end()
            return
        self._crowd.stop()
        self._timers.call_at(drain_until_ns, self._drained, None)

    def _drained(self, _argument: None, _due_ns: int) -> None:
        self._crowd.cut()
        self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def _close(self) -> None:
        if self._has_begun:
            self._crowd.cut()
        self._timers.close()
        if self._granted.done():
            self._heartbeat.cancel()
        if self._assigned.done():
            await self._wire.aclose()

    # Every second, every 10 ms.

    def _second_over(self, _argument: None, due_ns: int) -> None:
        self._end_second(time.monotonic_ns())
        if not self._over.done():
            self._timers.call_at(due_ns + NS_PER_S, self._second_over, None)

    def _end_second(self, now_ns: int) -> None:
        """Say what was measured where a second is over, once for each."""
        if now_ns < self._run.start_ns + (self._second + 1) * NS_PER_S or self._lease_has_run_out(now_ns):
            return
        before_ns, waited_before_ns = self._cpu_ns, self._core_wait_ns
        self._meter.pushes.wall_offset_ns = time.time_ns() - time.monotonic_ns()
        self._flush(now_ns)
        # Subtle: who waits for a core is not idle: it burns no time of its own, but the kernel counts it.
        waited_ns = max(self._late_ns, self._core_wait_ns - waited_before_ns)
        self._run.budget.renew(NS_PER_S - (self._cpu_ns - before_ns) - waited_ns)
        self._late_ns = 0

    def _flush(self, now_ns: int) -> None:
        """Send every second up to now that has not been sent; what is late counts in the first of them."""
        if not self._granted.done():
            return
        until = max(self._second + 1, (now_ns - self._run.start_ns) // NS_PER_S)
        wait_ns = core_wait_ns()
        self._meter.count("core_wait_ms", (wait_ns - self._core_wait_ns) // NS_PER_MS)
        self._core_wait_ns = wait_ns
        while self._second < until:
            cpu_ns = time.process_time_ns()
            gauges = {
                **self._crowd.gauges(),
                "connections_open": self._connections.n,
                "sockets_open": self._sockets.n,
                "sockets_paused": self._sockets.n_paused,
                "memory_kib": peak_kib(),
            }
            self._meter.pushes.settle(now_ns, self._run.start_ns, is_end=self._over.done())
            slot = self._meter.take_slot(self._second, gauges, cpu_ns - self._cpu_ns)
            slot.counts[f"{WORKER_CPU_MS}{slot.worker}"] = cpu_ns // NS_PER_MS - self._cpu_ns // NS_PER_MS
            self._cpu_ns = cpu_ns
            self._link.send(Kind.SLOT, slot_to_body(slot))
            self._second += 1

    def _write_due(self) -> None:
        """Write what the timers set off, and take how late that was."""
        if self._has_begun:
            self._wire.flush()
            self._meter.due_written(time.monotonic_ns())

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        late_ns = now_ns - self._heartbeat_ns - int(HEARTBEAT_S * NS_PER_S)
        self._heartbeat_ns = now_ns
        if now_ns >= self._run.start_ns:
            self._meter.loop_late(max(0, late_ns))
            self._late_ns += max(0, late_ns)
            self._run.budget.refill(late_ns + int(HEARTBEAT_S * NS_PER_S))
            self._end_second(now_ns)  # Subtle: among the timers it may stand behind seconds of sends that are due.
        if not self._lease_has_run_out(now_ns):
            self._heartbeat = self._loop.call_later(HEARTBEAT_S, self._beat)

    def _lease_has_run_out(self, now_ns: int) -> bool:
        if now_ns <= self._lease_until_ns:
            return False
        if not self._over.done():
            self._over.set_exception(ReplayError("its lease ran out"))
        return True

    # The port.

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def may_send(self, now_ns: int) -> bool:
        return now_ns <= self._lease_until_ns or not self._lease_has_run_out(now_ns)

    def dial(self, owner: Any, origin: int, on_failed: Callable[[str], None]) -> None:
        self._meter.count("connects")
        attempt = self._wire.dial(owner, self._assignment.targets[origin], on_failed)
        self._timers.call_at(self._connect_deadline_ns(), self._expire_dial, ref(attempt))

    def open_socket(
        self,
        owner: Any,
        origin: int,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> SocketConnection:
        self._meter.count("connects")
        spec = self._assignment.targets[origin]
        connection, attempt = self._wire.open_socket(
            owner, spec, target, headers, subprotocols, offers_deflate=offers_deflate
        )
        self._timers.call_at(self._connect_deadline_ns(), self._expire_opening, (ref(attempt), ref(connection)))
        opening: SocketConnection = connection
        return opening

    def _connect_deadline_ns(self) -> int:
        return time.monotonic_ns() + self._assignment.deadlines.connect_ns

    def _expire_dial(self, dialing: ref[Attempting], _due_ns: int) -> None:
        attempt = dialing()
        if attempt is not None:
            attempt.expire()

    def _expire_opening(self, opening: tuple[ref[Attempting], ref[Opening]], _due_ns: int) -> None:
        attempt, connection = opening[0](), opening[1]()
        if not (attempt is not None and attempt.expire()) and connection is not None:
            connection.expire_handshake(time.monotonic_ns())

    def _connect_error(self, exc: BaseException) -> None:
        self._own_error(self._loop, {"exception": exc, "message": str(exc)})

    def watch(self, connection: Connection) -> None:
        if not connection.is_watched:
            connection.is_watched = True
            self._timers.call_at(connection.deadline_ns, self._check_deadline, ref(connection))

    def _check_deadline(self, watched: ref[Connection], _due_ns: int) -> None:
        """Expire a request, or look again at its connection's present deadline: one timer per connection.

        Subtle: deadlines refer weakly, or every user would live on until the last deadline of its connections.
        """
        connection = watched()
        if connection is None:
            return
        now_ns = time.monotonic_ns()
        connection.is_watched = False
        if not connection.is_busy:
            return
        if connection.deadline_ns <= now_ns:
            connection.expire(now_ns)
        else:
            self.watch(connection)


def _without_values(exc: BaseException) -> str:
    """Say what an error of ours is and where; its own words may quote what the target sent."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(exc).__name__}{where}"


async def _first(awaited: asyncio.Future[Any], over: asyncio.Future[None]) -> Any:
    """Return the result of ``awaited``, or None where the run was over before."""
    await asyncio.wait({awaited, over}, return_when=asyncio.FIRST_COMPLETED)
    if awaited.done():
        return awaited.result()
    over.result()
    return None
