"""Heads of answers: what they say, and that equal ones are one object."""

from __future__ import annotations

import pytest

from replayer.wire import heads
from replayer.wire.heads import UNKNOWN_LENGTH, HeadError, parse_head


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


OK = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("lines", "length", "is_framed", "keeps_alive"),
    [
        ((OK, b"Content-Length: 12"), 12, True, True),
        ((OK, b"Content-Length: 0"), 0, True, True),
        ((OK, b"Content-Length: 12", b"Connection: close"), 12, True, False),
        ((OK, b"Transfer-Encoding: chunked"), UNKNOWN_LENGTH, True, True),
        # Without framing the body ends with the connection, so that cannot be used again.
        ((OK, b"Content-Type: text/plain"), UNKNOWN_LENGTH, False, False),
        ((b"HTTP/1.0 200 OK", b"Content-Length: 1"), 1, True, False),
        ((b"HTTP/1.0 200 OK", b"Content-Length: 1", b"Connection: keep-alive"), 1, True, True),
        # These have no body whatever they say.
        ((b"HTTP/1.1 304 Not Modified", b"Content-Length: 12"), 0, True, True),
        ((b"HTTP/1.1 204 No Content",), 0, True, True),
    ],
)
def test_framing_follows_rfc_9112(lines: tuple[bytes, ...], length: int, is_framed: bool, keeps_alive: bool) -> None:
    parsed = parse_head(head(*lines))
    assert (parsed.length, parsed.is_framed, parsed.keeps_alive) == (length, is_framed, keeps_alive)


def test_names_are_lower_case_and_cookies_stand_apart() -> None:
    parsed = parse_head(head(OK, b"SET-Cookie: a=1", b"Content-TYPE: text/html", b"set-cookie: b=2", b"X-Id: 7"))
    assert parsed.set_cookies == (b"a=1", b"b=2") and parsed.content_type == b"text/html"
    assert (b"x-id", b"7") in parsed.headers


def test_equal_heads_are_one_object_unless_they_set_cookies() -> None:
    plain, personal = head(OK, b"Content-Length: 3"), head(OK, b"Content-Length: 3", b"Set-Cookie: a=1")
    assert parse_head(plain) is parse_head(bytes(bytearray(plain)))
    assert parse_head(personal) is not parse_head(personal)


def test_memory_of_heads_is_bounded() -> None:
    for number in range(2 * heads.MAX_REMEMBERED):
        parse_head(head(OK, b"Content-Length: 3", b"X-Id: %d" % number))
    assert len(heads.remembered_heads) <= heads.MAX_REMEMBERED


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        head(OK, b"Content-Length: -1"),
        head(OK, b"Content-Length: 1", b"Content-Length: 2"),
        head(OK, b"Content-Length: 0x10"),
        # A request smuggler's favourite.
        head(OK, b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        head(OK, b"No colon here"),
        b"HTTP/1.1 200 OK\r\nX: unfinished",
    ],
)
def test_malformed_heads_are_refused(data: bytes) -> None:
    with pytest.raises(HeadError):
        parse_head(data)
