"""The one walker over what requests, responses and messages carry: JSON, forms, multipart, HTML, plain text.

It takes text apart into leaves: a value in plain bytes, where it stands (``start`` to ``end`` in the text), how it is
written there and the path that leads to it. Whoever templates or redacts replaces spans and never writes a document
anew. ``find_json`` is the fast way for large documents of which only few values are wanted.

Knows nothing of exchanges, of what a value means or of who asks. Pure.
"""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Container, Iterator
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

JsonPath = tuple[str | int, ...]

MAX_NESTING = 64
"""Containers inside containers that are walked; what lies deeper is passed over."""

_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_RUN = re.compile(rb"[A-Za-z0-9_\-+/.~%]{8,4096}={0,2}")
_TAG = re.compile(rb"<(?:input|meta)\b[^>]{0,262144}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""([A-Za-z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_URL_BEGINNINGS = ("/", "http://", "https://")
_MAX_URL_CHARS = 4096
_PART_NAME = re.compile(rb';\s*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_BOUNDARY = re.compile(rb'boundary="?([^";,]+)"?', re.IGNORECASE)


class Coding(Enum):
    """How a leaf is written where it stands."""

    RAW = "raw"
    PERCENT = "percent"
    FORM = "form"
    HTML = "html"
    JSON_STRING = "json_string"
    BASE64 = "base64"
    BASE64URL = "base64url"
    MSGPACK_STRING = "msgpack_string"
    """With its header; so are the next two."""
    MSGPACK_INT = "msgpack_int"
    MSGPACK_BIN = "msgpack_bin"
    S256 = "s256"
    """As the hash of it (RFC 7636 §4.2)."""


class Leaf(NamedTuple):
    """One value.

    Attributes:
        path: JSON keys and positions; else one name.
        value: the plain value; numbers and literals as they are written in JSON.
        start, end: its place in the text, without quotes.
        is_text: False for JSON numbers, booleans and null.
        is_nested: it stands in a JSON document that is itself a string of the document.
    """

    path: JsonPath
    value: bytes
    start: int
    end: int
    coding: Coding = Coding.RAW
    is_text: bool = True
    is_nested: bool = False


class Found(NamedTuple):
    """A wanted value in a parsed document; ``is_nested`` as in ``Leaf``."""

    path: JsonPath
    value: str | int
    is_nested: bool


def body_leaves(content_type: bytes, text: bytes) -> list[Leaf]:
    """Take a decoded body apart as its content type says; what looks like JSON is taken as JSON whatever the type."""
    kind = content_type.partition(b";")[0].strip().lower()
    if looks_like_json(text):
        try:
            return json_leaves(text)
        except (ValueError, RecursionError):
            pass
    if kind == b"application/x-www-form-urlencoded":
        return form_leaves(text)
    if kind.startswith(b"multipart/") and (boundary := _BOUNDARY.search(content_type)):
        return list(_multipart_leaves(text, boundary.group(1).strip()))
    if kind in (b"text/html", b"application/xhtml+xml"):
        return html_leaves(text)
    return []


def looks_like_json(text: bytes) -> bool:
    """Tell whether a text begins as a JSON object or array does."""
    return text.lstrip()[:1] in (b"{", b"[")


# JSON with places.


def json_leaves(text: bytes) -> list[Leaf]:
    """Return every leaf of a JSON document in order; documents inside strings are entered, one level deep.

    Raises:
        ValueError: it is not JSON in UTF-8.
    """
    json.loads(text.decode())
    leaves: list[Leaf] = []
    for leaf in _scan_json(text):
        leaves.append(leaf)
        if leaf.is_text and looks_like_json(leaf.value):
            leaves += _nested_leaves(text, leaf)
    return leaves


def _scan_json(text: bytes) -> Iterator[Leaf]:
    """Yield the leaves of a valid document. Each container on the stack is its next position, or -1 for an object."""
    positions: list[int] = []
    path: list[str | int] = []
    key_is_due = False
    for token in _JSON_TOKEN.finditer(text):
        start, end = token.span()
        first = text[start]
        if first in b"{[":
            positions.append(-1 if first == 0x7B else 0)
            path.append("" if first == 0x7B else 0)
            key_is_due = first == 0x7B
        elif first in b"}]":
            positions.pop()
            path.pop()
            key_is_due = False
        elif first == 0x2C:
            if positions[-1] < 0:
                key_is_due = True
            else:
                positions[-1] += 1
                path[-1] = positions[-1]
        elif first == 0x3A:
            key_is_due = False
        elif key_is_due:
            path[-1] = str(json.loads(token.group()))
        elif first == 0x22:
            yield Leaf(tuple(path), _plain(token.group()), start + 1, end - 1, Coding.JSON_STRING)
        else:
            yield Leaf(tuple(path), token.group(), start, end, is_text=False)


