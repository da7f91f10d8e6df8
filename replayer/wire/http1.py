"""HTTP/1.1 on a bare protocol: bytes of a rendered request out, the head of the answer and its body in.

One connection carries one request at a time (browsers do not pipeline). It knows nothing of steps: its owner hands it
bytes and is told how they ended. ``end_ns`` is taken where bytes arrive, before they are parsed.

Most answers come in one piece and begin with the very head that the same request was answered with before: they cost
a comparison. Other heads that were seen before cost a look-up; one seen for the first time is httptools' (``heads``),
and so is every chunked body.

Source: RFC 9112; the traps (HEAD, 1xx, close-delimited bodies) are named where they are handled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from replayer import failures
from replayer.wire.causes import classify
from replayer.wire.heads import (
    END_OF_HEAD,
    NO_HEAD,
    UNKNOWN_LENGTH,
    Asked,
    Head,
    HeadError,
    parse_head,
    remembered_heads,
)
from replayer.wire.outbox import Outbox
from replayer.wire.sse import EventReader, EventTooLarge, ServerEvent, event_reader
from replayer.wire.tally import Tally

MAX_BODY_BYTES = 64 * 1024 * 1024
"""An answer larger than this ends its connection as ``too_large``: it bounds what one server can make us hold."""
MAX_HEAD_BYTES = 256 * 1024
"""nginx, node and Apache refuse heads above 8–32 KiB; eight times that is no browser's traffic."""

_START = b"HTTP/1."
_NO_PARTS: list[bytes] = []
"""Of a body that is empty or over; nothing is added to it."""


class Owner(Protocol):
    """Who is told what became of a connection and its requests."""

    def connection_opened(self, connection: Http1Connection) -> None:
        """The connection can carry its first request."""

    def response_received(self, connection: Http1Connection, end_ns: int) -> None:
        """The answer is complete; its facts are attributes of ``connection`` until the next ``send``, its body until
        this returns."""

    def request_failed(self, connection: Http1Connection, failure: str, end_ns: int) -> None:
        """The request ended without a complete answer; the connection is gone or going."""

    def connection_closed(self, connection: Http1Connection) -> None:
        """The connection ended while it carried nothing."""

    def events_received(self, connection: Http1Connection, events: list[ServerEvent], end_ns: int) -> None:
        """An event stream that is still open brought so much: nothing at first, when its head is there."""


