"""Where pages and other texts show values that the client sent: named elements, links, scripts, runs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from captures.leaves import html_leaves, text_runs, unescape
from replayer.plan.records import Codec, Source
from replayer.plan.scoring import is_id_key
from replayer.plan.sightings import Seen, Sighting, Wanted, url_parts
from replayer.plan.values import WHOLE_URL, EventRef, field_name

_KEY_BEFORE = re.compile(rb"""([A-Za-z_][\w.-]{0,60})["'\\]{0,2}\s{0,4}[:=]\s{0,4}["'\\]{0,2}$""")
# Paths in attributes and scripts of a page, and whether they are where a form goes.
_URL_IN_PAGE = re.compile(rb"""["'](/[^"'\s<>]{1,2048})(?=["'])""")
_ACTION = re.compile(rb"\baction\s*=\s*$", re.IGNORECASE)
_NUMBER_IN_PAGE = re.compile(rb"""[:=]\s?["']?(\d{1,18})(?=["'\s,;}>&])""")
_SEGMENT = re.compile(rb"[A-Za-z0-9_.~%-]{1,39}")


def of_text(text: bytes, event: EventRef, at_ns: int, wanted: Wanted, *, is_html: bool) -> Iterator[Seen]:
    """Yield what a page or another text shows: named elements first, then pieces that look like tokens."""
    for leaf in html_leaves(text) if is_html else ():
        if leaf.value in wanted.values:
            key = field_name(str(leaf.path[0]))
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
    if is_html:
        yield from _of_page(text, event, at_ns, wanted)
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


def _of_page(text: bytes, event: EventRef, at_ns: int, wanted: Wanted) -> Iterator[Seen]:
    """Yield what links, forms, attributes and scripts of a page hold, however short it is."""

    def sighting(key: str, start: int, end: int, codec: Codec = Codec.RAW, rank: int = 4) -> Sighting:
        return Sighting(
            event=event,
            at_ns=at_ns,
            source=Source.TEXT,
            key=key,
            place=f"html {key}".rstrip(),
            rank=rank,
            codec=codec,
            start=start,
            end=end,
        )

    for match in _URL_IN_PAGE.finditer(text):
        start, end = match.span(1)
        url = match[1]
        plain = unescape(url) if b"&amp;" in url or b"&#" in url else url
        if not wanted.may_be_in(plain):
            continue
        if plain in wanted.values and _ACTION.search(text, max(0, start - 24), start - 1):
            yield plain, sighting(WHOLE_URL, start, end, Codec.HTML)
        for value, key, at, to, codec in url_parts(url, 0, wanted):
            yield value, sighting(key, start + at, start + to, codec)
    for match in _NUMBER_IN_PAGE.finditer(text):
        if match[1] in wanted.values and (
            named := _KEY_BEFORE.search(text, max(0, match.start(1) - 72), match.start(1))
        ):
            key = named[1].decode("latin-1").removeprefix("data-")
            if is_id_key(key):
                yield match[1], sighting(key, *match.span(1))


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
