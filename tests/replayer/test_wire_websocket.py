"""The WebSocket wire against a real ``websockets`` server and against raw frames."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from replayer.wire.frames import MAX_MESSAGE_BYTES
from replayer.wire.tally import Tally
from replayer.wire.websocket import WebSocketConnection
from tests.fakes_server import Serve, answering, closed_port, read_head, serving
from tests.faults.websocket import BOMB, DEFLATE, Then, client_frame, end, hold, reset_soon, upgraded
from tests.replayer.listening import Listener, opened, run


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


def test_handshake_that_is_never_answered_expires_as_timeout_of_the_upgrade() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        asked.set()
        await reader.read()

    async def main() -> None:
        nonlocal asked
        asked = asyncio.Event()
        async with serving(silent) as port:
            listener = Listener()
            connection = opened(port, listener)
            await asyncio.wait_for(asked.wait(), 10)
            connection.expire_handshake(1)
            assert await listener.next() == ("refused", "timeout_upgrade", 0)

    run(main)


def test_fragments_are_joined_and_pings_between_them_are_no_messages() -> None:
    frames = (b"\x01\x03foo", b"\x89\x01p", b"\x00\x03bar", b"\x80\x01!")

    async def main() -> None:
        async with serving(upgraded(*frames)) as port:
            listener = Listener()
            connection = opened(port, listener)
            assert await listener.next() == ("opened",)
            assert await listener.next() == ("message", b"foobar!", True)
            connection.abort()

    run(main)


@pytest.mark.parametrize(
    ("frames", "extension", "closed"),
    [
        ((b"\x81\x83abcd123",), "", ("closed", 1002, "protocol")),  # a masked frame from a server
        ((b"\xc1\x01x",), "", ("closed", 1002, "protocol")),  # RSV1 without an extension
        ((b"\x83\x01x",), "", ("closed", 1002, "protocol")),  # reserved opcode
        ((b"\x80\x01x",), "", ("closed", 1002, "protocol")),  # continuation of nothing
        ((b"\x09\x00",), "", ("closed", 1002, "protocol")),  # a fragmented ping
        ((b"\x88\x02\x03\xec",), "", ("closed", 1002, "protocol")),  # close code 1004
        ((b"\x81\x01\xff",), "", ("closed", 1007, "protocol")),  # text that is no UTF-8
        ((b"\x88\x03\x03\xe8\xff",), "", ("closed", 1007, "protocol")),  # a reason that is no UTF-8
        # Announced, never sent.
        ((b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"),), "", ("closed", 1009, "too_large")),
        ((b"\xc1\x03\xff\xfe\xfd",), DEFLATE, ("closed", 1002, "protocol")),  # not deflated
        ((b"\xe1\x01x",), DEFLATE, ("closed", 1002, "protocol")),  # RSV2
        ((b"\xc2\x7e" + len(BOMB).to_bytes(2, "big") + BOMB,), DEFLATE, ("closed", 1009, "too_large")),
    ],
)
def test_breaches_of_the_protocol_close_the_socket_and_tell_the_server_why(
    frames: tuple[bytes, ...], extension: str, closed: tuple[Any, ...]
) -> None:
    heard: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await client_frame(reader))

    server = upgraded(*frames, then=listen, extension=extension)
    assert _told(server, 2, heard, offers_deflate=bool(extension)) == [
        ("opened",),
        closed,
        (0x8, closed[1].to_bytes(2, "big")),
    ]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1012, 1013, 3000, 4999])
def test_every_close_code_of_the_server_is_told_and_echoed(code: int) -> None:
    heard: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await client_frame(reader))

    payload = code.to_bytes(2, "big")
    told = _told(upgraded(b"\x88\x02" + payload, then=listen), 2, heard)
    assert told == [("opened",), ("closed", code), (0x8, payload)]


def test_close_without_a_code_is_1005() -> None:
    assert _told(upgraded(b"\x88\x00"), 2) == [("opened",), ("closed", 1005)]


@pytest.mark.parametrize(
    ("frames", "then"),
    [
        ((), reset_soon),  # RST
        ((), end),  # FIN without a close frame
        ((b"\x81\x05hel",), end),  # FIN inside a message
        ((b"\x01\x03hel",), end),  # FIN between fragments
    ],
)
def test_end_without_a_close_frame_is_1006(frames: tuple[bytes, ...], then: Then) -> None:
    assert _told(upgraded(*frames, then=then), 2) == [("opened",), ("closed", 1006)]


@pytest.mark.parametrize(
    ("head", "then", "told"),
    [
        (b"", end, ("refused", "eof", 0)),
        (b"HTTP/1.1 101 S\r\nUpgr", end, ("refused", "protocol", 0)),  # ended inside its head
        (b"", reset_soon, ("refused", "reset", 0)),
        (b"HTTP/1.1 101 S\r\n" + b"X: y\r\n" * 100_000, hold, ("refused", "protocol", 0)),  # header bomb
        (b"\x00\x01\x02garbage", hold, ("refused", "protocol", 0)),
        (b"HTTP/1.1 103 E\r\n\r\nHTTP/1.0 403 F\r\n\r\n", hold, ("refused", "status_403", 403)),
    ],
)
def test_handshake_that_breaks_off_has_the_class_of_its_cause(head: bytes, then: Then, told: tuple[Any, ...]) -> None:
    async def serve_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(head)
        await then(reader, writer)

    assert _first_told(serve_head) == told


def test_refused_connection_is_told_once() -> None:
    async def main() -> None:
        listener = Listener()
        opened(closed_port(), listener)
        assert await listener.next() == ("refused", "connect_refused", 0)
        assert listener.told.empty()

    run(main)


def test_close_that_the_server_never_answers_ends_by_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.wire.websocket.CLOSE_S", 0.05)

    async def main() -> None:
        async with serving(upgraded()) as port:
            listener = Listener()
            connection = opened(port, listener)
            assert await listener.next() == ("opened",)
            connection.close(1000)
            assert not connection.is_open()
            assert await listener.next() == ("closed", 1006)

    run(main)


@pytest.mark.parametrize("is_ours", [True, False])
def test_server_that_never_ends_the_connection_after_both_closes_loses_it(
    monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    monkeypatch.setattr("replayer.wire.websocket.TCP_END_S", 0.05)
    ended: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        if is_ours:
            writer.write(b"\x88\x02\x03\xe8")
        ended.put_nowait(await reader.read())  # Until the other side ends it.

    async def main() -> None:
        async with serving(upgraded(*([] if is_ours else [b"\x88\x02\x03\xe8"]), then=answer)) as port:
            listener = Listener()
            connection = opened(port, listener)
            assert await listener.next() == ("opened",)
            if is_ours:
                connection.close(1000)
            assert await listener.next() == ("closed", 1000)
            assert await asyncio.wait_for(ended.get(), 10) == b""

    run(main)


def test_messages_that_were_under_way_when_we_closed_still_arrive() -> None:
    async def main() -> None:
        async with serving(upgraded(then=_late)) as port:
            listener = Listener()
            connection = opened(port, listener)
            assert await listener.next() == ("opened",)
            connection.close(1000)
            connection.send(b"too late", is_text=True)
            assert await listener.next() == ("message", b"late", True)
            assert await listener.next() == ("closed", 1000)

    async def _late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readexactly(8))[0] == 0x88
        writer.write(b"\x81\x04late\x88\x02\x03\xe8")
        assert await reader.read() == b""  # Nothing was sent behind the close.

    run(main)


def test_nothing_is_told_of_an_attempt_that_was_given_up() -> None:
    async def main() -> None:
        async with serving(upgraded()) as port:
            listener = Listener()
            tally = Tally()
            for ends_at_once in (True, False):
                connection = opened(port, listener, tally=tally)
                if not ends_at_once:
                    await asyncio.sleep(0)
                connection.close(1001)
            await asyncio.sleep(0.1)
            assert listener.told.empty() and tally.n == 0

    run(main)


def test_message_limit_is_an_option_of_the_socket() -> None:
    server = upgraded(b"\x82\x0a" + bytes(10), b"\x82\x0b" + bytes(11))
    told = _told(server, 3, max_message_bytes=10)
    assert told == [("opened",), ("message", bytes(10), False), ("closed", 1009, "too_large")]


def test_messages_in_one_piece_with_the_handshake_are_taken() -> None:
    told = _told(upgraded(b"\x81\x02hi", b"\x88\x00"), 3)
    assert told == [("opened",), ("message", b"hi", True), ("closed", 1005)]


def test_silenced_socket_tells_nothing_more_even_of_the_same_read() -> None:
    class Silencing(Listener):
        def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
            super().message_received(connection, data, end_ns, is_text=is_text)
            connection.silence()

    async def main() -> None:
        async with serving(upgraded(b"\x81\x01a\x81\x01b\x89\x00")) as port:
            listener, tally = Silencing(), Tally()
            connection = opened(port, listener, tally=tally)
            assert [await listener.next(), await listener.next()] == [("opened",), ("message", b"a", True)]
            await asyncio.sleep(0.05)
            assert listener.told.empty() and tally.n == 0
            connection.abort()

    run(main)


@pytest.mark.parametrize("how", ["closed", "refused", "given up"])
def test_socket_that_is_over_holds_its_owner_no_longer(how: str) -> None:
    """Timers may hold a connection for its whole deadline; its user would wait with it for the collector."""

    async def main() -> None:
        server = answering(b"HTTP/1.1 503 Busy\r\n\r\n") if how == "refused" else upgraded(b"\x88\x00")
        async with serving(server) as port:
            listener = Listener()
            connection = opened(port, listener)
            if how == "given up":
                connection.close(1001)
            else:
                while (await listener.next())[0] not in ("closed", "refused"):
                    pass
            user = weakref.ref(listener)
            del listener
            await asyncio.sleep(0.05)  # Whoever called us has returned.
            assert user() is None
            assert not connection.is_open()

    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["abort", "reset"])
def test_socket_that_its_owner_cuts_says_so_once_and_neither_sends_nor_takes_more(how: str) -> None:
    class Cutting(Listener):
        def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
            super().message_received(connection, data, end_ns, is_text=is_text)
            getattr(connection, how)()
            connection.send(b"too late", is_text=True)
            assert not connection.is_open()

    async def main() -> None:
        async with serving(upgraded(b"\x81\x01a\x81\x01b\x89\x00\x88\x00")) as port:
            listener, tally = Cutting(), Tally()
            opened(port, listener, tally=tally)
            told = [await listener.next() for _ in range(3)]
            assert told == [("opened",), ("message", b"a", True), ("closed", 1006)]
            await asyncio.sleep(0.05)
            assert listener.told.empty() and (tally.n, tally.n_wires) == (0, 0)

    run(main)


def _first_told(server: Serve) -> tuple[Any, ...]:
    return _told(server, 1)[0]


def _told(
    server: Serve, n: int, heard: asyncio.Queue[tuple[int, bytes]] | None = None, **options: Any
) -> list[tuple[Any, ...]]:
    """Return the first ``n`` things that a socket tells, and what the server heard of it."""
    told: list[tuple[Any, ...]] = []

    async def main() -> None:
        async with serving(server) as port:
            listener = Listener()
            connection = opened(port, listener, **options)
            told.extend([await listener.next() for _ in range(n)])
            if heard is not None:
                told.append(await asyncio.wait_for(heard.get(), 10))
            connection.abort()

    run(main)
    return told
