"""Kinds of messages: where the messages of a socket route name their kind, and what all messages of a kind share. Pure.

The place of the kind is learned from a sample of each route and direction. The virtual user finds a kind by searching a
message for the last key of that place, so only places that this search finds first are taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from captures.bodies import header
from captures.envelopes import KIND, Framing, Sample, framing_of, open_document
from captures.leaves import JsonPath, looks_like_json
from captures.records import Exchange, Message, Opcode, Peer
from replayer.plan.expectations import Learner
from replayer.plan.records import MessageKind

_SAMPLE = 300
_FIRST = 100
_MAX_KINDS = 64
_MAX_VALUE_CHARS = 80
SEARCHED_BYTES = 4096
"""How far into a message its kind is looked for, by the virtual user too."""

# In order of preference where several keys would do.
_NAMES = (
    "type",
    "msg_type",
    "messagetype",
    "event",
    "action",
    "op",
    "opcode",
    "method",
    "kind",
    "cmd",
    "command",
    "t",
    "e",
    "channel",
    "topic",
)

# Of these, numbers may name kinds too: ``{"op": 10}``.
_NUMBERED = frozenset({"type", "op", "opcode", "kind", "cmd", "command", "t", "e"})

FamilyKey = tuple[int, str]
"""Number of the origin and templated path of a socket route."""


class ProtocolHeartbeat(NamedTuple):
    """The server says ``asked`` when it likes, and closes the socket unless ``answer`` comes."""

    asked: str
    answered: str
    answer: bytes


# Sources: Engine.IO protocol 4, "Heartbeat"; GraphQL over WebSocket protocol, "Ping".
_ENGINE_IO_4 = re.compile(r"[?&]EIO=4(?:&|$)")
_ENGINE_IO_HEARTBEAT = ProtocolHeartbeat("ping", "pong", b"3")
_GRAPHQL_HEARTBEAT = ProtocolHeartbeat("ping", "pong", b'{"type":"pong"}')


def _protocol_heartbeat(exchange: Exchange) -> ProtocolHeartbeat | None:
    if _ENGINE_IO_4.search(exchange.target):
        return _ENGINE_IO_HEARTBEAT
    return _GRAPHQL_HEARTBEAT if _subprotocol(exchange) == b"graphql-transport-ws" else None


def _subprotocol(exchange: Exchange) -> bytes:
    chosen = exchange.socket.subprotocol if exchange.socket is not None else b""
    return chosen or header(exchange.response_headers, b"sec-websocket-protocol") or b""


class Kinds:
    """All kinds of messages of a capture, numbered in order of appearance."""

    def __init__(self) -> None:
        self._samples: dict[tuple[FamilyKey, bool], list[Message]] = {}
        self._framings: dict[FamilyKey, Framing] = {}
        self._heartbeats: dict[FamilyKey, ProtocolHeartbeat] = {}
        self._places: dict[tuple[FamilyKey, bool], JsonPath] = {}
        self._numbers: dict[tuple[FamilyKey, bool, str], int] = {}
        self._keys: list[tuple[FamilyKey, bool, str]] = []
        self.learners: list[Learner] = []

    def sample(self, family: FamilyKey, exchange: Exchange) -> None:
        """Take messages of one socket into the sample of its route; the first that says anything tells the framing."""
        messages = exchange.socket.messages if exchange.socket is not None else []
        if self._framings.get(family, Framing.PLAIN) is Framing.PLAIN:
            self._framings[family] = _framing(exchange, messages)
        heartbeat = _protocol_heartbeat(exchange)
        if heartbeat is not None:
            self._heartbeats[family] = heartbeat
        for is_sent in (False, True):
            own = [m for m in messages if (m.sender is Peer.CLIENT) is is_sent]
            self._samples.setdefault((family, is_sent), []).extend(_spread(own))

    def learn(self) -> None:
        """Find the places of the kinds, once all sockets are sampled."""
        for key, messages in self._samples.items():
            self._places[key] = _place_of(self.framing(key[0]), _spread(messages))
        self._samples.clear()

    def framing(self, family: FamilyKey) -> Framing:
        """Return what the messages of a socket route are wrapped in."""
        return self._framings.get(family, Framing.PLAIN)

    def heartbeat(self, family: FamilyKey) -> ProtocolHeartbeat | None:
        """Return the heartbeat that a protocol asks of its clients, whether or not one came while it was recorded."""
        return self._heartbeats.get(family)

    def document(self, family: FamilyKey, message: Message) -> Any:
        """Return the opened message, None where it holds no document."""
        return _document(self.framing(family), message)

    def place(self, family: FamilyKey, *, is_sent: bool) -> JsonPath:
        """Return where messages of this direction name their kind, () where they do not."""
        return self._places.get((family, is_sent), ())

    def number(self, family: FamilyKey, *, is_sent: bool, document: Any) -> int:
        """Return the number of a message's kind; ``document`` is None for what is no JSON."""
        value = kind_value(document, self.place(family, is_sent=is_sent))
        key = (family, is_sent, value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.learners)
            self._keys.append(key)
            self.learners.append(Learner())
        return number

    def named(self, family: FamilyKey, name: str, *, is_sent: bool) -> int:
        """Return the number of a kind that a protocol names, recorded or not."""
        place = self.place(family, is_sent=is_sent) or self.place(family, is_sent=not is_sent)
        self._places[family, is_sent] = place
        return self.number(family, is_sent=is_sent, document=_nested(place, name))

    def keys(self) -> Iterator[tuple[int, tuple[FamilyKey, bool]]]:
        """Yield by number the socket route of a kind and whether the client sends it."""
        for number, (family, is_sent, _) in enumerate(self._keys):
            yield number, (family, is_sent)

    def value(self, number: int) -> str:
        """Return what stands at the place of the kind."""
        return self._keys[number][2]

    def records(self, routes: dict[FamilyKey, int]) -> tuple[MessageKind, ...]:
        """Return the kinds as the plan holds them; ``routes`` gives the number of each socket route."""
        return tuple(
            MessageKind(
                name=value or "message",
                route=routes[family],
                value=value,
                is_sent=is_sent,
                n_recorded=learner.n,
                expectation=learner.expectation(),
            )
            for (family, is_sent, value), learner in zip(self._keys, self.learners, strict=True)
        )


