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

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from replayer import failures
from replayer.plan.records import StepKind
from replayer.user.connections import OriginConnections, Requester
from replayer.user.ending import AtEnd, Steady, next_pass_ns
from replayer.user.link import LinkedScript, is_event_stream
from replayer.user.linked_request import LinkedRequest
from replayer.user.multiplex import OriginStreams
from replayer.user.pacing import Pacing
from replayer.user.port import Run
from replayer.user.refresh import Refresher
from replayer.user.render import MissingValue
from replayer.user.sending import ENDED, HELD, IN_FLIGHT, RECEIVE, WAITING, Sending
from replayer.user.sockets import UserSocket
from replayer.wire.sse import ServerEvent

if TYPE_CHECKING:
    from replayer.load.storms import Strike


_TIMELINE = Pacing.TIMELINE  # See RECEIVE.


class Ending(Enum):
    """How a user ends; the value is the suffix of its counters."""

    COMPLETED = "completed"
    FAILED = "failed"
    CUT = "cut"
    RETIRED = "retired"
    """The load shape or ``--for`` ended it before its script did: as planned, no failure."""


class User(Sending):
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
        "_is_played",
        "_is_postponed",
        "_is_retiring",
        "_latest_ns",
        "_n_left",
        "_n_needs",
        "_next_root",
        "_remaining",
        "_roots",
        "_slip_ns",
        "ending",
    )

    def __init__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> None:
        super().__init__(number, script, run, inputs, is_sampled=is_sampled)
        self.ending = Ending.CUT
        # By step that waits for several: how many of them still go on, and the latest end among the others.
        self._remaining: dict[int, int] = {}
        self._latest_ns: dict[int, int] = {}
        self._n_left = len(script.steps)
        self._n_needs: Sequence[int] = script.n_needs
        self._roots: Sequence[int] = script.roots
        self._next_root = 0
        self._arrival_ns = 0
        self._slip_ns = 0
        self._is_played = False
        self._is_retiring = False
        self._is_postponed = False
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
            for socket in list(self._sockets.values()):
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
        steps = map(self.script.steps.__getitem__, self._sent())
        return all(step.kept_open or (step.kind is StepKind.RECEIVE and step.reply_to < 0) for step in steps)

    def _sent(self) -> Iterator[int]:
        """Give the steps that were sent and have not ended."""
        yield from _places(self._states, IN_FLIGHT)
        yield from _places(self._states, HELD)

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
            self._states[index] = WAITING
        if self._streams is not None:
            self._streams.forget(steady.steps)
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
        # Subtle: these point back at the user; without them it is freed at once, not by some later collection.
        self._connections.clear()
        self._sockets.clear()
        self.refresher = None
        self._run.port.user_ended(self)

    def _settle(self, ending: Ending) -> None:
        """Give every step that was sent, or would have been, an outcome: planned = ok + failed + not sent."""
        reason = ending.value if ending in (Ending.CUT, Ending.RETIRED) else "user_ended"
        meter = self._run.meter
        for _ in self._sent():
            meter.count("not_sent:" + reason)
        if ending is Ending.FAILED:
            for index in _places(self._states, WAITING):
                if self.script.steps[index].kind is not StepKind.RECEIVE:
                    self.script.recorders[index].measure.planned += 1
                    meter.count("not_sent:" + reason)

    # Time.

    def _arm_root(self) -> None:
        step = self._roots[self._next_root]
        self._run.call_at(self._arrival_ns + self.script.ideal_ns[step], self._root_due, step)

    def _root_due(self, step: int, due_ns: int) -> None:
        if self.is_over:
            return
        self._next_root += 1
        if self._next_root < len(self._roots):
            self._arm_root()
        self._begin_due(step, due_ns)

    def _begin_due(self, step: int, due_ns: int) -> None:
        run = self._run
        if self.is_over:
            return
        if run.is_stopping or self._is_retiring:
            self.stop()
            return
        script = self.script
        request = script.requests[step]
        if request is None and script.steps[step].kind is RECEIVE:
            self._begin(step, due_ns)
            return
        slip_ns = due_ns - self._arrival_ns - script.ideal_ns[step]
        if slip_ns > self._slip_ns:
            self._slip_ns = slip_ns
        run.dues.append(due_ns)
        if request is None or self._states[step] != WAITING:
            self._begin(step, due_ns)
        else:
            self._begin_planned(step, request, due_ns)

    def finish(self, step: int, end_ns: int) -> None:
        """Count a step as ended and start what waited for it; a second end of the same step is no end."""
        state = self._states[step]
        if state >= ENDED or self.is_over:
            return
        self._n_in_flight -= state == IN_FLIGHT
        self._states[step] = ENDED
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
        if request is None and script.steps[step].kind is RECEIVE:
            intended_ns = base_ns  # It is listened for at once: its think time is how long the recorded one took.
        elif run.pacing is _TIMELINE:
            intended_ns = max(base_ns, self._arrival_ns + script.ideal_ns[step])
        else:
            intended_ns = base_ns + script.think_ns[step]
        if intended_ns > now_ns or run.is_stopping or self._is_retiring:
            run.call_at(intended_ns, self._begin_due, step)
        elif request is None or self._states[step] != WAITING:
            self._begin(step, intended_ns)
        else:
            self._begin_planned(step, request, intended_ns)

    def _begin_planned(self, step: int, request: LinkedRequest, intended_ns: int) -> None:
        """Begin the usual step, a request that waits."""
        request.recorder.measure.planned += 1
        try:
            self._begin_request(step, request, intended_ns)
        except MissingValue as exc:
            self._miss(step, exc.slot)

    # Steps.

    # Outcomes.

    def take_events(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> None:
        """Count the opening of an event stream and what it brought, and take the values that it was to bring."""
        if self._event_streams().take(index, events, times, end_ns):
            for dependent in self.script.dependents[index]:
                if self._n_needs[dependent] == 1:
                    self._ready(dependent, end_ns, end_ns)
                else:
                    self._count_off(dependent, end_ns)

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int = 0) -> None:
        """Count a step that ended without what it was sent for, and go on."""
        if status and self.refresher is not None:
            if self.refresher.takes(index, status, intended_ns, actual_ns, end_ns):
                return
        if failure == failures.TIMEOUT_REQUEST and self._was_to_stay_open(index):
            self.script.recorders[index].measure.ok += 1
        else:
            self._count_failure(index, failure, intended_ns, actual_ns, end_ns, status)
        self.finish(index, end_ns)

    def _was_to_stay_open(self, index: int) -> bool:
        """Tell whether a request ended as it should when its time was over: it was to stay open for that long.

        An event stream that did not even begin has not, where it had as long as the recorded one, or as any request.
        """
        step = self.script.steps[index]
        if not step.kept_open or not is_event_stream(step):
            return step.kept_open
        is_brief = self.open_for_ns(index) < min(step.duration_ns, self._run.request_ns)
        return is_brief or self._event_streams().has_opened(index)

    def hold(self, index: int) -> None:
        """Keep a refused step until there is a fresh credential."""
        self._states[index] = HELD

    def has_ended(self, index: int) -> bool:
        """Tell whether a step has ended, whatever became of it."""
        return self._states[index] == ENDED

    def resume(self, index: int, intended_ns: int) -> None:
        """Send a step that was held again."""
        if self._states[index] != HELD or self.is_over:
            return
        self._n_in_flight -= 1
        step, request = self.script.steps[index], self.script.requests[index]
        try:
            if request is not None:
                self._begin_request(index, request, intended_ns)
            else:
                self.memory.prepare(step)
                self._socket(step.socket).open(step, intended_ns)
                self._set_in_flight(index)
        except MissingValue as exc:
            self._states[index] = WAITING
            self._miss(index, exc.slot)

    def give_up(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int) -> None:
        """Count a step that was held in vain."""
        if self._states[index] == HELD and not self.is_over:
            self._states[index] = IN_FLIGHT
            self._count_failure(index, failure, intended_ns, actual_ns, end_ns, status)
            self.finish(index, end_ns)

    # Storms (``replayer.user.storm``).

    def strike(self, strike: Strike, at_ns: int) -> None:
        """Lose every open socket to a storm; who is about to leave loses nothing any more."""
        if self._is_retiring or self._run.is_stopping or self._run.is_retiring:
            return
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

    def _connect(self, request: LinkedRequest) -> OriginConnections | OriginStreams:
        return self.connect_to(request, self)

    def connect_to(self, request: LinkedRequest, requester: Requester) -> OriginConnections | OriginStreams:
        """Return connections of this user to where a request goes; ``requester`` is told what comes back."""
        if request.is_http2:
            return OriginStreams(requester, self._run, request.origin)
        return OriginConnections(requester, self._run, request.origin)

    def _socket(self, number: int) -> UserSocket:
        socket = self._sockets.get(number)
        if socket is None:
            socket = self._sockets[number] = UserSocket(self, self._run, number)
        return socket

    def _fail_for_good(self, index: int) -> None:
        self._states[index] = ENDED
        self._n_left -= 1
        self._end(Ending.FAILED)

    # Evidence.


def _places(states: bytearray, state: int) -> Iterator[int]:
    """Give the steps in a state.

    A script may have 50,000 steps, and a crowd of users ends in one instant: 1,000 users of 10,000 steps took 3 s when
    each looked at all of its own.
    """
    place = states.find(state)
    while place >= 0:
        yield place
        place = states.find(state, place + 1)
