"""HTTP/2 over TLS and in plaintext against real servers: nginx, and one that breaks off."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from replayer.reach import Offers, Reach, TlsSettings
from replayer.targets import TargetSpec
from replayer.wire import http2_frames as frames
from replayer.wire.connect import Dialer
from replayer.wire.greeting import greet
from replayer.wire.http2 import Http2Connection
from replayer.wire.http2_session import Http2Session
from replayer.wire.http2_stream import Stream
from replayer.wire.outbox import Outbox
from replayer.wire.sse import ServerEvent
from replayer.wire.tally import Tally
from tests.fakes_server import Serve, reset, serving
from tests.replayer.asking import Wanted
from tests.replayer.http2_peers import rendered
from tests.replayer.nginx import Nginx, needs_nginx, running_nginx

LARGE = bytes(range(256)) * 12_000
SECOND_NS = 1_000_000_000


class Listener:
    """Implements ``http2_stream.Owner``; what it is told can be waited for."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def connection_opened(self, session: Http2Session) -> None:
        self.told.put_nowait(("opened", session))

    def response_received(self, stream: Stream, end_ns: int) -> None:
        self.told.put_nowait(("response", stream))

    def events_received(self, stream: Stream, events: list[ServerEvent], end_ns: int) -> None:
        """Asked for by no test here."""

    def request_failed(self, stream: Stream, failure: str, end_ns: int) -> None:
        self.told.put_nowait(("failed", failure))

    def room_changed(self, session: Http2Session) -> None:
        """Asked for by no test here."""

    def connection_closed(self, session: Http2Session) -> None:
        self.told.put_nowait(("closed", session))

    def refused(self, failure: str) -> None:
        self.told.put_nowait(("refused", failure))

    async def next(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.told.get(), 10)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def target_of(port: int, *, scheme: str = "https") -> TargetSpec:
    return TargetSpec(scheme=scheme, host="localhost", port=port, addresses=("127.0.0.1",), http="2")


async def dialed(target: TargetSpec, ca_file: str | None, listener: Listener, tally: Tally) -> tuple[str, Any]:
    """Return what became of a connection attempt."""
    errors: list[BaseException] = []
    loop = asyncio.get_running_loop()
    dialer = Dialer(loop, Reach(tls=TlsSettings(ca_file=ca_file)), errors.append)
    dialer.dial(
        Http2Connection(listener, tally, Outbox(loop.call_soon, time.monotonic_ns)),
        target,
        listener.refused,
        offers=Offers.HTTP2,
    )
    told = await listener.next()
    assert not errors
    return told


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    root: Path = tmp_path_factory.mktemp("nginx")
    locations = "location /short { return 200 'short'; } location /posted { return 201 'taken'; }"
    with running_nginx(root, locations=locations, keepalive_requests=20) as server:
        (root / "files" / "large").write_bytes(LARGE)
        yield server


@needs_nginx
@pytest.mark.process
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_nginx_answers_many_streams_at_once_large_and_small(nginx: Nginx, scheme: str) -> None:
    target = target_of(nginx.port if scheme == "https" else nginx.plain_port, scheme=scheme)

    async def main() -> None:
        listener, tally = Listener(), Tally()
        kind, session = await dialed(target, nginx.ca_file, listener, tally)
        assert kind == "opened" and tally.n == 1
        asked = [
            (session.open_stream(), rendered(path=b"/files/large"), (200, LARGE)),
            (session.open_stream(), rendered(path=b"/short"), (200, b"short")),
            (session.open_stream(), rendered(b"HEAD", b"/files/large"), (200, b"")),
            (session.open_stream(), rendered(path=b"/missing"), (404, None)),
            (session.open_stream(), rendered(b"POST", b"/posted", LARGE), (201, b"taken")),
        ]
        for stream, data, _ in asked:
            stream.send(data, Wanted(is_head=data[5] not in (0x82, 0x83)))
        for _ in asked:
            kind, stream = await listener.next()
            assert kind == "response"
        for stream, _, (status, body) in asked:
            assert stream.head.status == status and (body is None or stream.body == body)
        assert dict(asked[0][0].head.headers)[b"server"].startswith(b"nginx")
        session.close()
        assert (await listener.next())[0] == "closed" and tally.n == 0

    run(main)


