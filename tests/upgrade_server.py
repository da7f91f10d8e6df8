"""A WebSocket server that accepts so many upgrades a second, for tests and benchmarks of storms: a ground truth.

``python -m tests.upgrade_server --rate 50 --free 1000`` prints its port and serves until its standard input ends. The
first ``--free`` upgrades are answered at once. The others wait in one queue and are answered one every 1/rate s; with
``--wasteful`` one whose client has given up meanwhile takes its turn all the same, as where the work of a handshake is
done before anybody notices. Any other request is answered at once. ``GET /ledger`` tells what was seen: requests with
their CLOCK_MONOTONIC in ns, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import sys
import time
import zlib
from base64 import b64encode
from collections import deque
from hashlib import sha1
from typing import Any

import uvloop

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE = 0x88
_BACKLOG = 16_384


class Gate:
    """The one queue of a server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, rate: float, free: int, is_wasteful: bool) -> None:
        self._loop = loop
        self._gap_s = 1 / rate if rate else 0.0
        self._free = free
        self._is_wasteful = is_wasteful
        self._queue: deque[Visitor] = deque()
        self._next_s = 0.0
        self._is_armed = False
        self.ledger = {"upgrades": 0, "accepted": 0, "wasted": 0, "open": 0, "resets": 0, "closes": 0, "requests": 0}
        self.accepted_s: list[float] = []
        self.seen: list[tuple[int, str]] = []

    def enter(self, visitor: Visitor) -> None:
        self.ledger["upgrades"] += 1
        if self.ledger["upgrades"] <= self._free or not self._gap_s:
            self._accept(visitor)
            return
        self._queue.append(visitor)
        if not self._is_armed:
            self._next_s = max(self._loop.time(), self._next_s)
            self._arm()

    def _arm(self) -> None:
        self._is_armed = True
        self._loop.call_at(self._next_s, self._serve)

    def _serve(self) -> None:
        while self._queue and self._loop.time() >= self._next_s:
            visitor = self._queue.popleft()
            if visitor.transport is None:
                self.ledger["wasted"] += 1
                if not self._is_wasteful:
                    continue
            else:
                self._accept(visitor)
            self._next_s += self._gap_s
        self._is_armed = False
        if self._queue:
            self._arm()

    def _accept(self, visitor: Visitor) -> None:
        self.ledger["accepted"] += 1
        self.accepted_s.append(time.monotonic())
        visitor.accept()


class Visitor(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_gate", "_head", "_is_open", "_key", "_pushes", "transport")

    def __init__(self, gate: Gate, pushes: bytes) -> None:
        self._gate = gate
        self._pushes = pushes
        self._head = b""
        self._key = b""
        self._is_open = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._is_open:
            self._gate.ledger["open"] -= 1
            self._gate.ledger["resets"] += isinstance(exc, ConnectionResetError)

    def data_received(self, data: bytes) -> None:
        if self._is_open:
            self._take_frames(data)
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        if b"upgrade: websocket" not in self._head.lower():
            self._answer_ledger()
            return
        self._key = next(
            line.partition(b":")[2].strip()
            for line in self._head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        self._head = b""
        self._gate.enter(self)

    def accept(self) -> None:
        self._is_open = True
        self._gate.ledger["open"] += 1
        proof = b64encode(sha1(self._key + _GUID).digest())
        deflate = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if self._pushes else b""
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + proof + b"\r\n" + deflate + b"\r\n" + self._pushes
        )

    def _take_frames(self, data: bytes) -> None:
        if data[0] == _CLOSE:  # Clients of these tests send nothing but pongs and one close.
            self._gate.ledger["closes"] += 1
            self.transport.write(b"\x88\x00")
            self.transport.close()

    def _answer_ledger(self) -> None:
        head, self._head = self._head, b""
        gate = self._gate
        if head.startswith(b"GET /ledger "):
            first = gate.accepted_s[:1]
            told = {**gate.ledger, "accepted_s": [at - first[0] for at in gate.accepted_s], "seen": gate.seen}
        else:
            gate.ledger["requests"] += 1
            gate.seen.append((time.monotonic_ns(), head.split(b" ", 2)[1].decode()))
            told = {"ok": True}
        body = json.dumps(told).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )


def deflated_frame(text: bytes) -> bytes:
    """Return one compressed text message (RFC 7692 §7.2.1)."""
    engine = zlib.compressobj(wbits=-15)
    payload = (engine.compress(text) + engine.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    head = bytes((0xC1, len(payload))) if len(payload) < 126 else b"\xc1\x7e" + len(payload).to_bytes(2)
    return head + payload


async def serve(options: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    gate = Gate(loop, rate=options.rate, free=options.free, is_wasteful=options.wasteful)
    pushes = deflated_frame(b'{"type":"tick","text":"%s"}' % (b"abc " * 100)) if options.deflate else b""
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    server = await loop.create_server(
        lambda: Visitor(gate, pushes), "127.0.0.1", 0, backlog=_BACKLOG, ssl=context, ssl_handshake_timeout=None
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--free", type=int, default=0)
    parser.add_argument("--wasteful", action="store_true")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--certificate", default="")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
