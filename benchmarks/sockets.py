"""What one WebSocket costs: CPU per message and per connect, memory per open socket. ``python -m benchmarks.sockets``.

The wire alone, in a process of its own against a server in another; no virtual user (``make bench`` measures those).
Each figure is CPU seconds of the process or growth of its resident memory, so that a busy machine does not matter.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import multiprocess
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.peers import stream_server
from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.tally import Tally
from replayer.wire.websocket import WebSocketConnection

STREAM, DEFLATE = 8971, 8972
N_MESSAGES, N_CONNECTS, N_SOCKETS = 1_000_000, 4_000, 6_000
_AT_ONCE = 50
_SENT = b'{"type":"subscribe","symbols":["A","B","C"],"id":%d}'


def main() -> None:
    """Measure in turn and print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with _running(_stream), _running(_deflate):
        for figure in (_messages, _connects, _memory_plain, _memory_deflate_idle, _memory_deflate_used):
            process = multiprocess.get_context("spawn").Process(target=_measure, args=(figure,))
            process.start()
            process.join(120)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _running(server: Callable[[], None]) -> Iterator[None]:
    process = multiprocess.get_context("spawn").Process(target=server)
    process.start()
    time.sleep(1)
    try:
        yield
    finally:
        process.terminate()
        process.join(10)


def _stream() -> None:
    uvloop.run(stream_server.main(STREAM))


def _deflate() -> None:
    uvloop.run(_serve_deflate())


async def _serve_deflate() -> None:
    async def echo(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):  # The measured process just ends.
            async for message in socket:
                await socket.send(str(message) * 200)

    async with serve(echo, "127.0.0.1", DEFLATE, ping_interval=None) as server:
        await server.serve_forever()


def _measure(figure: Callable[[_Bench], Coroutine[Any, Any, str]]) -> None:
    async def run() -> None:
        sys.stdout.write(await figure(_Bench()) + "\n")
        sys.stdout.flush()

    uvloop.run(run())


class _Bench:
    """Opens sockets and counts what they tell; implements ``websocket.SocketOwner``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialer = Dialer(self._loop, Reach(), lambda exc: sys.exit(str(exc)))
        self._tally = Tally()
        self._awaited = self._n = 0
        self._reached: asyncio.Future[None] = self._loop.create_future()
        self.closes_at_once = False
        self.open_next: Callable[[], None] = lambda: None

    def open(self, port: int, target: bytes, *, offers_deflate: bool) -> WebSocketConnection:
        """Begin to open a socket."""
        spec = TargetSpec(scheme="http", host="127.0.0.1", port=port, addresses=("127.0.0.1",))
        connection = WebSocketConnection(
            self,
            host=spec.host,
            port=port,
            is_secure=False,
            target=target,
            headers=[(b"Origin", b"http://127.0.0.1"), (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64)")],
            subprotocols=(),
            offers_deflate=offers_deflate,
            tally=self._tally,
        )
        self._dialer.dial(connection, spec, sys.exit)
        return connection

    async def until(self, n: int) -> None:
        """Wait for the n-th thing from here on."""
        self._awaited, self._n = n, 0
        self._reached = self._loop.create_future()
        await asyncio.wait_for(self._reached, 60)

    def _count(self) -> None:
        self._n += 1
        if self._n == self._awaited and not self._reached.done():
            self._reached.set_result(None)

    def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
        if self.closes_at_once:
            connection.close(1000)
        else:
            self._count()

    def socket_refused(self, connection: WebSocketConnection, failure: str, status: int, end_ns: int) -> None:
        sys.exit(f"refused: {failure}")

    def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        self._count()

    def socket_closed(self, connection: WebSocketConnection, code: int, end_ns: int) -> None:
        if self.closes_at_once:
            self._count()
            self.open_next()


async def _messages(bench: _Bench) -> str:
    sockets = [bench.open(STREAM, b"/push", offers_deflate=False) for _ in range(10)]
    await bench.until(N_MESSAGES // 10)  # Warm.
    started_s = time.process_time()
    await bench.until(N_MESSAGES)
    spent_s = time.process_time() - started_s
    for socket in sockets:
        socket.abort()
    return f"received message of 520 bytes, 10 sockets: {spent_s / N_MESSAGES * 1e6:.2f} µs of CPU"


async def _connects(bench: _Bench) -> str:
    bench.closes_at_once = True
    left = N_CONNECTS

    def open_next() -> None:
        nonlocal left
        if left:
            left -= 1
            bench.open(STREAM, b"/idle", offers_deflate=True)

    bench.open_next = open_next
    started_s = time.process_time()
    for _ in range(_AT_ONCE):
        open_next()
    await bench.until(N_CONNECTS)
    spent_s = time.process_time() - started_s
    return f"connect, upgrade and close handshake, {_AT_ONCE} at once: {spent_s / N_CONNECTS * 1e6:.0f} µs of CPU"


async def _memory_plain(bench: _Bench) -> str:
    used, _ = await _opened(bench, STREAM, offers_deflate=False)
    return f"memory of an open socket: {used:.1f} KiB"


async def _memory_deflate_idle(bench: _Bench) -> str:
    used, _ = await _opened(bench, DEFLATE, offers_deflate=True)
    return f"memory of an open socket with permessage-deflate, before its first message: {used:.1f} KiB"


async def _memory_deflate_used(bench: _Bench) -> str:
    used, sockets = await _opened(bench, DEFLATE, offers_deflate=True)
    before = _resident_kib()
    for number in range(4):
        for start in range(0, len(sockets), _AT_ONCE):
            chosen = sockets[start : start + _AT_ONCE]
            for socket in chosen:
                socket.send(_SENT % number, is_text=True)
            await bench.until(len(chosen))
    used += (_resident_kib() - before) / len(sockets)
    return f"memory of an open socket with permessage-deflate, 4 messages sent and 4 of 10 KB received: {used:.1f} KiB"


async def _opened(bench: _Bench, port: int, *, offers_deflate: bool) -> tuple[float, list[WebSocketConnection]]:
    """Open many sockets; return KiB of resident memory that each took."""
    sockets: list[WebSocketConnection] = []
    before = 0.0
    for start in range(-_AT_ONCE, N_SOCKETS, _AT_ONCE):
        if not start:
            before = _resident_kib()  # After the first of them: what all share is there.
        sockets += [bench.open(port, b"/idle", offers_deflate=offers_deflate) for _ in range(_AT_ONCE)]
        await bench.until(_AT_ONCE)
    return (_resident_kib() - before) / N_SOCKETS, sockets


def _resident_kib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


if __name__ == "__main__":
    main()
