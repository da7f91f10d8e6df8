"""What stands in ``v1.bin``, spelled out: made with ``python -m tests.captures.frozen.content`` and never again.

The file is the promise that captures of format version 1 load for ever. Where this page and the reader disagree, the
reader is wrong.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from unittest import mock

from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType, Opcode, Peer

PATH = Path(__file__).with_name("v1.bin")
ANCHOR = Anchor(wall_ns=1_790_000_000_123_456_789, monotonic_ns=86_400_000_000_001)
FACTS: dict[str, object] = {
    "tool": "rushhour",
    "version": "0.1.0",
    "url": "https://shop.example/",
    "scope": ["shop.example", "*.cdn.example"],
    "max_body_bytes": 16_777_216,
    "nested": {"null": None, "yes": True, "float": 1.5, "bytes": b"\x00\xff", "list": [1, [2, [3]]]},
}
HEADERS = ((b"Host", b"shop.example"), (b"X-Twice", b"1"), (b"x-twice", b"\xff\xfe"), (b"Empty", b""))
HTML = ((b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))
# Larger than a row may be: it stands in a blob, and is there twice.
LARGE = b"".join(b"%06d:" % number for number in range(12_000))
# What does not compress stands as it is.
NOISE = b"".join(sha256(b"%d" % number).digest() for number in range(32))
# After so many events a chunk ends; the third holds nothing but noise.
SEALS = (10, 16, 17)

Spec = tuple[EventType, int, int, int, dict[str, object]]

EVENTS: tuple[Spec, ...] = (
    (
        EventType.CONNECTION_OPEN,
        -5,
        1,
        0,
        {"listener": 9001, "peer": "127.0.0.1:50000", "tls": "TLSv1.3", "alpn": "h2"},
    ),
    (EventType.SESSION, 0, 1, 0, {"session": 1, "rule": "listener"}),
    (
        EventType.REQUEST_HEAD,
        1_000_000,
        1,
        1,
        {
            "method": "POST",
            "scheme": "https",
            "host": "shop.example",
            "port": 443,
            "target": "/login?next=%2F&\udcff=\u00fc",
            "http_version": "HTTP/2.0",
            "headers": HEADERS,
        },
    ),
    (EventType.REQUEST_BODY, 1_100_000, 1, 1, {"data": b"user=me&pass"}),
    (EventType.REQUEST_BODY, 1_200_000, 1, 1, {"data": b"word=x"}),
    (EventType.REQUEST_END, 1_300_000, 1, 1, {"size_bytes": 18, "hash": b"0123456789abcdef"}),
    (
        EventType.RESPONSE_HEAD,
        21_000_000,
        1,
        1,
        {"status": 200, "reason": "OK", "http_version": "HTTP/2.0", "headers": HTML, "connect_ns": 5_000_000},
    ),
    (EventType.RESPONSE_BODY, 22_000_000, 1, 1, {"data": LARGE}),
    (EventType.RESPONSE_END, 23_000_000, 1, 1, {"size_bytes": 2**40, "hash": b"fedcba9876543210"}),
    (
        EventType.CONNECTION_OPEN,
        24_000_000,
        2,
        0,
        {"listener": "127.0.0.1:9002", "peer": None, "tls": False, "alpn": None},
    ),
    (
        EventType.REQUEST_HEAD,
        25_000_000,
        2,
        2,
        {
            "method": "GET",
            "scheme": "ws",
            "host": "::1",
            "port": 8080,
            "target": "/feed",
            "http_version": "HTTP/1.1",
            "headers": (),
        },
    ),
    (EventType.REQUEST_END, 25_000_001, 2, 2, {"size_bytes": 0, "hash": b""}),
    (
        EventType.RESPONSE_HEAD,
        26_000_000,
        2,
        2,
        {"status": 101, "reason": "", "http_version": "HTTP/1.1", "headers": (), "connect_ns": 0},
    ),
    (EventType.SOCKET_OPEN, 26_000_001, 2, 2, {"extensions": b"permessage-deflate", "subprotocol": b"v1.feed"}),
    (
        EventType.MESSAGE,
        27_000_000,
        2,
        2,
        {"sender": Peer.CLIENT, "opcode": Opcode.TEXT, "data": b'{"subscribe":1}', "size_bytes": 15, "dropped": False},
    ),
    (
        EventType.MESSAGE,
        2_027_000_000,
        2,
        2,
        {"sender": Peer.SERVER, "opcode": Opcode.BINARY, "data": LARGE, "size_bytes": 84_000, "dropped": True},
    ),
    (
        EventType.MESSAGE,
        2_027_000_001,
        2,
        2,
        {"sender": Peer.SERVER, "opcode": Opcode.BINARY, "data": NOISE, "size_bytes": 1024, "dropped": False},
    ),
    (EventType.CONTROL, 2_028_000_000, 2, 2, {"sender": Peer.SERVER, "opcode": Opcode.PING, "data": b"\x00"}),
    (EventType.CONTROL, 2_028_000_001, 2, 2, {"sender": Peer.CLIENT, "opcode": Opcode.PONG, "data": b"\x00"}),
    (EventType.SOCKET_CLOSE, 2_029_000_000, 2, 2, {"sender": Peer.SERVER, "code": 4002, "reason": "schlu\u00df"}),
    (
        EventType.REQUEST_HEAD,
        2_030_000_000,
        1,
        3,
        {
            "method": "GET",
            "scheme": "https",
            "host": "api.shop.example",
            "port": 8443,
            "target": "/half-open",
            "http_version": "HTTP/2.0",
            "headers": HEADERS,
        },
    ),
    (EventType.ERROR, 2_031_000_000, 1, 3, {"message": "connection reset"}),
    (EventType.NOTE, 2_031_000_001, 1, 3, {"name": "closed_by", "value": "client"}),
    (EventType.SESSION, 2_032_000_000, 1, 3, {"session": 7, "rule": "cookie"}),
    (EventType.NOTE, 2_033_000_000, 0, 0, {"name": "left_out_origin", "value": ["https://ads.example", 3]}),
    (EventType.NOTE, 2_033_000_001, 0, 0, {"name": "odd", "value": {"a": [None, True, -1, 2.5, b"\xff", "\u00e9"]}}),
    (EventType.CONNECTION_CLOSE, 2_034_000_000, 1, 0, {}),
)


def main() -> None:
    """Write the file; it must not exist."""
    with mock.patch("os.urandom", lambda n_bytes: b"frozen--format-1"[-n_bytes:]):
        writer = CaptureWriter(PATH, facts=FACTS, anchor=ANCHOR)
    with writer:
        for count, (event_type, t_ns, connection, exchange, fields) in enumerate(EVENTS, start=1):
            writer.add(event_type, t_ns, connection, exchange, **fields)
            if count in SEALS:
                writer.seal()


if __name__ == "__main__":
    main()
