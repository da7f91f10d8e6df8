"""Which sent messages are ticks of a heartbeat, and which answers make a socket ready. Pure.

A heartbeat says the same thing again and again, at even times, until the socket closes. Its ticks are no steps: the
virtual user keeps their cadence for as long as it holds the socket. What differs from tick to tick may only be what a
client makes up: a time, a random id, a number that grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import NamedTuple

from captures.envelopes import Framing
from replayer.plan.bindings import Bindings
from replayer.plan.dependencies import TIMER_TICKS, Node, ticks_of
from replayer.plan.pairing import Paired, SocketLog, is_heartbeat
from replayer.plan.records import Pairing, StepKind
from replayer.plan.scoring import is_id_key
from replayer.plan.values import EventRef, Use

_MIN_PERIOD_NS = 500_000_000
"""What repeats faster is no heartbeat but something that a person or a page does."""
_OPENING_NS = 1_000_000_000
"""What a page asks for on a fresh socket it asks for at once, or at once upon the answer to what it asked before."""


_BY_PROTOCOL = {Framing.SIGNALR: "ping", Framing.PHOENIX: "heartbeat"}
"""Heartbeats that a protocol asks of its client: one is enough to go on with.

Sources: SignalR hub protocol, "Ping Message Encoding"; Phoenix.Socket, "heartbeat" on the topic ``phoenix``.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The ticks of one socket that become a ``Ticker``.

    Attributes:
        events: of the ticks, in order; the first is the example.
        counters: uses of the example that grow from tick to tick, and the largest number recorded.
        pairing: of the answers, with their kind; None where ticks are not answered.
    """

    socket: int
    kind: int
    events: tuple[EventRef, ...]
    every_ns: int
    first_ns: int
    counters: tuple[tuple[Use, int], ...] = ()
    pairing: Pairing | None = None
    reply_kind: int = -1


class _Tick(NamedTuple):
    node: Node
    paired: Paired | None
    numbers: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Found:
    """All heartbeats of a session, and the nodes that they replace."""

    heartbeats: list[Heartbeat] = field(default_factory=list)
    replaced: set[EventRef] = field(default_factory=set)


def heartbeats_of(
    nodes: Sequence[Node],
    logs: Mapping[int, SocketLog],
    replies: Mapping[int, Sequence[Paired]],
    bindings: Bindings,
    *,
    opened_ns: Mapping[int, int],
    closed_ns: Mapping[int, int],
    names: Sequence[str],
) -> Found:
    """Return the heartbeats of a session.

    Args:
        logs, replies: by position of the handshake.
        opened_ns, closed_ns: by position of the handshake: when the socket opened, and when it was last known open.
        names: of the message kinds, by number.
    """
    found = Found()
    paired = {(position, each.sent): each for position, rows in replies.items() for each in rows}
    entries = {(position, e.position): e.kind for position, log in logs.items() for e in log.entries}
    groups: dict[tuple[int, int, bytes], list[_Tick]] = {}
    for node in nodes:
        if node.kind is not StepKind.SEND or logs[node.socket].framing is Framing.JUPYTER:
            continue
        shape = _shape(node, logs[node.socket], bindings)
        if shape is not None:
            tick = _Tick(node, paired.get(node.event), shape[1])
            groups.setdefault((node.socket, node.group, shape[0]), []).append(tick)
    for (socket, kind, _), ticks in sorted(groups.items(), key=lambda item: item[0]):
        is_asked_for = _BY_PROTOCOL.get(logs[socket].framing) == names[kind]
        is_named = is_heartbeat(names[kind])
        chosen = ticks if is_asked_for else _chosen(ticks, closed_ns.get(socket, 0), is_named=is_named)
        if chosen and _is_free(chosen, bindings):
            _take(found, chosen, entries, logs[socket], opened_ns.get(socket, 0))
    return found


def _shape(node: Node, log: SocketLog, bindings: Bindings) -> tuple[bytes, tuple[int, ...]] | None:
    """Return a message without what its client made up, and the numbers that may grow; None where it uses a value."""
    fillers = bindings.fillers(node.event)
    if any(filler.match is not None for filler in fillers):
        return None
    spans = {(filler.use.start, filler.use.end) for filler in fillers}
    counters = [
        use for use in log.uses.get(node.event[1], ()) if _is_counter(use) and (use.start, use.end) not in spans
    ]
    data, at = [], 0
    for start, end in sorted(spans | {(use.start, use.end) for use in counters}):
        if start >= at:
            data.append(log.messages[node.event[1]].data[at:start])
            at = end
    data.append(log.messages[node.event[1]].data[at:])
    return b"\x00".join(data), tuple(int(use.value) for use in counters)


def _is_counter(use: Use) -> bool:
    return use.value.isdigit() and len(use.value) < 16 and is_id_key(use.key) and not use.is_piece


def _chosen(ticks: Sequence[_Tick], closed_ns: int, *, is_named: bool) -> Sequence[_Tick]:
    """Return the ticks of a heartbeat: even, growing, and going on until the end."""
    if len(ticks) < TIMER_TICKS:
        return ()
    span = ticks_of([tick.node for tick in ticks])
    chosen = [ticks[n] for n in span]
    if len(chosen) < TIMER_TICKS - 1 or not _grow(chosen):
        return ()
    every_ns = _period_ns(chosen)
    if every_ns < _MIN_PERIOD_NS:
        return ()
    goes_on = closed_ns - chosen[-1].node.at_ns < 2 * every_ns
    return chosen if goes_on or is_named else ()


def _period_ns(ticks: Sequence[_Tick]) -> int:
    return median_low([b.node.at_ns - a.node.at_ns for a, b in zip(ticks, ticks[1:], strict=False)])


def _grow(ticks: Sequence[_Tick]) -> bool:
    pairs = zip(ticks, ticks[1:], strict=False)
    columns = [list(zip(a.numbers, b.numbers, strict=True)) for a, b in pairs]
    is_growing = all(x < y for row in columns for x, y in row)
    return is_growing or all(x == y for row in columns for x, y in row)


def _is_free(ticks: Sequence[_Tick], bindings: Bindings) -> bool:
    """Tell whether no value is taken from the answers, and all or none but the last were answered in one way."""
    received = {(tick.node.socket, tick.paired.received) for tick in ticks if tick.paired is not None}
    ways = {tick.paired.pairing if tick.paired is not None else None for tick in ticks[:-1]}
    return not received & bindings.awaited and len(ways) == 1


def _take(found: Found, ticks: Sequence[_Tick], kinds: Mapping[EventRef, int], log: SocketLog, opened_ns: int) -> None:
    first = ticks[0]
    uses = [use for use in log.uses.get(first.node.event[1], ()) if _is_counter(use)]
    is_growing = len(ticks) == 1 or ticks[0].numbers != ticks[1].numbers
    counters = tuple((use, ticks[-1].numbers[n]) for n, use in enumerate(uses[: len(first.numbers)]) if is_growing)
    reply = first.paired
    found.heartbeats.append(
        Heartbeat(
            socket=first.node.socket,
            kind=first.node.group,
            events=tuple(tick.node.event for tick in ticks),
            every_ns=max(_MIN_PERIOD_NS, _period_ns(ticks) if len(ticks) > 1 else first.node.at_ns - opened_ns),
            first_ns=max(0, first.node.at_ns - opened_ns),
            counters=counters,
            pairing=reply.pairing if reply is not None else None,
            reply_kind=kinds[first.node.socket, reply.received] if reply is not None else -1,
        )
    )
    for tick in ticks:
        found.replaced.add(tick.node.event)
        if tick.paired is not None:
            found.replaced.add((tick.node.socket, tick.paired.received))


def ready_of(
    nodes: Sequence[Node], socket: int, opened_ns: int, answers: Mapping[EventRef, EventRef]
) -> list[EventRef]:
    """Return the answers to what was asked for right after a socket had opened.

    Args:
        answers: by event of a sent message, the event of its answer.
    """
    ready: list[EventRef] = []
    last_ns = opened_ns
    for node in nodes:
        if node.socket != socket or node.kind not in (StepKind.SEND, StepKind.RECEIVE):
            continue
        if node.kind is StepKind.SEND and node.at_ns - last_ns > _OPENING_NS:
            break
        if node.kind is StepKind.SEND and node.event in answers:
            ready.append(answers[node.event])
        if node.kind is StepKind.SEND or node.event in ready:
            last_ns = max(last_ns, node.at_ns)
    return ready
