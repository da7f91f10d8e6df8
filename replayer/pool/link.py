"""The worker's end of the conversation with its controller, on the worker's own event loop.

Writes never block the loop: what the pipe does not take waits in the transport.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from replayer.pool.protocol import FrameBuffer, Kind, encode

if TYPE_CHECKING:
    from multiprocess.connection import Connection


class ControllerLink(asyncio.Protocol):
    """Cuts what the controller says into messages.

    Args:
        on_message: called with kind and body of each message.
        on_lost: called once when the controller is gone.
    """

    def __init__(self, on_message: Callable[[Kind, Any], None], on_lost: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._frames = FrameBuffer()
        self._transport: Any = None  # Subtle: uvloop's transports are no asyncio.Transport.
        self._lost = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for kind, body in self._frames.feed(data):
            self._on_message(kind, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost.set()
        self._on_lost()

    def send(self, kind: Kind, body: Any = None) -> None:
        """Queue one message; after the controller is gone, do nothing."""
        if self._transport is not None:
            self._transport.write(encode(kind, body))

    async def aclose(self, timeout_s: float) -> None:
        """Send what is queued, then hang up; give up after ``timeout_s``."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            await asyncio.wait_for(self._lost.wait(), timeout_s)
        except TimeoutError:
            self._transport.abort()


async def open_link(
    connection: Connection, on_message: Callable[[Kind, Any], None], on_lost: Callable[[], None]
) -> ControllerLink:
    """Take over the pipe that the process was started with."""
    ours = socket.socket(fileno=os.dup(connection.fileno()))
    connection.close()
    ours.setblocking(False)
    link = ControllerLink(on_message, on_lost)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
    return link
