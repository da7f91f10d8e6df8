"""A user of the WebSocket wire that notes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.tally import Tally
from replayer.wire.websocket import WebSocketConnection


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
        self.told.put_nowait(("closed", code, connection.failure) if connection.failure else ("closed", code))

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.told.get(), 10)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def opened(port: int, listener: Listener, *, reach: Reach | None = None, **options: Any) -> WebSocketConnection:
    """Begin to open a socket to a port of this machine, over TLS as ``localhost`` where ``reach`` is given."""
    loop = asyncio.get_running_loop()
    given: dict[str, Any] = {"target": b"/ws", "headers": [], "subprotocols": (), "offers_deflate": False}
    given |= {"tally": Tally()} | options
    spec = TargetSpec(
        scheme="http" if reach is None else "https",
        host="127.0.0.1" if reach is None else "localhost",
        port=port,
        addresses=("127.0.0.1",),
    )
    connection = WebSocketConnection(listener, host=spec.host, port=port, is_secure=spec.scheme == "https", **given)
    dialer = Dialer(loop, reach or Reach(), lambda exc: None)
    dialer.dial(connection, spec, lambda failure: connection.fail(failure, 0))
    return connection
