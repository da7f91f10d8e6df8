"""A WebSocket server that is not the bottleneck: pushes batches of 200 messages of about 520 bytes, answers pings.

``/push`` streams as fast as a client reads; ``/idle`` only answers. On a bare protocol with frames made beforehand, so
that it costs a fraction of what reading them costs. ``python -m benchmarks.peers.stream_server PORT``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
from hashlib import sha1
from typing import Any

import uvloop

BATCH = 200
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MESSAGE = json.dumps(
    {
        "type": "quotes",
        "seq": 1,
        "data": [{"symbol": f"S{i:03}", "price": 100.25 + i, "volume": 123456} for i in range(9)],
    }
).encode()


def _frame(payload: bytes, opcode: int = 1) -> bytes:
    n = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, n) if n < 126 else struct.pack("!BBH", 0x80 | opcode, 126, n)
    return head + payload


_BATCH = _frame(_MESSAGE) * BATCH


class Stream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = b""
        self._is_open = self._is_pushing = self._is_paused = False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = rest
            self._accept(head)
        while (frame := self._next_frame()) is not None:
            self._take(*frame)

    def _accept(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        accept = base64.b64encode(sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._is_open = True
        if lines[0].split()[1].startswith(b"/push"):
            self._is_pushing = True
            self._push()

    def _push(self) -> None:
        if self._is_pushing and not self._is_paused:
            self._transport.write(_BATCH)
            asyncio.get_running_loop().call_soon(self._push)

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 6:
            return None
        n, at = buffer[1] & 127, 2
        if n == 126:
            n, at = int.from_bytes(buffer[2:4]), 4
        if len(buffer) < at + 4 + n:
            return None
        mask, payload = buffer[at : at + 4], buffer[at + 4 : at + 4 + n]
        self._buffer = buffer[at + 4 + n :]
        return buffer[0] & 15, bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 1:
            message = json.loads(payload)
            if message.get("type") == "ping":
                self._transport.write(_frame(json.dumps({"type": "pong", "id": message["id"]}).encode()))
        elif opcode == 8:
            self._is_pushing = False
            self._transport.write(_frame(payload, 8))
            self._transport.close()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._push()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_pushing = False


async def main(port: int) -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Stream, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(int(sys.argv[1])))
