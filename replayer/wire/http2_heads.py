"""The head of an HTTP/2 answer: from a header block, remembered by its bytes, decoded only as far as somebody asks.

A block that uses no dynamic table means the same on every connection, so an equal one costs one look-up and is the same
object, as with HTTP/1.1 (``heads``). Of a new one only the status and what every answer is asked for are decoded.

Source: RFC 9113 §8.3.2 for ``:status``, §8.1.1 for what is malformed.
"""

from __future__ import annotations

from collections.abc import Iterable

from replayer.wire.heads import MAX_REMEMBERED, UNKNOWN_LENGTH, Head, HeadError
from replayer.wire.hpack import Decoder, Field, HpackError, scan
from replayer.wire.sse import event_reader

MAX_HEAD_BYTES = 256 * 1024
"""What all fields of a head may count; what Chromium tells servers too."""

_STATUS = b":status"
_WANTED = frozenset({_STATUS, b"content-type", b"content-encoding", b"content-length", b"set-cookie"})


class Http2Head(Head):
    """See ``Head``; ``headers`` are decoded when they are first asked for.

    Attributes:
        is_event_stream: what follows is read as events (``sse``).
        is_plain: it is neither that nor an interim answer.
    """

    __slots__ = ("_all", "_block", "is_event_stream", "is_plain")

    def __init__(self, fields: Iterable[Field], *, block: bytes = b"") -> None:
        self._block = block
        self._all: tuple[Field, ...] | None = None
        self.data, self.whole_bytes = b"", -1  # No answer of HTTP/1.1 begins with it.
        self.keeps_alive = True
        self.status = 0
        self.content_type = self.content_encoding = b""
        self.set_cookies = ()
        self.length = UNKNOWN_LENGTH
        for name, value in fields:
            if name == _STATUS:
                self._take_status(value)
            elif name == b"content-type":
                self.content_type = value
            elif name == b"set-cookie":
                self.set_cookies += (value,)
            elif name == b"content-encoding":
                self.content_encoding = value
            elif name == b"content-length":
                self._take_length(value)
        if not self.status:
            raise HeadError("an answer has no status")
        if self.status < 200:
            self.length = UNKNOWN_LENGTH
        elif self.status in (204, 304):
            self.length = 0
        self.is_event_stream = event_reader(self) is not None
        if self.is_event_stream:
            self.length = UNKNOWN_LENGTH  # Whatever it says: it is read as it comes.
        self.is_plain = self.status >= 200 and not self.is_event_stream

    def _take_status(self, value: bytes) -> None:
        if self.status or len(value) != 3 or not value.isdigit() or value < b"100":
            raise HeadError(f"{value[:20]!r} is no status")
        self.status = int(value)

    def _take_length(self, value: bytes) -> None:
        if not value.isdigit() or len(value) > 18 or self.length not in (UNKNOWN_LENGTH, int(value)):
            raise HeadError(f"{value[:20]!r} is no length")
        self.length = int(value)

    @property
    def headers(self) -> tuple[Field, ...]:  # type: ignore[override]  # Nobody writes it but a Head of its own.
        """All names and values, in order, without ``:status``; none where one of them cannot be decoded.

        Subtle: nobody looked at the strings that nobody wanted, so a broken one is only found here, where the answer
        has been taken already: whoever reads a value from it does not find one.
        """
        if self._all is None:
            try:
                fields = Decoder(max_list_bytes=2 * MAX_HEAD_BYTES).decode(self._block)
            except HpackError:
                fields = []
            self._all = tuple(field for field in fields if not field[0].startswith(b":"))
        return self._all


_remembered: dict[bytes, Http2Head] = {}
remembered_head = _remembered.get
"""Return the head of a block that was seen before, or None."""


def known_head(block: bytes) -> Http2Head:
    """Return the head that a block without references to a dynamic table holds.

    Raises:
        HeadError: it is malformed: a stream error.
        HpackError: it is no block: a connection error.
    """
    head = _remembered.get(block)
    if head is None:
        head = Http2Head(scan(block, _WANTED, max_list_bytes=MAX_HEAD_BYTES), block=block)
        if not head.set_cookies:  # These carry values of one user: they do not come twice.
            if len(_remembered) >= MAX_REMEMBERED:
                _remembered.clear()
            _remembered[block] = head
    return head


def decoded_head(fields: list[Field]) -> Http2Head:
    """Return the head of fields that a table was needed for.

    Raises:
        HeadError: they are malformed.
    """
    head = Http2Head(fields)
    head._all = tuple(field for field in fields if not field[0].startswith(b":"))
    return head
