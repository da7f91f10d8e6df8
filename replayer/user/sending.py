"""How a user's steps are sent: rendered from its slots, handed to a connection or socket. Pure.

What cannot be sent ends all the same, by a timer, so that no chain of steps recurses: for want of a value, or of the
socket it was to go over.
"""

from __future__ import annotations

from replayer.plan.records import Step, StepKind
from replayer.user.connections import OriginConnections
from replayer.user.link import LinkedScript
from replayer.user.linked_request import LinkedRequest
from replayer.user.misses import lacking
from replayer.user.multiplex import OriginStreams
from replayer.user.outcomes import Outcomes
from replayer.user.port import Run
from replayer.user.render import MissingValue
from replayer.user.sockets import UserSocket

# Subtle: naming a member of an Enum class costs a quarter of a microsecond in CPython 3.11, a tenth of a whole request.
RECEIVE = StepKind.RECEIVE
_CONNECT, _SEND = StepKind.CONNECT, StepKind.SEND

WAITING = 0
IN_FLIGHT = 1
ENDED = 2
HELD = 3
"""Refused, and waits for a fresh credential (``replayer.user.refresh``)."""


class Sending(Outcomes):
    """Begins steps; arguments as of ``Outcomes``. What a step's end sets off is for ``steps`` to say."""

    __slots__ = ("_connections", "_n_in_flight", "_sockets", "_states", "is_over")

    def __init__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> None:
        super().__init__(number, script, run, inputs, is_sampled=is_sampled)
        self.is_over = False
        self._connections: dict[int, OriginConnections | OriginStreams] = {}
        self._sockets: dict[int, UserSocket] = {}
        self._states = bytearray(len(script.steps))
        self._n_in_flight = 0

    def finish(self, step: int, end_ns: int) -> None:
        """Count a step as ended and start what waited for it."""
        raise NotImplementedError

    def _connect(self, request: LinkedRequest) -> OriginConnections | OriginStreams:
        """Return new connections of this user to where a request goes."""
        raise NotImplementedError

    def _socket(self, number: int) -> UserSocket:
        """Return a socket of the script, made at its first use."""
        raise NotImplementedError

    def _begin(self, index: int, intended_ns: int) -> None:
        step = self.script.steps[index]
        kind = step.kind
        if self._states[index] != WAITING or self.is_over:
            return
        if kind is RECEIVE:
            self._begin_receive(step, intended_ns)
            return
        if self._n_recovering and step.socket >= 0 and self._socket(step.socket).holds(index, intended_ns):
            return
        self.script.recorders[index].measure.planned += 1
        try:
            request = self.script.requests[index]
            if request is not None:
                self._begin_request(index, request, intended_ns)
            elif kind is _CONNECT:
                self.memory.prepare(step)
                self._socket(step.socket).open(step, intended_ns)
                self._set_in_flight(index)
            elif not self._socket(step.socket).is_open():
                self._miss_socket(step, intended_ns)
            elif kind is _SEND:
                self._begin_send(step, intended_ns)
            else:
                self._set_in_flight(index)
                self._socket(step.socket).close(step, intended_ns)
        except MissingValue as exc:
            self._miss(index, exc.slot)

    def _set_in_flight(self, index: int) -> None:
        self._states[index] = IN_FLIGHT
        self._n_in_flight += 1

    def _begin_request(self, index: int, request: LinkedRequest, intended_ns: int) -> None:
        data = request.rendered.static
        if data is None:
            self.memory.prepare(request.step)
            data = request.rendered.render(self.memory.values)
            if self.script.triggers[index]:
                self._note_triggers(index, intended_ns)
        self._states[index] = IN_FLIGHT
        self._n_in_flight += 1
        connections = self._connections.get(request.origin)
        if connections is None:
            connections = self._connections[request.origin] = self._connect(request)
        connections.submit(index, request, intended_ns, data)

    def _begin_send(self, step: Step, intended_ns: int) -> None:
        rendered = self.script.rendered[step.index]
        assert rendered is not None
        if rendered.static is None:
            self.memory.prepare(step)
        data = rendered.render(self.memory.values)
        if self.script.triggers[step.index]:
            self._note_triggers(step.index, intended_ns)
        if step.reply >= 0:
            self._set_in_flight(step.reply)
            self.script.recorders[step.reply].measure.planned += 1
        self._socket(step.socket).send(step, data, intended_ns)
        self.script.recorders[step.index].measure.ok += 1
        now_ns = self._run.port.now_ns()
        self._keep(index=step.index, outcome="ok", intended_ns=intended_ns, actual_ns=now_ns, end_ns=now_ns)
        self._later_finished(step.index)

    def _note_triggers(self, index: int, intended_ns: int) -> None:
        """Remember what was just made and sent: a push may repeat it."""
        now_ns, triggers = self._run.port.now_ns(), self._run.meter.pushes.triggers
        for slot in self.script.triggers[index]:
            value = self.memory.values[slot]
            if value is not None:
                triggers.note(value, intended_ns, now_ns)

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

    def _later_finished(self, index: int) -> None:
        self._run.port.call_at(self._run.port.now_ns(), self._finish_due, index)

    def _finish_due(self, index: int, due_ns: int) -> None:
        self.finish(index, due_ns)

    def _not_sent(self, index: int, reason: str, detail: str = "") -> None:
        self._failed = True
        self._run.meter.count("not_sent:" + reason)
        self.memory.lose(self.script.steps[index].extractors)
        now_ns = self._run.port.now_ns()
        outcome = "not_sent_" + reason
        self._keep(index=index, outcome=outcome, intended_ns=now_ns, actual_ns=now_ns, end_ns=now_ns, detail=detail)
        self._later_finished(index)

    def _miss_socket(self, step: Step, intended_ns: int) -> None:
        """End a SEND or CLOSE step whose socket is gone; a close that the server came first with is done."""
        if step.kind is StepKind.CLOSE and self._socket(step.socket).is_left():
            self.take_close(step.index, intended_ns, intended_ns, intended_ns)
            self._later_finished(step.index)
        else:
            self._not_sent(step.index, "socket_closed")

    def _miss(self, index: int, slot: int) -> None:
        detail = lacking(self._run.plan, self.script.script, slot)
        if slot in self.memory.broken:
            self._not_sent(index, "producer_failed", detail)
        else:
            self._run.meter.count("correlation_misses")
            self._not_sent(index, "correlation_miss", detail)

    def open_for_ns(self, index: int) -> int:
        """Return how long a response that is kept open stays so."""
        return max(1, int(self.script.steps[index].duration_ns / self._run.speed))