class Http1Connection(asyncio.Protocol):
    """One connection of one virtual user.

    Args:
        owner: is told what happens.
        tally: counts the connections that are open.
        outbox: writes the requests.

    Attributes:
        head: of the answer last received; interim ones (1xx) are passed over.
        body: its body as sent, where the request asks for it, else empty, until ``response_received`` returns;
            ``body_bytes`` counts it in any case.
        events: reads the answer where it is an event stream, else None; no body is kept then.
        keeps_alive: whether the answer leaves the connection usable.
        is_alive: whether a request can still be written.
        n_sent: requests sent so far.
        has_answer_bytes: whether any byte arrived since the last ``send``.
        request: what ``send`` was told of it.
        unsent, write, actual_ns: the outbox's: the request, what takes it, and when it was written.
        index, intended_ns, is_retry, deadline_ns, is_watched: the owner's; the connection does not look at them.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_left",
        "_outbox",
        "_owner",
        "_parser",
        "_parts",
        "_received_ns",
        "_tally",
        "_transport",
        "actual_ns",
        "body_bytes",
        "deadline_ns",
        "events",
        "has_answer_bytes",
        "head",
        "index",
        "intended_ns",
        "is_alive",
        "is_busy",
        "is_retry",
        "is_watched",
        "keeps_alive",
        "n_sent",
        "request",
        "unsent",
        "write",
    )

    def __init__(self, owner: Owner, tally: Tally, outbox: Outbox) -> None:
        self._owner = owner
        self._tally = tally
        self._outbox = outbox
        self._transport: Any = None
        self.write: Callable[[bytes], None]
        self.unsent = b""
        self._parser: httptools.HttpResponseParser | None = None  # While a chunked body is read.
        self._parts = _NO_PARTS
        self._buffer = b""  # A head that has not come whole.
        self._left = UNKNOWN_LENGTH  # Bytes of the body still to come, once the head is there and says so.
        self._received_ns = 0
        self.head = NO_HEAD
        self.events: EventReader | None = None
        self.body_bytes = 0
        self.has_answer_bytes = False
        self.is_busy = self.is_alive = self.is_watched = self.is_retry = False
        self.keeps_alive = True
        self.n_sent = 0
        self.deadline_ns = self.index = self.intended_ns = self.actual_ns = 0
        self.request: Any = None

    @property
    def body(self) -> bytes:
        """The body as sent, as far as it has come."""
        parts = self._parts
        if len(parts) > 1:
            parts = self._parts = [b"".join(parts)]
        return parts[0] if parts else b""

    def send(self, data: bytes, request: Asked) -> None:
        """Send one rendered request; only on a connection that is alive and not busy."""
        self.request = request
        self.head = NO_HEAD
        self.has_answer_bytes = False
        self.is_busy = True
        self.n_sent += 1
        self.unsent = data
        self._outbox.add(self)

    def close(self) -> None:
        """End an idle connection in order; a busy one is aborted."""
        self.is_alive = False
        if self._transport is not None:
            if self.is_busy:
                self._transport.abort()
            else:
                self._transport.close()

    def expire(self, now_ns: int) -> None:
        """End the request in flight as timed out."""
        self._fail(failures.TIMEOUT_REQUEST, now_ns)

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.write = transport.write
        self.is_alive = True
        self._tally.n += 1
        self._owner.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if not self.is_busy:
            self.is_alive = False
            self._transport.abort()  # Nobody asked: RFC 9112 §9.5 lets no later answer be told from this.
            return
        request = self.request
        head = request.good_head
        if len(data) == head.whole_bytes and not self.has_answer_bytes and data.startswith(head.data):
            # The usual answer, whole and with a head that was seen before: nothing is left to be found out.
            self.has_answer_bytes = True
            self.head = head
            self.events = None
            self.keeps_alive = head.keeps_alive
            self.body_bytes = head.length
            self._parts = [data[-head.length :]] if request.keeps_body and head.length else _NO_PARTS
            self.is_busy = False
            self._owner.response_received(self, now_ns)
            self._parts = _NO_PARTS  # Thousands of bodies that nobody reads any more would fill the caches.
            return
        self._received_ns = now_ns
        self.has_answer_bytes = True
        if self.head is NO_HEAD:
            if self._buffer:
                data = self._buffer + data
            self._read_head(data, data.find(END_OF_HEAD) + 4)
        elif self._parser is not None:
            self._read_chunks(data)
        else:
            self._read_body(data, now_ns)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        now_ns = time.monotonic_ns()
        self._transport = None
        self.is_alive = False
        self._tally.n -= 1
        if not self.is_busy:
            self._owner.connection_closed(self)
        elif exc is None and self.head is not NO_HEAD and not self.head.is_framed:
            self._complete(now_ns)  # RFC 9112 §6.3 rule 8: the body ends with the connection.
        else:
            self._fail(classify(exc), now_ns)

    # Reading.

    def _read_head(self, data: bytes, end: int) -> None:
        """Take the head that ends at ``end``; one that has no end yet is below 4."""
        if end < 4:
            self._wait_for_head(data)
            return
        self._buffer = b""
        try:
            head = remembered_heads.get(data[:end]) or parse_head(data[:end])
        except HeadError:
            self._fail(failures.PROTOCOL, self._received_ns)
            return
        if end > MAX_HEAD_BYTES:
            self._fail(failures.TOO_LARGE, self._received_ns)
        elif head.status < 200:
            self._pass_over(head, data[end:])
        else:
            self._take_head(head, data, end)

    def _wait_for_head(self, data: bytes) -> None:
        self._buffer = data
        if not data.startswith(_START[: len(data)]) or b"\n\n" in data:
            self._fail(failures.PROTOCOL, self._received_ns)
        elif len(data) > MAX_HEAD_BYTES:
            self._fail(failures.TOO_LARGE, self._received_ns)

    def _pass_over(self, head: Head, rest: bytes) -> None:
        """An interim answer (RFC 9110 §15.2): the real one follows; nobody asked for an upgrade here."""
        if head.status == 101:
            self._fail(failures.PROTOCOL, self._received_ns)
        elif rest:
            self._read_head(rest, rest.find(END_OF_HEAD) + 4)

    def _take_head(self, head: Head, data: bytes, end: int) -> None:
        self.head = head
        self.keeps_alive = head.keeps_alive
        self._parts = []
        self.body_bytes = 0
        self.events = event_reader(head)
        if self.events is not None:
            self._owner.events_received(self, [], self._received_ns)
        self._left = length = 0 if self.request.is_head else head.length
        if length > MAX_BODY_BYTES:
            self._fail(failures.TOO_LARGE, self._received_ns)
        elif length >= 0 or not head.is_framed:
            self._read_body(data[end:], self._received_ns)
        else:
            self._parser = httptools.HttpResponseParser(self)
            self._read_chunks(data)  # With its head, which the parser needs to know what follows.

    def _read_body(self, data: bytes, now_ns: int) -> None:
        left = self._left
        if left == UNKNOWN_LENGTH:
            self.on_body(data)
            self._bound_body()
            return
        if len(data) > left:
            data = data[:left]
            self.keeps_alive = False  # What came behind the body was not asked for.
        self._left = left - len(data)
        self.on_body(data)
        if not self._left and self.is_busy:
            self._complete(now_ns)

    def _read_chunks(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.is_busy:
                self._fail(failures.PROTOCOL, self._received_ns)
            else:
                self.close()  # The answer was complete; what came behind it was not asked for.
            return
        self._bound_body()

    def _bound_body(self) -> None:
        """End what grows without limit; an event stream may run for hours, each of its events is bounded."""
        if self.is_busy and self.events is None and self.body_bytes > MAX_BODY_BYTES:
            self._fail(failures.TOO_LARGE, self._received_ns)

    # What the parser of a chunked body calls.

    def on_body(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self.events is not None:
            self._read_events(self.events, data)
        elif self.request.keeps_body and data and self.is_busy:  # Else it belongs to an answer that nobody asked for.
            self._parts.append(data)

    def _read_events(self, reader: EventReader, data: bytes) -> None:
        try:
            events = reader.feed(data)
        except EventTooLarge:
            self._fail(failures.TOO_LARGE, self._received_ns)
            return
        if events:
            self._owner.events_received(self, events, self._received_ns)

    def on_message_complete(self) -> None:
        if self._parser is None:
            self._transport.abort()  # A second answer in one piece with the first: nobody asked for it.
            return
        self._parser = None
        if self.is_busy:
            self._complete(self._received_ns)

    # Ends.

    def _complete(self, end_ns: int) -> None:
        self.is_busy = False
        self._owner.response_received(self, end_ns)

    def _fail(self, failure: str, end_ns: int) -> None:
        self.is_busy = self.is_alive = False
        self._parts = _NO_PARTS
        if self._transport is not None:
            self._transport.abort()
        self._owner.request_failed(self, failure, end_ns)
