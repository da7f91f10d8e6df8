"""Where the server's side of a session shows values that the client sent: headers, cookies, Location, JSON, HTML, text.

Only wanted values are looked for: a set of everything that the client sent is built first, so a response costs one walk
and one look-up per leaf, whatever its size. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from captures.envelopes import open_body
from captures.leaves import (
    Found,
    JsonPath,
    as_bytes,
    as_text,
    find_json,
    form_leaves,
    path_leaves,
    target_of,
)
from captures.records import Exchange
from replayer.plan.records import LAST_EVENT_ID, Codec, Source
from replayer.plan.scoring import is_id_key, is_version_key
from replayer.plan.values import WHOLE_URL, EventRef, Use

# Headers of the transport, of caches and of tracing: what they hold is never sent back.
_SILENT_NAMES = re.compile(
    rb"(?:content-|access-control-|sec-|x-frame|x-content|x-xss|x-powered|x-ratelimit|ratelimit|cf-|x-cache|x-served)"
    rb"|(?:date|server|vary|expires|last-modified|cache-control|connection|keep-alive|transfer-encoding|via|age|alt-svc"
    rb"|strict-transport-security|referrer-policy|permissions-policy|nel|report-to|upgrade|pragma|accept-ranges|allow"
    rb"|retry-after|server-timing|timing-allow-origin|x-dns-prefetch-control)$"
)
_SMALL = 1_000_000
_LINK = re.compile(rb"<([^>]{1,4096})>")
# Names of resources and fields, as all addresses of an application have them.
_NAME = re.compile(rb"[A-Za-z]{1,15}|[a-z]{1,15}[_-][a-z]{1,15}|v\d")
_URL_MARKS = bytes.maketrans(b"?&=", b"///")
_MAX_REJECTED = 100_000
# Objects that only hold what an answer is about.
_WRAPPERS = frozenset({"attributes", "body", "content", "data", "payload", "response", "result"})
# Lists that are the arguments of an event or call: Socket.IO's, SignalR's, JSON-RPC's. Their positions have a meaning.
_ARGUMENTS = frozenset({("data",), ("arguments",), ("params",)})

STABLE = 2
"""Ranks up to this one are anchored by names; what is above depends on positions or on the text around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One place where the server showed a value.

    Attributes:
        event: the response or message.
        at_ns: when the client had it.
        source, name, path, codec: as of the extractor that would read it there.
        key: name for comparing with the use's.
        place: for people.
        rank: 0 header or cookie, 1 JSON by keys, 2 named HTML element or part of a Location, 3 JSON by position,
            4 text.
        start, end: span in the header's value or the decoded body, where only a part of it is meant; else -1.
        is_redirect: it stands in a Location.
        parent: of JSON: key of the object or list that holds it.
    """

    event: EventRef
    at_ns: int
    source: Source
    key: str
    place: str
    rank: int
    name: str = ""
    path: JsonPath = ()
    codec: Codec = Codec.RAW
    start: int = -1
    end: int = -1
    is_redirect: bool = False
    parent: str = ""


class Wanted:
    """All values that a session's client sent.

    Attributes:
        values: as plain bytes.
        leaves: as JSON holds them, strings and integers.
    """

    __slots__ = ("_parts", "_rejected", "leaves", "values")

    def __init__(self, uses: Iterable[Use]) -> None:
        self.values: set[bytes] = set()
        self.leaves: set[str | int] = set()
        for use in uses:
            self.values.add(use.value)
        self.values.discard(b"")
        for value in self.values:
            if value.isdigit() and len(value) < 19 and (value == b"0" or value[:1] != b"0"):
                self.leaves.add(int(value))
            self.leaves.add(as_text(value))
        self._parts = {value for value in self.values if not _NAME.fullmatch(value)}
        self._rejected: set[bytes] = set()

    def may_be_in(self, url: bytes) -> bool:
        """Tell whether a URL may hold a wanted value, quickly where it does not: lists are full of addresses."""
        if url in self._rejected:
            return False
        if b"%" in url or b"+" in url or target_of(url) in self.values:
            return True
        if not self._parts.isdisjoint(url.partition(b"#")[0].translate(_URL_MARKS).split(b"/")):
            return True
        if len(self._rejected) < _MAX_REJECTED:
            self._rejected.add(url)
        return False


Seen = tuple[bytes, Sighting]


def of_headers(exchange: Exchange, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield what the headers of a response show, cookies and Location included."""
    for raw_name, value in exchange.response_headers:
        name = raw_name.lower()
        if name == b"set-cookie":
            yield from _of_cookie(value, event, at_ns, wanted)
        elif name in (b"location", b"content-location"):
            yield from _of_location(exchange, value, event, at_ns, wanted, name.decode())
        elif name == b"link":
            yield from _of_links(value, event, at_ns, wanted)
        elif value in wanted.values and not _SILENT_NAMES.match(name):
            text = name.decode("latin-1")
            yield (
                value,
                Sighting(
                    event=event,
                    at_ns=at_ns,
                    source=Source.HEADER,
                    name=text,
                    key=text,
                    place=f"header {text}",
                    rank=0,
                ),
            )


