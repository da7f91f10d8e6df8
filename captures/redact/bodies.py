"""Redacts bodies: held until they are whole, line by line where they are streams. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from captures.bodies import BodyError, decoded_body
from captures.records import Event, EventType
from captures.redact.binary import BinaryRedactor, is_packed
from captures.redact.censor import Censor
from captures.redact.held import TOTAL_LIMIT_BYTES, HeldBody, OpenExchange, Way, is_text, spread, without_open_end
from captures.redact.structure import Structure

DECODED_LIMIT_BYTES = 64 << 20


class BodyRedactor:
    """Redacts the bodies of all open exchanges."""

    def __init__(self, censor: Censor, structure: Structure, binary: BinaryRedactor) -> None:
        self._censor = censor
        self._structure = structure
        self._binary = binary
        self._held_bytes = 0

    def take(self, event: Event, exchange: OpenExchange) -> Iterator[Event]:
        """Yield what goes on of a piece of a body."""
        fields = cast("dict[str, Any]", event.fields)
        is_request = event.type is EventType.REQUEST_BODY
        body = exchange.request if is_request else exchange.response
        data: bytes = fields["data"]
        if fields.get("encoding"):
            body.encoding, body.is_decoded = fields["encoding"].encode("latin-1", "replace"), True
        body.n_bytes += len(data)
        if body.way is Way.OPAQUE:
            yield event
        elif body.way is Way.LINES:
            self._look_at(f"{exchange.place} stream", is_sent=is_request)
            if lines := body.lines(event.t_ns, data):
                yield changed(event, data=self._lines(body, lines))
        elif self._held_bytes + len(data) <= TOTAL_LIMIT_BYTES:
            body.pieces.append((event.t_ns, data))
            self._held_bytes += len(data)
        else:
            body.n_bytes -= len(data)

    def _lines(self, body: HeldBody, lines: bytes) -> bytes:
        new = self._structure.body(body.content_type, lines)
        body.is_changed |= new != lines
        return new

    def end(self, event: Event, exchange: OpenExchange) -> Iterator[Event]:
        """Yield what is left of a body, and its end."""
        fields = cast("dict[str, Any]", event.fields)
        is_request = event.type is EventType.REQUEST_END
        body = exchange.request if is_request else exchange.response
        body_type = EventType.REQUEST_BODY if is_request else EventType.RESPONSE_BODY
        kept_bytes = fields.get("kept_bytes") or body.n_bytes
        is_cut = kept_bytes < fields["size_bytes"]
        yield from self.flush(body_type, event.exchange, exchange, body, is_cut=is_cut)
        digest = fields["hash"]
        if (body.is_changed or is_cut) and digest:
            digest = self._censor.pseudonyms.keyed_hash(digest)
        is_other = body.is_changed or bool(body.encoding)
        yield changed(event, hash=digest, kept_bytes=kept_bytes if is_other else fields.get("kept_bytes") or 0)
        body.has_ended = True

    def flush(
        self, event_type: EventType, number: int, exchange: OpenExchange, body: HeldBody, *, is_cut: bool
    ) -> Iterator[Event]:
        """Yield what is held of a body."""
        if not body.pieces:
            return
        is_sent = event_type is EventType.REQUEST_BODY
        self._look_at(f"{exchange.place} {'request' if is_sent else 'response'}", is_sent=is_sent)
        pieces, body.pieces = body.pieces, []
        self._held_bytes -= sum(len(data) for _, data in pieces)
        wire = b"".join(data for _, data in pieces)
        try:
            text = _decoded(body, wire)
        except BodyError as exc:
            fields: dict[str, object] = {"name": "body_not_kept", "value": str(exc)}
            body.is_changed = True
            yield made_event(EventType.NOTE, pieces[0][0], exchange.connection, number, fields)
            return
        new = self._whole(body, text, is_cut=is_cut)
        body.is_changed |= new != text
        for t_ns, data in spread(new, pieces):
            fields = {"data": data, "encoding": body.encoding.decode("latin-1")}
            yield made_event(event_type, t_ns, exchange.connection, number, fields)

    def _whole(self, body: HeldBody, text: bytes, *, is_cut: bool) -> bytes:
        if is_packed(text) or not is_text(body.content_type, text):
            return self._binary.redacted(text, body.content_type)
        if body.way is Way.LINES:
            return self._structure.body(body.content_type, text)
        return self._structure.body(body.content_type, without_open_end(text) if is_cut else text)

    def _look_at(self, place: str, *, is_sent: bool) -> None:
        self._censor.place, self._censor.is_sent = place, is_sent


def _decoded(body: HeldBody, wire: bytes) -> bytes:
    if not body.encoding or body.is_decoded:
        return wire
    return decoded_body(((b"content-encoding", body.encoding),), wire, DECODED_LIMIT_BYTES)


def made_event(event_type: EventType, t_ns: int, connection: int, exchange: int, fields: dict[str, object]) -> Event:
    """Make an event."""
    return Event(type=event_type, seq=0, t_ns=t_ns, connection=connection, exchange=exchange, fields=fields)


def changed(event: Event, **fields: object) -> Event:
    """Make an event like another, but for these fields."""
    return made_event(event.type, event.t_ns, event.connection, event.exchange, {**event.fields, **fields})
