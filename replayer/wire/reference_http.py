"""HTTP by ``httpx``: a rendered HTTP/1.1 request is read back into method, target, headers and body, and sent.

One ``ReferenceConnection`` is a pool of one connection, which httpx opens again where the target has closed it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx

from replayer import failures
from replayer.reach import ProxySpec
from replayer.targets import TargetSpec
from replayer.wire.causes import classify
from replayer.wire.connect import Phase
from replayer.wire.heads import NO_HEAD, UNKNOWN_LENGTH, Asked, Head
from replayer.wire.http1 import MAX_BODY_BYTES, Owner
from replayer.wire.reference_attempt import ReferenceAttempt
from replayer.wire.sse import EventReader, EventTooLarge, event_reader
from replayer.wire.tally import Tally

_HEAD_TOO_LARGE = 431
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Stands where httpx would make a context for every connection, used or not; it trusts nobody."""


class ReferenceConnection:
    """Implements ``replayer.user.port.Connection``; ``replayer.wire.http1`` describes the attributes.

    Args:
        start: runs a coroutine as a task of the wire.
        live: the connections of the wire that are not over; it is one of them.
    """

    def __init__(
        self,
        owner: Any,
        target: TargetSpec,
        *,
        proxy: ProxySpec | None,
        context: ssl.SSLContext | None,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        live: set[ReferenceConnection],
        tally: Tally,
        count: Callable[[str], None],
    ) -> None:
        self._owner: Owner = owner
        self._target = target
        self._start = start
        self._live = live
        self._tally = tally
        self._count = count
        self._task: asyncio.Task[None] | None = None
        self._stream: Any = None
        self._transport = httpx.AsyncHTTPTransport(
            verify=context if context is not None else _NO_TLS,
            trust_env=False,
            http1=target.http != "2",
            http2=target.http == "2",
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None),
            proxy=_proxy(proxy),
        )
        self._is_tunnelled = proxy is not None and target.scheme == "https"
        # Subtle: with a proxy the name goes to the proxy; else only the checked address is connected to.
        self._hosts = (target.host,) if proxy is not None else target.addresses
        self.phase: Phase | None = Phase.TCP
        self.head: Any = NO_HEAD
        self.body = b""
        self.body_bytes = 0
        self.has_answer_bytes = False
        self.is_alive = self.is_busy = self.is_watched = self.is_retry = False
        self.keeps_alive = True
        self.events: EventReader | None = None
        self.n_sent = 0
        self.deadline_ns = self.index = self.intended_ns = self.actual_ns = 0
        self.request: Any = None
        self.attempt = ReferenceAttempt(self)
        live.add(self)

    def open(self) -> None:
        """Tell the owner that a request can be sent."""
        if self.phase is None or self.is_alive:
            return
        self.is_alive = True
        self._tally.n += 1
        self._owner.connection_opened(self)  # type: ignore[arg-type]  # the same seam

    def send(self, data: bytes, request: Asked) -> None:
        """Send one rendered request; only on a connection that is alive and not busy."""
        self.request = request
        self.head = NO_HEAD
        self.body = b""
        self.body_bytes = 0
        self.events = None
        self.has_answer_bytes = False
        self.is_busy = True
        self.n_sent += 1
        self._task = self._start(self._exchange(data, keeps_body=request.keeps_body))

    def close(self) -> None:
        """End the connection; the owner of a request in flight hears nothing more of it."""
        if self._task is not None and self.is_busy:
            self._task.cancel()
        self._is_over()

    def expire(self, now_ns: int) -> None:
        """End the request in flight as timed out."""
        self.fail(failures.TIMEOUT_REQUEST, now_ns)

    def fail(self, failure: str, now_ns: int) -> None:
        """End the connection, and what is in flight, with a failure."""
        was_busy, self.is_busy = self.is_busy, False
        if self._task is not None:
            self._task.cancel()
        self._is_over()
        if was_busy:
            self._owner.request_failed(self, failure, now_ns)  # type: ignore[arg-type]

    def _is_over(self) -> None:
        self.phase = None
        self._tally.n -= self.is_alive
        self.is_alive = False
        self._start(self.aclose())

    async def aclose(self) -> None:
        """Close what httpx holds open."""
        await self._transport.aclose()
        if self._stream is not None:  # Subtle: a handshake that is cancelled leaves its TCP connection open.
            await self._stream.aclose()
        self._live.discard(self)

    async def _exchange(self, data: bytes, *, keeps_body: bool) -> None:
        try:
            request = request_from(data, self._target, self._hosts[0], self._trace)
            response = await self._send(request)
            self.phase = None
            await self._receive(response, keeps_body=keeps_body)
        except _TooLarge:
            self._end(failures.TOO_LARGE)
        except httpx.TransportError as exc:
            self._end(_failure_of(exc))
        else:
            self._complete()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Try the addresses in turn, as long as nobody accepts."""
        for host in self._hosts[:-1]:
            request.url = request.url.copy_with(host=host)
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        request.url = request.url.copy_with(host=self._hosts[-1])
        return await self._transport.handle_async_request(request)

    async def _receive(self, response: httpx.Response, *, keeps_body: bool) -> None:
        self.has_answer_bytes = True
        self.head = head_of(response)
        self.events = event_reader(self.head)
        if self.events is not None and self.is_busy:
            self._owner.events_received(self, [], time.monotonic_ns())  # type: ignore[arg-type]
        parts = []
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            async for part in response.stream:
                self.body_bytes += len(part)
                if self.events is not None:
                    self._read_events(self.events, part)
                elif self.body_bytes > MAX_BODY_BYTES:
                    raise _TooLarge
                elif keeps_body:
                    parts.append(part)
        finally:
            await response.stream.aclose()
        self.body = b"".join(parts)

    def _read_events(self, reader: EventReader, data: bytes) -> None:
        try:
            events = reader.feed(data)
        except EventTooLarge as exc:
            raise _TooLarge from exc
        if events and self.is_busy:
            self._owner.events_received(self, events, time.monotonic_ns())  # type: ignore[arg-type]

    def _complete(self) -> None:
        if not self.is_busy:
            return
        self.is_busy = False
        if self.head.status == 101:
            self.is_busy = True
            self._end(failures.PROTOCOL)  # An upgrade that nobody asked for.
            return
        self.keeps_alive = self.head.keeps_alive
        self._owner.response_received(self, time.monotonic_ns())  # type: ignore[arg-type]

    def _end(self, failure: str) -> None:
        if not self.is_busy:
            return
        self.is_busy = False
        self._is_over()
        self._owner.request_failed(self, failure, time.monotonic_ns())  # type: ignore[arg-type]

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Follow httpcore's phases, which it tells of where a request carries the ``trace`` extension."""
        _, _, what = event.partition(".")
        if what == "connect_tcp.complete":
            self._stream = info["return_value"]
            self._advance(Phase.PROXY if self._is_tunnelled else Phase.TLS)
        elif what == "start_tls.started":
            self._advance(Phase.TLS)
        elif what == "start_tls.complete":
            self._count("tls_full")
        elif what == "send_request_headers.started" and self.phase is not Phase.PROXY:
            self.phase = None  # In the phase PROXY it is CONNECT that is sent.

    def _advance(self, phase: Phase) -> None:
        if self.phase is not None:
            self.phase = phase


