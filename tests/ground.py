"""Ground truth: captures written as a recorder writes them, and a server that does exactly what a test says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType, Exchange
from tests.commands import RUSHHOUR, run_rushhour
from tests.fakes_captures import WALL_NS, Tape

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def write_capture(path: Path, *tapes: Tape) -> Path:
    """Write these sessions into a capture file."""
    events: list[tuple[int, int, EventType, int, int, dict[str, Any]]] = []
    for tape in tapes:
        for exchange in tape.session().exchanges:
            for event_type, t_ns, fields in _events_of(exchange):
                events.append((t_ns, len(events), event_type, tape.number, exchange.id, fields))
    anchor = Anchor(wall_ns=WALL_NS, monotonic_ns=0)
    with CaptureWriter(path, facts={"tool": "rushhour", "url": "http://shop.example:8000/"}, anchor=anchor) as writer:
        for tape in tapes:
            writer.add(EventType.CONNECTION_OPEN, 0, tape.number, 0, listener="127.0.0.1:1", peer="127.0.0.1:2")
            writer.add(EventType.SESSION, 0, tape.number, 0, session=tape.number, rule="listener")
        for t_ns, _, event_type, connection, exchange_id, fields in sorted(events, key=lambda event: event[:2]):
            writer.add(event_type, t_ns, connection, exchange_id, **fields)
    return path


def _events_of(exchange: Exchange) -> Iterator[tuple[EventType, int, dict[str, Any]]]:
    origin, start_ns, end_ns = exchange.origin, exchange.start_ns, exchange.end_ns
    assert end_ns is not None
    head: dict[str, Any] = {"http_version": "HTTP/1.1"}
    place = {"scheme": origin.scheme, "host": origin.host, "port": origin.port, "target": exchange.target}
    headers = exchange.request_headers
    yield EventType.REQUEST_HEAD, start_ns, {"method": exchange.method, **place, "headers": headers, **head}
    if exchange.request_body.data:
        yield EventType.REQUEST_BODY, start_ns, {"data": exchange.request_body.data}
    yield EventType.REQUEST_END, start_ns, {"size_bytes": exchange.request_body.size_bytes, "hash": b""}
    answer = {"status": exchange.status, "reason": "OK", "headers": exchange.response_headers, "connect_ns": 0}
    yield EventType.RESPONSE_HEAD, end_ns, {**answer, **head}
    socket = exchange.socket
    if socket is None:
        yield EventType.RESPONSE_BODY, end_ns, {"data": exchange.response_body.data}
        yield EventType.RESPONSE_END, end_ns, {"size_bytes": exchange.response_body.size_bytes, "hash": b""}
        return
    yield EventType.SOCKET_OPEN, socket.open_ns, {}
    for message in socket.messages:
        told = {"sender": message.sender, "opcode": message.opcode, "data": message.data}
        yield EventType.MESSAGE, message.t_ns, {**told, "size_bytes": message.size_bytes, "dropped": False}
    if socket.close_ns is not None:
        yield EventType.SOCKET_CLOSE, socket.close_ns, {"sender": socket.closed_by, "code": socket.close_code}


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request: its method, path with query, headers in lower case and body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True, kw_only=True)
class Told:
    """What is answered, ``after_s`` later."""

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    after_s: float = 0.0


class Peer:
    """One WebSocket as the server has it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader, self._writer = reader, writer

    def send(self, document: object) -> None:
        """Send one text message."""
        data = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
        size = bytes((len(data),)) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
        self._writer.write(b"\x81" + size + data)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame."""
        self._writer.write(bytes((0x88, 2 + len(reason))) + struct.pack("!H", code) + reason.encode())

    async def receive(self) -> bytes | None:
        """Return the next message, None when the client closes or is gone."""
        try:
            first, second = await self._reader.readexactly(2)
            n = second & 127
            if n == 126:
                (n,) = struct.unpack("!H", await self._reader.readexactly(2))
            mask = await self._reader.readexactly(4)
            data = await self._reader.readexactly(n)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        if first & 15 == 8:
            self._writer.write(b"\x88\x02\x03\xe8")
            return None
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

    async def until_closed(self) -> None:
        """Read until the client closes."""
        while await self.receive() is not None:
            pass


Answer = Callable[[Asked], Told]
Serve = Callable[[Peer, Asked], Awaitable[None]]


@dataclass(slots=True)
class Ground:
    """A running server: where it is and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    n_sockets: int = 0


@contextmanager
def serving(answer: Answer, serve_socket: Serve | None = None) -> Iterator[Ground]:
    """Serve on a free port of 127.0.0.1, from a thread with a loop of its own.

    Args:
        answer: returns what a request is told.
        serve_socket: serves a WebSocket until it is over; None refuses upgrades.
    """
    ground, is_up, loop = Ground(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: _talk(ground, answer, serve_socket, reader, writer), "127.0.0.1", 0, backlog=512
        )
        ground.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        is_up.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    is_up.wait(10)
    try:
        yield ground
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _talk(
    ground: Ground,
    answer: Answer,
    serve_socket: Serve | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        while (asked := await _read(reader)) is not None:
            ground.asked.append(asked)
            key = asked.headers.get("sec-websocket-key")
            if key is not None and serve_socket is not None:
                accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
                head = f"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}"
                writer.write(head.encode() + b"\r\n\r\n")
                ground.n_sockets += 1
                await serve_socket(Peer(ground.n_sockets - 1, reader, writer), asked)
                return
            told = answer(asked)
            if told.after_s:
                await asyncio.sleep(told.after_s)
            writer.write(_written(told))
            await writer.drain()
    except (ConnectionError, asyncio.CancelledError):
        return
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method=method, target=target, headers=headers, body=body)


def _written(told: Told) -> bytes:
    headers = (
        ("Content-Type", told.content_type),
        ("Content-Length", str(len(told.body))),
        *told.headers,
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers if value)
    return f"HTTP/1.1 {told.status} OK\r\n{lines}\r\n".encode("latin-1") + told.body


def replayed(
    capture: Path,
    url: str,
    *options: str,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (RUSHHOUR,),
) -> tuple[int, dict[str, Any], str]:
    """Replay a capture beside it, into ``run``; return exit code, summary, and what was printed."""
    out = capture.parent / "run"
    arguments = ("replay", str(capture), "--target", url, "--out", str(out), *options)
    done = run_rushhour(*arguments, cwd=capture.parent, env=env, command=command)
    assert "Traceback" not in done.stderr
    assert (out / "summary.json").is_file(), done.stderr
    return done.returncode, json.loads((out / "summary.json").read_text()), done.stdout + done.stderr


def series(summary: Mapping[str, Any], name: str, **labels: str) -> dict[str, Any]:
    """Return one entry of a summary's series."""
    found: dict[str, Any] = next(
        entry for entry in summary["series"] if entry["name"] == name and entry["labels"] == labels
    )
    return found


def outcome(summary: Mapping[str, Any], expr: str) -> dict[str, Any]:
    """Return one threshold of a summary."""
    found: dict[str, Any] = next(each for each in summary["thresholds"] if each["expr"] == expr)
    return found
