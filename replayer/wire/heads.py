"""The head of an HTTP/1.1 answer: parsed once by httptools, then remembered by its exact bytes.

A server answers one route with the same head again and again; only ``Date`` moves, once a second. So a head that was
seen before costs one look-up, and who compares heads may compare identities: equal bytes are the same object.

Source: RFC 9112 §6.3 for how long a body is.
"""

from __future__ import annotations

from typing import Protocol

import httptools

MAX_REMEMBERED = 4096
"""Heads kept at most (about 1 KiB each); a server that never repeats one empties the memory every so often."""

UNKNOWN_LENGTH = -1
"""The head does not say how long the body is: it is chunked, ends with the connection, or follows an interim head."""

END_OF_HEAD = b"\r\n\r\n"


class HeadError(Exception):
    """These bytes are no head that a client may accept."""


class Head:
    """What an answer said before its body.

    Attributes:
        status: 100 to 999.
        content_type, content_encoding: as sent, b"" where absent.
        set_cookies: the values of Set-Cookie, in order.
        headers: all names, in lower case, and values, in order.
        length: bytes of the body, or ``UNKNOWN_LENGTH``.
        keeps_alive: whether the connection may be used again after the body.
        data: its bytes; whole_bytes: those and the body's, or -1 where that is not known.
    """

    __slots__ = (
        "content_encoding",
        "content_type",
        "data",
        "headers",
        "keeps_alive",
        "length",
        "set_cookies",
        "status",
        "whole_bytes",
    )

    def __init__(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...], *, keeps_alive: bool, data: bytes = b""
    ) -> None:
        self.status = status
        self.data = data
        self.headers = headers
        self.keeps_alive = keeps_alive
        self.content_type = self.content_encoding = b""
        self.set_cookies: tuple[bytes, ...] = ()
        self.length = UNKNOWN_LENGTH
        is_chunked = False
        for name, value in headers:
            if name == b"content-type":
                self.content_type = value
            elif name == b"set-cookie":
                self.set_cookies += (value,)
            elif name == b"content-encoding":
                self.content_encoding = value
            elif name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                is_chunked = True
        if status < 200 or is_chunked:
            self.length = UNKNOWN_LENGTH
        elif status in (204, 304):
            self.length = 0
        self.whole_bytes = len(data) + self.length if data and self.length >= 0 else -1

    @property
    def is_framed(self) -> bool:
        """Whether the head itself says where the body ends, so that it does not end with the connection."""
        return self.length >= 0 or any(name == b"transfer-encoding" for name, _ in self.headers)


NO_HEAD = Head(0, (), keeps_alive=False)
"""Stands where no answer has come yet."""


class Asked(Protocol):
    """What reading an answer takes from its request.

    Attributes:
        is_head: the method is HEAD, so the answer has no body whatever its headers say.
        keeps_body: somebody will want the body.
        good_head: of an earlier answer to the same request: the next one will have it again.
    """

    is_head: bool
    keeps_body: bool
    good_head: Head


class _Reader:
    """Collects what httptools calls out."""

    __slots__ = ("headers", "is_complete", "keeps_alive", "parser")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = self.keeps_alive = False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))  # RFC 9112 §5.1; llhttp strips the left side only.

    def on_headers_complete(self) -> None:
        self.is_complete = True
        self.keeps_alive = self.parser.should_keep_alive()  # Subtle: a message without a body is forgotten at once.


remembered_heads: dict[bytes, Head] = {}
"""Heads by their bytes. The hot path looks here first; only ``parse_head`` adds to it."""


def parse_head(data: bytes) -> Head:
    """Return the head that ``data`` holds, from the status line to the empty line, both included.

    Raises:
        HeadError: it is malformed, or its framing contradicts itself.
    """
    head = remembered_heads.get(data)
    if head is None:
        head = _parse(data)
        if not head.set_cookies:  # These carry values of one user: they do not come twice.
            if len(remembered_heads) >= MAX_REMEMBERED:
                remembered_heads.clear()
            remembered_heads[data] = head
    return head


def _parse(data: bytes) -> Head:
    reader = _Reader()
    try:
        reader.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # 101, which nobody asked for here: the caller sees its status.
    except httptools.HttpParserError as exc:
        raise HeadError(str(exc)) from exc
    if not reader.is_complete:
        raise HeadError("the empty line does not end the head")
    return Head(reader.parser.get_status_code(), tuple(reader.headers), keeps_alive=reader.keeps_alive, data=data)
