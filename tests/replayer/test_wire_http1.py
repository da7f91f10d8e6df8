"""The HTTP/1.1 wire against real sockets: every way an answer can arrive, or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.http1 import Http1Connection
from replayer.wire.outbox import Outbox
from replayer.wire.sse import ServerEvent
from replayer.wire.tally import Tally
from tests.fakes_server import Serve, answering, closed_port, read_head, reset, serving
from tests.replayer.asking import Wanted


class Listener:
    """An owner that notes what it is told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def connection_opened(self, connection: Http1Connection) -> None:
        self.told.put_nowait(("opened", connection))

    def response_received(self, connection: Http1Connection, end_ns: int) -> None:
        self.told.put_nowait(("response", connection))

    def request_failed(self, connection: Http1Connection, failure: str, end_ns: int) -> None:
        self.told.put_nowait(("failed", failure))

    def connection_closed(self, connection: Http1Connection) -> None:
        self.told.put_nowait(("closed", connection))

    def events_received(self, connection: Http1Connection, events: list[ServerEvent], end_ns: int) -> None:
        self.told.put_nowait(("events", [event.data for event in events]))

    async def next(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.told.get(), 5)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def connected(port: int, listener: Listener) -> Http1Connection:
    loop = asyncio.get_running_loop()
    errors: list[BaseException] = []
    dialer = Dialer(loop, Reach(), errors.append)
    spec = TargetSpec(scheme="http", host="127.0.0.1", port=port, addresses=("127.0.0.1",))
    connection = Http1Connection(listener, Tally(), Outbox(loop.call_soon, time.monotonic_ns))
    dialer.dial(connection, spec, lambda failure: listener.told.put_nowait(("refused", failure)))
    assert await listener.next() == ("opened", connection) and not errors, errors
    return connection


async def asked(port: int, *, method: bytes = b"GET") -> tuple[str, Any]:
    """Return what one request on a new connection ended with."""
    listener = Listener()
    connection = await connected(port, listener)
    connection.send(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n", Wanted(is_head=method == b"HEAD"))
    told = await listener.next()
    connection.close()
    return told


def outcome(serve: Serve, *, method: bytes = b"GET") -> tuple[str, Any]:
    told: list[tuple[str, Any]] = []

    async def main() -> None:
        async with serving(serve) as port:
            told.append(await asked(port, method=method))

    run(main)
    return told[0]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n", 200, b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, b""),
        # Informational answers come before the real one and are no answer.
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404, b""),
    ],
)
def test_complete_answers_are_told_with_status_and_body(answer: bytes, status: int, body: bytes) -> None:
    kind, connection = outcome(answering(answer))
    assert (kind, connection.head.status, connection.body, connection.keeps_alive) == ("response", status, body, True)


def test_body_that_ends_with_the_connection_is_complete_and_not_kept_alive() -> None:
    kind, connection = outcome(answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it", close=True))
    assert (kind, connection.body, connection.keeps_alive) == ("response", b"all of it", False)


def test_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"

    async def main() -> None:
        async with serving(answering(answer, answer)) as port:
            listener = Listener()
            connection = await connected(port, listener)
            for _ in range(2):  # The second shows that the parser has forgotten the body it waited for.
                connection.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", Wanted(is_head=True))
                kind, _ = await listener.next()
                assert (kind, connection.head.status, connection.body_bytes) == ("response", 200, 0)
            connection.close()

    run(main)


def test_cookies_and_headers_are_kept_in_order_and_lower_case() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nX-Id: 7\r\nContent-Length: 0\r\n\r\n"
    _, connection = outcome(answering(answer))
    assert connection.head.set_cookies == (b"a=1; Path=/", b"b=2")
    assert (b"x-id", b"7") in connection.head.headers


async def _refuse_with_rst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    reset(writer)


async def _rst_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)
    reset(writer)


_HEADER_BOMB = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(4000)) + b"\r\n"


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        (_refuse_with_rst, "reset"),
        (_rst_in_body, "reset"),
        (answering(b"", close=True), "eof"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True), "eof"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", close=True), "eof"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n"), "protocol"),
        (answering(b"this is no HTTP\r\n\r\n"), "protocol"),
        (answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), "protocol"),
        (answering(_HEADER_BOMB), "too_large"),
    ],
)
def test_broken_answers_have_their_class(serve: Serve, failure: str) -> None:
    assert outcome(serve) == ("failed", failure)


def test_refused_connection_is_told_once() -> None:
    async def main() -> None:
        listener = Listener()
        loop = asyncio.get_running_loop()
        dialer = Dialer(loop, Reach(), lambda exc: None)
        spec = TargetSpec(scheme="http", host="127.0.0.1", port=closed_port(), addresses=("127.0.0.1",))
        failures: list[str] = []
        connection = Http1Connection(listener, Tally(), Outbox(loop.call_soon, time.monotonic_ns))
        await dialer.dial(connection, spec, failures.append).task
        assert failures == ["connect_refused"]

    run(main)


def test_expired_request_is_a_timeout_although_bytes_drip() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with serving(drip) as port:
            listener = Listener()
            connection = await connected(port, listener)
            connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Wanted(keeps_body=False))
            await asyncio.sleep(0.1)
            connection.expire(time.monotonic_ns())
            assert await listener.next() == ("failed", "timeout_request")
            assert connection.has_answer_bytes and not connection.is_alive

    run(main)


def test_bytes_nobody_asked_for_close_the_idle_connection() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def main() -> None:
        async with serving(shout) as port:
            listener = Listener()
            await connected(port, listener)
            kind, _ = await listener.next()
            assert kind == "closed"

    run(main)


@pytest.mark.parametrize("framing", ["chunked", "until close"])
def test_event_stream_is_told_event_by_event_and_never_kept(framing: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(head + (b"Transfer-Encoding: chunked\r\n\r\n" if framing == "chunked" else b"\r\n"))
        for data in (b"data: one\n\n", b"data: tw", b"o\n\ndata: three\n\n"):
            writer.write(b"%x\r\n%s\r\n" % (len(data), data) if framing == "chunked" else data)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n" if framing == "chunked" else b"")
        writer.close()

    async def main() -> None:
        async with serving(stream) as port:
            listener = Listener()
            connection = await connected(port, listener)
            connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Wanted())
            assert await listener.next() == ("events", []), "the head is there"
            seen: list[bytes] = []
            while (told := await listener.next())[0] == "events":
                seen += told[1]
            assert (told[0], seen, connection.body) == ("response", [b"one", b"two", b"three"], b"")

    run(main)
