"""Made-up traffic that behaves like real traffic: what the benchmarks of captures are fed with.

Every document is written anew from a seeded generator, so that no chunk compresses better than JSON of this kind does;
images and archives are random bytes, which do not compress at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType, Headers, Opcode, Peer
from captures.units import NS_PER_MS, NS_PER_S

ANCHOR = Anchor(wall_ns=1_790_000_000 * NS_PER_S, monotonic_ns=NS_PER_S)
FACTS: dict[str, object] = {"tool": "rushhour", "version": "benchmark", "url": "https://market.example/"}
N_DOCUMENTS = 400
SESSION_EVERY_NS = 15 * NS_PER_S
IMAGE_BYTES = 192 * 1024
SMALL_BYTES = 200
_MESSAGE_BYTES = 2048
_WORDS = "bid ask last open high low volume venue depth spread currency settled account holder region desk".split()
_REQUEST: Headers = (
    (b"Host", b"market.example"),
    (b"Accept", b"application/json, text/plain, */*"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"),
    (b"Sec-Fetch-Dest", b"empty"),
)
_RESPONSE: Headers = (
    (b"Content-Type", b"application/json"),
    (b"Cache-Control", b"no-store"),
    (b"Vary", b"Accept-Encoding"),
)

Spec = tuple[EventType, int, int, int, dict[str, object]]


def json_document(random: Random, n_bytes: int) -> bytes:
    """A JSON object of about ``n_bytes``, unlike any other."""
    rows: list[dict[str, Any]] = []
    room_bytes = n_bytes
    while room_bytes > 0:
        row: dict[str, Any] = {"id": f"{random.getrandbits(64):016x}", "at": random.randrange(10**12)}
        row |= {word: round(random.lognormvariate(3, 1), 4) for word in random.sample(_WORDS, 6)}
        rows.append(row)
        room_bytes -= 190
    return json.dumps({"seq": random.randrange(10**9), "rows": rows}).encode()


class Traffic:
    """Sessions of 31 s: API calls, images, and a socket with a message of 2 KB 20 times a second.

    Args:
        random: what everything is drawn from.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._messages = [json_document(random, _MESSAGE_BYTES) for _ in range(N_DOCUMENTS)]
        self._answers = [json_document(random, random.choice((500, 4000, 20_000))) for _ in range(N_DOCUMENTS)]
        self._exchange = 0

    def session(self, number: int, start_ns: int) -> Iterator[Spec]:
        """The events of one session, which takes 30 s, in order of their times."""
        connection = 2 * number - 1
        opened: dict[str, object] = {"listener": 9000 + number, "peer": f"127.0.0.1:{20_000 + number % 40_000}"}
        for each in (connection, connection + 1):
            yield EventType.CONNECTION_OPEN, start_ns, each, 0, opened
            yield EventType.SESSION, start_ns, each, 0, {"session": number, "rule": "listener"}
        socket = self._next()
        yield from self._socket_open(connection + 1, socket, start_ns + 50 * NS_PER_MS)
        for step in range(600):
            t_ns = start_ns + (100 + 50 * step) * NS_PER_MS
            yield self._message(connection + 1, socket, t_ns)
            if step % 10 == 0:
                yield from self._call(connection, t_ns + NS_PER_MS, self._answer(step))
            if step % 200 == 100:
                yield from self._call(connection, t_ns + 2 * NS_PER_MS, self._random.randbytes(IMAGE_BYTES))
        end_ns = start_ns + 31 * NS_PER_S
        yield EventType.SOCKET_CLOSE, end_ns, connection + 1, socket, {"sender": Peer.CLIENT, "code": 1001}
        yield EventType.CONNECTION_CLOSE, end_ns, connection, 0, {}

    def _next(self) -> int:
        self._exchange += 1
        return self._exchange

    def _answer(self, step: int) -> bytes:
        return b'{"page":%d,"body":' % step + self._random.choice(self._answers) + b"}"

    def _message(self, connection: int, exchange: int, t_ns: int) -> Spec:
        data = b'{"at":%d,"data":' % t_ns + self._random.choice(self._messages) + b"}"
        fields = {"sender": Peer.SERVER, "opcode": Opcode.TEXT, "data": data, "size_bytes": len(data), "dropped": False}
        return EventType.MESSAGE, t_ns, connection, exchange, fields

    def _socket_open(self, connection: int, exchange: int, t_ns: int) -> Iterator[Spec]:
        yield EventType.REQUEST_HEAD, t_ns, connection, exchange, self._head("/ws/quotes", "wss")
        yield EventType.REQUEST_END, t_ns, connection, exchange, {"size_bytes": 0}
        yield EventType.RESPONSE_HEAD, t_ns + NS_PER_MS, connection, exchange, {"status": 101, "headers": _RESPONSE}
        yield EventType.SOCKET_OPEN, t_ns + NS_PER_MS, connection, exchange, {}

    def _call(self, connection: int, t_ns: int, body: bytes) -> Iterator[Spec]:
        exchange = self._next()
        target = f"/api/accounts/{self._random.getrandbits(40):010x}/positions?page={exchange}"
        yield EventType.REQUEST_HEAD, t_ns, connection, exchange, self._head(target, "https")
        yield EventType.REQUEST_END, t_ns + 1000, connection, exchange, {"size_bytes": 0, "hash": b""}
        t_ns += round(self._random.lognormvariate(3, 0.5) * NS_PER_MS)
        head: dict[str, object] = {"status": 200, "reason": "OK", "http_version": "HTTP/1.1", "headers": _RESPONSE}
        yield EventType.RESPONSE_HEAD, t_ns, connection, exchange, head | {"connect_ns": 0}
        yield EventType.RESPONSE_BODY, t_ns + 1000, connection, exchange, {"data": body}
        ended = {"size_bytes": len(body), "hash": self._random.randbytes(16)}
        yield EventType.RESPONSE_END, t_ns + 2000, connection, exchange, ended

    def _head(self, target: str, scheme: str) -> dict[str, object]:
        place = {"method": "GET", "scheme": scheme, "host": "market.example", "port": 443}
        return {**place, "target": target, "http_version": "HTTP/1.1", "headers": _REQUEST}


