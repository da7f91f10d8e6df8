"""What a recorded client sent, taken apart into uses: one value at one place of one request or message. Pure.

Only places that a template may fill are taken: path segments, query and form fields, JSON leaves, cookies, and the
headers that carry values of the application. A use knows its span, so a template is cut without writing anything anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from captures.bodies import header
from captures.envelopes import Framing, framed_leaves, is_polling, is_protocol_name, polling_leaves
from captures.graphql import arguments_of, literal_arguments
from captures.leaves import (
    Coding,
    JsonPath,
    Leaf,
    body_leaves,
    cookie_leaves,
    form_leaves,
    json_leaves,
    looks_like_json,
    path_leaves,
    text_runs,
)
from captures.records import Exchange
from replayer.plan.requests import is_dropped

MAX_WALKED_BYTES = 4 * 1024 * 1024
"""Bodies of requests above this size are uploads: they stay literal."""

WHOLE_URL = "url"
"""Key of a use that is all of a request's target, and of a place where the server showed all of an address."""

EventRef = tuple[int, int]
"""An exchange's position among the compiled ones of its session, and its message's position, or -1 for itself."""

_DECLARED_BASE64 = re.compile(rb"base64url\.[a-z0-9.-]+\.(?=[A-Za-z0-9_-]{8,}={0,2}$)")
# Names of topics, channels, groups, destinations: words and ids, parted by one of : / .
_TOPIC = re.compile(rb"/?[A-Za-z_][\w-]*(?:[:/.][\w-]+)+")
_TOPIC_PART = re.compile(rb"[\w-]+")
_TOPIC_TAIL = re.compile(rb"(?<=[G-Zg-z_-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{8,}|\d{2,})$")
_MAX_TOPIC_BYTES = 200
_BRACKETED = re.compile(r"\[([A-Za-z_][\w-]*)\]")
# ``/orders/17.json``: the same thing in another form.
_FILE_OF_ID = re.compile(rb"([A-Za-z0-9_-]{1,80})\.[a-z][a-z0-9]{1,4}")
_SCHEME = re.compile(rb"(?:[A-Za-z][A-Za-z0-9_-]{1,15}) +(?=\S)")
# What browsers say of themselves; nothing of it was minted by the application.
_SILENT = frozenset(
    {
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"content-encoding",
        b"content-type",
        b"dnt",
        b"origin",
        b"pragma",
        b"range",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"x-requested-with",
    }
)


class Part(Enum):
    """Which part of what the client sent."""

    TARGET = "target"
    HEADER = "header"
    BODY = "body"


@dataclass(slots=True, kw_only=True)
class Use:
    """One value that the client sent.

    Attributes:
        event: what sent it.
        part: with ``header``, the position among the request's headers, where it is one.
        start, end: span in the part as sent.
        coding: how ``value`` is written there.
        key: name for comparing with the producer's: the field, the header, the segment before.
        path: in a JSON body or message.
        place: for people, and to compare sessions: ``query ticket``, ``json /id``, ``header x-csrf-token``.
        segment: position of a path segment, else -1; ``before`` is the path up to it.
        is_piece: a part of a value that is longer.
    """

    event: EventRef
    part: Part
    header: int = -1
    start: int
    end: int
    coding: Coding
    value: bytes
    key: str
    path: JsonPath = ()
    place: str
    segment: int = -1
    before: str = ""
    is_piece: bool = False


def uses_of_request(exchange: Exchange, event: EventRef) -> list[Use]:
    """Return the uses of a request in order: target, headers, cookies, body."""
    return [*_of_target(exchange, event), *_of_headers(exchange, event), *_of_body(exchange, event)]


def uses_of_message(data: bytes, event: EventRef, framing: Framing, *, is_text: bool) -> list[Use]:
    """Return the uses of a message, taken out of its envelope."""
    if len(data) > MAX_WALKED_BYTES:
        return []
    try:
        leaves = framed_leaves(framing, data)
    except ValueError:
        leaves = []
    if leaves:
        return list(_of_leaves(leaves, data, event))
    return _runs(data, event, part=Part.BODY, key="", place="text") if is_text else []


def _of_target(exchange: Exchange, event: EventRef) -> Iterator[Use]:
    raw = exchange.target.encode("latin-1", "replace")
    path, _, query = raw.partition(b"?")
    if query or any(is_id_like(leaf.value) for leaf in path_leaves(path)):
        yield Use(
            event=event,
            part=Part.TARGET,
            start=0,
            end=len(raw),
            coding=Coding.RAW,
            value=raw,
            key=WHOLE_URL,
            place="url",
        )
    yield from _of_url(raw, 0, len(raw), event, part=Part.TARGET)


