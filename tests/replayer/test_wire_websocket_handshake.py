"""The opening handshake as bytes: the request, and which answers open a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from replayer.wire.deflate import DeflateTerms
from replayer.wire.frames import Breach
from replayer.wire.websocket_handshake import (
    MAX_HEAD_BYTES,
    HandshakeAnswer,
    Opening,
    accept_of,
    head_from,
    key_from,
    read_answer,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def test_key_and_accept_are_those_of_the_standard() -> None:
    assert key_from(b"the sample nonce") == KEY
    assert accept_of(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def answer(*lines: str, status: str = "101 Switching Protocols", version: str = "HTTP/1.1") -> bytes:
    """Return the head of an acceptable answer, lines that name the same field put in place of its own."""
    usual = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_of(KEY).decode()}"]
    named = {line.partition(":")[0].lower() for line in lines}
    kept = [line for line in usual if line.partition(":")[0].lower() not in named]
    return "\r\n".join([f"{version} {status}", *kept, *(line for line in lines if line.partition(":")[2])]).encode()


def read(head: bytes, *, subprotocols: tuple[str, ...] = (), offers_deflate: bool = False) -> HandshakeAnswer:
    return read_answer(head, key=KEY, subprotocols=subprotocols, offers_deflate=offers_deflate)


@pytest.mark.parametrize(
    "head",
    [
        answer(),
        answer("upgrade: WebSocket"),
        answer("Connection: keep-alive, upgrade"),
        answer("Connection: keep-alive", "Connection: Upgrade"),
        answer(status="101"),
        answer("Date: Tue, 24 Nov 2026 04:00:00 GMT", "X-Empty:", "X-Tabs:\t a \t"),
    ],
)
def test_answers_as_servers_and_proxies_write_them_open_the_socket(head: bytes) -> None:
    read_one = read(head)
    assert (read_one.status, read_one.breach, read_one.deflate, read_one.subprotocol) == (101, None, None, "")


@pytest.mark.parametrize(
    "head",
    [
        answer("Upgrade:"),
        answer("Upgrade: h2c"),
        answer("Upgrade: websocket, h2c"),
        answer("Connection:"),
        answer("Connection: keep-alive"),
        answer("Sec-WebSocket-Accept:"),
        answer("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x"),
        answer(*[f"Sec-WebSocket-Accept: {accept_of(KEY).decode()}"] * 2),
        answer(version="HTTP/1.0"),
        answer("Sec-WebSocket-Extensions: permessage-deflate"),  # not offered
        answer("Sec-WebSocket-Protocol: chat"),  # not offered
    ],
)
def test_an_upgrade_that_is_none_or_grants_what_was_not_asked_is_a_breach(head: bytes) -> None:
    assert isinstance(read(head).breach, Breach)


def test_subprotocol_is_one_of_those_offered() -> None:
    offered = ("v2.chat", "chat")
    assert read(answer("Sec-WebSocket-Protocol: chat"), subprotocols=offered).subprotocol == "chat"
    # A browser fails where none of its subprotocols is chosen (WHATWG), where two are, or where one is made up.
    for lines in ([], ["Sec-WebSocket-Protocol: v3"], ["Sec-WebSocket-Protocol: chat"] * 2):
        assert read(answer(*lines), subprotocols=offered).breach


def test_deflate_is_what_the_server_states() -> None:
    head = answer("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12")
    assert read(head, offers_deflate=True).deflate == DeflateTerms(server_bits=12)
    assert read(answer(), offers_deflate=True).deflate is None
    assert read(answer("Sec-WebSocket-Extensions: mux"), offers_deflate=True).breach


def test_refusal_keeps_its_status_and_cookies() -> None:
    refused = read(b"HTTP/1.1 503 Busy\r\nSet-Cookie: a=1\r\nset-cookie: b=2; Path=/\r\nContent-Length: 0")
    assert (refused.status, refused.set_cookies) == (503, [b"a=1", b"b=2; Path=/"])
    assert read(b"HTTP/1.0 404 Not Found").status == 404  # Old servers refuse so.
    assert read(b"HTTP/1.1 401").status == 401


@pytest.mark.parametrize(
    "head", [b"HTTP/2 101", b"HTTP/1.1 1012 X", b"HTTP/1.1 099 X", b"HTTP/1.1 200 OK\r\nno colon", b"HTTP/1.1 x"]
)
def test_what_is_no_http_is_a_breach(head: bytes) -> None:
    with pytest.raises(Breach):
        read(head)


def test_head_ends_at_its_empty_line_and_frames_may_follow_at_once() -> None:
    assert head_from(b"HTTP/1.1 101 S\r\nA: b\r\n\r\n\x81\x00") == (b"HTTP/1.1 101 S\r\nA: b", b"\x81\x00")
    assert head_from(b"HTTP/1.1 101 S\r\nA: b\r\n") is None
    assert head_from(b"") is None


def test_informational_answers_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    assert head_from(early) is None
    assert head_from(early + b"HTTP/1.1 101 S\r\n\r\n") == (b"HTTP/1.1 101 S", b"")


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 101 S\r\n" + b"a" * MAX_HEAD_BYTES, b"\x16\x03"])
def test_head_that_will_never_be_one_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Breach):
        head_from(data)


@given(st.binary(max_size=120))
def test_any_noise_is_incomplete_or_refused(noise: bytes) -> None:
    for data in (noise, b"HTTP/1.1 " + noise + b"\r\n\r\n"):
        try:
            split = head_from(data)
            if split is not None:
                assert read(split[0]).status != 101 or read(split[0]).breach
        except Breach as breach:
            assert str(breach)


def test_the_library_accepts_our_request_and_we_its_answer() -> None:
    server = ServerProtocol(
        extensions=[ServerPerMessageDeflateFactory(server_max_window_bits=11)],
        subprotocols=[Subprotocol("chat")],
    )
    opening = Opening(
        authority=b"shop.example:8080",
        target=b"/ws?t=1",
        headers=[(b"Origin", b"http://shop.example:8080"), (b"Cookie", b"a=1")],
        key=KEY,
        subprotocols=("v2.chat", "chat"),
        offers_deflate=True,
    )
    server.receive_data(opening.request())
    (event,) = server.events_received()
    assert event.path == "/ws?t=1"  # type: ignore[union-attr]
    assert event.headers["Host"] == "shop.example:8080" and event.headers["Cookie"] == "a=1"  # type: ignore[union-attr]
    server.send_response(server.accept(event))  # type: ignore[arg-type]
    taken = None
    for byte in b"".join(server.data_to_send()) + b"\x81\x00":
        if taken is not None:
            assert byte == 0x81
            break
        taken = opening.take(bytes((byte,)))
    assert taken is not None
    agreed, rest = taken
    assert agreed.breach is None and agreed.subprotocol == "chat" and rest == b""
    assert agreed.deflate is not None and agreed.deflate.server_bits == 11


def opening(nonce: bytes, *, subprotocols: tuple[str, ...] = ()) -> tuple[Opening, bytes]:
    """Return a handshake and the accept that answers it."""
    key = key_from(nonce)
    made = Opening(authority=b"x", target=b"/", headers=[], key=key, subprotocols=subprotocols, offers_deflate=False)
    return made, accept_of(key)


def test_an_answer_seen_before_is_accepted_only_with_the_accept_of_the_key() -> None:
    head = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
    for number in range(200):  # More heads than are kept, each twice.
        for nonce in (b"%016d" % number, b"%016x" % number):
            made, accept = opening(nonce)
            taken = made.take(head.replace(b"S\r", b"%d\r" % number) % accept)
            assert taken is not None and taken[0].breach is None
    stranger, accept = opening(b"a stranger's one")
    wrong = opening(b"somebody else's!")[1]
    for value in (wrong, b"", accept[:-1], accept + b"x"):
        taken = opening(b"a stranger's one")[0].take(head % value)
        assert taken is not None and taken[0].breach is not None
    taken = opening(b"a stranger's one", subprotocols=("chat",))[0].take(head % accept)
    assert taken is not None and taken[0].breach is not None  # The same head, but a subprotocol was asked for.
    taken = stranger.take(head % accept)
    assert taken is not None and taken[0].breach is None


def test_cookies_of_one_answer_are_not_those_of_another() -> None:
    head = (
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Set-Cookie: a=%d\r\nSec-WebSocket-Accept: %b\r\n\r\n"
    )
    for number in (1, 2):
        made, accept = opening(b"%016d" % number)
        taken = made.take(head % (number, accept))
        assert taken is not None and taken[0].set_cookies == [b"a=%d" % number]