def interleaved(traffic: Traffic) -> Iterator[Spec]:
    """Sessions without end, one more every 15 s, in order of their times."""
    active: list[tuple[int, int, Spec, Iterator[Spec]]] = []
    for number in count(1):
        start_ns = number * SESSION_EVERY_NS
        while active and active[0][0] < start_ns:
            _, session, spec, rest = active[0]
            yield spec
            following = next(rest, None)
            if following is None:
                heappop(active)
            else:
                heapreplace(active, (following[1], session, following, rest))
        events = traffic.session(number, start_ns)
        heappush(active, (start_ns, number, next(events), events))


def write_capture(path: Path, size_bytes: int, *, seed: int = 1) -> None:
    """Write a capture of this size."""
    with CaptureWriter(path, facts=FACTS, anchor=ANCHOR) as writer:
        for event_type, t_ns, connection, exchange, fields in interleaved(Traffic(Random(seed))):
            writer.add(event_type, t_ns, connection, exchange, **fields)
            if writer.size_bytes >= size_bytes:
                return


def write_small_messages(path: Path, n_messages: int, *, seed: int = 1) -> None:
    """Write a capture of one socket with nothing but small messages, a thousand a second."""
    random = Random(seed)
    bodies = [json_document(random, SMALL_BYTES)[:SMALL_BYTES] for _ in range(N_DOCUMENTS)]
    sent: dict[str, object] = {
        "sender": Peer.SERVER,
        "opcode": Opcode.TEXT,
        "size_bytes": SMALL_BYTES,
        "dropped": False,
    }
    with CaptureWriter(path, facts=FACTS, anchor=ANCHOR) as writer:
        for number in range(n_messages):
            writer.add(EventType.MESSAGE, number * NS_PER_MS, 1, 1, data=random.choice(bodies), **sent)