def _of_url(raw: bytes, start: int, end: int, event: EventRef, *, part: Part, header: int = -1) -> Iterator[Use]:
    """Yield segments and query fields of the URL path at ``start``; a Referer's are known by ``header``."""
    label = "" if part is Part.TARGET else "referer "
    path, _, query = raw[start:end].partition(b"?")
    before = ""
    for leaf in path_leaves(path, start):
        segment = leaf.value.decode("utf-8", "replace")
        key = before.rpartition("/")[2]
        place = f"{label}path segment {int(leaf.path[0]) + 1}"
        use = _use(leaf, event, part=part, header=header, key=key, place=place)
        use.segment, use.before = int(leaf.path[0]), before
        yield use
        stem = _FILE_OF_ID.fullmatch(raw, leaf.start, leaf.end)
        if stem is not None:
            yield replace(use, end=stem.end(1), value=stem[1], place=f"{place} without its ending", is_piece=True)
        before = f"{before}/{segment}"
    query_at = start + len(path) + 1
    for leaf in form_leaves(query, query_at, Coding.PERCENT):
        name = str(leaf.path[0])
        yield _use(leaf, event, part=part, header=header, key=field_name(name), place=f"{label}query {name}")
    if query and b"=" not in query and b"&" not in query:
        bare = Leaf(("",), query, query_at, query_at + len(query), Coding.PERCENT)
        yield _use(bare, event, part=part, header=header, key="", place=f"{label}query")


def _of_headers(exchange: Exchange, event: EventRef) -> Iterator[Use]:
    for number, (raw_name, value) in enumerate(exchange.request_headers):
        name = raw_name.lower()
        if name == b"sec-websocket-protocol":
            yield from _of_subprotocols(value, event, number)
        if name in _SILENT or is_dropped(name) or name.startswith(b"sec-"):
            continue
        text = name.decode("latin-1")
        if name == b"referer":
            at = _path_of_url(value)
            if at >= 0:
                yield from _of_url(value, at, len(value), event, part=Part.HEADER, header=number)
        elif name == b"cookie":
            for leaf in cookie_leaves(value):
                key = str(leaf.path[0])
                yield _use(leaf, event, part=Part.HEADER, header=number, key=key, place=f"cookie {key}")
        else:
            yield from _of_header(value, event, number, text)


def _of_header(value: bytes, event: EventRef, number: int, name: str) -> Iterator[Use]:
    place = f"header {name}"
    scheme = _SCHEME.match(value) if name == "authorization" else None
    start = scheme.end() if scheme else 0
    whole = Leaf((name,), value[start:], start, len(value))
    yield _use(whole, event, part=Part.HEADER, header=number, key=name, place=place)
    yield from _runs(value, event, part=Part.HEADER, header=number, key=name, place=place, taken=(start, len(value)))


def _of_subprotocols(value: bytes, event: EventRef, number: int) -> Iterator[Use]:
    """Yield tokens that stand among the subprotocols of a handshake: scripts cannot set its headers.

    ``base64url.bearer.authorization.k8s.io.<token in base64url>`` is the one declared coding.
    """
    for start, end in split_list(value):
        name = value[start:end]
        declared = _DECLARED_BASE64.match(name)
        inner = start + declared.end() if declared else start
        coding = Coding.BASE64URL if declared else Coding.RAW
        plain = from_base64url(value[inner:end]) if declared else name
        if plain and not is_protocol_name(plain):
            leaf = Leaf(("token",), plain, inner, end, coding)
            yield _use(leaf, event, part=Part.HEADER, header=number, key="token", place="subprotocol")


def split_list(value: bytes) -> Iterator[tuple[int, int]]:
    """Yield the places of the elements of a header that is a list, without the space around them."""
    at = 0
    for raw in value.split(b","):
        stripped = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        if stripped:
            yield start, start + len(stripped)
        at += len(raw) + 1


def from_base64url(raw: bytes) -> bytes:
    """Return what stands there in base64url, b"" where nothing does."""
    try:
        return base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (ValueError, binascii.Error):
        return b""


def _path_of_url(url: bytes) -> int:
    """Return where the path of an absolute URL begins, -1 where it has none."""
    authority = url.find(b"//")
    return url.find(b"/", authority + 2) if authority >= 0 else -1


def _of_body(exchange: Exchange, event: EventRef) -> list[Use]:
    body = exchange.request_body.data
    if not body or exchange.request_body.is_cut or len(body) > MAX_WALKED_BYTES:
        return []
    if header(exchange.request_headers, b"content-encoding"):
        return []
    content_type = header(exchange.request_headers, b"content-type") or b""
    if is_polling(exchange.target):
        return list(_of_leaves(list(polling_leaves(body)), body, event))
    leaves = body_leaves(content_type, body)
    leaves += [inner for leaf in leaves for inner in _documents_in(leaf, body)]
    if leaves:
        return list(_of_leaves(leaves, body, event, is_form=True))
    if is_text(content_type):
        return _runs(body, event, part=Part.BODY, key="", place="body")
    return []


def _documents_in(leaf: Leaf, body: bytes) -> Iterator[Leaf]:
    """Yield the leaves of a JSON document that is the value of a form's field, with their places in the body."""
    if leaf.coding not in (Coding.FORM, Coding.RAW) or not leaf.is_text or not looks_like_json(leaf.value):
        return
    try:
        inner = json_leaves(leaf.value)
    except (ValueError, RecursionError):
        return
    places = _places(body, leaf) if leaf.coding is Coding.FORM else range(leaf.start, leaf.end + 1)
    for each in inner:
        coding = leaf.coding if leaf.coding is Coding.FORM else each.coding
        path = (*leaf.path, *each.path)
        yield each._replace(path=path, start=places[each.start], end=places[each.end], coding=coding)


