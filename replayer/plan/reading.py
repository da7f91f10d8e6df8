"""One pass over each session in the order in which its client knew things: matches, shapes, message kinds. Pure.

Every response and message is decoded and parsed once, for all who want to know something of it, and dropped again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from captures.bodies import header
from captures.envelopes import Framing, is_polling
from captures.records import Exchange, Opcode, Peer, Socket
from replayer.plan.cookies import CookieLog
from replayer.plan.counting import Counted, counted_places
from replayer.plan.expectations import DocumentShape, shape_of_document
from replayer.plan.index import Index, Match, Mints
from replayer.plan.messages import FamilyKey, Kinds
from replayer.plan.pages import of_text, pieces
from replayer.plan.pairing import Entry, Hit, SocketLog
from replayer.plan.pkce import link_challenges
from replayer.plan.records import RouteKind, Source
from replayer.plan.requests import decoded_response
from replayer.plan.routes import Shape, shape_for_routes
from replayer.plan.scoring import thing_of
from replayer.plan.selection import Track
from replayer.plan.sightings import Wanted, media_kind, of_event_id, of_headers, of_json, parsed
from replayer.plan.streams import Shown, events_of, is_stream
from replayer.plan.values import EventRef, Use, uses_of_message, uses_of_request
from replayer.plan.writes import Writes


@dataclass(slots=True)
class Answer:
    """What the plan keeps of a response.

    Attributes:
        n_bytes: decoded size, -1 where the body was cut or could not be decoded.
        document: what it shows, None where it is no JSON.
        shape: for comparing routes.
    """

    n_bytes: int = -1
    document: DocumentShape | None = None
    shape: Shape = ()


@dataclass(slots=True, kw_only=True)
class Reading:
    """What one session showed.

    Attributes:
        uses: by event.
        matches: uses whose value the server had shown, in order of their sending.
        unmatched: the other uses, in order.
        answers: by position of the exchange.
        logs: of the sockets, by position of the handshake.
        cookies: what responses set.
        constants: values that stand in scripts of the page.
        streams: the events of event streams, by position of the exchange.
    """

    track: Track
    cookies: CookieLog
    uses: dict[EventRef, list[Use]] = field(default_factory=dict)
    matches: list[Match] = field(default_factory=list)
    unmatched: list[Use] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    logs: dict[int, SocketLog] = field(default_factory=dict)
    constants: set[bytes] = field(default_factory=set)
    streams: dict[int, list[Shown]] = field(default_factory=dict)


_SHOWN, _SENT = 0, 1
_STREAMED = -2
"""Positions of a stream's events count down from here."""


def read_session(track: Track, kinds: Kinds, families: dict[int, FamilyKey]) -> Reading:
    """Read one session.

    Args:
        kinds: has learned where messages name their kind; learns what the kinds look like.
        families: the socket routes, by position of the handshake.
    """
    reading = Reading(track=track, answers=[Answer() for _ in track.exchanges], cookies=CookieLog(track))
    for position, exchange in enumerate(track.exchanges):
        _take_uses(reading, position, exchange, reading.cookies.names)
        if exchange.socket is not None:
            _take_messages(reading, position, exchange.socket, kinds.framing(families[position]))
    link_challenges(reading.uses[event] for event in sorted(reading.uses))
    counted = counted_places(_in_order(reading.uses), {event: _where(track, event) for event in reading.uses})
    wanted = Wanted(use for uses in reading.uses.values() for use in uses)
    index, writes = Index(), Writes(track)
    for position, exchange in enumerate(track.exchanges):
        if is_stream(exchange):
            reading.streams[position] = list(events_of(exchange))
    for t_ns, what, position, message in sorted(_events(track, reading.streams)):
        event = (position, message)
        if what == _SENT:
            _match(reading, index, event, counted)
            if message >= 0:
                _take_sent(reading, event, kinds, families[position])
        elif message <= _STREAMED:
            _read_event(reading, index, wanted, position, _STREAMED - message)
        elif message < 0:
            _read_answer(reading, index, wanted, position, t_ns, writes.minted_by(position))
        else:
            _read_message(reading, index, wanted, event, kinds, families[position])
    return reading


def _take_uses(reading: Reading, position: int, exchange: Exchange, jar: Collection[str]) -> None:
    uses = uses_of_request(exchange, (position, -1))
    reading.uses[position, -1] = [use for use in uses if not (use.place.startswith("cookie ") and use.key in jar)]


def _take_messages(reading: Reading, position: int, socket: Socket, framing: Framing) -> None:
    log = reading.logs[position] = SocketLog(messages=socket.messages, framing=framing)
    for number, message in enumerate(socket.messages):
        if message.sender is Peer.CLIENT:
            uses = uses_of_message(message.data, (position, number), framing, is_text=message.opcode is Opcode.TEXT)
            reading.uses[position, number] = log.uses[number] = uses


