"""Where the server's side of a session shows values that the client sent: headers, cookies, Location, JSON, HTML, text.

Only wanted values are looked for: a set of everything that the client sent is built first, so a response costs one walk
and one look-up per leaf, whatever its size. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from captures.leaves import JsonPath, find_json, form_leaves, html_leaves, path_leaves, text_runs
from captures.records import Exchange
from replayer.plan.records import Codec, Source
from replayer.plan.scoring import is_id_key
from replayer.plan.values import EventRef, Use

# Headers of the transport, of caches and of tracing: what they hold is never sent back.
_SILENT_NAMES = re.compile(
    rb"(?:content-|access-control-|sec-|x-frame|x-content|x-xss|x-powered|x-ratelimit|ratelimit|cf-|x-cache|x-served)"
    rb"|(?:date|server|vary|expires|last-modified|cache-control|connection|keep-alive|transfer-encoding|via|age|alt-svc"
    rb"|strict-transport-security|referrer-policy|permissions-policy|nel|report-to|upgrade|pragma|accept-ranges|allow"
    rb"|retry-after|server-timing|timing-allow-origin|x-dns-prefetch-control)$"
)
_KEY_BEFORE = re.compile(rb"""([A-Za-z_][\w.-]{0,60})["'\\]{0,2}\s{0,4}[:=]\s{0,4}["'\\]{0,2}$""")
_SEGMENT = re.compile(rb"[A-Za-z0-9_.~%-]{1,39}")
_SMALL = 1_000_000

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

    __slots__ = ("leaves", "values")

    def __init__(self, uses: Iterable[Use]) -> None:
        self.values: set[bytes] = set()
        self.leaves: set[str | int] = set()
        for use in uses:
            self.values.add(use.value)
        self.values.discard(b"")
        for value in self.values:
            if value.isdigit() and len(value) < 19 and (value == b"0" or value[:1] != b"0"):
                self.leaves.add(int(value))
            try:
                self.leaves.add(value.decode("utf-8", "surrogatepass"))
            except UnicodeDecodeError:
                continue


Seen = tuple[bytes, Sighting]


def of_headers(exchange: Exchange, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield what the headers of a response show, cookies and Location included."""
    for raw_name, value in exchange.response_headers:
        name = raw_name.lower()
        if name == b"set-cookie":
            yield from _of_cookie(value, event, at_ns, wanted)
        elif name in (b"location", b"content-location"):
            yield from _of_location(exchange, value, event, at_ns, wanted, name.decode())
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
    path, _, query = value[path_at:].partition(b"#")[0].partition(b"?") if path_at >= 0 else (b"", b"", b"")

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

    if is_redirect and value in wanted.values:
        yield value, sighting("url", -1, -1, Codec.RAW)
    before = ""
    for leaf in path_leaves(path, path_at):
        if leaf.value in wanted.values:
            yield leaf.value, sighting(before, leaf.start, leaf.end, Codec.PERCENT)
        before = leaf.value.decode("utf-8", "replace")
    for leaf in form_leaves(query, path_at + len(path) + 1):
        if leaf.value in wanted.values:
            yield leaf.value, sighting(str(leaf.path[0]), leaf.start, leaf.end, Codec.FORM)


def of_json(document: Any, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield what a parsed body or message shows."""
    for path, value, is_nested in find_json(document, wanted.leaves):
        names = [step for step in path if isinstance(step, str)]
        key = names[-1] if names else ""
        if type(value) is int and value < _SMALL and not is_id_key(key):
            continue
        has_position = any(isinstance(step, int) for step in path)
        plain = str(value).encode("utf-8", "surrogatepass")
        yield (
            plain,
            Sighting(
                event=event,
                at_ns=at_ns,
                source=Source.TEXT if is_nested else Source.JSON,
                key=key,
                parent=names[-2] if len(names) > 1 else "",
                path=path,
                codec=Codec.JSON_STRING if is_nested else Codec.RAW,
                place="json /" + "/".join(map(str, path)),
                rank=4 if is_nested else 3 if has_position else 1,
            ),
        )


def of_text(text: bytes, event: EventRef, at_ns: int, wanted: Wanted, *, is_html: bool) -> Iterator[Seen]:
    """Yield what a page or another text shows: named elements first, then pieces that look like tokens."""
    for leaf in html_leaves(text) if is_html else ():
        if leaf.value in wanted.values:
            key = str(leaf.path[0])
            yield (
                leaf.value,
                Sighting(
                    event=event,
                    at_ns=at_ns,
                    source=Source.TEXT,
                    key=key,
                    codec=Codec.HTML,
                    place=f"html {key}",
                    rank=2,
                    start=leaf.start,
                    end=leaf.end,
                ),
            )
    values = wanted.values
    for start, end in pieces(text):
        if text[start:end] in values:
            before = _KEY_BEFORE.search(text, max(0, start - 72), start)
            key = before.group(1).decode("latin-1") if before else _segment_before(text, start)
            yield (
                text[start:end],
                Sighting(
                    event=event,
                    at_ns=at_ns,
                    source=Source.TEXT,
                    key=key,
                    place=f"text {key}".rstrip(),
                    rank=4,
                    start=start,
                    end=end,
                ),
            )


def pieces(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the token-like runs of a text, and the segments of those that are paths."""
    for start, end in text_runs(text):
        yield start, end
        slash = text.find(b"/", start, end)
        while slash >= 0:
            if slash > start:
                yield start, slash
            start = slash + 1
            slash = text.find(b"/", start, end)
            if slash < 0 and start < end:
                yield start, end


def _segment_before(text: bytes, start: int) -> str:
    if text[start - 1 : start] != b"/":
        return ""
    segment = text[text.rfind(b"/", max(0, start - 40), start - 1) + 1 : start - 1]
    return segment.decode() if _SEGMENT.fullmatch(segment) else ""


def parsed(text: bytes) -> Any:
    """Return the parsed JSON, or None where it is none (a document ``null`` shows nothing either)."""
    try:
        return json.loads(text)
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
