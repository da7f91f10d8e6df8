"""Which received message answers which sent one, and which sent ones only answer. Learned from the recording. Pure.

The ladder (measurement.md §2.2): (a) an id that the client made comes back in one kind of message, under a name that
ids have: protocol ids and application ids alike; (b) any long value that comes back so; (c) kinds that strictly
alternate, ten times at least, or once where their names belong together (``ping`` and ``pong``). Else unpaired.

A kind of message that the client sends only to repeat or acknowledge what the server just said, every time, is a
responder: the server decides how often that happens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from captures.envelopes import Framing, open_document
from captures.leaves import JsonPath, as_bytes
from captures.records import Message
from replayer.plan.records import Pairing
from replayer.plan.scoring import TOKEN_CLASSES, is_id_key, value_class
from replayer.plan.values import Use

_COVERED = 0.9
_MAX_STRANGERS = 0.05
_MAX_CHECKED = 2000
_MIN_ALTERNATIONS = 10
_MIN_HEARTBEATS = 2
_REACTION_NS = 5_000_000_000
_HEARTBEATS = ("ping", "pong", "heartbeat", "keepalive", "keep_alive", "hb", "probe")
_REPLY_WORDS = ("ack", "reply", "result", "response", "ok", "success", "complete", "confirm", "done", "pong")


class Entry(NamedTuple):
    """One message of a log: its position on the socket, when, from whom, of which kind."""

    position: int
    t_ns: int
    is_sent: bool
    kind: int


class Hit(NamedTuple):
    """A value of the client's that a received message holds."""

    value: bytes
    path: JsonPath
    key: str


@dataclass(slots=True, kw_only=True)
class SocketLog:
    """What pairing needs to know of one socket.

    Attributes:
        messages: as recorded; ``Entry.position`` counts them.
        uses: of the sent messages, by position; hits: of the received ones.
    """

    messages: Sequence[Message]
    entries: list[Entry] = field(default_factory=list)
    framing: Framing = Framing.PLAIN
    uses: dict[int, list[Use]] = field(default_factory=dict)
    hits: dict[int, list[Hit]] = field(default_factory=dict)


class ResponderRule(NamedTuple):
    """Messages of ``send_kind`` answer those of ``receive_kind``; ``echoes`` are (path sent, path received)."""

    send_kind: int
    receive_kind: int
    echoes: tuple[tuple[JsonPath, JsonPath], ...]
    support: int


class Paired(NamedTuple):
    """The positions of a sent message and its reply."""

    sent: int
    received: int
    pairing: Pairing


@dataclass(slots=True, kw_only=True)
class Pairings:
    """What was learned of one socket route.

    Attributes:
        responders: by kind of the sent message.
        replies: by log: the pairs, in order of the sent messages.
    """

    responders: dict[int, ResponderRule]
    replies: list[list[Paired]]


def pair(logs: Sequence[SocketLog], names: Sequence[str]) -> Pairings:
    """Learn from all sockets of one route.

    Args:
        names: of the message kinds, by number.
    """
    responders = {rule.send_kind: rule for rule in _responders(logs, names)}
    pairs, streams = _by_protocol(logs, names)
    done = {key.send_kind for key in pairs} | streams
    pairs |= _by_echo(logs, names, done | responders.keys())
    done |= {key.send_kind for key in pairs}
    taken = {key.receive_kind for key in pairs}
    pairs |= _by_order(logs, names, skip=done | responders.keys(), taken=taken)
    replies: list[list[Paired]] = [[] for _ in logs]
    for key, by_log in pairs.items():
        for number, found in by_log:
            pairing = Pairing(send_path=key.send_path, reply_path=key.receive_path, rule=key.rule, support=len(by_log))
            replies[number].append(Paired(*found, pairing))
    for each in replies:
        each.sort(key=lambda paired: (paired.sent, paired.received))
    return Pairings(responders=responders, replies=replies)


def paired_by_rule(
    logs: Sequence[SocketLog], send_kind: int, receive_kind: int, pairing: Pairing
) -> list[list[Paired]]:
    """Return by log the pairs of two kinds as a person decided: by the values at the paths, else in order."""
    replies: list[list[Paired]] = []
    for log in logs:
        open_sends: dict[bytes, list[int]] = {}
        found: list[Paired] = []
        for entry in log.entries:
            data = log.messages[entry.position].data
            if entry.is_sent and entry.kind == send_kind:
                key = _scalar(log.framing, data, pairing.send_path) if pairing.send_path else b""
                open_sends.setdefault(key or b"", []).append(entry.position)
            elif not entry.is_sent and entry.kind == receive_kind:
                key = _scalar(log.framing, data, pairing.reply_path) if pairing.reply_path else b""
                waiting = open_sends.get(key or b"")
                if waiting:
                    found.append(Paired(waiting.pop(0), entry.position, pairing))
        replies.append(found)
    return replies


