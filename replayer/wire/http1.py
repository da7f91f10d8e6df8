"""HTTP/1.1 on a bare protocol: bytes of a rendered request out, the few facts of the answer a user needs in.

One connection carries one request at a time (browsers do not pipeline). It knows nothing of steps: its owner hands it
bytes and is told how they ended. ``end_ns`` is taken where bytes arrive, before they are parsed.

Source: RFC 9112; the traps (HEAD, 1xx, close-delimited bodies) are httptools' and named where they are handled.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

import httptools

from replayer.wire import failures
from replayer.wire.causes import classify
from replayer.wire.tally import Tally

MAX_BODY_BYTES = 64 * 1024 * 1024
"""An answer larger than this ends its connection as ``too_large``: it bounds what one server can make us hold."""
MAX_HEAD_BYTES = 256 * 1024
"""nginx, node and Apache refuse heads above 8–32 KiB; eight times that is no browser's traffic."""

_CONTENT_TYPE = 1
_SET_COOKIE = 2
_CONTENT_ENCODING = 3
_FRAMED = 4
_WANTED = {
    b"content-type": _CONTENT_TYPE,
    b"set-cookie": _SET_COOKIE,
    b"content-encoding": _CONTENT_ENCODING,
    b"content-length": _FRAMED,
    b"transfer-encoding": _FRAMED,
}
_WANTED_LENGTHS = frozenset(map(len, _WANTED))


class Owner(Protocol):
    """Who is told what became of a connection and its requests."""

    def connection_opened(self, connection: Http1Connection) -> None:
        """The connection can carry its first request."""

    def response_received(self, connection: Http1Connection, end_ns: int) -> None:
        """The answer is complete; its facts are attributes of ``connection`` until the next ``send``."""

    def request_failed(self, connection: Http1Connection, failure: str, end_ns: int) -> None:
        """The request ended without a complete answer; the connection is gone or going."""

    def connection_closed(self, connection: Http1Connection) -> None:
        """The connection ended while it carried nothing."""


class Http1Connection(asyncio.Protocol):
    """One connection of one virtual user.

    Args:
        owner: is told what happens.
        tally: counts the connections that are open.

    Attributes:
        status, content_type, content_encoding, set_cookies: of the answer last received; ``content_type`` as sent.
        headers: all of its headers where ``send`` asked for them, else empty.
        body: its body as sent, where ``send`` asked for it, else empty; ``body_bytes`` counts it in any case.
        keeps_alive: whether the answer leaves the connection usable.
        n_sent: requests sent so far.
        has_answer_bytes: whether any byte arrived since the last ``send``.
        flight, deadline_ns, is_watched: the owner's; the connection does not look at them.
    """

    __slots__ = (
        "_framed",
        "_head_bytes",
        "_is_head",
        "_is_over",
        "_keeps_body",
        "_keeps_headers",
        "_owner",
        "_parser",
        "_parts",
        "_received_ns",
        "_tally",
        "_transport",
        "body",
        "body_bytes",
        "content_encoding",
        "content_type",
        "deadline_ns",
        "flight",
        "has_answer_bytes",
        "headers",
        "is_busy",
        "is_watched",
        "keeps_alive",
        "n_sent",
        "set_cookies",
        "status",
    )

    def __init__(self, owner: Owner, tally: Tally) -> None:
        self._owner = owner
        self._tally = tally
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._is_over = False
        self._received_ns = 0
        self.is_busy = False
        self.n_sent = 0
        self.is_watched = False
        self.deadline_ns = 0
        self.flight: Any = None
        self.keeps_alive = True
        self._reset(is_head=False, keeps_body=False, keeps_headers=False)

    def _reset(self, *, is_head: bool, keeps_body: bool, keeps_headers: bool) -> None:
        self._is_head = is_head
        self._keeps_body = keeps_body
        self._keeps_headers = keeps_headers
        self._begin_head()
        self.has_answer_bytes = False

    def _begin_head(self) -> None:
        """Forget what a former head said: the last answer's, or a 1xx one's."""
        self.status = 0
        self.content_type = b""
        self.content_encoding = b""
        self.set_cookies: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.body_bytes = 0
        self._parts: list[bytes] = []
        self._framed = False
        self._head_bytes = 0

    def send(self, data: bytes, *, is_head: bool, keeps_body: bool, keeps_headers: bool) -> None:
        """Send one rendered request; only on an open connection that is not busy.

        Args:
            is_head: the method is HEAD, so the answer has no body whatever its headers say.
            keeps_body: the owner will want ``body``.
            keeps_headers: the owner will want ``headers``.
        """
        self._reset(is_head=is_head, keeps_body=keeps_body, keeps_headers=keeps_headers)
        self.is_busy = True
        self.n_sent += 1
        self._transport.write(data)

    def is_open(self) -> bool:
        """Tell whether a request can still be written."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """End an idle connection in order; a busy one is aborted."""
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
        self._tally.n += 1
        self._owner.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if not self.is_busy:
            self._is_over = True
            self._transport.abort()
            return
        self.has_answer_bytes = True
        self._received_ns = now_ns
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as exc:
            if isinstance(exc.__context__, _TooLarge):
                self._fail(failures.TOO_LARGE, now_ns)
                return
            raise  # Our own callback is broken: the worker's top frame hears of it.
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.is_busy:
                self._fail(failures.PROTOCOL, now_ns)
            return
        if self._is_head and self.is_busy and self._framed_head_is_complete():
            # httptools does not know that the request was a HEAD and waits for a body; a fresh parser forgets it.
            self._parser = httptools.HttpResponseParser(self)
            self._complete(now_ns)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        now_ns = time.monotonic_ns()
        self._transport = None
        self._tally.n -= 1
        if not self.is_busy:
            if not self._is_over:
                self._is_over = True
            self._owner.connection_closed(self)
            return
        if exc is None and self.status >= 200 and self._head_bytes < 0 and not self._framed:
            self.keeps_alive = False
            self._complete(now_ns)  # RFC 9112 §6.3 rule 8: the body ends with the connection.
            return
        self._fail(classify(exc), now_ns)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _TooLarge
        if self._keeps_headers:
            self.headers.append((name.lower(), value))
        if len(name) not in _WANTED_LENGTHS:
            return
        which = _WANTED.get(name) or _WANTED.get(name.lower())
        if which is None:
            return
        if which == _FRAMED:
            self._framed = True
        elif which == _CONTENT_TYPE:
            self.content_type = value
        elif which == _SET_COOKIE:
            self.set_cookies.append(value)
        else:
            self.content_encoding = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_bytes = -1  # Marks the head as complete; trailers count from here.
        if self._is_head:
            self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self.body_bytes > MAX_BODY_BYTES:
            raise _TooLarge
        if self._keeps_body:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self.status < 200:
            self._begin_head()  # httptools reports 100 and 103 as complete messages; the real one follows.
            return
        if self._is_head and self._framed_head_is_complete():
            return  # ``data_received`` completes it.
        self.keeps_alive = self._parser.should_keep_alive()
        self._complete(self._received_ns)

    def _framed_head_is_complete(self) -> bool:
        return self._head_bytes < 0 and self.status >= 200

    def _complete(self, end_ns: int) -> None:
        if not self.is_busy:
            return
        self.is_busy = False
        if self._parts:
            self.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._owner.response_received(self, end_ns)

    def _fail(self, failure: str, end_ns: int) -> None:
        self.is_busy = False
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()
        self._owner.request_failed(self, failure, end_ns)


class _TooLarge(Exception):
    """The answer passed a hard limit."""
