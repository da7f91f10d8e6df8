"""The connections of one virtual user to one origin, as a browser keeps them. Pure.

At most six at a time (the limit of Chromium and Firefox for HTTP/1.1), kept alive, last used first. A request that
finds none free opens one and waits with the others: whichever is free first takes the oldest.

A GET or HEAD on a reused connection that closes without one byte of answer is sent once more on a new connection, as
browsers do (RFC 9110 §9.2.2; counted as ``stale_reconnect``). There are no other retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from replayer import failures
from replayer.user.linked_request import LinkedRequest
from replayer.user.memory import Memory
from replayer.user.port import Connection, Run
from replayer.wire.sse import ServerEvent

CONNECTIONS_PER_ORIGIN = 6


class Waiting(NamedTuple):
    """A request that waits for a connection, or for room on one, since ``since_ns``.

    ``step`` is the index of its step; ``actual_ns`` is 0, or when it was first sent.
    """

    step: int
    request: LinkedRequest
    intended_ns: int
    data: bytes
    since_ns: int
    actual_ns: int = 0


class Requester(Protocol):
    """Who sends requests and is told what comes of them: a user, or the recovery of one of its sockets."""

    @property
    def number(self) -> int:
        """Of the user."""

    @property
    def memory(self) -> Memory:
        """What templates are rendered with."""

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for an answer any more."""

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        """A complete response is here; ``finish`` follows."""

    def finish(self, step: int, end_ns: int) -> None:
        """The request has ended with a response."""

    def take_events(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> None:
        """The event stream of a step, still open, brought so much, nothing at first; ``times``: when its request was
        to start, and started."""

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        """The request has ended without one."""

    def open_for_ns(self, index: int) -> int:
        """Return how long a response that is kept open stays so."""


class OriginConnections:
    """Implements ``http1.Owner`` for one user and origin."""

    __slots__ = ("_dialed_ns", "_idle", "_n_dialing", "_open", "_origin", "_run", "_user", "_waiting")

    def __init__(self, user: Requester, run: Run, origin: int) -> None:
        self._user = user
        self._run = run
        self._origin = origin
        self._idle: list[Connection] = []
        self._open: list[Connection] = []
        self._n_dialing = 0
        self._dialed_ns = 0  # When the latest connection was asked for.
        self._waiting: list[Waiting] = []  # Subtle: few ever wait, and a deque holds 600 bytes for every user.

    @property
    def user_number(self) -> int:
        """Whose connections these are."""
        return self._user.number

    def submit(self, index: int, request: LinkedRequest, intended_ns: int, data: bytes) -> None:
        """Send the rendered request of a step as soon as a connection is free."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_alive:
                self._send(connection, index, request, intended_ns, data, 0)
                return
        self._waiting.append(Waiting(index, request, intended_ns, data, self._run.clock()))
        self._dial_if_needed()

    def close(self) -> None:
        """End all connections; requests in flight are given up without a word."""
        self._waiting.clear()
        for connection in self._open.copy():
            connection.close()

    # What the wire tells.

    def connection_opened(self, connection: Connection) -> None:
        self._n_dialing -= 1
        self._open.append(connection)
        if self._user.is_over:
            connection.close()
        else:
            self._release(connection)

    def response_received(self, connection: Connection, end_ns: int) -> None:
        user = self._user
        if user.is_over:
            return
        index = connection.index  # Subtle: before the connection carries what waits for it.
        user.take_answer(connection.request, connection, end_ns)
        if not (connection.keeps_alive and connection.is_alive):
            self._forget(connection)
            connection.close()
            self._dial_if_needed()
        elif self._waiting:
            self._release(connection)
        else:
            self._idle.append(connection)
        user.finish(index, end_ns)

    def events_received(self, connection: Connection, events: Sequence[ServerEvent], end_ns: int) -> None:
        if not self._user.is_over:
            times = connection.intended_ns, connection.actual_ns
            self._user.take_events(connection.index, events, times, end_ns)

    def request_failed(self, connection: Connection, failure: str, end_ns: int) -> None:
        self._forget(connection)
        if self._user.is_over:
            return
        request: LinkedRequest = connection.request
        intended_ns, actual_ns = connection.intended_ns, connection.actual_ns
        if self._is_stale(connection, failure, request):
            self._run.meter.count("stale_reconnect")
            data = request.rendered.render(self._user.memory.values)
            self._waiting.insert(0, Waiting(connection.index, request, intended_ns, data, end_ns, actual_ns))
            self._dial_if_needed()
            return
        self._dial_if_needed()
        self._user.fail(connection.index, failure, intended_ns, actual_ns, end_ns)

    def connection_closed(self, connection: Connection) -> None:
        self._forget(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _forget(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)

    def _dial_failed(self, failure: str) -> None:
        self._n_dialing -= 1
        if self._user.is_over or not self._waiting:
            return
        given_up = self._waiting.pop(0)
        self._dial_if_needed()
        now_ns = self._run.port.now_ns()
        intended_ns = given_up.intended_ns
        self._user.fail(given_up.step, failure, intended_ns, given_up.actual_ns or intended_ns, now_ns)

    def _dial_if_needed(self) -> None:
        if len(self._waiting) > self._n_dialing and len(self._open) + self._n_dialing < CONNECTIONS_PER_ORIGIN:
            self._n_dialing += 1
            self._dialed_ns = self._run.clock()
            self._run.port.dial(self, self._origin, self._dial_failed)

    def _is_stale(self, connection: Connection, failure: str, request: LinkedRequest) -> bool:
        return (
            connection.n_sent > 1
            and not connection.has_answer_bytes
            and not connection.is_retry
            and failure in (failures.EOF, failures.RESET)
            and request.is_retried
        )

    def _release(self, connection: Connection) -> None:
        if self._waiting:
            index, request, intended_ns, data, since_ns, actual_ns = self._waiting.pop(0)
            self._run.meter.waited(since_ns, self._run.clock(), self._dialed_ns if not connection.n_sent else 0)
            self._send(connection, index, request, intended_ns, data, actual_ns)
        else:
            self._idle.append(connection)

    def _send(
        self,
        connection: Connection,
        index: int,
        request: LinkedRequest,
        intended_ns: int,
        data: bytes,
        first_ns: int,
    ) -> None:
        """Send a request; ``first_ns`` is 0, or when it was sent before. No keywords: they cost a tenth of a send."""
        run = self._run
        actual_ns = run.clock()
        if actual_ns > run.lease_until_ns and not run.port.may_send(actual_ns):
            return
        connection.index = index
        connection.intended_ns = intended_ns
        connection.actual_ns = actual_ns
        connection.is_retry = first_ns != 0
        if request.is_kept_open:
            connection.deadline_ns = actual_ns + self._user.open_for_ns(index)
        else:
            connection.deadline_ns = actual_ns + run.request_ns
        connection.send(data, request)
        if not connection.is_watched:
            run.port.watch(connection)
