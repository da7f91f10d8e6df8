"""The HTTP/2 connection of one virtual user to one origin, as a browser keeps it. Pure.

One connection carries everything at once; what the peer's limit of streams leaves out waits, oldest first. A connection
that takes no more (GOAWAY, as nginx sends every thousand requests) lives until its last answer while a new one takes
over.

What the peer says it has not looked at (REFUSED_STREAM, or above the last stream of a GOAWAY) is sent once more,
whatever its method (RFC 9113 §8.7; counted as ``refused_stream``); so is a GET or HEAD on a reused connection that ends
without one byte of answer, as with HTTP/1.1 (``stale_reconnect``). There are no other retries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replayer import failures
from replayer.user.connections import Requester, Waiting
from replayer.user.linked_request import LinkedRequest
from replayer.user.port import Run

if TYPE_CHECKING:
    from replayer.wire.http2_session import Http2Session
    from replayer.wire.http2_stream import Stream
    from replayer.wire.sse import ServerEvent


class OriginStreams:
    """Implements ``http2_stream.Owner`` for one user and origin; the same seam as ``connections.OriginConnections``."""

    __slots__ = (
        "_dialed_ns",
        "_idle",
        "_is_dialing",
        "_is_timed",
        "_open",
        "_origin",
        "_run",
        "_session",
        "_user",
        "_waiting",
    )

    def __init__(self, user: Requester, run: Run, origin: int) -> None:
        self._user = user
        self._run = run
        self._origin = origin
        self._session: Http2Session | None = None  # What takes requests; those that only end are in ``_open``.
        self._open: set[Http2Session] = set()
        self._idle: list[Stream] = []  # Of the session: objects to use again.
        self._is_dialing = self._is_timed = False
        self._dialed_ns = 0  # When the latest connection was asked for.
        self._waiting: deque[Waiting] = deque()

    @property
    def user_number(self) -> int:
        """Whose connections these are."""
        return self._user.number

    def submit(self, index: int, request: LinkedRequest, intended_ns: int, data: bytes) -> None:
        """Send the rendered request of a step as soon as the connection has room."""
        session = self._session
        if session is not None and session.has_room():
            idle = self._idle
            stream = idle.pop() if idle else session.open_stream()
            self._send(stream, index, request, intended_ns, data, 0)
        else:
            self._waiting.append(Waiting(index, request, intended_ns, data, self._run.clock()))
            self._provide()

    def close(self) -> None:
        """End all connections; requests in flight are given up without a word."""
        self._waiting.clear()
        self._idle.clear()
        self._session = None
        for session in list(self._open):
            session.close()

    # What the wire tells.

    def connection_opened(self, session: Http2Session) -> None:
        self._is_dialing = False
        self._open.add(session)
        if self._user.is_over:
            session.close()
        else:
            self._session = session
            self._pump(dialed_ns=self._dialed_ns)

    def response_received(self, stream: Stream, end_ns: int) -> None:
        user = self._user
        if user.is_over:
            return
        index = stream.index  # Subtle: before the stream carries what waits for it.
        user.take_answer(stream.request, stream, end_ns)
        if stream.session is self._session:
            self._idle.append(stream)
        if self._waiting:
            self._pump()
        user.finish(index, end_ns)

    def events_received(self, stream: Stream, events: Sequence[ServerEvent], end_ns: int) -> None:
        if not self._user.is_over:
            self._user.take_events(stream.index, events, (stream.intended_ns, stream.actual_ns), end_ns)

    def request_failed(self, stream: Stream, failure: str, end_ns: int) -> None:
        if self._user.is_over:
            return
        index: int = stream.index
        request: LinkedRequest = stream.request
        intended_ns, actual_ns = stream.intended_ns, stream.actual_ns
        retry = self._retry_of(stream, failure)
        if retry:
            self._run.meter.count(retry)
            self._waiting.appendleft(Waiting(index, request, intended_ns, stream.data, end_ns, actual_ns))
        session = stream.session
        is_silent = session.heard_ns < actual_ns and not request.is_kept_open
        if is_silent and failure == failures.TIMEOUT_REQUEST:
            session.retire()  # Not a byte since: it is dead, whatever TCP thinks of it.
        elif session is self._session:
            self._idle.append(stream)
        self._pump()
        if not retry:
            self._user.fail(index, failure, intended_ns, actual_ns, end_ns)

    def room_changed(self, session: Http2Session) -> None:
        if not self._user.is_over:
            self._pump()

    def connection_closed(self, session: Http2Session) -> None:
        self._open.discard(session)
        if session is self._session:
            self._session = None
            self._idle.clear()
        if not self._user.is_over:
            self._pump()

    def _dial_failed(self, failure: str) -> None:
        """Everything that waits fails with the connection it waited for."""
        self._is_dialing = False
        given_up, self._waiting = self._waiting, deque()
        self._fail_all(given_up, failure)

    # Room.

    def _pump(self, *, dialed_ns: int = 0) -> None:
        """Send what waits, as far as there is room; ``dialed_ns``: it waited for the connection itself since then."""
        waiting, session = self._waiting, self._session
        while waiting and session is not None and session.has_room():
            index, request, intended_ns, data, since_ns, actual_ns = waiting.popleft()
            self._run.meter.waited(since_ns, self._run.clock(), dialed_ns)
            stream = self._idle.pop() if self._idle else session.open_stream()
            self._send(stream, index, request, intended_ns, data, actual_ns)
        if waiting:
            self._provide()

    def _provide(self) -> None:
        """See to it that what waits will not wait for ever: for a connection, or for room on the one there is."""
        session = self._session
        if session is not None and not session.is_leaving:
            if not self._is_timed:
                self._is_timed = True
                due_ns = self._waiting[0].since_ns + self._run.request_ns
                self._run.port.call_at(due_ns, self._give_up_late, None)
        elif not self._is_dialing:
            self._session = None  # It leaves, or there is none.
            self._idle.clear()
            self._is_dialing = True
            self._dialed_ns = self._run.clock()
            self._run.port.dial(self, self._origin, self._dial_failed)

    def _give_up_late(self, _argument: None, due_ns: int) -> None:
        """Fail what has found no room for as long as a request may take."""
        self._is_timed = False
        if self._user.is_over:
            return
        late: deque[Waiting] = deque()
        while self._waiting and self._waiting[0].since_ns + self._run.request_ns <= due_ns:
            late.append(self._waiting.popleft())
        self._fail_all(late, failures.TIMEOUT_REQUEST)
        if self._waiting and not self._user.is_over:
            self._provide()

    def _fail_all(self, given_up: deque[Waiting], failure: str) -> None:
        now_ns = self._run.clock()
        for index, _, intended_ns, _, _, actual_ns in given_up:
            if not self._user.is_over:
                self._user.fail(index, failure, intended_ns, actual_ns or intended_ns, now_ns)

    def _retry_of(self, stream: Stream, failure: str) -> str:
        """Return what a second try of a failed request counts as, or an empty string: there is none."""
        if stream.is_retry:
            return ""
        if stream.is_refused:
            return "refused_stream"
        is_stale = (
            stream.was_reused
            and not stream.has_answer_bytes
            and stream.session.is_lost
            and failure in (failures.EOF, failures.RESET)
            and stream.request.is_retried
        )
        return "stale_reconnect" if is_stale else ""

    def _send(
        self, stream: Stream, index: int, request: LinkedRequest, intended_ns: int, data: bytes, first_ns: int
    ) -> None:
        run = self._run
        actual_ns = run.clock()
        if actual_ns > run.lease_until_ns and not run.port.may_send(actual_ns):
            return
        stream.index = index
        stream.intended_ns = intended_ns
        stream.actual_ns = actual_ns
        stream.is_retry = first_ns != 0
        if request.is_kept_open:
            stream.deadline_ns = actual_ns + self._user.open_for_ns(index)
        else:
            stream.deadline_ns = actual_ns + run.request_ns
        stream.session.begin(stream, data, request)
        if not stream.is_watched:
            run.port.watch(stream)