def _plain(literal: bytes) -> bytes:
    if b"\\" not in literal:
        return literal[1:-1]
    return str(json.loads(literal)).encode("utf-8", "surrogatepass")


def _nested_leaves(text: bytes, outer: Leaf) -> Iterator[Leaf]:
    r"""Yield the leaves of a document inside a string, with their places in the outer text.

    Subtle: every escape but ``\u`` takes two bytes in the outer text and one inside, so places are moved by the number
    of escapes before them; a string with ``\u`` is left whole.
    """
    raw = text[outer.start : outer.end]
    if rb"\u" in raw:
        return
    escapes = [match.start() - n for n, match in enumerate(re.finditer(rb"\\.", raw, re.DOTALL))]
    try:
        json.loads(outer.value)
    except (ValueError, RecursionError):
        return
    for leaf in _scan_json(outer.value):
        start = outer.start + leaf.start + bisect_right(escapes, leaf.start - 1)
        end = outer.start + leaf.end + bisect_right(escapes, leaf.end - 1)
        yield leaf._replace(path=(*outer.path, *leaf.path), start=start, end=end, is_nested=True)


# JSON by value.


def find_json(document: Any, wanted: Container[str | int], urls: list[Found] | None = None) -> list[Found]:
    """Return where a parsed document holds wanted strings and integers, in document order.

    Args:
        urls: gets the other strings that begin as URLs and paths do, for whoever wants a part of one.

    Documents inside strings are entered, one level deep; into the claims of a token its path goes on. Floats, booleans
    and null are never wanted; bytes, which MessagePack has, are compared and given back ``as_text``.
    """
    found: list[Found] = []
    _find(document, wanted, (), found, urls, is_nested=False)
    return found


def claims_of(token: str) -> dict[str, Any] | None:
    """Return the claims of a JSON Web Token, None where it is none: pages read who they are for out of it.

    Source: RFC 7519 §3; RFC 7515 §3.1 (three parts in base64url) and appendix C (no padding).
    """
    parts = token.split(".") if token.startswith("eyJ") else ()
    if len(parts) != 3 or not parts[1].startswith("eyJ"):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def as_text(value: bytes) -> str:
    """Return bytes as a document's strings hold them; ``as_bytes`` undoes it, whatever the bytes are."""
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return value.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the bytes of a string in a document; a lone surrogate of JSON is written as such."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _find(
    node: Any,
    wanted: Container[str | int],
    path: JsonPath,
    found: list[Found],
    urls: list[Found] | None,
    *,
    is_nested: bool,
) -> None:
    items = node.items() if type(node) is dict else enumerate(node) if type(node) is list else ((None, node),)
    for key, value in items:
        kind = type(value)
        if kind is str:
            is_wanted = value in wanted
            if is_wanted:
                found.append(Found(path if key is None else (*path, key), value, is_nested))
            if value[:1] in ("e" if is_wanted else "{[/he") and len(value) > 2 and not is_nested:
                _look_inside(value, wanted, path if key is None else (*path, key), found, urls)
        elif kind is int:
            if value in wanted:
                found.append(Found(path if key is None else (*path, key), value, is_nested))
        elif kind is bytes:
            if (text := as_text(value)) in wanted:
                found.append(Found(path if key is None else (*path, key), text, is_nested))
        elif (kind is dict or kind is list) and len(path) < MAX_NESTING:
            _find(value, wanted, path if key is None else (*path, key), found, urls, is_nested=is_nested)


def _look_inside(
    text: str, wanted: Container[str | int], path: JsonPath, found: list[Found], urls: list[Found] | None
) -> None:
    if text[0] == "e":
        claims = claims_of(text)
        if claims is not None:
            _find(claims, wanted, path, found, None, is_nested=False)
        return
    if text[0] in "/h":
        if urls is not None and text.startswith(_URL_BEGINNINGS) and len(text) <= _MAX_URL_CHARS:
            urls.append(Found(path, text, False))
        return
    try:
        document = json.loads(text) if len(text) > 8 else None
    except (ValueError, RecursionError):
        return
    _find(document, wanted, path, found, None, is_nested=True)


# Names and values.


