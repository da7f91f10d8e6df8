"""Bodies on their way to the disk: held until they are whole, so that no secret hides across the border of two pieces.

Pure. Knows times and bytes, not what is secret in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from captures.bodies import header
from captures.records import Headers

TOTAL_LIMIT_BYTES = 256 << 20
"""All bodies held at one time; of what comes beyond that, only size and hash are kept."""
MAX_LINE_BYTES = 1 << 20
"""A line of a stream that is longer goes on as it is, in pieces."""

_OPEN_END = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~%\\\"'"
_MAX_OPEN_END_BYTES = 4096
_OPAQUE = re.compile(
    rb"(?:image/(?!svg)|audio/|video/|font/|application/(?:font|x-font|wasm|zip|pdf|vnd\.ms-fontobject)).*"
)
_LINES = re.compile(rb"text/event-stream|application/(?:x-)?(?:ndjson|jsonl|stream\+json|json-seq)")
_TEXT = re.compile(
    rb".*(?:json|xml|html|javascript|ecmascript|graphql|yaml|x-www-form-urlencoded)|text/.*|multipart/form.*"
)


class Way(Enum):
    """How a body goes to the disk."""

    HELD = "held"
    """Whole, at its end."""
    LINES = "lines"
    """Line by line, as they come: event streams last for hours."""
    OPAQUE = "opaque"
    """As it is: pictures, fonts, archives hold nothing in clear."""


@dataclass(slots=True, kw_only=True)
class HeldBody:
    """One body.

    Attributes:
        content_type: the header.
        encoding: the content-encodings that are to be undone, empty for none.
        pieces: what came and has not gone on, with its times in ns.
        n_bytes: bytes kept of the wire's, gone on or not.
        is_decoded: an earlier redaction has undone the encodings.
        is_changed: a secret was taken out of it.
    """

    content_type: bytes = b""
    encoding: bytes = b""
    way: Way = Way.HELD
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    n_bytes: int = 0
    is_decoded: bool = False
    is_changed: bool = False
    has_ended: bool = False

    @property
    def held_bytes(self) -> int:
        """Bytes that wait."""
        return sum(len(data) for _, data in self.pieces)

    def expect(self, headers: Headers) -> None:
        """Take from the head how the body is to be treated."""
        self.content_type = header(headers, b"content-type") or b""
        values = [value.strip() for name, value in headers if name.lower() == b"content-encoding"]
        self.encoding = b", ".join(value for value in values if value.lower() != b"identity")
        self.way = way_of(self.content_type, self.encoding)

    def lines(self, t_ns: int, data: bytes) -> bytes:
        """Take a piece of a stream, and return what are whole lines with it."""
        rest = b"".join(piece for _, piece in self.pieces) + data
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
        if not end and len(rest) > MAX_LINE_BYTES:
            end = len(rest)
        self.pieces = [(t_ns, rest[end:])] if end < len(rest) else []
        return rest[:end]


@dataclass(slots=True)
class OpenExchange:
    """An exchange that goes on: its connection, what it is called, both bodies."""

    connection: int
    place: str
    request: HeldBody = field(default_factory=HeldBody)
    response: HeldBody = field(default_factory=HeldBody)
    is_socket: bool = False


def way_of(content_type: bytes, encoding: bytes) -> Way:
    """Return how a body of this type goes to the disk."""
    kind = content_type.partition(b";")[0].strip().lower()
    if _LINES.fullmatch(kind) and not encoding:
        return Way.LINES
    return Way.OPAQUE if _OPAQUE.fullmatch(kind) else Way.HELD


def is_text(content_type: bytes, data: bytes) -> bool:
    """Tell whether a decoded body is text: by its type, else by its first kilobyte."""
    kind = content_type.partition(b";")[0].strip().lower()
    if _TEXT.fullmatch(kind):
        return True
    start = data[:1024]
    return b"\0" not in start and sum(byte < 0x20 and byte not in b"\t\n\r\x1e\x0c\x1b" for byte in start) == 0


def without_open_end(data: bytes) -> bytes:
    """Return a text that was cut off without its last word, which may be the first half of a secret."""
    return data[: max(len(data.rstrip(_OPEN_END)), len(data) - _MAX_OPEN_END_BYTES)]


def spread(text: bytes, pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Cut a redacted body where its pieces were cut, in proportion where its length is another."""
    total = sum(len(data) for _, data in pieces)
    if len(pieces) == 1 or not total:
        return [(pieces[0][0], text)] if pieces else []
    cut: list[tuple[int, bytes]] = []
    at = came = 0
    for t_ns, data in pieces:
        came += len(data)
        end = came * len(text) // total
        if end > at:
            cut.append((t_ns, text[at:end]))
        at = end
    return cut