def kind_value(document: Any, place: JsonPath) -> str:
    """Return the text or the small number at ``place``, "" where there is none."""
    for key in place:
        if not isinstance(document, dict):
            return ""
        document = document.get(key)
    if type(document) is int and place:
        return str(document)
    return document if place and isinstance(document, str) and len(document) <= _MAX_VALUE_CHARS else ""


def _nested(place: JsonPath, value: str) -> Any:
    document: Any = value
    for key in reversed(place):
        document = {key: document}
    return document


def _framing(exchange: Exchange, messages: Sequence[Message]) -> Framing:
    sample = [Sample(m.data, m.opcode is Opcode.TEXT, m.sender is Peer.CLIENT) for m in messages[:_FIRST]]
    return framing_of(_subprotocol(exchange), exchange.target, sample)


def _document(framing: Framing, message: Message) -> Any:
    if framing is Framing.PLAIN and message.opcode is not Opcode.TEXT and not looks_like_json(message.data):
        return None
    try:
        return open_document(framing, message.data)
    except ValueError:
        return None


def _spread(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the first messages and others evenly from the rest."""
    if len(messages) <= _SAMPLE:
        return messages
    step = -(-(len(messages) - _FIRST) // (_SAMPLE - _FIRST))
    return [*messages[:_FIRST], *messages[_FIRST::step]]


_LEARNED = frozenset({Framing.PLAIN, Framing.SOCKJS, Framing.MSGPACK})
"""Framings whose documents name their kind where the application wants to."""


def _place_of(framing: Framing, messages: Sequence[Message]) -> JsonPath:
    if framing not in _LEARNED:
        return (KIND,)
    values: dict[JsonPath, Counter[str]] = {}
    n_documents = 0
    for message in messages:
        document = _document(framing, message)
        if isinstance(document, dict):
            n_documents += 1
            for place, value in _names_in(document):
                if framing is not Framing.PLAIN or _is_found_first(message.data, place, value):
                    values.setdefault(place, Counter())[value] += 1
    ranked = sorted(
        (found.total() * 5 < n_documents * 4, _preference(place), -found.total(), place)
        for place, found in values.items()
        if _is_kind(place, found, n_documents)
    )
    return ranked[0][-1] if ranked else ()


def _names_in(document: dict[str, Any]) -> Iterator[tuple[JsonPath, str]]:
    for key, value in document.items():
        if isinstance(value, str):
            yield (key,), value
        elif type(value) is int and str(key).lower() in _NUMBERED:
            yield (key,), str(value)
        elif isinstance(value, dict):
            for inner, text in value.items():
                if isinstance(text, str):
                    yield (key, inner), text


def _preference(place: JsonPath) -> tuple[int, int]:
    """Return the rank of a place: names of convention before others, the top before what lies below."""
    name = str(place[-1]).lower()
    is_named = name in _NAMES
    return (0 if is_named else 2) + len(place) - 1, _NAMES.index(name) if is_named else 0


def _is_kind(place: JsonPath, found: Counter[str], n_documents: int) -> bool:
    """A kind has few values; a key that no convention names must stand in every message and tell kinds apart."""
    n = found.total()
    if len(found) > _MAX_KINDS or any(len(value) > _MAX_VALUE_CHARS for value in found):
        return False
    if str(place[-1]).lower() in _NAMES:
        return n * 5 >= n_documents and (len(found) * 2 <= n or len(found) <= 16)
    return n == n_documents >= 4 and 2 <= len(found) <= n // 2


def _is_found_first(data: bytes, place: JsonPath, value: str) -> bool:
    found = _search(str(place[-1])).search(data, 0, SEARCHED_BYTES)
    return found is not None and found.group(1) == value.encode()


@lru_cache(maxsize=256)
def _search(key: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s"\s*:\s*"?([^",}\]\s]*)' % re.escape(key.encode()))