def _of_links(value: bytes, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield parts of the addresses in a Link header (RFC 8288 §3): where the next page is."""
    for match in _LINK.finditer(value):
        url = match[1]
        for plain, key, start, end, codec in url_parts(url, url.find(target_of(url)), wanted):
            yield (
                plain,
                Sighting(
                    event=event,
                    at_ns=at_ns,
                    source=Source.HEADER,
                    name="link",
                    key=key,
                    place="header link",
                    rank=2,
                    codec=codec,
                    start=match.start(1) + start,
                    end=match.start(1) + end,
                ),
            )


def _of_cookie(value: bytes, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    raw_name, _, rest = value.partition(b"=")
    raw = rest.partition(b";")[0].strip()
    name = raw_name.strip().decode("latin-1")
    for plain, codec in {unquote_to_bytes(raw): Codec.PERCENT, raw: Codec.RAW}.items():
        if plain in wanted.values:
            yield (
                plain,
                Sighting(
                    event=event,
                    at_ns=at_ns,
                    source=Source.COOKIE,
                    name=name,
                    key=name,
                    codec=codec,
                    place=f"cookie {name}",
                    rank=0,
                ),
            )


def _of_location(
    exchange: Exchange, value: bytes, event: EventRef, at_ns: int, wanted: Wanted, name: str
) -> Iterator[Seen]:
    is_redirect = name == "location" and 300 <= (exchange.status or 0) < 400
    path_at = value.find(b"/", value.find(b"//") + 2) if b"//" in value else 0

    def sighting(key: str, start: int, end: int, codec: Codec) -> Sighting:
        return Sighting(
            event=event,
            at_ns=at_ns,
            source=Source.HEADER,
            name=name,
            key=key,
            place=f"header {name}",
            rank=0 if start < 0 else 2,
            codec=codec,
            start=start,
            end=end,
            is_redirect=is_redirect,
        )

    target = target_of(value)
    if is_redirect and target in wanted.values:
        yield target, sighting(WHOLE_URL, -1, -1, Codec.RAW if target == value else Codec.URL_TARGET)
    if path_at >= 0:
        for plain, key, start, end, codec in url_parts(value, path_at, wanted):
            yield plain, sighting(key, start, end, codec)


def of_event_id(event: EventRef, at_ns: int) -> Sighting:
    """Return the sighting of the last id that a stream's events had: it is what a page goes on from."""
    return Sighting(
        event=event,
        at_ns=at_ns,
        source=Source.HEADER,
        name=LAST_EVENT_ID,
        key=LAST_EVENT_ID,
        place="id of the last event",
        rank=0,
    )


def of_json(document: Any, event: EventRef, at_ns: int, wanted: Wanted, thing: str = "") -> Iterator[Seen]:
    """Yield what a parsed body or message shows.

    Args:
        thing: what was asked for; it stands for the name of the object at the top.
    """
    urls: list[Found] = []
    for path, value, is_nested in find_json(document, wanted.leaves, urls):
        names = [step for step in path if isinstance(step, str)]
        key = names[-1] if names else ""
        if type(value) is int and value < _SMALL and not _may_be_id(path, key):
            continue
        yield (
            as_bytes(str(value)),
            Sighting(
                event=event,
                at_ns=at_ns,
                source=Source.TEXT if is_nested else Source.JSON,
                key=key,
                parent=_parent(names, thing),
                path=path,
                codec=Codec.JSON_STRING if is_nested else Codec.RAW,
                place="json /" + "/".join(map(str, path)),
                rank=4 if is_nested else 3 if _has_position(path) else 1,
            ),
        )
    for path, value, _ in urls:
        url = as_bytes(str(value))
        if wanted.may_be_in(url):
            yield from _of_url_in_json(path, url, event, at_ns, wanted)


def _may_be_id(path: JsonPath, key: str) -> bool:
    """Tell whether a small number stands where ids do: under a name of one, or as all that a call returned."""
    return is_id_key(key) or is_version_key(key) or is_returned(path)


def is_returned(path: JsonPath) -> bool:
    """Tell whether a value is all that a call returned: JSON-RPC's and SignalR's ``result``, of an acknowledgement."""
    return path == ("result",) or is_argument(path)


def _parent(names: Sequence[str], thing: str) -> str:
    """Return the name of the object that holds a key; wrappers that every answer has say nothing of it."""
    inner = [name for name in names[:-1] if name.lower() not in _WRAPPERS]
    return inner[-1] if inner else thing


def is_argument(path: JsonPath) -> bool:
    """Tell whether a path ends at an argument of an event or call that has no name."""
    return len(path) > 1 and isinstance(path[-1], int) and path[-2:-1] in _ARGUMENTS


def _has_position(path: JsonPath) -> bool:
    """Tell whether a path leads through a list of things, and not only through the arguments of an event."""
    return any(isinstance(step, int) and path[at - 1 : at] not in _ARGUMENTS for at, step in enumerate(path))


def _of_url_in_json(path: JsonPath, url: bytes, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield the parts of an address that the client used: all of its target, or segments and fields of it."""

    def sighting(key: str, rank: int, codec: Codec, start: int = -1, end: int = -1) -> Sighting:
        place = "json /" + "/".join(map(str, path))
        return Sighting(
            event=event,
            at_ns=at_ns,
            source=Source.JSON,
            key=key,
            path=path,
            codec=codec,
            place=place,
            rank=3 if _has_position(path) else rank,
            start=start,
            end=end,
        )

    target = target_of(url)
    if target in wanted.values:
        yield target, sighting(WHOLE_URL, 1, Codec.URL_TARGET)
    for value, key, start, end, codec in url_parts(url, url.find(target), wanted):
        yield value, sighting(key, 2, codec, start, end)


def url_parts(url: bytes, at: int, wanted: Wanted) -> Iterator[tuple[bytes, str, int, int, Codec]]:
    """Yield (value, name, start, end, coding) of the wanted segments and fields of the URL whose path begins there."""
    path, _, query = url[at:].partition(b"#")[0].partition(b"?")
    before = ""
    for leaf in path_leaves(path, at):
        if leaf.value in wanted.values:
            yield leaf.value, before, leaf.start, leaf.end, Codec.PERCENT
        before = leaf.value.decode("utf-8", "replace")
    for leaf in form_leaves(query, at + len(path) + 1):
        if leaf.value in wanted.values:
            yield leaf.value, str(leaf.path[0]), leaf.start, leaf.end, Codec.FORM


def parsed(text: bytes) -> Any:
    """Return the parsed JSON, or None where it is none (a document ``null`` shows nothing either)."""
    try:
        return open_body(text)
    except (ValueError, RecursionError):
        return None


@lru_cache(maxsize=4096)
def media_kind(content_type: bytes) -> str:
    """Return ``json``, ``html``, ``text``, ``stream`` or ``other``."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"text/event-stream":
        return "stream"
    if kind.endswith(b"json"):
        return "json"
    if kind in (b"text/html", b"application/xhtml+xml"):
        return "html"
    if kind.startswith(b"text/") or kind.endswith((b"xml", b"javascript", b"ecmascript")):
        return "text"
    return "other"
