"""Finds the places of a request or message that a column of the identities fills. Pure.

Redaction leaves placeholders where a person's own credentials were (``captures.redact.inputs``). They are found in the
bytes as sent, in the coding of their place, like recorded origins are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from captures.redact.inputs import PLACEHOLDER, inputs_in
from replayer.plan.records import Codec

_PERCENT_CODED = re.compile(rb"%7B%7Binput\.[A-Za-z0-9_%]{1,80}?%7D%7D", re.IGNORECASE)


class InputSpan(NamedTuple):
    """Bytes ``start`` to ``end`` are the value of ``column``, written in ``codec``."""

    start: int
    end: int
    column: str
    codec: Codec


def find_inputs(raw: bytes, *, is_json: bool) -> Iterator[InputSpan]:
    """Yield the placeholders in a part of a request or in a message, in order.

    Args:
        is_json: the part is a JSON document, whose strings hold the values.
    """
    if b"input." not in raw:
        return
    for match in _PERCENT_CODED.finditer(raw):
        for found in inputs_in(unquote_to_bytes(match.group())):
            yield InputSpan(match.start(), match.end(), found.column, Codec.PERCENT)
    for match in PLACEHOLDER.finditer(raw):
        column, coding = match[1].decode(), (match[2] or b"").decode()
        start, end = match.span()
        if head := _messagepack_head(raw, start, end):
            codec = Codec.MSGPACK_INT if coding == "number" else Codec.MSGPACK_STRING
            yield InputSpan(start - head, end, column, codec)
        elif coding == "number":
            yield InputSpan(start - 1, end + 1, column, Codec.RAW)  # In quotes that go with it.
        elif coding == "base64":
            yield InputSpan(start, end, column, Codec.BASE64)
        else:
            yield InputSpan(start, end, column, Codec.JSON_STRING if is_json else Codec.RAW)


def _messagepack_head(raw: bytes, start: int, end: int) -> int:
    """Return how many bytes before a text are the head of a MessagePack string of its length; 0: none are.

    Source: MessagePack specification, "str format family".
    """
    size = end - start
    if size < 32 and raw[max(0, start - 1) : start] == bytes((0xA0 | size,)):
        return 1
    return 2 if 32 <= size < 256 and raw[max(0, start - 2) : start] == bytes((0xD9, size)) else 0
