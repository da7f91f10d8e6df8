"""The opening handshake of a WebSocket: the request's bytes, and the judgement of the answer. Pure.

By hand, because a library's objects cost more than the connection itself (docs/performance.md). What is accepted is
what a browser accepts: redirects are never followed, an extension or subprotocol that was not offered ends the
attempt, and so does silence about the subprotocols that were.

Source: RFC 6455 §4.1, §4.2.2; RFC 9110 §15.2 for informational answers; the WHATWG's WebSockets Standard, "establish
a WebSocket connection", for unanswered subprotocols.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass
from hashlib import sha1

from replayer.wire.deflate import OFFER, DeflateTerms, terms_from
from replayer.wire.frames import PROTOCOL_ERROR, Breach

MAX_HEAD_BYTES = 256 * 1024
"""As for HTTP answers (``replayer.wire.http1``)."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\Z")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")

_MAX_ACCEPTED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeAnswer:
    """A server's answer.

    Attributes:
        status: 101, or the reason why there is no WebSocket.
        set_cookies: as sent; taken from refusals too, as browsers do.
        deflate: what was negotiated, None for no compression.
        subprotocol: the one chosen, or "".
        breach: what is wrong with a 101, or None.
    """

    status: int
    set_cookies: list[bytes]
    deflate: DeflateTerms | None = None
    subprotocol: str = ""
    breach: Breach | None = None


_accepted: dict[tuple[bytes, bytes, tuple[tuple[str, ...], bool]], HandshakeAnswer] = {}
"""By what stands before and behind the accept, and what was offered: a server says the same to each of its sockets."""


def key_from(nonce: bytes) -> bytes:
    """Return the ``Sec-WebSocket-Key`` of 16 random bytes."""
    return b2a_base64(nonce, newline=False)


def accept_of(key: bytes) -> bytes:
    """Return the ``Sec-WebSocket-Accept`` that answers a key."""
    return b2a_base64(sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)


class Opening:
    """One handshake under way.

    Args:
        authority: of the target, for the Host header.
        target: path and query.
        headers: hold neither Host nor ``Sec-WebSocket-*``, ``Upgrade`` or ``Connection``.
        key: as ``key_from`` makes it.
        subprotocols: offered in order.
        offers_deflate: whether permessage-deflate is offered.

    Attributes:
        has_answer_bytes: whether the server has said anything.
    """

    __slots__ = ("_authority", "_headers", "_held", "_key", "_offers_deflate", "_subprotocols", "_target")

    def __init__(
        self,
        *,
        authority: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        key: bytes,
        subprotocols: tuple[str, ...],
        offers_deflate: bool,
    ) -> None:
        self._authority = authority
        self._target = target
        self._headers = headers
        self._key = key
        self._subprotocols = subprotocols
        self._offers_deflate = offers_deflate
        self._held = b""

    @property
    def has_answer_bytes(self) -> bool:
        return bool(self._held)

    def request(self) -> bytes:
        """Return the request's bytes."""
        lines = [
            b"GET %b HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n" % (self._target, self._authority, self._key)
        ]
        if self._offers_deflate:
            lines.append(b"Sec-WebSocket-Extensions: " + OFFER + b"\r\n")
        if self._subprotocols:
            lines.append(b"Sec-WebSocket-Protocol: " + ", ".join(self._subprotocols).encode("latin-1") + b"\r\n")
        lines += [b"%b: %b\r\n" % header for header in self._headers]
        lines.append(b"\r\n")
        return b"".join(lines)

    def take(self, data: bytes) -> tuple[HandshakeAnswer, bytes] | None:
        """Take what arrived; return the answer and what follows it, None while it is incomplete.

        Raises:
            Breach: it is no HTTP.
        """
        self._held += data
        split = head_from(self._held)
        if split is None:
            return None
        return self._judge(split[0]), split[1]

    def _judge(self, head: bytes) -> HandshakeAnswer:
        """Return what a head says; one that differs from an accepted one in the accept alone is not read again."""
        offered = (self._subprotocols, self._offers_deflate)
        before, accept, after = head.partition(accept_of(self._key))
        if accept and (known := _accepted.get((before, after, offered))) is not None:
            return known
        answer = read_answer(head, key=self._key, subprotocols=self._subprotocols, offers_deflate=self._offers_deflate)
        if answer.status == 101 and answer.breach is None and not answer.set_cookies:
            if len(_accepted) >= _MAX_ACCEPTED:
                _accepted.clear()
            _accepted[before, after, offered] = answer
        return answer


