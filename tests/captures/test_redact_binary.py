"""What is no plain text is taken apart, redacted, and put together again the same way."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import zstandard

from captures.envelopes import jupyter_framed
from captures.redact.policy import Policy
from captures.redact.redactor import Redactor

TOKEN = "q8ZkP2nV5xYw3RtAq8ZkP2nV"
SECRET = {"op": "login", "token": TOKEN, "password": "paper lantern", "n": [1, None, 2.5]}


@pytest.fixture
def redacted() -> Callable[[bytes], bytes]:
    """Redact what a browser sent."""
    redactor = Redactor(Policy(), bytes(range(32)))
    redactor.censor.is_sent = True
    return redactor._binary.redacted


def _checked(document: dict[str, Any]) -> None:
    assert document["op"] == "login" and document["n"] == [1, None, 2.5]
    assert document["password"] == "{{input.password}}"
    assert document["token"] != TOKEN and len(document["token"]) == 24


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (gzip.compress, gzip.decompress),
        (zlib.compress, zlib.decompress),
        (zstandard.ZstdCompressor().compress, zstandard.ZstdDecompressor().decompress),
        (lambda data: data.decode().encode("utf-16"), lambda data: data.decode("utf-16").encode()),
    ],
    ids=["gzip", "zlib", "zstd", "utf-16"],
)
def test_what_was_packed_is_packed_again(
    pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes], redacted: Callable[[bytes], bytes]
) -> None:
    _checked(json.loads(unpack(redacted(pack(json.dumps(SECRET).encode())))))
    clean = pack(b'{"nothing": "to hide"}')
    assert redacted(clean) == clean


def test_messagepack_stays_messagepack_whatever_the_length(redacted: Callable[[bytes], bytes]) -> None:
    _checked(msgpack.unpackb(redacted(msgpack.packb(SECRET))))
    document = msgpack.unpackb(redacted(msgpack.packb({"otp": 123456, "to": {"pin": 4711}, "count": 3})))
    assert document == {"otp": "{{input.otp|number}}", "to": {"pin": "{{input.pin|number}}"}, "count": 3}


@pytest.mark.parametrize("form", [">I", "<I", ">H"])
def test_a_length_before_a_document_follows_it(form: str, redacted: Callable[[bytes], bytes]) -> None:
    data = json.dumps(SECRET).encode()
    new = redacted(b"\x07" + struct.pack(form, len(data)) + data)
    size = struct.calcsize(form)
    _checked(json.loads(new[1 + size :]))
    assert new[:1] == b"\x07" and struct.unpack(form, new[1 : 1 + size]) == (len(new) - 1 - size,)


def test_a_kernel_message_keeps_its_frame(redacted: Callable[[bytes], bytes]) -> None:
    parts = [b"shell", b'{"msg_type":"execute_request"}', b"{}", b"{}", json.dumps(SECRET).encode()]
    new = redacted(jupyter_framed(parts))
    assert new.startswith(struct.pack("<Q", 6))
    assert TOKEN.encode() not in new and b"{{input.password}}" in new


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b\x08 no gzip at all \x00\x01",
        b"\x82\xa2op\xa5log",
        b"x\x9c\x00\x01\x02",
        b'\x00\x01{"a": ',
        b"\xff\xfe\x00",
        b"",
        b"\x93\x01\x02",
    ],
)
def test_what_only_looks_so_stays_as_it_is(data: bytes, redacted: Callable[[bytes], bytes]) -> None:
    assert redacted(data) == data


def test_a_bomb_is_not_unpacked_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch, redacted: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr("captures.redact.binary.UNPACKED_LIMIT_BYTES", 1 << 16)
    bomb = gzip.compress(b'{"token":"' + b"a" * (1 << 20))
    assert redacted(bomb) == bomb
