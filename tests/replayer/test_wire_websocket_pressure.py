"""The WebSocket wire under pressure: servers that do not read, floods, large messages, memory of a socket."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from replayer.wire.tally import Tally
from replayer.wire.websocket import MAX_UNSENT_BYTES, WebSocketConnection
from replayer.wire.websocket_handshake import accept_of
from tests.fakes_server import serving
from tests.faults.websocket import client_frame, upgraded
from tests.replayer.listening import Listener, opened, run


def test_ping_flood_of_a_server_that_does_not_read_is_answered_with_the_last_pong() -> None:
    answers: list[tuple[int, bytes]] = []
    seen = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport: Any = writer.transport
        transport.pause_reading()
        for number in range(160):
            writer.write((b"\x89\x7d" + number.to_bytes(125, "big")) * 400)
            await writer.drain()
        writer.write(b"\x89\x04last\x81\x07flooded")
        await seen.wait()
        transport.resume_reading()
        while (frame := await client_frame(reader)) != (0xA, b"last"):
            answers.append(frame)
        writer.write(b"\x88\x02\x03\xe8")
        await reader.read()

    async def main() -> None:
        async with serving(upgraded(then=flood)) as port:
            listener, tally = Listener(), Tally()
            connection = opened(port, listener, tally=tally)
            assert [await listener.next(), await listener.next()] == [("opened",), ("message", b"flooded", True)]
            assert tally.n_paused == 1
            assert connection._transport.get_write_buffer_size() < 1 << 20
            seen.set()
            assert await listener.next() == ("closed", 1000)
            assert tally.n_paused == 0

    run(main)
    assert 0 < len(answers) < 160 * 400


def test_server_that_does_not_read_ends_the_socket_before_memory_grows() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport: Any = writer.transport
        transport.pause_reading()
        try:
            await asyncio.Event().wait()  # Until the test is over.
        finally:
            transport.abort()

    async def main() -> None:
        async with serving(upgraded(then=deaf)) as port:
            listener = Listener()
            tally = Tally()
            connection = opened(port, listener, tally=tally)
            assert await listener.next() == ("opened",)
            unsent = 0
            for _ in range(1000):
                connection.send(bytes(100_000), is_text=False)
                if connection.failure:
                    break
                unsent = max(unsent, connection._transport.get_write_buffer_size())
                await asyncio.sleep(0)
            assert await listener.next() == ("closed", 1006, "send_overflow")
            assert MAX_UNSENT_BYTES < unsent < MAX_UNSENT_BYTES + 200_000
            assert (tally.n, tally.n_paused) == (0, 0)

    run(main)


def test_large_message_does_not_wait_and_arrives_whole_at_a_slow_reader() -> None:
    async def main() -> None:
        async with serve(slow, "127.0.0.1", 0, max_size=None) as server:
            listener = Listener()
            connection = opened(server.sockets[0].getsockname()[1], listener)
            assert await listener.next() == ("opened",)
            connection.send(b"x" * (8 << 20), is_text=False)
            assert connection.is_open()
            assert await listener.next() == ("message", b"8388608", True)
            connection.close(1000)
            assert await listener.next() == ("closed", 1000)

    async def slow(socket: ServerConnection) -> None:
        await asyncio.sleep(0.05)
        await socket.send(str(len(await socket.recv())))

    run(main)


@pytest.mark.parametrize("extension", ["", "Sec-WebSocket-Extensions: permessage-deflate\r\n"])
def test_idle_socket_takes_little_memory_with_and_without_deflate(extension: str) -> None:
    """The transport's share is uvloop's; ``benchmarks/sockets.py`` measures the process."""

    def open_one() -> WebSocketConnection:
        connection = WebSocketConnection(
            listener,
            host="127.0.0.1",
            port=80,
            is_secure=False,
            target=b"/ws",
            headers=[],
            subprotocols=(),
            offers_deflate=True,
            tally=tally,
        )
        wire = Wire()
        connection.connection_made(wire)
        key = wire.sent.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        connection.data_received(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%bSec-WebSocket-Accept: %b\r\n\r\n"
            % (extension.encode(), accept_of(key))
        )
        return connection

    class Deaf(Listener):
        def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
            """Note nothing, which would take memory."""

    listener, tally = Deaf(), Tally()
    open_one()
    tracemalloc.start()
    try:
        sockets = [open_one() for _ in range(100)]
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert tally.n == 101 and all(socket.is_open() for socket in sockets)
    assert used / len(sockets) < 2048


class Wire:
    """A transport that notes what is written."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent = data

    def abort(self) -> None:
        """Nothing to end."""