def head_from(data: bytes) -> tuple[bytes, bytes] | None:
    """Split the final answer's head from what follows it, leaving out informational answers; None: incomplete.

    Raises:
        Breach: it is larger than may be, or does not begin like one.
    """
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            raise Breach(PROTOCOL_ERROR, "a head that is too large")
        if not head.startswith(b"HTTP/1."[: len(head)]):
            raise Breach(PROTOCOL_ERROR, "an answer that is no HTTP/1")
        if not found:
            return None
        if not head.startswith(b"HTTP/1.1 1") or head.startswith(b"HTTP/1.1 101"):
            return head, rest
        data = rest


def read_answer(head: bytes, *, key: bytes, subprotocols: tuple[str, ...], offers_deflate: bool) -> HandshakeAnswer:
    """Judge the head of an answer to a request with the same arguments.

    Raises:
        Breach: it is no HTTP.
    """
    status_line, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.match(status_line)
    if status is None:
        raise Breach(PROTOCOL_ERROR, "an answer that is no HTTP/1.1")
    fields = _fields(lines)
    set_cookies = fields.get(b"set-cookie", [])
    if status[1] != b"101":
        return HandshakeAnswer(status=int(status[1]), set_cookies=set_cookies)
    try:
        _check_upgrade(head, fields, key)
        return HandshakeAnswer(
            status=101,
            set_cookies=set_cookies,
            deflate=_extension(fields, offers_deflate=offers_deflate),
            subprotocol=_subprotocol(fields, subprotocols),
        )
    except Breach as breach:
        return HandshakeAnswer(status=101, set_cookies=set_cookies, breach=breach)


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Return the values of each field by lower-case name."""
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.match(name):
            raise Breach(PROTOCOL_ERROR, "a header line that is none")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return fields


def _check_upgrade(head: bytes, fields: dict[bytes, list[bytes]], key: bytes) -> None:
    if not head.startswith(b"HTTP/1.1"):
        raise Breach(PROTOCOL_ERROR, "a 101 of HTTP/1.0")
    if b",".join(fields.get(b"upgrade", ())).lower() != b"websocket":
        raise Breach(PROTOCOL_ERROR, "a 101 that upgrades to something else")
    options = b",".join(fields.get(b"connection", ())).lower().split(b",")
    if b"upgrade" not in [option.strip() for option in options]:
        raise Breach(PROTOCOL_ERROR, "a 101 without Connection: Upgrade")
    if fields.get(b"sec-websocket-accept") != [accept_of(key)]:
        raise Breach(PROTOCOL_ERROR, "a Sec-WebSocket-Accept that is not the key's")


def _extension(fields: dict[bytes, list[bytes]], *, offers_deflate: bool) -> DeflateTerms | None:
    values = fields.get(b"sec-websocket-extensions")
    if values is None:
        return None
    if not offers_deflate:
        raise Breach(PROTOCOL_ERROR, "an extension that was not offered")
    return terms_from(b",".join(values).decode("latin-1"))


def _subprotocol(fields: dict[bytes, list[bytes]], offered: tuple[str, ...]) -> str:
    values = fields.get(b"sec-websocket-protocol", [])
    if len(values) > 1:
        raise Breach(PROTOCOL_ERROR, "two subprotocols")
    chosen = values[0].decode("latin-1") if values else ""
    if chosen not in offered if chosen else offered:
        raise Breach(PROTOCOL_ERROR, "no subprotocol of those that were offered")
    return chosen
