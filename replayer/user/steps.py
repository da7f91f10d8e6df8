"""One virtual user: a state machine that plays a linked script. Pure: told what arrived, it calls its port.

Theory of operation
-------------------
A script is a graph of steps. A step whose needs have all ended becomes *ready*; its intended start follows from the
pacing (measurement.md §1.2): where it depends on earlier steps, the end of the last of them plus think time; else its
place on the recorded timeline. A step that is due *begins*: it is rendered from the user's slots and handed to a
connection or socket. It *ends* once, in ``finish``, whatever became of it, and its dependents count it off.

Roots (steps without needs) are armed one after the other, so a user holds one timer for all of them, and steps that
cannot be sent end by timer too, so that no chain of steps recurses.

A failed step does not stop the user: a browser goes on. What cannot be rendered for want of a value is *not sent*:
``producer_failed`` where the step that should have brought the value went wrong, else ``correlation_miss``. After
``max_failures`` failed steps in a row the user ends, visibly.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from analysis.slots import StepRecord
from analysis.verification import STATUS
from replayer import failures
from replayer.plan.records import Step, StepKind
from replayer.user.answers import decoded
from replayer.user.checks import check_head, check_size
from replayer.user.connections import OriginConnections, Requester
from replayer.user.ending import AtEnd, Steady, next_pass_ns
from replayer.user.link import LinkedScript
from replayer.user.linked_request import LinkedRequest
from replayer.user.memory import Memory
from replayer.user.meter import KEPT_STEPS, Recorder
from replayer.user.multiplex import OriginStreams
from replayer.user.pacing import Pacing
from replayer.user.port import Connection, Run
from replayer.user.refresh import Refresher
from replayer.user.render import MissingValue
from replayer.user.slots import Answer, Mint
from replayer.user.sockets import UserSocket
from replayer.user.streams import EventStreams
from replayer.wire.sse import ServerEvent

if TYPE_CHECKING:
    from replayer.load.storms import Strike

_WAITING = 0
_IN_FLIGHT = 1
_ENDED = 2
_HELD = 3
"""Refused, and waits for a fresh credential (``replayer.user.refresh``)."""


class Ending(Enum):
    """How a user ends; the value is the suffix of its counters."""

    COMPLETED = "completed"
    FAILED = "failed"
    CUT = "cut"
    RETIRED = "retired"
    """The load shape or ``--for`` ended it before its script did: as planned, no failure."""


class User:
    """One virtual user.

    Args:
        number: of the user in the run.
        script: what it plays.
        run: what it shares with the worker's other users.
        inputs: its row of identities.
        is_sampled: whether its steps are kept whole.
    """

    __slots__ = (
        "_arrival_ns",
        "_connections",
        "_failed",
        "_failures_in_row",
        "_is_played",
        "_is_postponed",
        "_is_retiring",
        "_is_sampled",
        "_latest_ns",
        "_n_in_flight",
        "_n_kept",
        "_n_left",
        "_n_needs",
        "_n_recovering",
        "_next_root",
        "_remaining",
        "_roots",
        "_run",
        "_slip_ns",
        "_sockets",
        "_states",
        "_streams",
        "ending",
        "is_over",
        "memory",
        "number",
        "refresher",
        "script",
    )

    def __init__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> None:
        self.number = number
        self.script = script
        self.memory = Memory(script, run.port, Mint(run.key, number), inputs)
        self.is_over = False
        self.ending = Ending.CUT
        self._run = run
        self._is_sampled = is_sampled
        self._connections: dict[int, OriginConnections | OriginStreams] = {}
        self._sockets: dict[int, UserSocket] = {}
        self._states = bytearray(len(script.steps))
        # By step that waits for several: how many of them still go on, and the latest end among the others.
        self._remaining: dict[int, int] = {}
        self._latest_ns: dict[int, int] = {}
        self._n_left = len(script.steps)
        self._n_in_flight = 0
        self._n_kept = 0
        self._n_needs: Sequence[int] = script.n_needs
        self._roots: Sequence[int] = script.roots
        self._next_root = 0
        self._arrival_ns = 0
        self._slip_ns = 0
        self._is_played = False
        self._is_retiring = False
        self._n_recovering = 0  # sockets that a storm took and that are on their way back
        self._is_postponed = False
        self._failures_in_row = 0
        self._failed = False
        self._streams: EventStreams | None = None
        self.refresher = Refresher(self, run) if script.script.refreshes else None

    # Beginning and end.

    def start(self, arrival_ns: int) -> None:
        """Begin to play at the planned arrival, which has come."""
        self._arrival_ns = arrival_ns
        for slot in self.memory.place_cookies():
            self.count_miss(slot)
        if self._n_left == 0:
            self._script_over(arrival_ns)
        else:
            self._arm_root()

    def stop(self) -> None:
        """Begin no further step; end as soon as nothing is in flight that was sent."""
        if self._n_recovering:
            for socket in self._sockets.values():
                socket.stop_recovering()
        if not self.is_over and not self._n_recovering and self._is_idle():
            self._end(self._early_ending())

    def retire(self) -> None:
        """Give up the place because the load shape says so: as ``stop``, for this user alone."""
        self._is_retiring = True
        self.stop()

    def cut(self) -> None:
        """End now, because the run ends: neither completed nor failed, unless the script was played."""
        if not self.is_over:
            self._end(self._early_ending())

    def _early_ending(self) -> Ending:
        if self._is_played:
            return Ending.FAILED if self._failed else Ending.COMPLETED
        return Ending.RETIRED if self._is_retiring or self._run.is_retiring else Ending.CUT

    def _is_idle(self) -> bool:
        """Tell whether nothing is in flight but streams and messages that the server sends when it likes."""
        if not self._n_in_flight:
            return True
        in_flight = (step for step in self.script.steps if self._states[step.index] in (_IN_FLIGHT, _HELD))
        return all(step.kept_open or (step.kind is StepKind.RECEIVE and step.reply_to < 0) for step in in_flight)

    def _script_over(self, now_ns: int) -> None:
        """Every step has ended: end too, stay, or play the steady part again (``replayer.user.ending``)."""
        run = self._run
        if self._n_recovering:
            self._is_postponed = True  # What a storm took is waited for.
            return
        if not self._is_played:
            self._is_played = True
            if run.pacing is not Pacing.ASAP:
                self.script.pace.note(now_ns - self._arrival_ns, self._slip_ns)
        if run.is_stopping or self._is_retiring or run.at_end in (AtEnd.END, AtEnd.RESTART):
            self._end(self._early_ending())
        elif self.script.steady is not None and self.script.steady.steps:
            steady = self.script.steady
            at_ns = next_pass_ns(self._arrival_ns + steady.start_ns, length_ns=steady.period_ns, now_ns=now_ns)
            run.port.call_at(at_ns, self._begin_pass, steady)

    def _begin_pass(self, steady: Steady, due_ns: int) -> None:
        if self.is_over:
            return
        if self._run.is_stopping or self._is_retiring:
            self.stop()
            return
        self._run.meter.count("passes_started")
        self._arrival_ns = due_ns - steady.start_ns
        self._n_left, self._n_needs, self._roots, self._next_root = len(steady.steps), steady.n_needs, steady.roots, 0
        for index in steady.steps:
            self._states[index] = _WAITING
        self._arm_root()

    def _end(self, ending: Ending) -> None:
        self.is_over = True
        self.ending = ending
        self._settle(ending)
        for socket in self._sockets.values():
            socket.abandon()
        for connections in self._connections.values():
            connections.close()
        if self.refresher is not None:
            self.refresher.close()
        self._run.port.user_ended(self)

    def _settle(self, ending: Ending) -> None:
        """Give every step that was sent, or would have been, an outcome: planned = ok + failed + not sent."""
        reason = ending.value if ending in (Ending.CUT, Ending.RETIRED) else "user_ended"
        for step in self.script.steps:
            state = self._states[step.index]
            if state == _WAITING and ending is Ending.FAILED and step.kind is not StepKind.RECEIVE:
                self.script.recorders[step.index].measure.planned += 1
                self._run.meter.count("not_sent:" + reason)
            elif state in (_IN_FLIGHT, _HELD):
                self._run.meter.count("not_sent:" + reason)

    # Time.

    def _arm_root(self) -> None:
        step = self._roots[self._next_root]
        self._run.port.call_at(self._arrival_ns + self.script.ideal_ns[step], self._root_due, step)

    def _root_due(self, step: int, due_ns: int) -> None:
        if self.is_over:
            return
        self._next_root += 1
        if self._next_root < len(self._roots):
            self._arm_root()
        self._begin_due(step, due_ns)

    def _begin_due(self, step: int, due_ns: int) -> None:
        if self.is_over:
            return
        if self._run.is_stopping or self._is_retiring:
            self.stop()
            return
        if self.script.steps[step].kind is not StepKind.RECEIVE:
            slip_ns = due_ns - self._arrival_ns - self.script.ideal_ns[step]
            if slip_ns > self._slip_ns:
                self._slip_ns = slip_ns
            self._run.meter.sent_late(self._run.port.now_ns() - due_ns)
        self._begin(step, due_ns)

    def finish(self, step: int, end_ns: int) -> None:
        """Count a step as ended and start what waited for it; a second end of the same step is no end."""
        state = self._states[step]
        if state >= _ENDED or self.is_over:
            return
        self._n_in_flight -= state == _IN_FLIGHT
        self._states[step] = _ENDED
        self._n_left -= 1
        if self._streams is None or not self._streams.has_released(step):
            n_needs = self._n_needs
            for dependent in self.script.dependents[step]:
                if n_needs[dependent] == 1:
                    self._ready(dependent, end_ns, end_ns)
                else:
                    self._count_off(dependent, end_ns)
        if self.is_over:
            return
        if not self._n_left:
            self._script_over(end_ns)
        elif self._run.is_stopping or self._is_retiring:
            self.stop()

    def _count_off(self, step: int, end_ns: int) -> None:
        """One of several needs of ``step`` ended."""
        latest_ns = max(self._latest_ns.get(step, 0), end_ns)
        n_left = self._remaining.get(step, self._n_needs[step]) - 1
        if n_left:
            self._remaining[step] = n_left
            self._latest_ns[step] = latest_ns
        else:
            self._remaining.pop(step, None)
            self._latest_ns.pop(step, None)
            self._ready(step, latest_ns, end_ns)

    def _ready(self, step: int, base_ns: int, now_ns: int) -> None:
        script, run = self.script, self._run
        request = script.requests[step]
        if request is None and script.steps[step].kind is StepKind.RECEIVE:
            intended_ns = base_ns  # It is listened for at once: its think time is how long the recorded one took.
        elif run.pacing is Pacing.TIMELINE:
            intended_ns = max(base_ns, self._arrival_ns + script.ideal_ns[step])
        else:
            intended_ns = base_ns + script.think_ns[step]
        if intended_ns > now_ns or run.is_stopping or self._is_retiring:
            run.port.call_at(intended_ns, self._begin_due, step)
        elif request is None or self._states[step] != _WAITING:
            self._begin(step, intended_ns)
        else:  # The usual step of a closed loop.
            request.recorder.measure.planned += 1
            try:
                self._begin_request(request, intended_ns)
            except MissingValue as exc:
                self._miss(step, exc.slot)

    # Steps.

    def _begin(self, index: int, intended_ns: int) -> None:
        step = self.script.steps[index]
        kind = step.kind
        if self._states[index] != _WAITING or self.is_over:
            return
        if kind is StepKind.RECEIVE:
            self._begin_receive(step, intended_ns)
            return
        if self._n_recovering and step.socket >= 0 and self._socket(step.socket).holds(index, intended_ns):
            return
        self.script.recorders[index].measure.planned += 1
        try:
            request = self.script.requests[index]
            if request is not None:
                self._begin_request(request, intended_ns)
            elif kind is StepKind.CONNECT:
                self.memory.prepare(step)
                self._socket(step.socket).open(step, intended_ns)
                self._set_in_flight(index)
            elif not self._socket(step.socket).is_open():
                self._not_sent(index, "socket_closed")
            elif kind is StepKind.SEND:
                self._begin_send(step, intended_ns)
            else:
                self._set_in_flight(index)
                self._socket(step.socket).close(step, intended_ns)
        except MissingValue as exc:
            self._miss(index, exc.slot)

    def _set_in_flight(self, index: int) -> None:
        self._states[index] = _IN_FLIGHT
        self._n_in_flight += 1

    def _begin_request(self, request: LinkedRequest, intended_ns: int) -> None:
        data = request.rendered.static
        if data is None:
            self.memory.prepare(request.step)
            data = request.rendered.render(self.memory.values)
        self._states[request.index] = _IN_FLIGHT
        self._n_in_flight += 1
        connections = self._connections.get(request.origin)
        if connections is None:
            connections = self._connections[request.origin] = self.connect_to(request, self)
        connections.submit(request, intended_ns, data)

    def connect_to(self, request: LinkedRequest, requester: Requester) -> OriginConnections | OriginStreams:
        """Return connections of this user to where a request goes; ``requester`` is told what comes back."""
        if request.is_http2:
            return OriginStreams(requester, self._run, request.origin)
        return OriginConnections(requester, self._run, request.origin)

    def _begin_send(self, step: Step, intended_ns: int) -> None:
        rendered = self.script.rendered[step.index]
        assert rendered is not None
        if rendered.static is None:
            self.memory.prepare(step)
        data = rendered.render(self.memory.values)
        if step.reply >= 0:
            self._set_in_flight(step.reply)
            self.script.recorders[step.reply].measure.planned += 1
        self._socket(step.socket).send(step, data, intended_ns)
        self.script.recorders[step.index].measure.ok += 1
        now_ns = self._run.port.now_ns()
        self._keep(index=step.index, outcome="ok", intended_ns=intended_ns, actual_ns=now_ns, end_ns=now_ns)
        self._later_finished(step.index)

    def _begin_receive(self, step: Step, intended_ns: int) -> None:
        """Wait for a message; a reply is waited for since its SEND, so here only one that never will come ends."""
        if not self._socket(step.socket).is_open():
            self.memory.lose(step.extractors)
            self._later_finished(step.index)
        elif step.reply_to < 0:
            self._set_in_flight(step.index)
            self.script.recorders[step.index].measure.planned += 1
            self._socket(step.socket).expect(step, intended_ns)
        else:
            self._later_finished(step.index)

    def _socket(self, number: int) -> UserSocket:
        socket = self._sockets.get(number)
        if socket is None:
            socket = self._sockets[number] = UserSocket(self, self._run, number)
        return socket

    def _later_finished(self, index: int) -> None:
        self._run.port.call_at(self._run.port.now_ns(), self._finish_due, index)

    def _finish_due(self, index: int, due_ns: int) -> None:
        self.finish(index, due_ns)

    # Outcomes.

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        """Judge a complete response, count it, take its cookies and values."""
        if (
            connection.head is not request.good_head
            or request.step.extractors
            or self._is_sampled
            or not request.min_bytes <= connection.body_bytes <= request.max_bytes
        ):
            self._judge_answer(request, connection, end_ns)
            return
        if request.inspection is not None:
            if self._run.budget.left_ns > 0:
                self._judge_answer(request, connection, end_ns)
                return
            request.recorder.measure.eligible += 1
        self._failures_in_row = 0
        request.recorder.ok(connection.intended_ns, connection.actual_ns, end_ns, connection.body_bytes)

    def take_events(self, request: LinkedRequest, events: Sequence[ServerEvent], end_ns: int) -> None:
        """Count what an open event stream brought, and take the values that it was to bring."""
        if self._streams is None:
            self._streams = EventStreams(self.script, self.memory)
        if self._streams.take(request, events, end_ns):
            for dependent in self.script.dependents[request.index]:
                if self._n_needs[dependent] == 1:
                    self._ready(dependent, end_ns, end_ns)
                else:
                    self._count_off(dependent, end_ns)

    def _judge_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        head, expectation = connection.head, request.step.expectation
        cookies: list[tuple[bytes, bytes]] = []
        if head.set_cookies:
            cookies = self.memory.take_cookies(request.step, head.set_cookies, end_ns)
        mismatch = "" if head is request.good_head else check_head(expectation, head.status, head.content_type)
        if mismatch is STATUS and head.status >= 400:
            if self.refresher is not None and self.refresher.takes(
                request.index, head.status, connection.intended_ns, connection.actual_ns, end_ns
            ):
                return
            failure = failures.status_failure(head.status)
            self._count_failure(
                request.index, failure, connection.intended_ns, connection.actual_ns, end_ns, head.status
            )
            return
        if not (mismatch or head.set_cookies or head.content_encoding):
            request.good_head = head
        answer = Answer(head.headers, cookies, lambda: decoded(connection)) if request.needs_answer else None
        if not mismatch and not head.content_encoding:
            mismatch = check_size(expectation, connection.body_bytes)
        if request.inspection is not None and answer is not None:
            mismatch = self._run.budget.check_answer(request.recorder.measure, request.inspection, answer, mismatch)
        self._count_answer(request, mismatch, connection, end_ns)
        if answer is not None:
            self.memory.extract(request.step.extractors, answer)

    def _count_answer(self, request: LinkedRequest, mismatch: str, connection: Connection, end_ns: int) -> None:
        self._failures_in_row = 0
        intended_ns, actual_ns = connection.intended_ns, connection.actual_ns
        if mismatch:
            request.recorder.mismatched(mismatch, intended_ns, end_ns, connection.body_bytes)
        else:
            request.recorder.ok(intended_ns, actual_ns, end_ns, connection.body_bytes)
        if not self._is_sampled and not mismatch:
            return
        self._keep(
            index=request.index,
            outcome=f"mismatch_{mismatch}" if mismatch else "ok",
            intended_ns=intended_ns,
            actual_ns=actual_ns,
            end_ns=end_ns,
            status=connection.head.status,
            detail=_seen(connection) if mismatch else "",
        )

    def take_handshake(
        self, index: int, set_cookies: Sequence[bytes], intended_ns: int, actual_ns: int, end_ns: int
    ) -> None:
        """Count an accepted WebSocket."""
        self.memory.take_cookies(self.script.steps[index], set_cookies, end_ns)
        self._count_ok(index, intended_ns, actual_ns, end_ns, 0, status=101)

    def take_message(
        self, index: int, answer: Answer, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int
    ) -> None:
        """Count an awaited message and take its values; the end of a RECEIVE step."""
        self._count_ok(index, intended_ns, actual_ns, end_ns, n_bytes)
        self.memory.extract(self.script.steps[index].extractors, answer)

    def take_close(self, index: int, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        """Count a close that was answered."""
        self._count_ok(index, intended_ns, actual_ns, end_ns, 0)

    def _count_ok(
        self, index: int, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int, *, status: int = 0
    ) -> None:
        self._failures_in_row = 0
        self.script.recorders[index].ok(intended_ns, actual_ns, end_ns, n_bytes)
        self._keep(
            index=index, outcome="ok", intended_ns=intended_ns, actual_ns=actual_ns, end_ns=end_ns, status=status
        )

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int = 0) -> None:
        """Count a step that ended without what it was sent for, and go on."""
        if status and self.refresher is not None:
            if self.refresher.takes(index, status, intended_ns, actual_ns, end_ns):
                return
        if self.script.steps[index].kept_open and failure == failures.TIMEOUT_REQUEST:
            self.script.recorders[index].measure.ok += 1  # It was to stay open this long.
        else:
            self._count_failure(index, failure, intended_ns, actual_ns, end_ns, status)
        self.finish(index, end_ns)

    def hold(self, index: int) -> None:
        """Keep a refused step until there is a fresh credential."""
        self._states[index] = _HELD

    def has_ended(self, index: int) -> bool:
        """Tell whether a step has ended, whatever became of it."""
        return self._states[index] == _ENDED

    def resume(self, index: int, intended_ns: int) -> None:
        """Send a step that was held again."""
        if self._states[index] != _HELD or self.is_over:
            return
        self._n_in_flight -= 1
        step, request = self.script.steps[index], self.script.requests[index]
        try:
            if request is not None:
                self._begin_request(request, intended_ns)
            else:
                self.memory.prepare(step)
                self._socket(step.socket).open(step, intended_ns)
                self._set_in_flight(index)
        except MissingValue as exc:
            self._states[index] = _WAITING
            self._miss(index, exc.slot)

    def give_up(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int) -> None:
        """Count a step that was held in vain."""
        if self._states[index] == _HELD and not self.is_over:
            self._states[index] = _IN_FLIGHT
            self._count_failure(index, failure, intended_ns, actual_ns, end_ns, status)
            self.finish(index, end_ns)

    def socket_lost(self, number: int, failure: str, end_ns: int) -> None:
        """Count a socket that ended although the recording went on."""
        self._failed = True
        recorder = self.script.drops[number]
        recorder.measure.planned += 1
        recorder.failed(failure, end_ns, end_ns, end_ns)
        connect = self.script.script.sockets[number].connect
        self._keep(
            index=connect, outcome=failure, intended_ns=end_ns, actual_ns=end_ns, end_ns=end_ns, recorder=recorder
        )

    # Storms (``replayer.user.storm``).

    def strike(self, strike: Strike, at_ns: int) -> None:
        """Lose every open socket to a storm."""
        for socket in list(self._sockets.values()):
            socket.strike(strike, at_ns)

    def socket_struck(self) -> None:
        """One socket more is on its way back; the user counts as touched."""
        self._n_recovering += 1
        assert self._run.storms is not None
        self.script = self._run.storms.touched(self.script)

    def socket_settled(self, now_ns: int) -> None:
        """One socket less is on its way back: it is ready again, or never will be."""
        self._n_recovering -= 1
        if self.is_over or self._n_recovering:
            return
        if self._is_postponed:
            self._is_postponed = False
            self._script_over(now_ns)
        elif self._run.is_stopping or self._is_retiring:
            self.stop()

    def lose_reply(self, index: int) -> None:
        """A storm took the socket that an answer was to come over: nobody's failure."""
        self._run.meter.count("not_sent:storm")
        self.memory.lose(self.script.steps[index].extractors)
        self._later_finished(index)

    def begin_held(self, index: int, intended_ns: int) -> None:
        """Begin a step that waited for its socket; its wait is slip, as of any step that others hold up."""
        slip_ns = intended_ns - self._arrival_ns - self.script.ideal_ns[index]
        self._slip_ns = max(self._slip_ns, slip_ns)
        self._begin(index, intended_ns)

    def _count_failure(
        self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, status: int
    ) -> None:
        self._failed = True
        self.memory.lose(self.script.steps[index].extractors)
        if failure == failures.LOCAL_RESOURCE:
            self._run.meter.count("not_sent:local_resource")
        else:
            self.script.recorders[index].failed(failure, intended_ns, actual_ns, end_ns)
        self._keep(
            index=index, outcome=failure, intended_ns=intended_ns, actual_ns=actual_ns, end_ns=end_ns, status=status
        )
        if self._n_recovering:
            return  # The storm's policy has limits of its own.
        self._failures_in_row += 1
        if self._failures_in_row >= self._run.max_failures:
            self._states[index] = _ENDED
            self._n_left -= 1
            self._end(Ending.FAILED)

    def _not_sent(self, index: int, reason: str) -> None:
        self._failed = True
        self._run.meter.count("not_sent:" + reason)
        self.memory.lose(self.script.steps[index].extractors)
        now_ns = self._run.port.now_ns()
        outcome = "not_sent_" + reason
        self._keep(index=index, outcome=outcome, intended_ns=now_ns, actual_ns=now_ns, end_ns=now_ns)
        self._later_finished(index)

    def _miss(self, index: int, slot: int) -> None:
        if slot in self.memory.broken:
            self._not_sent(index, "producer_failed")
        else:
            self._run.meter.count("correlation_misses")
            self._not_sent(index, "correlation_miss")

    def count_miss(self, slot: int) -> None:
        """Count a value that is missing where no step can be charged with it."""
        if slot not in self.memory.broken:
            self._run.meter.count("correlation_misses")

    def open_for_ns(self, index: int) -> int:
        """Return how long a response that is kept open stays so."""
        return max(1, int(self.script.steps[index].duration_ns / self._run.speed))

    # Evidence.

    def _keep(
        self,
        *,
        index: int,
        outcome: str,
        intended_ns: int,
        actual_ns: int,
        end_ns: int,
        status: int = 0,
        detail: str = "",
        recorder: Recorder | None = None,
    ) -> None:
        key = (recorder or self.script.recorders[index]).key
        meter = self._run.meter
        if not self._is_sampled and not meter.wants(key, outcome):
            return
        start_ns = self._run.start_ns
        record = StepRecord(
            user=self.number,
            session=self.script.script.session,
            step=index,
            series=key,
            intended_ns=intended_ns - start_ns,
            actual_ns=actual_ns - start_ns,
            end_ns=end_ns - start_ns,
            outcome=outcome,
            status=status,
            detail=detail,
        )
        meter.keep(record, is_sampled=self._is_sampled)
        self._n_kept += 1
        if self._n_kept >= KEPT_STEPS:
            self._is_sampled = False


def _seen(connection: Connection) -> str:
    """What was seen instead, without a value of the answer's body."""
    content_type = connection.head.content_type.decode("latin-1") or "no content type"
    return f"status {connection.head.status}, {content_type}, {connection.body_bytes} bytes"
