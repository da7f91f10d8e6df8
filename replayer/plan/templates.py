"""Templates of one script: spans of recorded bytes replaced by slots, extractors that fill them. Pure.

Knows which value goes where, not why: verdicts come from ``correlate``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from captures.envelopes import Framing, open_body, open_document
from captures.leaves import Coding, JsonPath, as_bytes
from captures.records import Exchange
from captures.redact.inputs import placeholder
from replayer.plan.records import Anchor, Codec, Extractor, Slot, SlotKind, Source, Template
from replayer.plan.requests import decoded_response
from replayer.plan.scoring import PLAIN_CLASSES, singular, value_class
from replayer.plan.sightings import STABLE, Sighting
from replayer.plan.values import EventRef, is_id_like

_NOT_NAME = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LEFT_BYTES = 160
# Codings that look different for every value, however plain it is.
_REWRITTEN = frozenset(
    {Coding.BASE64, Coding.BASE64URL, Coding.MSGPACK_STRING, Coding.MSGPACK_INT, Coding.MSGPACK_BIN, Coding.S256}
)
_DELIMITERS = b"<{[,;&?\n"
_RUN = re.compile(rb"[A-Za-z0-9_\-+/]{12,}")


class Span(NamedTuple):
    """A place to fill: bytes ``start`` to ``end`` become the slot."""

    start: int
    end: int
    slot: int


def cut(raw: bytes, spans: Iterable[Span]) -> Template:
    """Return ``raw`` with the spans replaced; of spans that overlap, the one that begins first and is longest stays."""
    parts: list[bytes | int] = []
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start < at:
            continue
        if span.start > at:
            parts.append(raw[at : span.start])
        parts.append(span.slot)
        at = span.end
    if at < len(raw):
        parts.append(raw[at:])
    return tuple(parts)


class SlotTable:
    """The slots of one script, numbered in order of need, with the extractors that fill them.

    Attributes:
        extractors: by event.

    Args:
        framing: returns what the messages of a socket are wrapped in, by its handshake.
    """

    def __init__(self, framing: Callable[[Exchange], Framing] = lambda _: Framing.PLAIN) -> None:
        self._framing = framing
        self._opened: tuple[EventRef, Any] = ((-1, -1), None)
        self._numbers: dict[tuple[object, ...], int] = {}
        self._slots: list[Slot] = []
        self._names: dict[str, int] = {}
        self.extractors: dict[EventRef, list[Extractor]] = {}
        self.producers: dict[int, Sighting] = {}

    def records(self) -> tuple[Slot, ...]:
        """Return the slots as the script holds them."""
        return tuple(self._slots)

    def slot(self, number: int) -> Slot:
        """Return one slot."""
        return self._slots[number]

    def cookie_header(self) -> int:
        """Return the slot of the jar."""
        return self._number((SlotKind.COOKIE_HEADER,), "cookies", SlotKind.COOKIE_HEADER)

    def origin(self, number: int, form: str, recorded: bytes, *, is_escaped: bool) -> int:
        """Return the slot of a recorded origin in one form."""
        plain = self._number(
            (SlotKind.ORIGIN, number, form), f"{form}_{number}", SlotKind.ORIGIN, f"{number}:{form}", recorded
        )
        return self._derived(plain, Codec.PERCENT) if is_escaped else plain

    def generated(self, value: bytes, generator: str, coding: Coding) -> int:
        """Return the slot of a value that the client made up; one per recorded value."""
        name = generator.partition(":")[0]
        plain = self._number((SlotKind.GENERATED, generator, value), name, SlotKind.GENERATED, generator, value)
        return self.coded(plain, coding)

    def input(self, column: str, codec: Codec) -> int:
        """Return the slot of a column of the identities, as it is written in ``codec``."""
        plain = self._number((SlotKind.INPUT, column), column, SlotKind.INPUT, column, placeholder(column))
        return plain if codec is Codec.RAW else self._derived(plain, codec)

    def extracted(
        self,
        sighting: Sighting,
        value: bytes,
        exchange: Exchange,
        *,
        at: EventRef | None = None,
        is_optional: bool = False,
    ) -> int:
        """Return the slot of a value that the server showed, and have it extracted there.

        Args:
            exchange: that showed it; for a message the handshake of its socket.
            at: what extracts it, where that is not the sighting's own event.
            is_optional: the slot begins with the recorded value.
        """
        event = at or sighting.event
        anchor = (sighting.source, sighting.name, sighting.path, sighting.start, sighting.codec)
        key = (event, *anchor, value, is_optional)
        number = self._numbers.get(key)
        if number is None:
            number = self._number(key, _name_of(sighting, exchange), SlotKind.EXTRACTED, "", value)
            if is_optional:
                self._slots[number] = replace(self._slots[number], is_optional=True)
            self.producers[number] = sighting
            extractor = extractor_for(number, sighting, value, exchange, lambda: self._open(event, exchange))
            self.extractors.setdefault(event, []).append(extractor)
        return number

    def _open(self, event: EventRef, exchange: Exchange) -> Any:
        """Return the document of an event; the last one is kept, because its values come one after the other."""
        if self._opened[0] != event:
            self._opened = (event, _document_of(exchange, event, self._framing(exchange)))
        return self._opened[1]

    def coded(self, number: int, coding: Coding) -> int:
        """Return the slot that holds a slot's value as it is written in ``coding``."""
        slot = self._slots[number]
        if coding is Coding.RAW or slot.kind is SlotKind.ORIGIN:
            return number
        if coding not in _REWRITTEN and value_class(slot.recorded) in PLAIN_CLASSES:
            return number
        return self._derived(number, Codec(coding.value))

    def base(self, number: int) -> int:
        """Return the slot that a derived one is written from, itself for others."""
        slot = self._slots[number]
        return int(slot.detail.partition(":")[0]) if slot.kind is SlotKind.DERIVED else number

    def _derived(self, number: int, codec: Codec) -> int:
        name = f"{self._slots[number].name}_{codec.value}"
        recorded = self._slots[number].recorded
        return self._number(
            (SlotKind.DERIVED, number, codec), name, SlotKind.DERIVED, f"{number}:{codec.value}", recorded
        )

    def _number(
        self, key: tuple[object, ...], name: str, kind: SlotKind, detail: str = "", recorded: bytes = b""
    ) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._slots)
            self._slots.append(Slot(name=self._unique(name), kind=kind, detail=detail, recorded=recorded))
        return number

    def _unique(self, name: str) -> str:
        plain = _NOT_NAME.sub("_", _HUMP.sub("_", name).lower()).strip("_")[:40] or "value"
        n = self._names[plain] = self._names.get(plain, 0) + 1
        return plain if n == 1 else self._unique(f"{plain}_{n}")


