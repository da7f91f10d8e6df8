"""What an HTTP/2 session deals in: one request and its answer at a time, and who hears of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from replayer import failures
from replayer.wire.heads import NO_HEAD, Asked, Head
from replayer.wire.sse import EventReader, ServerEvent

if TYPE_CHECKING:
    from replayer.wire.http2_session import Http2Session


class Sink(Protocol):
    """Where bytes go: the part of ``asyncio.Transport`` that a session uses."""

    def write(self, data: bytes) -> None:
        """Send."""

    def close(self) -> None:
        """Send what is left, then end."""

    def abort(self) -> None:
        """End at once."""


class Owner(Protocol):
    """Who is told what became of a session and its requests."""

    def connection_opened(self, session: Http2Session) -> None:
        """The session can carry its first request."""

    def response_received(self, stream: Stream, end_ns: int) -> None:
        """The answer is complete; its facts are attributes of ``stream`` until its next ``send``."""

    def events_received(self, stream: Stream, events: list[ServerEvent], end_ns: int) -> None:
        """An event stream that is still open brought so much: nothing at first, when its head is there."""

    def request_failed(self, stream: Stream, failure: str, end_ns: int) -> None:
        """The request ended without a complete answer; the session may go on."""

    def room_changed(self, session: Http2Session) -> None:
        """The session takes more requests than before, or none any more."""

    def connection_closed(self, session: Http2Session) -> None:
        """The session is gone, after all its requests."""


class Stream:
    """One request and its answer at a time; implements ``replayer.user.port.Connection``.

    Attributes:
        head, body, body_bytes, events, is_busy, has_answer_bytes: as of an ``http1.Http1Connection``.
        session: what it is a part of.
        data: what was sent last; number: its stream's.
        parts: of the body, as far as it has come; unsent: what of ``data`` has not found room.
        request: what ``send`` was told of it.
        is_refused: the peer did not look at the request that failed last: it is safe to send it again.
        was_reused: the session had carried answers before this request.
        n_sent: requests sent so far.
        actual_ns: when the request was written.
        index, intended_ns, is_retry, deadline_ns, is_watched: the owner's.
    """

    __slots__ = (
        "__weakref__",
        "actual_ns",
        "body_bytes",
        "data",
        "deadline_ns",
        "events",
        "has_answer_bytes",
        "head",
        "index",
        "intended_ns",
        "is_busy",
        "is_refused",
        "is_retry",
        "is_watched",
        "n_sent",
        "number",
        "parts",
        "request",
        "session",
        "unsent",
        "was_reused",
        "window",
    )

    def __init__(self, session: Http2Session) -> None:
        self.session = session
        self.number = 0
        self.data = b""
        self.head: Head = NO_HEAD
        self.parts: list[bytes] = []
        self.events: EventReader | None = None
        self.body_bytes = 0
        self.is_busy = self.is_watched = self.is_retry = self.is_refused = self.was_reused = False
        self.has_answer_bytes = False
        self.n_sent = 0
        self.deadline_ns = self.index = self.intended_ns = self.actual_ns = 0
        self.request: Any = None
        self.unsent = memoryview(b"")
        self.window = 0

    @property
    def body(self) -> bytes:
        """The body as sent, as far as it has come, where ``send`` asked for it."""
        parts = self.parts
        if len(parts) > 1:
            parts = self.parts = [b"".join(parts)]
        return parts[0] if parts else b""

    @property
    def is_alive(self) -> bool:
        """Whether a request can still be sent."""
        return not self.session.is_leaving

    @property
    def keeps_alive(self) -> bool:
        """Whether the last answer leaves the stream's session usable."""
        return not self.session.is_leaving

    def send(self, data: bytes, request: Asked) -> None:
        """Send one request as ``http2_frames`` describes it; only while ``session.has_room()``."""
        self.session.begin(self, data, request)

    def close(self) -> None:
        """Give up what is in flight, without a word to the owner."""
        self.session.cancel(self)

    def expire(self, now_ns: int) -> None:
        """End what is in flight as timed out; the session goes on."""
        self.session.cancel(self)
        self.session.owner.request_failed(self, failures.TIMEOUT_REQUEST, now_ns)
