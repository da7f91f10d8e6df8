"""How one lost socket of one user comes back: attempts by policy, what is fetched, opened and sent again. Pure.

A state machine told by timers, by its own HTTP connections and by the socket that is opened::

    WAITING    the policy's wait before the next attempt
    FETCHING   requests that the handshake needs, one after the other
    OPENING    the handshake
    RESTORING  the opening and subscriptions are sent again, their answers are awaited
    OVER       ready again, or never

From the loss to *ready* is the recovery time. Its server part is what the attempts took, without the waits between
them. Whoever has not come back by ``give_up`` does not start another attempt, and counts as never.

The requests of a recovery are no steps of the script: they have connections and a series of their own
(``storm.request``), and ``recovery`` stands where a ``User`` stands for its ``OriginConnections``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from captures.units import NS_PER_MS
from replayer import failures
from replayer.load.policies import wait_ns
from replayer.load.storms import Mode, Strike
from replayer.user.answers import decoded
from replayer.user.connections import OriginConnections
from replayer.user.linked_request import LinkedRequest
from replayer.user.memory import Memory
from replayer.user.meter import Recorder
from replayer.user.multiplex import OriginStreams
from replayer.user.port import Connection, Run
from replayer.user.render import MissingValue
from replayer.user.restoration import Restoration
from replayer.user.slots import Answer
from replayer.user.storm import Storms
from replayer.wire.sse import ServerEvent

if TYPE_CHECKING:
    from replayer.user.comeback import Comeback
    from replayer.user.steps import User

GAVE_UP = "gave_up"
CUT = "cut"
UNFILLED = "correlation_miss"
SPACING_NS = 100 * NS_PER_MS
"""Between the starts of two attempts of one user, whatever its policy: where connecting fails at once, an ``immediate``
client would spend this machine on itself and measure nothing."""
_REFUSED = frozenset({401, 403})


class _Phase(Enum):
    WAITING = auto()
    FETCHING = auto()
    OPENING = auto()
    RESTORING = auto()
    OVER = auto()


class Recovery:
    """One lost socket on its way back.

    Args:
        lost_ns: when it stopped working.
        restoration: what is sent again.
    """

    __slots__ = (
        "_attempt",
        "_attempt_ns",
        "_books",
        "_comeback",
        "_connections",
        "_failure",
        "_fetching",
        "_is_refused",
        "_lost_ns",
        "_n_due",
        "_phase",
        "_queue",
        "_restoration",
        "_run",
        "_server_ns",
        "_storms",
        "_strike",
        "_user",
    )

    def __init__(
        self,
        comeback: Comeback,
        user: User,
        run: Run,
        storms: Storms,
        strike: Strike,
        restoration: Restoration,
        *,
        lost_ns: int,
    ) -> None:
        self._comeback = comeback
        self._user = user
        self._run = run
        self._storms = storms
        self._strike = strike
        self._restoration = restoration
        self._books = storms.books(strike)
        self._lost_ns = lost_ns
        self._attempt = 0
        self._attempt_ns = 0
        self._server_ns = 0
        self._phase = _Phase.WAITING
        self._queue: deque[int] = deque()
        self._connections: dict[int, OriginConnections | OriginStreams] = {}
        self._failure = ""
        self._fetching: LinkedRequest | None = None
        self._is_refused = False
        self._n_due = 0
        self._books.recovered.measure.planned += 1

    def begin(self, noticed_ns: int) -> None:
        """Wait for the first attempt; the user notices the loss at ``noticed_ns``."""
        self._wait(noticed_ns)

    def stop(self) -> None:
        """The run ends: an attempt that is under way may end, no other one begins."""
        if self._phase is _Phase.WAITING:
            self.cut()

    def cut(self) -> None:
        """End now, because the user or the run ends."""
        if self._phase is _Phase.OVER:
            return
        if self._phase is not _Phase.WAITING:
            _count_cut(self._books.attempts)
        if self._phase is _Phase.FETCHING and self._fetching is not None:
            _count_cut(self._books.requests(self._route(self._fetching)))
        self._never(CUT)

    # Attempts.

    def _wait(self, from_ns: int) -> None:
        self._phase = _Phase.WAITING
        comeback, next_attempt = self._strike.storm.comeback, self._attempt + 1
        luck = self._storms.luck(self._strike, self._user.number, next_attempt)
        due_ns = from_ns + wait_ns(comeback.policy, next_attempt, luck)
        if self._attempt:
            due_ns = max(due_ns, self._attempt_ns + SPACING_NS)
        is_last = comeback.attempts is not None and self._attempt >= comeback.attempts
        if is_last or due_ns > self._lost_ns + comeback.give_up_ns:
            self._never(GAVE_UP)
        else:
            self._run.port.call_at(due_ns, self._begin_attempt, next_attempt)

    def _begin_attempt(self, number: int, _due_ns: int) -> None:
        if self._phase is not _Phase.WAITING or self._user.is_over:
            return
        if self._run.is_stopping:
            self.cut()
            return
        self._attempt = number
        self._attempt_ns = self._run.port.now_ns()
        self._books.attempts.measure.planned += 1
        self._phase = _Phase.FETCHING
        self._queue = deque(self._way())
        self._is_refused = False
        for slot in self._restoration.clocks:
            self._user.memory.values[slot] = None
        self._go_on()

    def _way(self) -> tuple[int, ...]:
        if self._strike.storm.comeback.mode is Mode.COLD:
            return self._restoration.bootstrap
        return self._restoration.renewal + self._restoration.fetches if self._is_refused else self._restoration.fetches

    def _go_on(self) -> None:
        try:
            if self._queue:
                self._fetch(self._queue.popleft())
            else:
                self._phase = _Phase.OPENING
                self._comeback.reopen()
        except MissingValue as exc:
            self._user.count_miss(exc.slot)
            self._fail(UNFILLED, self._run.port.now_ns())

    def _fetch(self, index: int) -> None:
        request = self._user.script.requests[index]
        assert request is not None
        self._user.memory.prepare(request.step)
        data = request.rendered.render(self._user.memory.values)
        self._books.requests(self._route(request)).measure.planned += 1
        connections = self._connections.get(request.origin)
        if connections is None:
            connections = self._user.connect_to(request, self)
            self._connections[request.origin] = connections
        self._failure = ""
        self._fetching = request
        connections.submit(index, request, self._run.port.now_ns(), data)

    def _fail(self, failure: str, now_ns: int) -> None:
        """End the attempt under way; what it took counts as the server's part."""
        if self._phase in (_Phase.WAITING, _Phase.OVER):
            return
        self._server_ns += now_ns - self._attempt_ns
        self._books.attempts.failed(failure, self._attempt_ns, self._attempt_ns, now_ns)
        self._hang_up()
        self._wait(now_ns)

    def _never(self, why: str) -> None:
        self._phase = _Phase.OVER
        self._hang_up()
        self._books.never(why)
        if why == CUT:
            self._comeback.cut_off(self._run.port.now_ns())
        else:
            self._comeback.lost(self._run.port.now_ns())

    def _hang_up(self) -> None:
        for connections in self._connections.values():
            connections.close()
        self._connections = {}

    # What the socket tells.

    def opened(self, end_ns: int) -> None:
        """The handshake is accepted: send again what the socket was told before."""
        self._phase = _Phase.RESTORING
        self._books.opened.ok(self._lost_ns, self._attempt_ns - self._server_ns, end_ns, 0)
        self._hang_up()
        self._n_due = 1  # Subtle: an answer may come while messages are still being sent.
        try:
            for index in self._comeback.restored():
                self._n_due += self._comeback.send_again(index)
        except MissingValue as exc:
            self._user.count_miss(exc.slot)
            self._comeback.drop()
            self._fail(UNFILLED, end_ns)
            return
        self.answered(end_ns)

    def answered(self, end_ns: int) -> None:
        """One of the awaited answers came; with the last the socket is ready."""
        self._n_due -= 1
        if self._n_due or self._phase is not _Phase.RESTORING:
            return
        self._phase = _Phase.OVER
        self._books.attempts.ok(self._attempt_ns, self._attempt_ns, end_ns, 0)
        self._books.recovered.ok(self._lost_ns, self._attempt_ns - self._server_ns, end_ns, 0)
        self._comeback.ready(end_ns)

    def failed(self, failure: str, end_ns: int, *, status: int = 0) -> None:
        """The handshake was refused, or the socket ended or kept silent before it was ready."""
        self._is_refused = status in _REFUSED
        self._fail(failure, end_ns)

    # What its HTTP connections ask of whoever sends requests.

    @property
    def number(self) -> int:
        """Of the user."""
        return self._user.number

    @property
    def memory(self) -> Memory:
        """Of the user."""
        return self._user.memory

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._phase is not _Phase.FETCHING or self._user.is_over

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        """Count a complete response, take its cookies and values."""
        head, recorder = connection.head, self._books.requests(self._route(request))
        cookies: list[tuple[bytes, bytes]] = []
        if head.set_cookies:
            cookies = self.memory.take_cookies(request.step, head.set_cookies, end_ns)
        if head.status >= 400 and head.status not in request.step.expectation.statuses:
            self._failure = failures.status_failure(head.status)
            recorder.failed(self._failure, connection.intended_ns, connection.actual_ns, end_ns)
            return
        recorder.ok(connection.intended_ns, connection.actual_ns, end_ns, connection.body_bytes)
        if request.extractors:
            answer = Answer(head.headers, cookies, lambda: decoded(connection))
            self.memory.extract(request.extractors, answer)

    def finish(self, step: int, end_ns: int) -> None:
        """A request ended: go on with the next one, or fail the attempt."""
        self._fetching = None
        if self._failure:
            self._fail(self._failure, end_ns)
        else:
            self._go_on()

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int = 0) -> None:
        """A request got no answer."""
        request = self._fetching
        assert request is not None
        self._fetching = None
        self._books.requests(self._route(request)).failed(failure, intended_ns, actual_ns, end_ns)
        self._fail(failure, end_ns)

    def take_events(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> None:
        """A stream brought something: none is among the requests of a recovery."""

    def open_for_ns(self, index: int) -> int:
        """Return how long a response that is kept open stays so; none is among the requests of a recovery."""
        return self._user.open_for_ns(index)

    def _route(self, request: LinkedRequest) -> str:
        return self._run.plan.routes[request.step.route].name


def _count_cut(recorder: Recorder) -> None:
    errors = recorder.measure.errors
    errors[CUT] = errors.get(CUT, 0) + 1
