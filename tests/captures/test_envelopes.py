"""Every framing opens into a document, and every leaf of it stands where it says it does."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.envelopes import (
    JUPYTER_SUBPROTOCOL,
    Framing,
    Sample,
    framed_leaves,
    framing_of,
    jupyter_framed,
    jupyter_parts,
    open_body,
    open_document,
    without_length,
)
from captures.leaves import Coding

HEADER = {"msg_id": "5b0c1d2e", "msg_type": "execute_request", "session": "s-1"}
KERNEL = jupyter_framed([b"shell", json.dumps(HEADER).encode(), b"{}", b"{}", b'{"code": "6*7"}'])
STOMP = b'SEND\ndestination:/app/chat/42\nreceipt:r-7\ncontent-length:13\n\n{"text":"hi"}\x00'

# Framing · message · its document.
MESSAGES = [
    (Framing.PLAIN, b'{"type": "hello", "id": 7}', {"type": "hello", "id": 7}),
    (Framing.SOCKET_IO, b"2", {"kind": "ping"}),
    (Framing.SOCKET_IO, b'0{"sid":"abc"}', {"kind": "open", "data": {"sid": "abc"}}),
    (Framing.SOCKET_IO, b'40{"token":"t"}', {"kind": "connect", "data": {"token": "t"}}),
    (Framing.SOCKET_IO, b'42["say",{"text":"hi"}]', {"kind": "event say", "data": [{"text": "hi"}]}),
    (
        Framing.SOCKET_IO,
        b'42/chat,13["say",{"id":5}]',
        {"kind": "event say", "ns": "/chat", "id": 13, "data": [{"id": 5}]},
    ),
    (Framing.SOCKET_IO, b'4313[{"id":"x"}]', {"kind": "ack", "id": 13, "data": [{"id": "x"}]}),
    (Framing.SOCKJS, b"h", {"kind": "heartbeat"}),
    (Framing.SOCKJS, rb'a["{\"type\":\"hi\",\"id\":\"a\"}"]', {"type": "hi", "id": "a"}),
    (Framing.SOCKJS, rb'["{\"type\":\"hi\"}"]', {"type": "hi"}),
    (
        Framing.STOMP,
        STOMP,
        {
            "kind": "SEND /app/chat/{}",
            "headers": {"destination": "/app/chat/42", "receipt": "r-7", "content-length": "13"},
            "data": {"text": "hi"},
        },
    ),
    (
        Framing.PHOENIX,
        b'["1","2","room:9","shout",{"text":"hi"}]',
        {"join_ref": "1", "ref": "2", "topic": "room:9", "kind": "shout", "payload": {"text": "hi"}},
    ),
    (
        Framing.SIGNALR,
        b'{"type":1,"invocationId":"0","target":"Send","arguments":["hi"]}\x1e',
        {"type": 1, "invocationId": "0", "target": "Send", "arguments": ["hi"], "kind": "invocation Send"},
    ),
    (
        Framing.SIGNALR,
        b'{"type":6}\x1e{"type":6}\x1e',
        {"type": 6, "kind": "ping", "more": [{"type": 6, "kind": "ping"}]},
    ),
    (
        Framing.JUPYTER,
        KERNEL,
        {
            "channel": "shell",
            "header": HEADER,
            "parent_header": {},
            "metadata": {},
            "content": {"code": "6*7"},
            "kind": "execute_request",
        },
    ),
    (Framing.MSGPACK, msgpack.packb({"type": "hi", "ids": [7, "a"]}), {"type": "hi", "ids": [7, "a"]}),
]


@pytest.mark.parametrize(("framing", "data", "document"), MESSAGES)
def test_a_message_opens_into_its_document(framing: Framing, data: bytes, document: Any) -> None:
    assert open_document(framing, data) == document


@pytest.mark.parametrize(("framing", "data", "document"), MESSAGES)
def test_the_leaves_of_a_message_stand_where_they_say(framing: Framing, data: bytes, document: Any) -> None:
    for leaf in framed_leaves(framing, data):
        node = document
        for step in leaf.path:
            node = node[step]
        assert leaf.value == (node if isinstance(node, str) else json.dumps(node)).encode()
        written = data[leaf.start : leaf.end]
        if leaf.coding in (Coding.MSGPACK_STRING, Coding.MSGPACK_INT):
            assert msgpack.unpackb(written) == node
        else:
            assert written.replace(b"\\", b"") == leaf.value


@pytest.mark.parametrize("framing", list(Framing))
def test_what_is_no_message_is_a_value_error(framing: Framing) -> None:
    for data in (b"", b"\xff\xfe", b"[1", b"42[", b"{]", b"\x93", b"SEND", b"\x00" * 9, KERNEL[:40]):
        for take in (open_document, framed_leaves):
            try:
                take(framing, data)
            except ValueError:
                continue


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=40) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=20),
    max_leaves=40,
)


@given(JSON_LIKE)
def test_every_text_and_number_of_a_messagepack_document_is_found_once(document: Any) -> None:
    data = msgpack.packb(document)
    found = [msgpack.unpackb(data[leaf.start : leaf.end]) for leaf in framed_leaves(Framing.MSGPACK, data)]
    assert found == list(_scalars(document))


def _scalars(node: Any) -> Any:
    if isinstance(node, dict):
        for value in node.values():
            yield from _scalars(value)
    elif isinstance(node, list):
        for value in node:
            yield from _scalars(value)
    elif isinstance(node, str) or type(node) is int:
        yield node


@given(st.lists(st.binary(max_size=50), min_size=5, max_size=8))
def test_parts_of_a_kernel_message_come_back(parts: list[bytes]) -> None:
    data = jupyter_framed(parts)
    assert [data[start:end] for start, end in jupyter_parts(data)] == parts


def test_a_stomp_frame_loses_the_length_that_a_template_would_make_wrong() -> None:
    assert b"content-length" not in without_length(STOMP)
    assert without_length(STOMP).endswith(b'\n\n{"text":"hi"}\x00')
    binary = STOMP.replace(b"hi", b"\x00")
    assert without_length(binary) == binary


# Subprotocol · target · messages (``>`` sent) · framing.
SOCKETS = [
    (b"", "/ws", [(">", '{"a":1}'), ("<", "[1]")], Framing.PLAIN),
    (JUPYTER_SUBPROTOCOL, "/api/kernels/1/channels", [], Framing.JUPYTER),
    (b"", "/socket.io/?EIO=4&transport=websocket", [], Framing.SOCKET_IO),
    (b"v12.stomp", "/ws", [], Framing.STOMP),
    (b"", "/ws", [(">", "CONNECT\naccept-version:1.2\n\n\0"), ("<", "CONNECTED\nversion:1.2\n\n\0")], Framing.STOMP),
    (b"", "/echo/1/a/websocket", [("<", "o"), ("<", 'a["hi"]'), (">", '["hi"]')], Framing.SOCKJS),
    (b"", "/live/websocket?vsn=2.0.0", [(">", '["1","1","t","phx_join",{}]')], Framing.PHOENIX),
    (b"", "/hub", [(">", '{"protocol":"json","version":1}\x1e'), ("<", "{}\x1e")], Framing.SIGNALR),
    (b"", "/ws", [("<", msgpack.packb({"a": 1}))], Framing.MSGPACK),
    (b"", "/ws", [("<", b'{"a": 1}')], Framing.PLAIN),
    (b"", "/ws", [("<", b"\x00\x01\x02")], Framing.PLAIN),
]


@pytest.mark.parametrize(("subprotocol", "target", "messages", "framing"), SOCKETS)
def test_a_socket_tells_its_framing(
    subprotocol: bytes, target: str, messages: list[tuple[str, str | bytes]], framing: Framing
) -> None:
    sample = [
        Sample(said.encode() if isinstance(said, str) else said, isinstance(said, str), arrow == ">")
        for arrow, said in messages
    ]
    assert framing_of(subprotocol, target, sample) is framing


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(_JSON, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]), st.booleans())
def test_body_is_read_as_the_library_reads_it(document: Any, coding: str, is_ascii: bool) -> None:
    data = json.dumps(document, ensure_ascii=is_ascii).encode(coding, "surrogatepass")
    for body in (data, data + b"\n" if coding == "utf-8" else data):
        assert open_body(body) == json.loads(body)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"a": 1} x', b'{"a": 1}}', b'{"a": NaN', b'{"\xff": 1}', b"{" * 100_000, b"{'a': 1}"]
)
def test_body_that_is_no_json_is_told_as_the_library_tells_it(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(data)
    with pytest.raises((ValueError, RecursionError)):
        open_body(data)