class _Key(NamedTuple):
    send_kind: int
    send_path: JsonPath
    receive_kind: int
    receive_path: JsonPath
    rule: str


_Pairs = dict[_Key, list[tuple[int, tuple[int, int]]]]


# Ids of protocols.


class _Protocol(NamedTuple):
    """Where a protocol's messages say which one they answer; ``answers`` tells the kinds that do."""

    rule: str
    send_path: JsonPath
    reply_path: JsonPath
    answers: re.Pattern[str]


_BY_FRAMING = {
    Framing.SOCKET_IO: _Protocol("Socket.IO acknowledgement", ("id",), ("id",), re.compile("ack")),
    Framing.PHOENIX: _Protocol("Phoenix reference", ("ref",), ("ref",), re.compile("phx_reply")),
    Framing.SIGNALR: _Protocol("SignalR invocation", ("invocationId",), ("invocationId",), re.compile(r"completion.*")),
    Framing.JUPYTER: _Protocol(
        "Jupyter parent header", ("header", "msg_id"), ("parent_header", "msg_id"), re.compile(r".*_reply")
    ),
}
_JSON_RPC = _Protocol("JSON-RPC id", ("id",), ("id",), re.compile(r".*"))
_GRAPHQL = _Protocol("GraphQL over WebSocket id", ("id",), ("id",), re.compile("next|data"))
_GRAPHQL_STARTS = ("subscribe", "start")
_SUBSCRIPTION = re.compile(rb'"query"\s*:\s*"(?:\\n|\s|#[^\\]*\\n)*subscription\b')


def _by_protocol(logs: Sequence[SocketLog], names: Sequence[str]) -> tuple[_Pairs, set[int]]:
    """Return the pairs that a protocol's ids make, and the kinds of sends that begin streams: nothing answers those."""
    pairs: _Pairs = {}
    streams: set[int] = set()
    for number, log in enumerate(logs):
        open_sends: dict[bytes, tuple[int, int, _Protocol]] = {}
        for entry in log.entries:
            data = log.messages[entry.position].data
            protocol = _protocol_of(log, names[entry.kind], data) if entry.is_sent else None
            if entry.is_sent and names[entry.kind] in _GRAPHQL_STARTS and _SUBSCRIPTION.search(data):
                streams.add(entry.kind)
            elif protocol is not None:
                key = _scalar(log.framing, data, protocol.send_path)
                if key is not None:
                    open_sends[key] = (entry.position, entry.kind, protocol)
            elif open_sends and not entry.is_sent:
                _close(open_sends, log, entry, names[entry.kind], number, pairs)
    return {key: found for key, found in pairs.items() if key.send_kind not in streams}, streams


def _protocol_of(log: SocketLog, name: str, data: bytes) -> _Protocol | None:
    if log.framing is not Framing.PLAIN:
        return _BY_FRAMING.get(log.framing)
    if b'"jsonrpc"' in data:
        return _JSON_RPC
    return _GRAPHQL if name in _GRAPHQL_STARTS and b'"query"' in data else None


def _close(
    open_sends: dict[bytes, tuple[int, int, _Protocol]],
    log: SocketLog,
    entry: Entry,
    name: str,
    number: int,
    pairs: _Pairs,
) -> None:
    """Pair a received message with the open send that it answers, if it answers one."""
    protocol = next(iter(open_sends.values()))[2]
    if not protocol.answers.fullmatch(name):
        return
    key = _scalar(log.framing, log.messages[entry.position].data, protocol.reply_path)
    sent = open_sends.pop(key, None) if key is not None else None
    if sent is not None:
        position, kind, protocol = sent
        row = _Key(kind, protocol.send_path, entry.kind, protocol.reply_path, protocol.rule)
        pairs.setdefault(row, []).append((number, (position, entry.position)))


# Echoed ids.