def _events(track: Track, streams: Mapping[int, Sequence[Shown]]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (time, shown or sent, exchange, message): at one instant, what was shown comes before what was sent."""
    for position, exchange in enumerate(track.exchanges):
        yield exchange.start_ns, _SENT, position, -1
        for number, shown in enumerate(streams.get(position, ())):
            yield max(shown.t_ns, exchange.start_ns + 1), _SHOWN, position, _STREAMED - number
        socket = exchange.socket
        if socket is None:
            if exchange.end_ns is not None and exchange.status is not None:
                yield max(exchange.end_ns, exchange.start_ns + 1), _SHOWN, position, -1
            continue
        yield max(socket.open_ns, exchange.start_ns + 1), _SHOWN, position, -1
        yield from _message_events(socket, position)


def _message_events(socket: Socket, position: int) -> Iterator[tuple[int, int, int, int]]:
    t_ns = socket.open_ns + 1
    for number, message in enumerate(socket.messages):
        t_ns = max(t_ns, message.t_ns)
        yield t_ns, _SENT if message.sender is Peer.CLIENT else _SHOWN, position, number


def _in_order(uses: Mapping[EventRef, list[Use]]) -> dict[EventRef, list[Use]]:
    """Return the uses in the order of their sending, as far as one socket or path goes."""
    return {event: uses[event] for event in sorted(uses)}


def _where(track: Track, event: EventRef) -> str:
    return f"{event[0]}" if event[1] >= 0 else f"{track.exchanges[event[0]].method} {track.exchanges[event[0]].path}"


def _match(reading: Reading, index: Index, event: EventRef, counted: Counted) -> None:
    uses = reading.uses.get(event, ())
    for use in uses:
        match = index.match(use)
        if match is None:
            reading.unmatched.append(use)
        else:
            match.is_counted = bool(counted) and (_where(reading.track, event), use.place) in counted
            reading.matches.append(match)
    index.send(uses)


def _take_sent(reading: Reading, event: EventRef, kinds: Kinds, family: FamilyKey) -> None:
    log = reading.logs[event[0]]
    message = log.messages[event[1]]
    document = kinds.document(family, message)
    number = kinds.number(family, is_sent=True, document=document)
    kinds.learners[number].add(message.size_bytes, document)
    log.entries.append(Entry(event[1], message.t_ns, True, number))


def _read_answer(reading: Reading, index: Index, wanted: Wanted, position: int, t_ns: int, mints: Mints) -> None:
    exchange, event = reading.track.exchanges[position], (position, -1)
    echoed = reading.uses[event]
    index.show(of_headers(exchange, event, t_ns, wanted), echoed, mints=mints)
    if exchange.socket is not None or not exchange.response_body.data:
        if exchange.response_body.size_bytes == 0:
            reading.answers[position].n_bytes = 0
        return
    if position in reading.streams:
        return
    text = decoded_response(exchange)
    kind = media_kind(header(exchange.response_headers, b"content-type") or b"")
    if not exchange.response_body.is_cut and text:
        reading.answers[position].n_bytes = len(text)
    if reading.track.kinds[position] is RouteKind.ASSET:
        if kind in ("text", "html"):
            values = wanted.values
            reading.constants.update(piece for start, end in pieces(text) if (piece := text[start:end]) in values)
        return
    is_document = text.lstrip()[:1] in (b"{", b"[") or is_polling(exchange.target)
    document = parsed(text) if kind != "html" and is_document else None
    if document is not None:
        index.show(of_json(document, event, t_ns, wanted, thing_of(exchange.path)), echoed, mints=mints)
        reading.answers[position] = _answer(len(text), document)
    elif kind != "other":
        index.show(of_text(text, event, t_ns, wanted, is_html=kind == "html"), echoed, mints=mints)


def _read_event(reading: Reading, index: Index, wanted: Wanted, position: int, number: int) -> None:
    shown = reading.streams[position][number]
    event = (position, -1)
    if shown.last_id in wanted.values:
        index.show([(shown.last_id, of_event_id(event, shown.t_ns))])
    seen = of_json(shown.document, event, shown.t_ns, wanted) if shown.document is not None else ()
    index.show([(value, s) for value, s in seen if s.source is Source.JSON and shown.is_first(s.path)], mints=Mints.NEW)


def _answer(n_bytes: int, document: Any) -> Answer:
    return Answer(n_bytes, shape_of_document(document), shape_for_routes(document))


def _read_message(
    reading: Reading, index: Index, wanted: Wanted, event: EventRef, kinds: Kinds, family: FamilyKey
) -> None:
    log = reading.logs[event[0]]
    message = log.messages[event[1]]
    is_text = message.opcode is Opcode.TEXT
    document = kinds.document(family, message)
    number = kinds.number(family, is_sent=False, document=document)
    kinds.learners[number].add(message.size_bytes, document)
    log.entries.append(Entry(event[1], message.t_ns, False, number))
    if document is not None:
        seen = list(of_json(document, event, message.t_ns, wanted))
    elif is_text:
        seen = list(of_text(message.data, event, message.t_ns, wanted, is_html=False))
    else:
        return
    if seen:
        log.hits[event[1]] = [Hit(value, sighting.path, sighting.key) for value, sighting in seen]
        index.show(seen, mints=Mints.NEW)