class _TooLarge(Exception):
    """The body passed the hard limit."""


def request_from(data: bytes, target: TargetSpec, host: str, trace: Callable[..., Any]) -> httpx.Request:
    """Return what a rendered HTTP/1.1 request says, addressed to ``host``, with the name of the target for SNI."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, path, _ = line.split(b" ", 2)
    headers = [(name, value.strip()) for name, _, value in (field.partition(b":") for field in fields)]
    url = httpx.URL(scheme=target.scheme, host=host, port=target.port, path="/")
    extensions = {"sni_hostname": target.host, "timeout": {}, "trace": trace}
    if target.via < 0:
        extensions["target"] = path  # As rendered, whatever httpx would make of it.
    else:
        url = url.copy_with(raw_path=path)  # A proxy's request line is made of the URL.
    return httpx.Request(
        method.decode("latin-1"), url, headers=headers, stream=httpx.ByteStream(body), extensions=extensions
    )


def head_of(response: httpx.Response) -> Head:
    """Return the head of an answer as the fast wire would."""
    headers = tuple((name.lower(), value) for name, value in response.headers.raw)
    is_http11 = response.extensions.get("http_version") != b"HTTP/1.0"
    options = {
        option.strip().lower() for name, value in headers if name == b"connection" for option in value.split(b",")
    }
    head = Head(response.status_code, headers, keeps_alive=is_http11 and b"close" not in options)
    if head.length == UNKNOWN_LENGTH and not head.is_framed and response.extensions.get("http_version") != b"HTTP/2":
        head.keeps_alive = False  # RFC 9112 §6.3 rule 8: the body ended with the connection.
    return head


def _proxy(proxy: ProxySpec | None) -> httpx.Proxy | None:
    if proxy is None:
        return None
    headers = {"Proxy-Authorization": proxy.authorization.decode("latin-1")} if proxy.authorization else None
    return httpx.Proxy(httpx.URL(scheme="http", host=proxy.addresses[0], port=proxy.port), headers=headers)


def _causes_of(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    while cause is not None:
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[-1]
        else:
            cause = cause.__cause__ or cause.__context__


def _failure_of(exc: BaseException) -> str:
    """Return the class of what lies at the bottom of httpx's, httpcore's and anyio's wrappings."""
    if isinstance(exc, httpx.ProxyError):
        return failures.PROXY_REFUSED
    for cause in _causes_of(exc):
        if isinstance(cause, ssl.SSLError) or (isinstance(cause, OSError) and cause.errno is not None):
            return classify(cause)
        if getattr(cause, "error_status_hint", 0) == _HEAD_TOO_LARGE:
            return failures.TOO_LARGE
    text = str(exc)
    if "disconnected" in text or "closed connection" in text or isinstance(exc, httpx.ReadError | httpx.ConnectError):
        return failures.EOF
    return failures.PROTOCOL
