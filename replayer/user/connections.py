"""The connections of one virtual user to one origin, as a browser keeps them. Pure.

At most six at a time (the limit of Chromium and Firefox for HTTP/1.1), kept alive, last used first. A request that
finds none free opens one and waits with the others: whichever is free first takes the oldest.

A GET or HEAD on a reused connection that closes without one byte of answer is sent once more on a new connection, as
browsers do (RFC 9110 §9.2.2; counted as ``stale_reconnect``). There are no other retries.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from replayer.user.port import Connection, Run
from replayer.wire import failures

if TYPE_CHECKING:
    from replayer.user.steps import User

CONNECTIONS_PER_ORIGIN = 6


class Flight(NamedTuple):
    """One request on its way: times are monotonic ns; ``actual_ns`` is 0 until it is sent."""

    step: int
    intended_ns: int
    data: bytes
    actual_ns: int
    is_retry: bool


class OriginConnections:
    """Implements ``http1.Owner`` for one user and origin."""

    __slots__ = ("_idle", "_n_dialing", "_open", "_origin", "_run", "_user", "_waiting")

    def __init__(self, user: User, run: Run, origin: int) -> None:
        self._user = user
        self._run = run
        self._origin = origin
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._n_dialing = 0
        self._waiting: deque[Flight] = deque()

    def submit(self, step: int, intended_ns: int, data: bytes) -> None:
        """Send a rendered request as soon as a connection is free."""
        flight = Flight(step, intended_ns, data, 0, False)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_open():
                self._send(connection, flight)
                return
        self._waiting.append(flight)
        self._dial_if_needed()

    def close(self) -> None:
        """End all connections; requests in flight are given up without a word."""
        self._waiting.clear()
        for connection in list(self._open):
            connection.close()

    # What the wire tells.

    def connection_opened(self, connection: Connection) -> None:
        self._n_dialing -= 1
        self._open.add(connection)
        if self._user.is_over:
            connection.close()
        else:
            self._release(connection)

    def response_received(self, connection: Connection, end_ns: int) -> None:
        flight: Flight = connection.flight
        user = self._user
        if user.is_over:
            return
        user.take_answer(connection, flight, end_ns)
        if connection.keeps_alive and connection.is_open():
            self._release(connection)
        else:
            self._open.discard(connection)
            connection.close()
            self._dial_if_needed()
        user.finish(flight.step, end_ns)

    def request_failed(self, connection: Connection, failure: str, end_ns: int) -> None:
        self._open.discard(connection)
        if self._user.is_over:
            return
        flight: Flight = connection.flight
        if self._is_stale(connection, failure, flight):
            self._run.meter.count("stale_reconnect")
            self._waiting.appendleft(flight._replace(is_retry=True))
            self._dial_if_needed()
            return
        self._dial_if_needed()
        self._user.fail(flight.step, failure, flight.intended_ns, flight.actual_ns, end_ns)

    def connection_closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _dial_failed(self, failure: str) -> None:
        self._n_dialing -= 1
        if self._user.is_over or not self._waiting:
            return
        flight = self._waiting.popleft()
        self._dial_if_needed()
        now_ns = self._run.port.now_ns()
        self._user.fail(flight.step, failure, flight.intended_ns, flight.actual_ns or flight.intended_ns, now_ns)

    def _dial_if_needed(self) -> None:
        if len(self._waiting) > self._n_dialing and len(self._open) + self._n_dialing < CONNECTIONS_PER_ORIGIN:
            self._n_dialing += 1
            self._run.port.dial(self, self._origin, self._dial_failed)

    def _is_stale(self, connection: Connection, failure: str, flight: Flight) -> bool:
        return (
            connection.n_sent > 1
            and not connection.has_answer_bytes
            and not flight.is_retry
            and failure in (failures.EOF, failures.RESET)
            and self._user.script.is_retried[flight.step]
        )

    def _release(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _send(self, connection: Connection, flight: Flight) -> None:
        script, step = self._user.script, flight.step
        actual_ns = self._run.port.now_ns()
        if not self._run.port.may_send(actual_ns):
            return
        connection.flight = flight._replace(actual_ns=actual_ns)
        if script.steps[step].kept_open:
            connection.deadline_ns = actual_ns + self._user.open_for_ns(step)
        else:
            connection.deadline_ns = actual_ns + self._run.deadlines.request_ns
        connection.send(
            flight.data,
            is_head=script.is_head[step],
            keeps_body=script.keeps_body[step],
            keeps_headers=script.keeps_headers[step],
        )
        self._run.port.watch(connection)
