"""Event streams (SSE) in a recording: which event showed a value, and when. Pure.

A stream's answer ends when somebody leaves; what it brings is known event by event. The virtual user applies a stream's
extractors to the data of each event as it comes, and takes the first that holds a value: so only places count that no
earlier event of the stream had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from captures.bodies import header, media_type
from captures.leaves import JsonPath
from captures.records import Exchange
from replayer.plan.sightings import parsed
from replayer.wire.sse import EventReader, EventTooLarge

MAX_EVENTS = 2000
"""Events of one stream that are looked into."""


class Shown(NamedTuple):
    """The document of one event, None where it is no JSON, when it came, the documents before it, the last id."""

    t_ns: int
    document: Any
    before: tuple[Any, ...]
    last_id: bytes = b""

    def is_first(self, path: JsonPath) -> bool:
        """Tell whether no earlier event of the stream had anything at a path."""
        return all(_at(document, path) is None for document in self.before)


def is_stream(exchange: Exchange) -> bool:
    """Tell whether an answer is an event stream that can be read."""
    is_coded = header(exchange.response_headers, b"content-encoding") is not None
    return media_type(exchange.response_headers) == "text/event-stream" and not is_coded


def events_of(exchange: Exchange) -> Iterator[Shown]:
    """Yield a stream's events with an id or with data that is JSON, each at the time of the chunk that completed it."""
    reader, data, at = EventReader(), exchange.response_body.data, 0
    end_ns = exchange.end_ns if exchange.end_ns is not None else exchange.start_ns
    before: list[Any] = []
    for t_ns, size in exchange.chunks or [(end_ns, len(data))]:
        try:
            events = reader.feed(data[at : at + size])
        except EventTooLarge:
            return
        at += size
        for event in events:
            document = parsed(event.data)
            is_document = isinstance(document, (dict, list)) and len(before) < MAX_EVENTS
            if is_document or event.last_id:
                yield Shown(t_ns, document if is_document else None, tuple(before[-_REMEMBERED:]), event.last_id)
            if is_document:
                before.append(document)


_REMEMBERED = 50


def _at(document: Any, path: JsonPath) -> Any:
    try:
        for step in path:
            document = document[step]
    except (LookupError, TypeError):
        return None
    return document