def _places(body: bytes, leaf: Leaf) -> list[int]:
    """Return where each byte of a form-encoded value stands, and where the value ends."""
    places = []
    at = leaf.start
    while at < leaf.end:
        places.append(at)
        at += 3 if body[at] == 0x25 else 1
    return [*places, leaf.end]


def is_text(content_type: bytes) -> bool:
    """Tell whether a body of this type is text that values may stand in."""
    kind = content_type.partition(b";")[0].strip().lower()
    return kind.startswith(b"text/") or kind.endswith((b"json", b"xml", b"graphql", b"javascript"))


def _of_leaves(leaves: list[Leaf], text: bytes, event: EventRef, *, is_form: bool = False) -> Iterator[Use]:
    arguments = arguments_of(leaves)
    for leaf in leaves:
        if not leaf.is_text and leaf.value in (b"true", b"false", b"null"):
            continue
        key = next((step for step in reversed(leaf.path) if isinstance(step, str)), "")
        key = arguments.get(leaf.path, field_name(key))
        kind = (
            "field"
            if leaf.coding is Coding.FORM or (is_form and leaf.is_text and leaf.coding is Coding.RAW)
            else "json"
        )
        place = f"{kind} /" + "/".join("*" if isinstance(step, int) else step for step in leaf.path)
        path = leaf.path if kind == "json" else ()
        yield _use(leaf, event, part=Part.BODY, key=key, place=place, path=path)
        if leaf.coding in (Coding.RAW, Coding.JSON_STRING) and leaf.end - leaf.start > 8:
            span = (leaf.start, leaf.end)
            yield from _runs(text, event, part=Part.BODY, key=key, place=place, within=span, taken=span)
        if leaf.coding in (Coding.RAW, Coding.JSON_STRING) and leaf.is_text:
            is_operation = leaf.path[-1:] == ("query",) and b"{" in leaf.value
            parts = literal_arguments if is_operation else _composed
            for name, start, end in parts(text[leaf.start : leaf.end]):
                yield _piece(text, leaf.start + start, leaf.start + end, event, key=name or key, place=place)


def field_name(name: str) -> str:
    """Return what a field of a form is about: ``comment[post_id]`` and ``comment[post_ids][]`` of ``post_id``."""
    words = _BRACKETED.findall(name)
    return words[-1] if words else name


def _composed(raw: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the ids in the name of a topic, channel or group, each with the word before it: ``room:17:members``."""
    if len(raw) > _MAX_TOPIC_BYTES or not _TOPIC.fullmatch(raw):
        return
    before = ""
    for part in _TOPIC_PART.finditer(raw):
        word = part.group()
        tail = _TOPIC_TAIL.search(word) if _ID.fullmatch(word) is None else None
        if tail is not None:
            yield before, part.start() + tail.start(), part.end()
        elif is_id_like(word):
            yield before, *part.span()
        elif word[:1].isalpha():
            before = word.decode()


def _piece(text: bytes, start: int, end: int, event: EventRef, *, key: str, place: str) -> Use:
    return Use(
        event=event,
        part=Part.BODY,
        start=start,
        end=end,
        coding=Coding.RAW,
        value=text[start:end],
        key=key,
        place=place,
        is_piece=True,
    )


def _runs(
    text: bytes,
    event: EventRef,
    *,
    part: Part,
    key: str,
    place: str,
    header: int = -1,
    within: tuple[int, int] | None = None,
    taken: tuple[int, int] = (-1, -1),
) -> list[Use]:
    """Return the token-like pieces of a text, but none that is all of ``taken``."""
    start, end = within or (0, len(text))
    return [
        Use(
            event=event,
            part=part,
            header=header,
            start=run[0],
            end=run[1],
            coding=Coding.RAW,
            value=text[slice(*run)],
            key=key,
            place=place,
            is_piece=True,
        )
        for run in text_runs(text, start, end)
        if run != taken
    ]


def _use(
    leaf: Leaf,
    event: EventRef,
    *,
    part: Part,
    key: str,
    place: str,
    header: int = -1,
    path: JsonPath = (),
) -> Use:
    return Use(
        event=event,
        part=part,
        header=header,
        start=leaf.start,
        end=leaf.end,
        coding=leaf.coding,
        value=leaf.value,
        key=key,
        path=path,
        place=place,
    )


_ID = re.compile(rb"\d+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{8,}")
_MIXED = re.compile(rb"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_-]{16,}")


@lru_cache(maxsize=65536)
def is_id_like(segment: bytes) -> bool:
    """Tell whether a path segment is digits, a uuid, hex of 8 or more, or a long mix of letters and digits."""
    return _ID.fullmatch(segment) is not None or _MIXED.fullmatch(segment) is not None