def _by_echo(logs: Sequence[SocketLog], names: Sequence[str], responders: Iterable[int]) -> _Pairs:
    found: _Pairs = {}
    n_sent: dict[int, int] = {}
    skipped = set(responders)
    for number, log in enumerate(logs):
        _echoes_of(log, number, names, skipped, found, n_sent)
    chosen: _Pairs = {}
    paths: dict[int, JsonPath] = {}
    order = {
        key: (not _is_answer(key, names), -len(pairs), _delay_ns(logs, pairs), repr(key))
        for key, pairs in found.items()
    }
    for key in sorted(found, key=order.__getitem__):
        is_taken = any(key.send_kind == other.send_kind for other in chosen)
        if is_taken or paths.get(key.receive_kind, key.receive_path) != key.receive_path:
            continue
        n_missing = n_sent[key.send_kind] - len(found[key])
        if (n_missing <= 1 or n_missing <= (1 - _COVERED) * n_sent[key.send_kind]) and not _has_strangers(logs, key):
            chosen[key] = found[key]
            paths[key.receive_kind] = key.receive_path
    return chosen


def _echoes_of(
    log: SocketLog, number: int, names: Sequence[str], skipped: set[int], found: _Pairs, n_sent: dict[int, int]
) -> None:
    open_sends: dict[bytes, tuple[int, int, JsonPath]] = {}
    answered: set[tuple[int, int, JsonPath]] = set()
    for entry in log.entries:
        if entry.is_sent:
            if entry.kind in skipped:
                continue
            n_sent[entry.kind] = n_sent.get(entry.kind, 0) + 1
            for use in log.uses.get(entry.position, ()):
                if use.path and not use.is_piece and _is_id(use.key, use.value):
                    open_sends[use.value] = (entry.position, entry.kind, use.path)
            continue
        if _is_answered_by_protocol(log, names[entry.kind]):
            continue
        for hit in log.hits.get(entry.position, ()):
            sent = open_sends.get(hit.value)
            if sent is None or not _is_id(hit.key, hit.value):
                continue
            position, kind, path = sent
            if (position, entry.kind, hit.path) in answered:
                continue
            answered.add((position, entry.kind, hit.path))
            rule = "id" if is_id_key(hit.key) or not hit.key else "value"
            key = _Key(kind, path, entry.kind, hit.path, rule)
            found.setdefault(key, []).append((number, (position, entry.position)))


def _is_answered_by_protocol(log: SocketLog, name: str) -> bool:
    """Tell whether a message of this kind says by its protocol's id what it answers: an equal number says nothing."""
    protocol = _BY_FRAMING.get(log.framing)
    return protocol is not None and protocol.answers.fullmatch(name) is not None


def _is_id(key: str, value: bytes) -> bool:
    return is_id_key(key) or not key or value_class(value) in TOKEN_CLASSES


def _is_answer(key: _Key, names: Sequence[str]) -> bool:
    """Tell whether a kind says by its name that it answers."""
    name = names[key.receive_kind].lower()
    return are_related(names[key.send_kind], name) or name.endswith(_REPLY_WORDS)


def _delay_ns(logs: Sequence[SocketLog], pairs: list[tuple[int, tuple[int, int]]]) -> int:
    return sum(logs[n].messages[received].t_ns - logs[n].messages[sent].t_ns for n, (sent, received) in pairs)


def _has_strangers(logs: Sequence[SocketLog], key: _Key) -> bool:
    """Tell whether messages of the reply's kind carry ids there that the client never sent."""
    n = n_strangers = 0
    for log in logs:
        sent: set[bytes] = set()
        for entry in log.entries:
            if entry.is_sent:
                sent.update(use.value for use in log.uses.get(entry.position, ()))
            elif entry.kind == key.receive_kind and n < _MAX_CHECKED:
                value = _scalar(log.framing, log.messages[entry.position].data, key.receive_path)
                n += value is not None
                n_strangers += value is not None and value not in sent
    return n_strangers > _MAX_STRANGERS * n


def _scalar(framing: Framing, data: bytes, path: JsonPath) -> bytes | None:
    try:
        node: Any = open_document(framing, data)
        for step in path:
            node = node[step]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if isinstance(node, bytes):
        return node
    if isinstance(node, bool) or not isinstance(node, (str, int)):
        return None
    return as_bytes(str(node))


# Order.


def _positions(logs: Sequence[SocketLog], *, is_sent: bool) -> dict[int, list[list[int]]]:
    """Return by kind and log the positions of its messages."""
    positions: dict[int, list[list[int]]] = {}
    for number, log in enumerate(logs):
        for entry in log.entries:
            if entry.is_sent is is_sent:
                by_log = positions.get(entry.kind)
                if by_log is None:
                    by_log = positions[entry.kind] = [[] for _ in logs]
                by_log[number].append(entry.position)
    return positions


