"""Cuts large texts into pieces that are redacted one by one, so that memory does not grow with a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

PIECE_BYTES = 1 << 20
WHOLE_BYTES = 2 * PIECE_BYTES
"""About how long pieces are, and up to which length a text is left whole."""

# Behind these no name waits for its value; inside of values they are rare.
_ENDS = re.compile(rb"(?:[}\]],|[>;]\s*\n|\n\n|</[\w:.-]{1,64}>)")
_ANY_END = re.compile(rb"[\n,>;&]|[^A-Za-z0-9+/=_.%~:@\"'\\-]")
_SEARCHED_BYTES = 1 << 16
_KEY_BEGINS, _KEY_ENDS = b"-----BEGIN", b"-----END"


def pieces(text: bytes) -> Iterator[bytes]:
    """Yield a text in pieces, which end where a secret hardly goes on."""
    at = 0
    while len(text) - at > WHOLE_BYTES:
        end = _end_behind(text, at + PIECE_BYTES)
        begun = text.rfind(_KEY_BEGINS, at, end)
        if begun > at and text.find(_KEY_ENDS, begun, end) < 0:
            end = begun
        yield text[at:end]
        at = end
    yield text[at:]


def _end_behind(text: bytes, at: int) -> int:
    for ends in (_ENDS, _ANY_END):
        if match := ends.search(text, at, at + _SEARCHED_BYTES):
            return match.end()
    return at + _SEARCHED_BYTES
