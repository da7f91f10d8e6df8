"""WebSocket servers that misbehave on order: a real handshake, then raw bytes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from replayer.wire.frames import MAX_MESSAGE_BYTES
from replayer.wire.websocket_handshake import accept_of
from tests.fakes_server import Serve, read_head, reset

DEFLATE = "permessage-deflate"
_bomb = zlib.compressobj(9, wbits=-15)
BOMB = _bomb.compress(bytes(2 * MAX_MESSAGE_BYTES)) + _bomb.flush(zlib.Z_SYNC_FLUSH)


Then = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what comes until the other side ends the connection."""
    await reader.read()


def upgraded(*frames: bytes, then: Then = hold, extension: str = "") -> Serve:
    """Serve a handshake, then raw bytes, then whatever ``then`` does."""

    async def serve_raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        start = head.lower().index(b"sec-websocket-key: ") + len(b"sec-websocket-key: ")
        key = head[start:].partition(b"\r\n")[0]
        accept = accept_of(key)
        writer.write(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n"
        )
        if extension:
            writer.write(f"Sec-WebSocket-Extensions: {extension}\r\n".encode())
        writer.write(b"\r\n" + b"".join(frames))
        await writer.drain()
        await then(reader, writer)

    return serve_raw


async def reset_soon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with RST, after what was sent has surely been read."""
    await asyncio.sleep(0.05)
    reset(writer)


async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with FIN."""
    writer.close()


async def client_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one short frame of a client: opcode and payload."""
    head, length = await reader.readexactly(2)
    key, data = await reader.readexactly(4), await reader.readexactly(length & 0x7F)
    return head & 0x0F, bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


async def end_after_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection when the client has sent its close frame, as servers do."""
    while (await client_frame(reader))[0] != 0x8:
        pass
    writer.close()
