"""Fresh credentials for one user: where they expired, the recorded refresh or login is played again. Pure.

Theory of operation
-------------------
401 or 403 after earlier success with the same credential means that it expired. The step is held; the first of the
credential's chains is played over connections of its own; then the step is sent again, once, with its first intended
start: what the user felt includes the refresh. Steps that fail in the meantime are held too, so a chain is played once,
however many requests were under way. Where one chain fails the next one is tried (the login, where the refresh token
has expired as well); where all fail, the held steps have failed with the status that they got.

Answers of chains are counted under series ``refresh``, apart from the steps; ``refreshes`` counts chains that worked.
Stands where a ``User`` stands for its connections (``replayer.user.connections.Requester``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from replayer import failures
from replayer.plan.records import Chain, Refresh
from replayer.user.answers import decoded
from replayer.user.connections import OriginConnections
from replayer.user.labels import labels_of
from replayer.user.linked_request import LinkedRequest
from replayer.user.memory import Memory
from replayer.user.meter import Recorder
from replayer.user.multiplex import OriginStreams
from replayer.user.port import Connection, Run
from replayer.user.render import MissingValue
from replayer.user.slots import Answer

if TYPE_CHECKING:
    from replayer.user.steps import User
    from replayer.wire.sse import ServerEvent

EXPIRED = frozenset({401, 403, 419, 440})
"""Source: RFC 9110 §15.5.2, §15.5.4; 419 of Laravel and 440 of IIS say the same of a session."""
FRESH_NS = 1_000_000_000
"""A credential that is refused so soon after it was got is not expired but wrong."""


class _Held(NamedTuple):
    """A step that waits for a fresh credential, and what becomes of it without one."""

    step: int
    status: int
    intended_ns: int
    actual_ns: int


class Refresher:
    """The refreshes of one user.

    Args:
        user: whose steps they are.
        run: what it shares with the worker's other users.
    """

    __slots__ = (
        "_by_step",
        "_chains",
        "_connections",
        "_failure",
        "_fetching",
        "_held",
        "_n_done",
        "_queue",
        "_refreshed_ns",
        "_refused",
        "_resent",
        "_run",
        "_running",
        "_user",
        "_with",
    )

    def __init__(self, user: User, run: Run) -> None:
        self._user = user
        self._run = run
        self._by_step: dict[int, Refresh] = {}
        self._with: dict[int, set[int]] = {}  # by step: the steps that carry one of its credentials
        for refresh in user.script.script.refreshes:
            for step in refresh.steps:
                self._with.setdefault(step, set()).update(refresh.steps)
                known = self._by_step.get(step)
                if known is None or _reach(refresh) > _reach(known):
                    self._by_step[step] = refresh
        self._connections: dict[int, OriginConnections | OriginStreams] = {}
        self._running: Refresh | None = None
        self._chains: deque[Chain] = deque()
        self._queue: deque[int] = deque()
        self._fetching: LinkedRequest | None = None
        self._failure = ""
        self._held: list[_Held] = []
        self._refused: set[int] = set()
        self._resent: dict[int, int] = {}
        self._n_done = 0
        self._refreshed_ns = -1

    # What the user asks.

    def takes(self, step: int, status: int, intended_ns: int, actual_ns: int, end_ns: int) -> bool:
        """Take a step whose credential has expired; False where that is not what its status means.

        Args:
            status: that the step got.
            intended_ns, actual_ns: of the step, for its second try.
        """
        refresh = self._by_step.get(step) if status in EXPIRED else None
        if refresh is None or not self._is_expired(step, actual_ns):
            self._refused.add(step)
            return False
        self._user.hold(step)
        self._held.append(_Held(step, status, intended_ns, actual_ns))
        if self._running is None:
            if actual_ns <= self._refreshed_ns:
                # It was under way when another step's failure brought a fresh one. Subtle: its connection still has to
                # say that it ended, which means nothing while it is held.
                self._run.port.call_at(end_ns, self._resend_due, None)
            else:
                self._begin(refresh, end_ns)
        return True

    def take_close(self, connect: int, code: int, now_ns: int) -> None:
        """A socket ended with a code that asks for a fresh credential: get one, for whoever needs it next."""
        refresh = self._by_step.get(connect) if code in self._user.script.expiry_codes else None
        if refresh is not None and self._running is None:
            self._begin(refresh, now_ns)

    def close(self) -> None:
        """The user is over."""
        for connections in self._connections.values():
            connections.close()
        self._connections = {}

    def _is_expired(self, step: int, actual_ns: int) -> bool:
        """Tell whether the credential had worked before and was not got just now."""
        if self._resent.get(step) == self._n_done and actual_ns - self._refreshed_ns < FRESH_NS:
            return False
        return self._n_done > 0 or any(
            self._user.has_ended(other) and other not in self._refused for other in self._with[step] if other != step
        )

    # Chains.

    def _begin(self, refresh: Refresh, now_ns: int) -> None:
        self._running = refresh
        self._chains = deque(refresh.chains)
        self._next_chain()

    def _next_chain(self) -> None:
        if not self._chains:
            self._give_up()
            return
        self._queue = deque(self._chains[0].steps)
        self._go_on()

    def _go_on(self) -> None:
        if not self._queue:
            self._done()
            return
        index = self._queue.popleft()
        request = self._user.script.requests[index]
        assert request is not None
        recorder = self._recorder(request)
        recorder.measure.planned += 1
        try:
            self.memory.prepare(request.step)
            data = request.rendered.render(self.memory.values)
        except MissingValue:
            self._run.meter.count("not_sent:refresh_unfilled")
            self._fail_chain()
            return
        connections = self._connections.get(request.origin)
        if connections is None:
            connections = self._connections[request.origin] = self._user.connect_to(request, self)
        self._fetching, self._failure = request, ""
        connections.submit(index, request, self._run.port.now_ns(), data)

    def _fail_chain(self) -> None:
        self._chains.popleft()
        self._next_chain()

    def _done(self) -> None:
        for source, target in self._chains[0].copies:
            self.memory.copy(source, target)
        self._running = None
        self._n_done += 1
        self._refreshed_ns = self._run.port.now_ns()
        self._run.meter.count("refreshes")
        self._resend()

    def _resend_due(self, _argument: None, _due_ns: int) -> None:
        if self._running is None:
            self._resend()

    def _resend(self) -> None:
        held, self._held = self._held, []
        for each in held:
            self._resent[each.step] = self._n_done
            self._user.resume(each.step, each.intended_ns)

    def _give_up(self) -> None:
        self._running = None
        self._run.meter.count("refreshes_failed")
        held, self._held = self._held, []
        for each in held:
            self._refused.add(each.step)
            failure = failures.status_failure(each.status)
            end_ns = self._run.port.now_ns()
            self._user.give_up(each.step, failure, each.intended_ns, each.actual_ns, end_ns, status=each.status)

    # What its connections ask of whoever sends requests.

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
        return self._fetching is None or self._user.is_over

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        """Count a complete response, take its cookies and values."""
        head, recorder = connection.head, self._recorder(request)
        cookies: list[tuple[bytes, bytes]] = []
        if head.set_cookies:
            cookies = self.memory.take_cookies(request.step, head.set_cookies, end_ns)
        if head.status >= 400:
            self._failure = failures.status_failure(head.status)
            recorder.failed(self._failure, connection.intended_ns, connection.actual_ns, end_ns)
            return
        recorder.ok(connection.intended_ns, connection.actual_ns, end_ns, connection.body_bytes)
        if request.extractors:
            answer = Answer(head.headers, cookies, lambda: decoded(connection))
            self.memory.extract(request.extractors, answer)

    def take_events(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> None:
        """Take events of a stream; no request of a chain is one."""

    def finish(self, step: int, end_ns: int) -> None:
        """A request ended: go on with the next one, or with the next chain."""
        self._fetching = None
        if self._failure:
            self._fail_chain()
        else:
            self._go_on()

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int = 0) -> None:
        """A request got no answer."""
        request, self._fetching = self._fetching, None
        assert request is not None
        self._recorder(request).failed(failure, intended_ns, actual_ns, end_ns)
        self._fail_chain()

    def open_for_ns(self, index: int) -> int:
        """Return how long a response that is kept open stays so; none is in a chain."""
        return self._user.open_for_ns(index)

    def _recorder(self, request: LinkedRequest) -> Recorder:
        return self._run.meter.recorder("refresh", **labels_of(self._run.plan, request.step.route))


def _reach(refresh: Refresh) -> int:
    """Return how much a credential rests on: a CSRF token that a page shows to who is logged in, on both."""
    return len(refresh.chains[-1].steps)
