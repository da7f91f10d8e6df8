"""Writes a plain value the way the one was written whose place it takes. Pure."""

from __future__ import annotations

import html
import json
import re
from typing import cast
from urllib.parse import quote, unquote_to_bytes

import msgpack

from captures.leaves import Coding
from captures.redact.inputs import PLACEHOLDER

_CODED_PLACEHOLDER = re.compile(rb"%7B%7Binput\.[A-Za-z0-9_%]{1,80}?%7D%7D", re.IGNORECASE)
_UNRESERVED = re.compile(rb"[A-Za-z0-9_.~%-]")


def in_percent(url: bytes) -> bytes:
    """Write the placeholders in a URL or form as those are written: braces are no part of them."""
    if b"{{input." not in url:
        return url
    return PLACEHOLDER.sub(lambda match: quote(match.group(), safe="").encode(), url)


def out_of_percent(url: bytes) -> bytes:
    """Write the placeholders in a URL as they are: it will be a value in another one, where they are coded once."""
    if b"input." not in url:
        return url
    return _CODED_PLACEHOLDER.sub(lambda match: unquote_to_bytes(match.group()), url)


def written(plain: bytes, coding: Coding, raw: bytes) -> bytes:
    """Write a value.

    Args:
        raw: what stood there; what needed no escape in it needs none now.
    """
    if coding in (Coding.PERCENT, Coding.FORM):
        safe = bytes(sorted(set(_UNRESERVED.sub(b"", raw)))).decode("latin-1")
        text = quote(plain, safe=safe.replace("+", "") if coding is Coding.FORM else safe)
        return (text.replace("%20", "+") if coding is Coding.FORM and b"%20" not in raw else text).encode("latin-1")
    if coding is Coding.HTML:
        return html.escape(plain.decode("latin-1")).encode("latin-1")
    if coding is Coding.JSON_STRING:
        text = json.dumps(plain.decode("utf-8", "surrogateescape"), ensure_ascii=False)
        return text.encode("utf-8", "surrogateescape")[1:-1]
    if coding is Coding.MSGPACK_BIN:
        return cast("bytes", msgpack.packb(plain))
    return packed(plain) if coding is Coding.MSGPACK_STRING else plain


def packed(value: bytes | int) -> bytes:
    """Write a text or number in MessagePack, where a leaf's place holds its header too."""
    plain = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    return cast("bytes", msgpack.packb(plain, unicode_errors="surrogateescape"))
