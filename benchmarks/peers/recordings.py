"""Captures to replay in the benchmark, written as the recorder writes them: sessions of a client of the servers."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.ground import BODY
from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType, Headers, Opcode, Peer
from captures.units import NS_PER_MS, NS_PER_S

ANCHOR = Anchor(wall_ns=1_790_000_000 * NS_PER_S, monotonic_ns=NS_PER_S)
FACTS: dict[str, object] = {"tool": "rushhour", "version": "benchmark", "url": "http://bench.example/"}
_REQUEST: Headers = (
    (b"Host", b"bench.example"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"),
    (b"Accept", b"application/json"),
    (b"Accept-Language", b"en-US"),
)
_JSON: Headers = ((b"Content-Type", b"application/json"),)
_PATHS = ("/api/quotes", "/api/news?page=2", "/api/me", "/api/portfolio")


class Recording:
    """One session of one client, on one connection; every answer takes a millisecond."""

    def __init__(self, path: Path, *, gap_ns: int = 2 * NS_PER_MS) -> None:
        self._writer = CaptureWriter(path, facts=FACTS, anchor=ANCHOR)
        self._gap_ns = gap_ns
        self._now_ns = NS_PER_MS
        self._exchange = 0
        self._add(EventType.CONNECTION_OPEN, 0, listener=1, peer="127.0.0.1:1")
        self._add(EventType.SESSION, 0, session=1, rule="listener")

    def close(self) -> None:
        """Seal the file."""
        self._writer.close()

    def _add(self, event: EventType, exchange: int, **fields: object) -> None:
        self._writer.add(event, self._now_ns, 1, exchange, **fields)

    def get(self, target: str, body: bytes) -> None:
        """A GET that is answered with JSON."""
        self._exchange += 1
        exchange = self._exchange
        self._head(target, exchange)
        self._now_ns += NS_PER_MS
        self._add(
            EventType.RESPONSE_HEAD,
            exchange,
            status=200,
            reason="OK",
            http_version="HTTP/1.1",
            headers=_JSON,
            connect_ns=0,
        )
        self._add(EventType.RESPONSE_BODY, exchange, data=body)
        self._add(EventType.RESPONSE_END, exchange, size_bytes=len(body), hash=b"")
        self._now_ns += self._gap_ns - NS_PER_MS

    def _head(self, target: str, exchange: int) -> None:
        place = {"method": "GET", "scheme": "http", "host": "bench.example", "port": 80}
        self._add(EventType.REQUEST_HEAD, exchange, target=target, http_version="HTTP/1.1", headers=_REQUEST, **place)
        self._add(EventType.REQUEST_END, exchange, size_bytes=0, hash=b"")

    def open_socket(self, target: str) -> int:
        """A WebSocket; returns its exchange."""
        self._exchange += 1
        self._head(target, self._exchange)
        self._add(EventType.RESPONSE_HEAD, self._exchange, status=101, headers=())
        self._add(EventType.SOCKET_OPEN, self._exchange)
        return self._exchange

    def message(self, socket: int, sender: Peer, document: object, *, after_ns: int = NS_PER_MS) -> None:
        """A text message."""
        self._now_ns += after_ns
        data = json.dumps(document).encode()
        self._add(
            EventType.MESSAGE,
            socket,
            sender=sender,
            opcode=Opcode.TEXT,
            data=data,
            size_bytes=len(data),
            dropped=False,
        )

    def close_socket(self, socket: int) -> None:
        """The client closes in order."""
        self._now_ns += NS_PER_MS
        self._add(EventType.SOCKET_CLOSE, socket, sender=Peer.CLIENT, code=1000)


def polling(path: Path, n_exchanges: int, *, gap_ns: int = 2 * NS_PER_MS) -> None:
    """A client that asks four routes in turn."""
    recording = Recording(path, gap_ns=gap_ns)
    for number in range(n_exchanges):
        recording.get(_PATHS[number % 4], (BODY % "").encode())
    recording.close()


def correlated(path: Path, n_exchanges: int) -> None:
    """Of four requests one brings a token, and the other three carry it: three slots, one extraction."""
    recording = Recording(path)
    token = ""
    for number in range(n_exchanges):
        if number % 4 == 0:
            token = f"{number * 2654435761 % 2**64:016x}{number:016x}"
            recording.get("/api/orders", (BODY % f',"id":"{token}"').encode())
        else:
            recording.get(f"{_PATHS[number % 4].partition('?')[0]}?ref={token}", (BODY % "").encode())
    recording.close()


def streaming(path: Path, seconds: int) -> None:
    """A client that watches a stream and pings now and then."""
    recording = Recording(path)
    socket = recording.open_socket("/push")
    quotes = [{"symbol": f"S{i:03}", "price": 100.25 + i, "volume": 123456} for i in range(9)]
    for second in range(seconds * 4):
        for _ in range(20):
            recording.message(
                socket, Peer.SERVER, {"type": "quotes", "seq": 1, "data": quotes}, after_ns=12 * NS_PER_MS
            )
        recording.message(socket, Peer.CLIENT, {"type": "ping", "id": second}, after_ns=9 * NS_PER_MS)
        recording.message(socket, Peer.SERVER, {"type": "pong", "id": second})
    recording.close_socket(socket)
    recording.close()


def connecting(path: Path) -> None:
    """A client that opens a socket and closes it."""
    recording = Recording(path)
    socket = recording.open_socket("/idle")
    recording.close_socket(socket)
    recording.close()
