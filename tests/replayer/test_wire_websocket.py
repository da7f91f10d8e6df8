"""The WebSocket wire against a real ``websockets`` server and against raw frames."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.tally import Tally
from replayer.wire.websocket import MAX_MESSAGE_BYTES, WebSocketConnection
from tests.fakes_server import Serve, answering, read_head, reset, serving


class Listener:
    """An owner that notes what it is told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
        self.told.put_nowait(("opened",))

    def socket_refused(self, connection: WebSocketConnection, failure: str, status: int, end_ns: int) -> None:
        self.told.put_nowait(("refused", failure, status))

    def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        self.told.put_nowait(("message", data, is_text))

    def socket_closed(self, connection: WebSocketConnection, code: int, end_ns: int) -> None:
        self.told.put_nowait(("closed", code))

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.told.get(), 10)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def opened(port: int, listener: Listener, **options: Any) -> WebSocketConnection:
    loop = asyncio.get_running_loop()
    given: dict[str, Any] = {"target": b"/ws", "headers": [], "subprotocols": (), "offers_deflate": False} | options
    connection = WebSocketConnection(listener, host="127.0.0.1", port=port, is_secure=False, tally=Tally(), **given)
    dialer = Dialer(loop, Reach(), lambda exc: None)
    spec = TargetSpec(scheme="http", host="127.0.0.1", port=port, addresses=("127.0.0.1",))
    dialer.dial(connection, spec, lambda failure: connection.fail(failure, 0))
    return connection


@pytest.mark.parametrize("offers_deflate", [False, True])
def test_messages_go_both_ways_and_the_close_is_answered(offers_deflate: bool) -> None:
    seen: dict[str, Any] = {}

    async def echo(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.update(path=socket.request.path, cookie=socket.request.headers["Cookie"])
        seen["extensions"] = [extension.name for extension in socket.protocol.extensions]
        async for message in socket:
            await socket.send(message)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, extensions=[ServerPerMessageDeflateFactory()]) as server:
            listener = Listener()
            port = server.sockets[0].getsockname()[1]
            connection = opened(
                port, listener, target=b"/ws?t=1", headers=[(b"Cookie", b"a=1")], offers_deflate=offers_deflate
            )
            assert await listener.next() == ("opened",)
            connection.send("grüß".encode() * 100, is_text=True)
            assert await listener.next() == ("message", "grüß".encode() * 100, True)
            connection.send(b"\x00\xff", is_text=False)
            assert await listener.next() == ("message", b"\x00\xff", False)
            connection.close(1000)
            assert await listener.next() == ("closed", 1000)

    run(main)
    assert seen["path"] == "/ws?t=1" and seen["cookie"] == "a=1"
    assert bool(seen["extensions"]) is offers_deflate


def test_close_of_the_server_is_told_with_its_code() -> None:
    async def leave(socket: ServerConnection) -> None:
        await socket.close(4002, "done")

    async def main() -> None:
        async with serve(leave, "127.0.0.1", 0) as server:
            listener = Listener()
            opened(server.sockets[0].getsockname()[1], listener)
            assert await listener.next() == ("opened",)
            assert await listener.next() == ("closed", 4002)

    run(main)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ("refused", "status_503", 503)),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", ("refused", "rate_limited", 429)),
        # A redirect is never followed.
        (b"HTTP/1.1 302 F\r\nLocation: ws://127.0.0.2/\r\nContent-Length: 0\r\n\r\n", ("refused", "status_302", 302)),
        (b"no HTTP at all\r\n\r\n", ("refused", "protocol", 0)),
        (
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bad\r\n\r\n",
            ("refused", "protocol", 101),
        ),
    ],
)
def test_refused_handshakes_have_their_class(answer: bytes, told: tuple[Any, ...]) -> None:
    assert _first_told(answering(answer, close=True)) == told


def test_handshake_that_is_never_answered_expires_as_connect_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with serving(silent) as port:
            listener = Listener()
            connection = opened(port, listener)
            await asyncio.sleep(0.05)
            connection.expire_handshake(1)
            assert await listener.next() == ("refused", "connect_timeout", 0)

    run(main)


def _upgraded(*frames: bytes, then_reset: bool = False) -> Serve:
    async def serve_raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        key = head.lower().partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
        key = head[head.lower().index(key) :][: len(key)]
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        accept = base64.b64encode(digest)
        writer.write(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
        )
        for frame in frames:
            writer.write(frame)
        await writer.drain()
        if then_reset:
            await asyncio.sleep(0.05)
            reset(writer)
        await reader.read()

    return serve_raw


def test_fragments_are_joined_and_pings_between_them_are_no_messages() -> None:
    frames = (b"\x01\x03foo", b"\x89\x01p", b"\x00\x03bar", b"\x80\x01!")

    async def main() -> None:
        async with serving(_upgraded(*frames)) as port:
            listener = Listener()
            connection = opened(port, listener)
            assert await listener.next() == ("opened",)
            assert await listener.next() == ("message", b"foobar!", True)
            connection.abort()

    run(main)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ((b"\x81\x83abcd123",), 1002),  # a masked frame from a server
        ((b"\xc1\x01x",), 1002),  # RSV1 without an extension
        ((b"\x83\x01x",), 1002),  # reserved opcode
        ((b"\x80\x01x",), 1002),  # continuation of nothing
        ((b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"),), 1009),  # announced, never sent
    ],
)
def test_breaches_of_the_protocol_close_the_socket_with_their_code(frames: tuple[bytes, ...], code: int) -> None:
    told = _told(_upgraded(*frames), 2)
    assert told == [("opened",), ("closed", code)]


def test_reset_of_an_open_socket_is_1006() -> None:
    assert _told(_upgraded(then_reset=True), 2) == [("opened",), ("closed", 1006)]


def _first_told(server: Serve) -> tuple[Any, ...]:
    return _told(server, 1)[0]


def _told(server: Serve, n: int) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []

    async def main() -> None:
        async with serving(server) as port:
            listener = Listener()
            connection = opened(port, listener)
            told.extend([await listener.next() for _ in range(n)])
            connection.abort()

    run(main)
    return told