def form_leaves(text: bytes, offset: int = 0, coding: Coding = Coding.FORM) -> list[Leaf]:
    """Return the fields of a form or query; a name that comes again has its number as second part of the path.

    Args:
        offset: added to the places, where the text is part of a longer one.
    """
    leaves: list[Leaf] = []
    seen: dict[bytes, int] = {}
    at = offset
    for pair in text.split(b"&"):
        name, equals, raw = pair.partition(b"=")
        start = at + len(name) + len(equals)
        at += len(pair) + 1
        if not equals:
            continue
        n_before = seen.get(name, 0)
        seen[name] = n_before + 1
        key = unplus(name).decode("utf-8", "replace")
        path: JsonPath = (key, n_before) if n_before else (key,)
        leaves.append(Leaf(path, unplus(raw), start, start + len(raw), coding))
    return leaves


def unplus(raw: bytes) -> bytes:
    """Undo form encoding."""
    if b"+" not in raw and b"%" not in raw:
        return raw
    return unquote_plus(raw.decode("latin-1"), "latin-1").encode("latin-1")


def path_leaves(raw: bytes, offset: int = 0) -> list[Leaf]:
    """Return the segments of a URL path that begins with ``/``; the path of each is its position."""
    leaves: list[Leaf] = []
    at = offset
    for number, segment in enumerate(raw.split(b"/")):
        if segment:
            leaves.append(Leaf((number - 1,), unquote_to_bytes(segment), at, at + len(segment), Coding.PERCENT))
        at += len(segment) + 1
    return leaves


def target_of(url: bytes) -> bytes:
    """Return the path and query of a URL that may be absolute, without its fragment.

    Worked: ``https://shop.test/orders/17?tab=a#top`` is ``/orders/17?tab=a``.
    """
    authority = url.find(b"//")
    is_absolute = authority == 0 or url[max(0, authority - 1) : authority] == b":"
    at = url.find(b"/", authority + 2) if is_absolute else 0
    return url[at:].partition(b"#")[0] if at >= 0 else b"/"


def cookie_leaves(raw: bytes) -> list[Leaf]:
    """Return the pairs of a Cookie header (RFC 6265 §4.2.1)."""
    leaves: list[Leaf] = []
    at = 0
    for pair in raw.split(b";"):
        name, equals, value = pair.partition(b"=")
        start = at + len(name) + len(equals) + len(value) - len(value.lstrip())
        at += len(pair) + 1
        if equals and name.strip():
            plain = value.strip()
            leaves.append(Leaf((name.strip().decode("latin-1"),), plain, start, start + len(plain)))
    return leaves


def _multipart_leaves(text: bytes, boundary: bytes) -> Iterator[Leaf]:
    """Yield the text fields of a multipart body (RFC 7578); files are passed over."""
    delimiter = b"--" + boundary
    at = text.find(delimiter)
    while at >= 0:
        head_start = at + len(delimiter)
        at = text.find(delimiter, head_start)
        head_end = text.find(b"\r\n\r\n", head_start, at)
        if at < 0 or head_end < 0:
            return
        head, start, end = text[head_start:head_end], head_end + 4, at - 2
        name = _PART_NAME.search(head)
        if name is None or b"filename" in head.lower():
            continue
        path = (name[name.lastindex or 0].decode("utf-8", "replace"),)
        yield Leaf(path, text[start:end], start, end)


# HTML and text.


def html_leaves(text: bytes) -> list[Leaf]:
    """Return what inputs and metas of an HTML page hold under a name: CSRF tokens, hidden ids."""
    leaves: list[Leaf] = []
    for tag in _TAG.finditer(text):
        attributes: dict[bytes, tuple[int, int]] = {}
        for match in _ATTRIBUTE.finditer(text, tag.start() + 1, tag.end()):
            attributes.setdefault(match.group(1).lower(), match.span(match.lastindex or 0))
        name = attributes.get(b"name") or attributes.get(b"property") or attributes.get(b"id")
        span = attributes.get(b"value") or attributes.get(b"content")
        if name and span:
            key = text[slice(*name)].decode("utf-8", "replace")
            leaves.append(Leaf((key,), unescape(text[slice(*span)]), *span, Coding.HTML))
    return leaves


def unescape(raw: bytes) -> bytes:
    """Undo HTML character references."""
    if b"&" not in raw:
        return raw
    return html.unescape(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def text_runs(text: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the places of runs of characters that tokens and ids are made of, 8 at least."""
    for match in _RUN.finditer(text, start, len(text) if end is None else end):
        yield match.span()