def _by_order(logs: Sequence[SocketLog], names: Sequence[str], *, skip: set[int], taken: set[int]) -> _Pairs:
    pairs: _Pairs = {}
    received = _positions(logs, is_sent=False)
    used = set(taken)
    for send_kind, sent in sorted(_positions(logs, is_sent=True).items()):
        if send_kind in skip:
            continue
        for kind, candidates in sorted(received.items()):
            if kind in used:
                continue
            n = sum(map(len, sent))
            is_named = are_related(names[send_kind], names[kind])
            if (n >= _MIN_ALTERNATIONS or is_named) and _alternate(sent, candidates):
                rule = "names and order" if is_named else "order"
                pairs[_Key(send_kind, (), kind, (), rule)] = list(_zipped(sent, candidates))
                used.add(kind)
                break
    return pairs


def are_related(asked: str, answered: str) -> bool:
    """Tell whether a kind's name says that it answers another: ``ping`` and ``pong``, ``init`` and ``init_ack``."""
    a, b = asked.lower(), answered.lower()
    if (a, b) == ("ping", "pong") or (len(a) >= 4 and b.startswith(a) and a != b):
        return True
    n_common = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return n_common >= 6 and b.endswith(_REPLY_WORDS)


def _alternate(first: list[list[int]], second: list[list[int]]) -> bool:
    """Tell whether in every log the positions of ``second`` follow those of ``first`` one by one; the last may lack."""
    for a, b in zip(first, second, strict=True):
        if not len(b) <= len(a) <= len(b) + 1:
            return False
        if any(x > y for x, y in zip(a, b, strict=False)) or any(y > x for y, x in zip(b, a[1:], strict=False)):
            return False
    return any(second)


def _zipped(first: list[list[int]], second: list[list[int]]) -> Iterator[tuple[int, tuple[int, int]]]:
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        for x, y in zip(a, b, strict=False):
            yield number, (x, y)


# Responders.


def _responders(logs: Sequence[SocketLog], names: Sequence[str]) -> Iterator[ResponderRule]:
    received = _positions(logs, is_sent=False)
    for kind, sent in sorted(_positions(logs, is_sent=True).items()):
        n = sum(map(len, sent))
        if n < _MIN_HEARTBEATS and not is_heartbeat(names[kind]):
            continue
        rule = _echo_responder(logs, kind, sent, received) or _plain_responder(logs, kind, sent, received, names)
        if rule is not None:
            yield rule


def is_heartbeat(name: str) -> bool:
    """Tell whether the name of a kind is one of heartbeats."""
    return any(word in name.lower() for word in _HEARTBEATS)


def _echo_responder(
    logs: Sequence[SocketLog], kind: int, sent: list[list[int]], received: dict[int, list[list[int]]]
) -> ResponderRule | None:
    """Find the kind of which every message is answered by one of ``kind`` that repeats a value of it."""
    common: set[tuple[int, JsonPath, JsonPath]] | None = None
    for log in logs:
        shown: dict[bytes, dict[tuple[int, JsonPath], int]] = {}
        for entry in log.entries:
            if not entry.is_sent:
                for hit in log.hits.get(entry.position, ()):
                    shown.setdefault(hit.value, {})[entry.kind, hit.path] = entry.t_ns
            elif entry.kind == kind:
                answers = {
                    (*place, use.path)
                    for use in log.uses.get(entry.position, ())
                    if use.path and not use.is_piece
                    for place, t_ns in shown.get(use.value, {}).items()
                    if entry.t_ns - t_ns <= _REACTION_NS
                }
                common = answers if common is None else common & answers
    for receive_kind in sorted({echo[0] for echo in common or ()}):
        if _alternate(received[receive_kind], sent):
            echoes = sorted(((path, place) for k, place, path in common or () if k == receive_kind), key=repr)
            unique = dict(reversed(echoes))
            return ResponderRule(kind, receive_kind, tuple(reversed(unique.items())), sum(map(len, sent)))
    return None


def _plain_responder(
    logs: Sequence[SocketLog],
    kind: int,
    sent: list[list[int]],
    received: dict[int, list[list[int]]],
    names: Sequence[str],
) -> ResponderRule | None:
    """Find the heartbeat of which every message is at once answered by one of ``kind``."""
    if not is_heartbeat(names[kind]):
        return None
    for receive_kind, positions in sorted(received.items()):
        if is_heartbeat(names[receive_kind]) and _alternate(positions, sent):
            return ResponderRule(kind, receive_kind, (), sum(map(len, sent)))
    return None