def _name_of(sighting: Sighting, exchange: Exchange) -> str:
    """Return a name for people; a bare ``id`` gets that of what was asked for."""
    key = sighting.key or "value"
    if key != "id" or sighting.event[1] >= 0 or exchange.socket is not None:
        return key
    words = [word for word in exchange.path.split("/") if word and not is_id_like(word.encode("latin-1", "replace"))]
    return f"{singular(words[-1])}_id" if words else key


# Extractors.


def extractor_for(
    slot: int, sighting: Sighting, value: bytes, exchange: Exchange, document: Callable[[], Any]
) -> Extractor:
    """Return what reads a value where it was sighted.

    Args:
        document: opens the answer or message that showed it, None where it holds no document.
    """
    if sighting.source is Source.JSON:
        where = anchors_of(document(), sighting.path) if sighting.rank > STABLE else ()
        left = right = b""
        if sighting.start >= 0:
            left, right = _url_anchors(_at(document(), sighting.path), sighting.start, sighting.end)
        codec = sighting.codec
        return Extractor(
            slot=slot, source=Source.JSON, path=sighting.path, where=where, left=left, right=right, codec=codec
        )
    if sighting.source is Source.TEXT:
        return _text_extractor(slot, sighting, value, exchange)
    left = right = b""
    if sighting.start >= 0:
        whole = _header_value(exchange, sighting, value)
        left, right = _url_anchors(whole, sighting.start, sighting.end)
    return Extractor(
        slot=slot, source=sighting.source, name=sighting.name, left=left, right=right, codec=sighting.codec
    )


