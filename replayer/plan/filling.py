"""Cuts the templates of one script: targets, headers, cookies, bodies, messages. Pure.

Fillers say which value goes where (``bindings``); this room turns them into spans, adds recorded origins and the jar,
and keeps for ``explain`` which step uses which slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from captures.bodies import header
from captures.envelopes import Framing, jupyter_parts, without_length
from captures.leaves import cookie_leaves
from captures.records import Exchange, Message, Opcode
from replayer.plan.bindings import Bindings, Filler, is_courtesy
from replayer.plan.evidence import Consumer
from replayer.plan.heartbeats import Heartbeat
from replayer.plan.inputs import find_inputs
from replayer.plan.origins import OriginFinder
from replayer.plan.reading import Reading
from replayer.plan.records import Codec, InitialCookie, RequestTemplate, Template
from replayer.plan.requests import kept_headers
from replayer.plan.scoring import Terms
from replayer.plan.sightings import Sighting
from replayer.plan.templates import SlotTable, Span, cut
from replayer.plan.values import MAX_WALKED_BYTES, EventRef, Part, Use, split_list

_LONG = 8
"""Values of this length and more stand nowhere by chance."""
_COUNTER_GAP = 1000
"""Numbers of ticks begin so far above the recorded ones that no step of the script has the same."""


class Filling:
    """The templates of one script.

    Attributes:
        slots: all that were needed so far.
        consumers: by slot.
    """

    def __init__(self, reading: Reading, bindings: Bindings, finder: OriginFinder, *, page_host: str) -> None:
        self._reading = reading
        self._bindings = bindings
        self._finder = finder
        self._page_host = page_host
        self._cookies: dict[bytes, bytes] = {}
        framings = {reading.track.exchanges[position].id: log.framing for position, log in reading.logs.items()}
        self.slots = SlotTable(lambda exchange: framings.get(exchange.id, Framing.PLAIN))
        self.consumers: dict[int, list[Consumer]] = {}

    # Requests.

    def request(self, event: EventRef, exchange: Exchange, step: int) -> RequestTemplate:
        """Return the template of a request."""
        fillers = self._bindings.fillers(event)
        target = exchange.target.encode("latin-1", "replace")
        return RequestTemplate(
            method=exchange.method.encode(),
            target=self._cut(target, [f for f in fillers if f.use.part is Part.TARGET], step, "url"),
            headers=tuple(self._headers(exchange, fillers, step)),
            body=self._body(exchange, [f for f in fillers if f.use.part is Part.BODY], step),
        )

    def handshake(self, event: EventRef, exchange: Exchange, step: int) -> RequestTemplate:
        """Return the template of a WebSocket handshake."""
        fillers = self._bindings.fillers(event)
        target = exchange.target.encode("latin-1", "replace")
        offered = header(exchange.request_headers, b"sec-websocket-protocol") or b""
        taken = exchange.socket.extensions if exchange.socket is not None else b""
        taken = taken or header(exchange.response_headers, b"sec-websocket-extensions") or b""
        return RequestTemplate(
            method=b"GET",
            target=self._cut(target, [f for f in fillers if f.use.part is Part.TARGET], step, "url"),
            headers=tuple(self._headers(exchange, fillers, step)),
            subprotocols=tuple(offered[start:end].decode("latin-1") for start, end in split_list(offered)),
            offers_deflate=b"permessage-deflate" in taken.lower(),
            subprotocol_templates=self._subprotocols(offered, fillers, step),
        )

    def _subprotocols(self, offered: bytes, fillers: Sequence[Filler], step: int) -> tuple[Template, ...]:
        own = [filler for filler in fillers if filler.use.place == "subprotocol"]
        if not own and b"input." not in offered:
            return ()
        spans = [Span(filler.use.start, filler.use.end, self._slot(filler, step)) for filler in own]
        inputs = find_inputs(offered, is_json=False)
        spans += [Span(found.start, found.end, self.slots.input(found.column, found.codec)) for found in inputs]
        return tuple(
            cut(offered[start:end], [_moved(span, -start) for span in spans if start <= span.start and span.end <= end])
            for start, end in split_list(offered)
        )

    def _headers(self, exchange: Exchange, fillers: Sequence[Filler], step: int) -> Iterator[tuple[bytes, Template]]:
        by_header: dict[int, list[Filler]] = {}
        for filler in fillers:
            if filler.use.part is Part.HEADER:
                by_header.setdefault(filler.use.header, []).append(filler)
        for number in kept_headers(exchange.request_headers):
            name, value = exchange.request_headers[number]
            own = by_header.get(number, [])
            if name.lower() == b"cookie":
                template = self._cookie_header(exchange, value, own, step)
            else:
                template = self._cut(value, own, step, f"header {name.lower().decode('latin-1')}")
            if template or not value:
                yield name, template

    def _cookie_header(self, exchange: Exchange, value: bytes, fillers: Iterable[Filler], step: int) -> Template:
        """Return the jar's cookies, then those that a slot fills or that belong to another host."""
        spans = {filler.use.start: self._slot(filler, step) for filler in fillers if not filler.use.is_piece}
        extra: list[bytes | int] = []
        is_in_jar = False
        for leaf in cookie_leaves(value):
            name = str(leaf.path[0])
            if leaf.start in spans:
                extra += [b"; " + name.encode("latin-1") + b"=", spans[leaf.start]]
            elif self._reading.cookies.is_from_jar(name) or self._is_brought_along(exchange, name, leaf.value):
                is_in_jar = True
                if self._reading.cookies.is_brought(name, exchange.start_ns):
                    self._is_brought_along(exchange, name, leaf.value)
            else:
                extra.append(b"; " + name.encode("latin-1") + b"=" + leaf.value)
        if is_in_jar:
            jar = self.slots.cookie_header()
            self.consumers.setdefault(jar, []).append(Consumer(step=step, place="header cookie"))
            return (jar, *_joined(extra))
        joined = _joined(extra)
        return (joined[0][2:], *joined[1:]) if joined and isinstance(joined[0], bytes) else joined

    def _is_brought_along(self, exchange: Exchange, name: str, value: bytes) -> bool:
        """Put a cookie of the page's host that the browser had from before into the jar's beginning."""
        if exchange.origin.host != self._page_host:
            return False
        self._cookies.setdefault(name.encode("latin-1"), value)
        return True

    def initial_cookies(self) -> tuple[InitialCookie, ...]:
        """Return the cookies that the jar begins with."""
        return tuple(InitialCookie(name=name, value=(value,)) for name, value in self._cookies.items())

    def _body(self, exchange: Exchange, fillers: Sequence[Filler], step: int) -> Template:
        body = exchange.request_body.data
        if not body:
            return ()
        if len(body) > MAX_WALKED_BYTES or header(exchange.request_headers, b"content-encoding"):
            return (body,)
        return self._cut(body, fillers, step, "body")

    # Messages.

    def message(
        self, event: EventRef, message: Message, step: int, framing: Framing
    ) -> tuple[Template, tuple[int, ...]]:
        """Return the template of a sent message, and how many segments of it each of its parts has (``Step.parts``)."""
        data = message.data
        if len(data) > MAX_WALKED_BYTES:
            return (data,), ()
        if framing is Framing.JUPYTER and message.opcode is Opcode.BINARY:
            return self._kernel_message(event, data, step)
        if framing in (Framing.PLAIN, Framing.MSGPACK) and message.opcode is Opcode.BINARY and data[:1] not in b"{[":
            fillers = self._bindings.fillers(event)
            return cut(data, [Span(f.use.start, f.use.end, self._slot(f, step)) for f in _outermost(fillers)]), ()
        template = self._cut(data, self._bindings.fillers(event), step, "message")
        if framing is Framing.STOMP and len(template) > 1 and isinstance(template[0], bytes):
            template = _without_length(template)
        return template, ()

    def _kernel_message(self, event: EventRef, data: bytes, step: int) -> tuple[Template, tuple[int, ...]]:
        """Subtle: the offsets in front of the parts are left out, the virtual user makes them again."""
        try:
            places = jupyter_parts(data)
        except ValueError:
            return (data,), ()
        fillers = self._bindings.fillers(event)
        spans = [Span(f.use.start, f.use.end, self._slot(f, step)) for f in _outermost(fillers)]
        parts = [
            cut(data[start:end], [_moved(span, -start) for span in spans if start <= span.start and span.end <= end])
            for start, end in places
        ]
        return tuple(piece for part in parts for piece in part), tuple(len(part) for part in parts)

    def ticker(self, heartbeat: Heartbeat, data: bytes) -> Template:
        """Return the template of a heartbeat, cut from its first tick."""
        spans = []
        for filler in _outermost(self._bindings.fillers(heartbeat.events[0])):
            slot = self.slots.generated(filler.use.value, filler.generator, filler.use.coding)
            spans.append(Span(filler.use.start, filler.use.end, slot))
        for use, largest in heartbeat.counters:
            slot = self.slots.generated(use.value, f"counter:{largest + _COUNTER_GAP}", use.coding)
            spans.append(Span(use.start, use.end, slot))
        return cut(data, spans)

    def responder(
        self,
        at: EventRef,
        data: bytes,
        uses: Sequence[Use],
        echoes: Sequence[tuple[Use, Sighting]],
        exchange: Exchange,
    ) -> Template:
        """Return the template of a message that repeats what was just received.

        Args:
            at: stands for the responder among the events.
            uses: of the example ``data``.
            echoes: the uses among them that repeat a value, and where the answered message holds it.
            exchange: the handshake.
        """
        spans: list[Span] = []
        taken: set[int] = set()
        for use, sighting in echoes:
            slot = self.slots.extracted(sighting, use.value, exchange, at=at)
            spans.append(Span(use.start, use.end, self.slots.coded(slot, use.coding)))
            taken.add(use.start)
        for use in uses:
            generator = self._bindings.generator(use.value) if use.start not in taken else ""
            if generator:
                spans.append(Span(use.start, use.end, self.slots.generated(use.value, generator, use.coding)))
        return cut(data, spans)

    # Spans.

    def _cut(self, raw: bytes, fillers: Iterable[Filler], step: int, place: str) -> Template:
        chosen = list(_outermost(fillers))
        spans = [Span(f.use.start, f.use.end, self._slot(f, step)) for f in chosen]
        if place in ("body", "message"):
            spans += self._repeated(raw, chosen, spans)
        for found in find_inputs(raw, is_json=place in ("body", "message") and raw.lstrip()[:1] in (b"{", b"[")):
            slot = self.slots.input(found.column, found.codec)
            self._consume(slot, step, place, [])
            spans.append(Span(found.start, found.end, slot))
        for text in self._finder.find(raw):
            recorded = raw[text.start : text.end]
            slot = self.slots.origin(text.origin, text.form, recorded, is_escaped=text.is_escaped)
            self._consume(slot, step, place, [])
            spans.append(Span(text.start, text.end, slot))
        origin = self._finder.authority(raw)
        if origin >= 0:
            spans.append(Span(0, len(raw), self.slots.origin(origin, "authority", raw, is_escaped=False)))
        return cut(raw, spans)

    def _repeated(self, raw: bytes, fillers: Sequence[Filler], spans: Sequence[Span]) -> list[Span]:
        """Return further places of long values that a document holds anyway: in a key, inside a longer text."""
        slots = {filler.use.value: span.slot for filler, span in zip(fillers, spans, strict=True)}
        found = []
        for value, slot in slots.items():
            if len(value) < _LONG or raw.count(value) < 2:
                continue
            pattern = re.compile(rb"(?<![A-Za-z0-9])%s(?![A-Za-z0-9])" % re.escape(value))
            places = (match.span() for match in pattern.finditer(raw))
            found += [Span(a, b, slot) for a, b in places if not any(s.start < b and a < s.end for s in spans)]
        return found

    def _slot(self, filler: Filler, step: int) -> int:
        use, match = filler.use, filler.match
        if match is None and filler.generator.startswith("input:"):
            slot = self.slots.input(filler.generator.partition(":")[2], Codec(use.coding.value))
            self._consume(slot, step, use.place, [])
            return slot
        if match is None:
            slot = self.slots.generated(use.value, filler.generator, use.coding)
            self._consume(slot, step, use.place, [])
            return slot
        exchange = self._reading.track.exchanges[match.sighting.event[0]]
        is_optional = is_courtesy(use) and match.sighting.event not in self._bindings.producers(use.event)
        plain = self.slots.extracted(match.sighting, use.value, exchange, is_optional=is_optional)
        slot = self.slots.coded(plain, use.coding)
        self._consume(slot, step, use.place, match.terms)
        return slot

    def _consume(self, slot: int, step: int, place: str, terms: Terms) -> None:
        consumers = self.consumers.setdefault(self.slots.base(slot), [])
        consumers.append(Consumer(step=step, place=place, terms=terms))


def _outermost(fillers: Iterable[Filler]) -> Iterator[Filler]:
    """Yield the fillers in order of their place, without those inside of others."""
    end = -1
    for filler in sorted(fillers, key=lambda filler: (filler.use.start, -filler.use.end, filler.use.is_piece)):
        if filler.use.start >= end:
            yield filler
            end = filler.use.end


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by, span.slot)


def _without_length(template: Template) -> Template:
    """Return the template of a STOMP frame without its content-length, which stands before the first slot's body."""
    marks = [b"\x1a%d\x1a" % part if isinstance(part, int) else part for part in template]
    pieces = _MARK.split(without_length(b"".join(marks)))
    return tuple(int(piece) if number % 2 else piece for number, piece in enumerate(pieces) if number % 2 or piece)


_MARK = re.compile(rb"\x1a(\d+)\x1a")


def _joined(parts: Iterable[bytes | int]) -> Template:
    joined: list[bytes | int] = []
    for part in parts:
        if joined and isinstance(part, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)
