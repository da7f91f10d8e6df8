"""Captures that the tests of this package read: small real ones, and forged ones whose frames are chosen one by one."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from captures.format.container import FrameType as Type
from captures.format.container import Identity, encode_frame, encode_trailer
from captures.format.header import Header, encode_header
from captures.format.reader import open_capture
from captures.format.writer import CaptureWriter
from captures.records import SCHEMA, Anchor, Event, EventType, Opcode, Peer

ANCHOR = Anchor(wall_ns=1_790_000_000_000_000_000, monotonic_ns=42)
FACTS: dict[str, object] = {"tool": "rushhour", "version": "0.1.0", "url": "http://shop.example/"}
HEADERS = ((b"Host", b"shop.example"), (b"Accept", b"*/*"))
BIG = b"a body that goes to a blob " * 3000
IDENTITY = Identity(b"0123456789abcdef", b"SYNCmark")
Schema = dict[int, tuple[str, ...]]
OUR_SCHEMA: Schema = {int(event_type): names for event_type, names in SCHEMA.items()}

Spec = tuple[EventType, int, int, int, dict[str, object]]


@contextmanager
def disk_of(n_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond ``n_bytes``: writes come back short, then fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def request(t_ns: int, connection: int, exchange: int, target: str = "/", **other: object) -> list[Spec]:
    """A GET without a body."""
    head: dict[str, object] = {
        "method": "GET",
        "scheme": "http",
        "host": "shop.example",
        "port": 80,
        "target": target,
        "http_version": "HTTP/1.1",
        "headers": HEADERS,
    }
    return [
        (EventType.REQUEST_HEAD, t_ns, connection, exchange, head | other),
        (EventType.REQUEST_END, t_ns + 1, connection, exchange, {"size_bytes": 0, "hash": b""}),
    ]


def response(t_ns: int, connection: int, exchange: int, body: bytes = b"{}", status: int = 200) -> list[Spec]:
    """A whole answer."""
    head: dict[str, object] = {"status": status, "reason": "OK", "http_version": "HTTP/1.1", "headers": HEADERS}
    return [
        (EventType.RESPONSE_HEAD, t_ns, connection, exchange, head | {"connect_ns": 0}),
        (EventType.RESPONSE_BODY, t_ns + 1, connection, exchange, {"data": body}),
        (EventType.RESPONSE_END, t_ns + 2, connection, exchange, {"size_bytes": len(body), "hash": b"h" * 16}),
    ]


def message(t_ns: int, connection: int, exchange: int, data: bytes, sender: Peer = Peer.SERVER) -> Spec:
    """A text message on a socket."""
    fields = {"sender": sender, "opcode": Opcode.TEXT, "data": data, "size_bytes": len(data), "dropped": False}
    return EventType.MESSAGE, t_ns, connection, exchange, fields


def connection_open(connection: int, listener: str = "127.0.0.1:9000") -> Spec:
    """A connection accepted at ``listener``."""
    return EventType.CONNECTION_OPEN, 0, connection, 0, {"listener": listener, "peer": "127.0.0.1:5", "tls": None}


def socket_open(t_ns: int, connection: int, exchange: int) -> list[Spec]:
    """The handshake of a socket."""
    head: dict[str, object] = {"status": 101, "reason": "", "http_version": "HTTP/1.1", "headers": HEADERS}
    opened: dict[str, object] = {"extensions": b"permessage-deflate", "subprotocol": b""}
    return [
        *request(t_ns, connection, exchange, "/ws", scheme="ws"),
        (EventType.RESPONSE_HEAD, t_ns + 2, connection, exchange, head),
        (EventType.SOCKET_OPEN, t_ns + 3, connection, exchange, opened),
    ]


def shop_session() -> list[Spec]:
    """One small session: a page, a large body twice, a socket with messages, something left out of scope."""
    return [
        connection_open(1),
        (EventType.SESSION, 0, 1, 0, {"session": 1, "rule": "listener"}),
        *request(1_000, 1, 1),
        *response(2_000, 1, 1, BIG),
        *request(3_000, 1, 2, "/again"),
        *response(4_000, 1, 2, BIG),
        connection_open(2),
        *socket_open(5_000, 2, 3),
        message(6_000, 2, 3, b'{"subscribe":1}', Peer.CLIENT),
        message(7_000, 2, 3, b'{"quotes":[1,2,3]}'),
        (EventType.SOCKET_CLOSE, 8_000, 2, 3, {"sender": Peer.SERVER, "code": 1001, "reason": "bye"}),
        (EventType.NOTE, 9_000, 0, 0, {"name": "left_out_origin", "value": ["https://ads.example", 3]}),
    ]


def corrupted(data: bytes, at: int) -> bytes:
    """``data`` with every bit of one byte turned over."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def write(path: Path, specs: Iterable[Spec], *, seal_every: int = 0) -> list[Event]:
    """Write a capture, sealing a chunk every so many events; returns what must be read back."""
    with CaptureWriter(path, facts=FACTS, anchor=ANCHOR) as writer:
        for count, (event_type, t_ns, connection, exchange, fields) in enumerate(specs, start=1):
            writer.add(event_type, t_ns, connection, exchange, **fields)
            if seal_every and count % seal_every == 0:
                writer.seal()
    return read(path)