# Keys by which people and programs know an element, in order of preference; ids of any kind are no anchors.
_ANCHOR_KEYS = ("slug", "code", "symbol", "name", "key", "type", "kind", "rel", "label", "title", "role", "category")
_MAX_ANCHOR_CHARS = 64


def anchors_of(document: Any, path: JsonPath) -> tuple[Anchor, ...]:
    """Return how the elements on a path are known besides by their positions, as far as they are."""
    anchors = []
    for at, step in enumerate(path):
        if isinstance(document, str) or document is None:
            break
        if isinstance(step, int) and isinstance(document, list):
            anchor = _anchor(document, step, at)
            anchors += [anchor] if anchor is not None else []
        document = document[step]
    return tuple(anchors)


def _anchor(elements: list[Any], position: int, at: int) -> Anchor | None:
    element = elements[position]
    for key in _ANCHOR_KEYS if isinstance(element, dict) else ():
        value = element.get(key)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_ANCHOR_CHARS or is_id_like(value.encode()):
            continue
        if sum(isinstance(other, dict) and other.get(key) == value for other in elements) == 1:
            return Anchor(at=at, key=key, value=value)
    return None


def _document_of(exchange: Exchange, event: EventRef, framing: Framing) -> Any:
    try:
        if event[1] >= 0 and exchange.socket is not None:
            return open_document(framing, exchange.socket.messages[event[1]].data)
        return open_body(decoded_response(exchange))
    except ValueError:
        return None


def _at(document: Any, path: JsonPath) -> bytes:
    for step in path:
        document = document[step]
    return as_bytes(str(document))


def _header_value(exchange: Exchange, sighting: Sighting, value: bytes) -> bytes:
    name = sighting.name.encode("latin-1")
    values = [text for key, text in exchange.response_headers if key.lower() == name]
    return next((text for text in values if len(text) >= sighting.end), value)


def _url_anchors(whole: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """Return the delimiters of a piece of a URL: back to the segment or name before it, on to the next delimiter."""
    at = max(whole.rfind(delimiter, 0, max(start - 1, 0)) for delimiter in (b"/", b"?", b"&"))
    left = whole[max(at, 0) : start]
    if whole.find(left) + len(left) != start:
        left = whole[:start]
    return left, whole[end : end + 1]


def _text_extractor(slot: int, sighting: Sighting, value: bytes, exchange: Exchange) -> Extractor:
    text, start, end = _text_of(exchange, sighting)
    if start < 0:
        written = value
        start = text.find(written)
        end = start + len(written)
    left = _left_anchor(text, start, sighting.key.encode("utf-8", "replace"))
    right = text[end : end + 1]
    return Extractor(slot=slot, source=Source.TEXT, left=left, right=right, codec=sighting.codec)


def _text_of(exchange: Exchange, sighting: Sighting) -> tuple[bytes, int, int]:
    if sighting.event[1] >= 0 and exchange.socket is not None:
        return exchange.socket.messages[sighting.event[1]].data, sighting.start, sighting.end
    return decoded_response(exchange), sighting.start, sighting.end


def _left_anchor(text: bytes, start: int, key: bytes) -> bytes:
    """Return a text right before a value that stands nowhere earlier: from the value's name on, or from a delimiter.

    Subtle: what looks minted itself is kept out of the anchor, it would be different for every user.
    """
    first = max(0, start - _LEFT_BYTES)
    named = text.rfind(key, first, start) if key else -1
    places = [named - 1 if text[named - 1 : named] in (b'"', b"'", b" ") else named] if named > 0 else []
    places += [start - n for n in range(4, start - first) if text[start - n] in _DELIMITERS]
    for place in places:
        left = text[place:start]
        if text.find(left) == place and _static_tail(left) == left:
            return left
    return _static_tail(text[first:start])


def _static_tail(left: bytes) -> bytes:
    ends = [run.end() for run in _RUN.finditer(left) if any(0x30 <= byte <= 0x39 for byte in run.group())]
    return left[ends[-1] :] if ends else left