@needs_nginx
@pytest.mark.process
def test_nginx_says_goodbye_after_so_many_requests_and_none_is_lost(nginx: Nginx) -> None:
    async def main() -> None:
        listener = Listener()
        _, session = await dialed(target_of(nginx.port), nginx.ca_file, listener, Tally())
        n_answers = 0
        while session.has_room():
            session.open_stream().send(rendered(path=b"/short"), Wanted())
            kind, stream = await listener.next()
            assert kind == "response" and stream.body == b"short"
            n_answers += 1
            await asyncio.sleep(0)
        assert n_answers == 20 and (await listener.next())[0] == "closed"

    run(main)


@needs_nginx
@pytest.mark.process
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_connection_that_is_over_holds_nothing_of_its_user(nginx: Nginx, scheme: str) -> None:
    target = target_of(nginx.port if scheme == "https" else nginx.plain_port, scheme=scheme)

    async def use() -> weakref.ref[Listener]:
        listener = Listener()
        _, session = await dialed(target, nginx.ca_file, listener, Tally())
        session.open_stream().send(rendered(path=b"/short"), Wanted())
        assert (await listener.next())[0] == "response"
        session.close()
        assert (await listener.next())[0] == "closed"
        return weakref.ref(listener)

    async def main() -> None:
        gc.disable()
        try:
            owner = await use()
            await asyncio.sleep(0.05)
            assert owner() is None
        finally:
            gc.enable()

    run(main)


@needs_nginx
@pytest.mark.process
def test_what_a_target_chooses_is_told_without_a_request(nginx: Nginx, tmp_path: Path) -> None:
    before = len(nginx.log())
    reach = Reach(tls=TlsSettings(ca_file=nginx.ca_file))
    assert greet(target_of(nginx.port), reach, timeout_ns=5 * SECOND_NS).alpn == "h2"
    assert len(nginx.log()) == before
    with running_nginx(tmp_path, is_http2=False) as old:
        reach = Reach(tls=TlsSettings(ca_file=old.ca_file))
        assert greet(target_of(old.port), reach, timeout_ns=5 * SECOND_NS).alpn == "http/1.1"

        async def main() -> None:
            listener = Listener()
            assert await dialed(target_of(old.port), old.ca_file, listener, Tally()) == ("refused", "tls_alpn")

        run(main)


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frames.settings_frame({}))
    await reader.readuntil(b"shop.example")


async def _reset_in_flight(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _greet(reader, writer)
    reset(writer)


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End in order: a close with bytes unread would be a reset."""
    writer.write_eof()
    await reader.read()


async def _close_in_flight(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _greet(reader, writer)
    await _leave(reader, writer)


async def _speak_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"shop.example")
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await reader.read()


async def _half_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _greet(reader, writer)
    writer.write(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88") + b"\0\0\x10\0\0\0\0\0\x01half")
    await _leave(reader, writer)


@pytest.mark.parametrize(
    ("serve", "failure"),
    [(_reset_in_flight, "reset"), (_close_in_flight, "eof"), (_half_answer, "eof"), (_speak_http1, "protocol")],
)
def test_plaintext_connections_that_break_have_their_class(serve: Serve, failure: str) -> None:
    async def main() -> None:
        async with serving(serve) as port:
            listener, tally = Listener(), Tally()
            _, session = await dialed(target_of(port, scheme="http"), None, listener, tally)
            session.open_stream().send(rendered(), Wanted())
            assert await listener.next() == ("failed", failure)
            assert (await listener.next())[0] == "closed" and tally.n == 0

    run(main)


def test_server_that_never_says_a_word_is_a_timeout_of_the_request() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with serving(hold) as port:
            listener = Listener()
            _, session = await dialed(target_of(port, scheme="http"), None, listener, Tally())
            stream = session.open_stream()
            stream.send(rendered(), Wanted())
            await asyncio.sleep(0.02)
            stream.expire(7)
            assert await listener.next() == ("failed", "timeout_request")
            assert session.heard_ns == 0 and session.is_idle()
            session.close()

    run(main)