def read(path: Path) -> list[Event]:
    """All good events of a capture."""
    with open_capture(path) as reader:
        return list(reader.events())


def forge(path: Path, frames: Iterable[tuple[int, int, bytes]], schema: Schema = OUR_SCHEMA) -> None:
    """Write a file of chosen frames (type, flags, payload), without an index."""
    data = forged_header(schema=schema)
    for frame_type, flags, payload in frames:
        data += encode_frame(IDENTITY, Type(frame_type), payload, flags=flags)
    path.write_bytes(data)


def forged_header(*, schema: Schema = OUR_SCHEMA, major: int = 1, minor: int = 0) -> bytes:
    """Magic and header frames of a forged file."""
    header = Header(identity=IDENTITY, major=major, minor=minor, anchor=ANCHOR, schema=schema, facts=FACTS)
    return encode_header(header, {})


def trailer(root_offset: int, root_length: int) -> bytes:
    """A trailer of a forged file."""
    return encode_trailer(IDENTITY, root_offset, root_length)


_header_pairs = st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=20)), max_size=4).map(tuple)
_fields: dict[EventType, dict[str, st.SearchStrategy[object]]] = {
    EventType.CONNECTION_OPEN: {
        "listener": st.text(max_size=8),
        "peer": st.text(max_size=8),
        "tls": st.booleans(),
        "alpn": st.sampled_from(["", "h2"]),
    },
    EventType.CONNECTION_CLOSE: {},
    EventType.REQUEST_HEAD: {
        "method": st.sampled_from(["GET", "POST"]),
        "scheme": st.sampled_from(["http", "https", "ws"]),
        "host": st.text(max_size=8),
        "port": st.integers(1, 65535),
        "target": st.text(max_size=20),
        "http_version": st.just("HTTP/1.1"),
        "headers": _header_pairs,
    },
    EventType.REQUEST_BODY: {"data": st.binary(max_size=300), "encoding": st.sampled_from(["", "gzip"])},
    EventType.REQUEST_END: {
        "size_bytes": st.integers(0, 2**40),
        "hash": st.binary(max_size=16),
        "kept_bytes": st.integers(0, 2**40),
    },
    EventType.RESPONSE_HEAD: {
        "status": st.integers(100, 599),
        "reason": st.text(max_size=8),
        "http_version": st.just("HTTP/2.0"),
        "headers": _header_pairs,
        "connect_ns": st.integers(0, 2**40),
    },
    EventType.RESPONSE_BODY: {
        "data": st.one_of(st.binary(max_size=300), st.just(BIG)),
        "encoding": st.sampled_from(["", "br"]),
    },
    EventType.RESPONSE_END: {
        "size_bytes": st.integers(0, 2**40),
        "hash": st.binary(max_size=16),
        "kept_bytes": st.integers(0, 2**40),
    },
    EventType.SOCKET_OPEN: {"extensions": st.binary(max_size=8), "subprotocol": st.binary(max_size=8)},
    EventType.MESSAGE: {
        "sender": st.sampled_from(Peer),
        "opcode": st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
        "data": st.binary(max_size=300),
        "size_bytes": st.integers(0, 2**40),
        "dropped": st.booleans(),
    },
    EventType.CONTROL: {
        "sender": st.sampled_from(Peer),
        "opcode": st.sampled_from([Opcode.PING, Opcode.PONG]),
        "data": st.binary(max_size=125),
    },
    EventType.SOCKET_CLOSE: {
        "sender": st.sampled_from([None, *Peer]),
        "code": st.one_of(st.none(), st.integers(1000, 4999)),
        "reason": st.text(max_size=8),
    },
    EventType.ERROR: {"message": st.text(max_size=20)},
    EventType.SESSION: {"session": st.integers(1, 3), "rule": st.text(max_size=8)},
    EventType.NOTE: {
        "name": st.text(max_size=8),
        "value": st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=8)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
    },
}


@st.composite
def event_specs(draw: st.DrawFn) -> Spec:
    """Any event that a recorder could add."""
    event_type = draw(st.sampled_from(list(EventType)))
    t_ns = draw(st.integers(-(10**9), 10**13))
    connection, exchange = draw(st.integers(0, 6)), draw(st.integers(0, 9))
    return event_type, t_ns, connection, exchange, draw(st.fixed_dictionaries(_fields[event_type]))
