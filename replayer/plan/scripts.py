"""One session's script: nodes become steps, accepted values become slots, the rest stays literal. Pure.

The order of work: decide what fills each use, make the nodes that this needs, link them, then cut the templates. Slots
are numbered in the order of the steps that use them; extractors are known when the last template is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from captures.bodies import header
from captures.envelopes import Framing
from captures.records import Exchange, Opcode, Peer
from replayer.plan.answers import Expectations
from replayer.plan.bindings import Bindings
from replayer.plan.dependencies import Needs, Node, Why, dependencies
from replayer.plan.evidence import ScriptEvidence, SlotEvidence
from replayer.plan.filling import Filling
from replayer.plan.heartbeats import Heartbeat, heartbeats_of, ready_of
from replayer.plan.messages import FamilyKey, Kinds
from replayer.plan.nodes import Nodes, is_given_up, is_kept_open, nodes_of
from replayer.plan.origins import OriginFinder
from replayer.plan.pairing import Paired, ResponderRule
from replayer.plan.reading import Reading
from replayer.plan.records import (
    Expectation,
    Refresh,
    Responder,
    Script,
    SlotKind,
    SocketScript,
    Step,
    StepKind,
    Ticker,
)
from replayer.plan.refreshing import Refreshing
from replayer.plan.routes import is_unsafe, operation_of
from replayer.plan.sightings import Sighting
from replayer.plan.values import EventRef, Use

_GREETING_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One recorded message of a responder: its uses, and those that repeat what the answered message holds."""

    data: bytes
    uses: list[Use]
    echoes: list[tuple[Use, Sighting]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all scripts of a plan have in common.

    Attributes:
        page_host: recorded host of the page's origin.
        start_ns: start of the first session.
        responders, examples: by socket route and kind of the sent message.
        writes: by route, where a rule says whether it writes.
        pushes: message kinds that the server pushes.
    """

    finder: OriginFinder
    page_host: str
    kinds: Kinds
    expectations: Expectations
    start_ns: int
    responders: dict[FamilyKey, dict[int, ResponderRule]]
    examples: dict[FamilyKey, dict[int, Example]]
    writes: dict[int, bool]
    pushes: frozenset[int] = frozenset()


class Draft:
    """One session on its way to a script.

    Args:
        routes: by position of the exchange.
        families, replies: by position of the handshake.
    """

    def __init__(
        self,
        shared: Shared,
        reading: Reading,
        bindings: Bindings,
        *,
        routes: Sequence[int],
        families: dict[int, FamilyKey],
        replies: dict[int, list[Paired]],
    ) -> None:
        self._shared = shared
        self._reading = reading
        self._bindings = bindings
        self._routes = routes
        self._families = families
        self._found: Nodes = nodes_of(
            reading,
            routes=routes,
            responders={position: shared.responders.get(family, {}) for position, family in families.items()},
            replies=replies,
            awaited=bindings.awaited,
        )
        self._heartbeats = heartbeats_of(
            self._found.nodes,
            reading.logs,
            replies,
            bindings,
            opened_ns={position: _opened_ns(reading.track.exchanges[position]) for position in families},
            closed_ns={node.socket: node.at_ns for node in self._found.nodes},
            names=[shared.kinds.value(number) for number in range(len(shared.kinds.learners))],
        )
        for node in self._found.nodes:
            if node.kind is StepKind.REQUEST:
                node.released_ns = bindings.released_ns.get(node.event)
        self._nodes = [node for node in self._found.nodes if node.event not in self._heartbeats.replaced]
        self._numbers = {node.event: number for number, node in enumerate(self._nodes)}
        connects = [node.socket for node in self._nodes if node.kind is StepKind.CONNECT]
        self._sockets = {position: number for number, position in enumerate(connects)}
        replaced = self._heartbeats.replaced
        pairs = [(at, paired) for at, each in replies.items() for paired in each if (at, paired.sent) not in replaced]
        self._by_sent = {(position, paired.sent): paired for position, paired in reversed(pairs)}
        self._by_received = {(position, paired.received): paired for position, paired in reversed(pairs)}
        self._needs = dependencies(self._nodes, [self._data_needs(node) for node in self._nodes])
        bindings.keep_possible(self._numbers, self._needs)
        self._filling = Filling(reading, bindings, shared.finder, page_host=shared.page_host)

    def script(self) -> tuple[Script, ScriptEvidence]:
        """Return the script, and why it is so."""
        start_ns = self._nodes[0].at_ns if self._nodes else 0
        drafts = [self._fields(number, node) for number, node in enumerate(self._nodes)]
        sockets = tuple(self._socket(position) for position in self._sockets)
        extractors = self._filling.slots.extractors
        steps = tuple(
            Step(at_ns=node.at_ns - start_ns, extractors=tuple(extractors.get(node.event, ())), **fields)
            for node, fields in zip(self._nodes, drafts, strict=True)
        )
        evidence = self._evidence()
        steps, refreshes = self._with_refreshes(steps, evidence)
        script = Script(
            session=self._reading.track.session,
            start_ns=start_ns - self._shared.start_ns,
            duration_ns=max((step.at_ns + step.duration_ns for step in steps), default=0),
            steps=steps,
            slots=self._filling.slots.records(),
            sockets=sockets,
            cookies=self._filling.initial_cookies(),
            refreshes=refreshes,
        )
        return script, evidence

    def _with_refreshes(
        self, steps: tuple[Step, ...], evidence: ScriptEvidence
    ) -> tuple[tuple[Step, ...], tuple[Refresh, ...]]:
        exchanges = {
            number: self._reading.track.exchanges[node.event[0]]
            for number, node in enumerate(self._nodes)
            if node.kind is StepKind.REQUEST
        }
        refreshing = Refreshing(steps, self._filling.slots.records(), evidence.slots, exchanges)
        refreshes = tuple(refreshing.refreshes())
        more = refreshing.extractors
        if more:
            steps = tuple(
                replace(step, extractors=step.extractors + more[step.index]) if step.index in more else step
                for step in steps
            )
        return steps, refreshes

    # Needs.

    def _data_needs(self, node: Node) -> Needs:
        needs: Needs = {}
        for producer in self._bindings.producers(node.event):
            number = self._numbers.get(producer)
            if number is not None:
                needs[number] = Why.VALUE
        if node.kind is StepKind.SEND and self._is_upgrade(node):
            needs.update(self._last_poll(node))
        if node.kind in (StepKind.REQUEST, StepKind.CONNECT):
            exchange = self._reading.track.exchanges[node.event[0]]
            for position in self._reading.cookies.setters(exchange):
                number = self._numbers.get((position, -1))
                if number is not None:
                    needs.setdefault(number, Why.COOKIE)
        return needs

    def _is_upgrade(self, node: Node) -> bool:
        """Tell whether a message moves an Engine.IO session from polling to this socket."""
        framing = self._shared.kinds.framing(self._families[node.socket])
        return framing is Framing.SOCKET_IO and self._shared.kinds.value(node.group) == "upgrade"

    def _last_poll(self, upgrade: Node) -> Needs:
        """Return the poll that ended last before the upgrade: Engine.IO pauses polling first ("Upgrade mechanism")."""
        path = self._reading.track.exchanges[upgrade.socket].path
        polls = [
            (node.end_ns, self._numbers[node.event])
            for node in self._nodes
            if node.kind is StepKind.REQUEST and node.end_ns is not None and node.end_ns <= upgrade.at_ns
            if self._reading.track.exchanges[node.event[0]].path == path
        ]
        return {max(polls)[1]: Why.ORDER} if polls else {}

    # Steps: the fields of each, but its place in time and what it extracts.

    def _fields(self, number: int, node: Node) -> dict[str, Any]:
        position = node.event[0]
        exchange = self._reading.track.exchanges[position]
        needs = self._needs[number]
        ended_ns = max((self._nodes[need].done_ns or 0 for need in needs), default=node.at_ns)
        fields: dict[str, Any] = {
            "index": number,
            "kind": node.kind,
            "route": self._routes[position],
            "origin": self._reading.track.origins[position],
            "duration_ns": (node.end_ns or node.at_ns) - node.at_ns,
            "needs": tuple(needs),
            "think_ns": node.at_ns - ended_ns,
            "exchange": exchange.id,
        }
        if node.socket >= 0:
            fields["socket"] = self._sockets[node.socket]
        match node.kind:
            case StepKind.REQUEST:
                fields |= self._request_fields(number, node, exchange)
            case StepKind.CONNECT:
                fields["request"] = self._filling.handshake(node.event, exchange, number)
                fields["expectation"] = Expectation(statuses=(101,))
            case StepKind.SEND:
                fields |= self._send_fields(number, node)
            case StepKind.RECEIVE:
                fields |= self._receive_fields(node)
            case StepKind.CLOSE:
                fields["close_code"] = self._found.close_codes[node.socket]
        return fields

    def _request_fields(self, number: int, node: Node, exchange: Exchange) -> dict[str, Any]:
        last_ns = self._found.last_ns
        is_open = is_kept_open(exchange, last_ns)
        end_ns = exchange.end_ns if exchange.end_ns is not None or not is_open else last_ns
        if exchange.status is None and not is_open and not is_given_up(exchange):
            end_ns = None
        is_whole = not is_open and exchange.end_ns is not None
        route = self._routes[node.event[0]]
        expectation = self._shared.expectations.of(route, exchange, is_whole=is_whole)
        return {
            "request": self._filling.request(node.event, exchange, number),
            "duration_ns": max(0, end_ns - exchange.start_ns) if end_ns is not None else 0,
            "is_unsafe": self._shared.writes.get(route, is_unsafe(exchange, operation_of(exchange))),
            "kept_open": is_open,
            "sets_cookies": header(exchange.response_headers, b"set-cookie") is not None,
            "expectation": Expectation() if exchange.error else expectation,
        }

    def _send_fields(self, number: int, node: Node) -> dict[str, Any]:
        message = self._reading.logs[node.socket].messages[node.event[1]]
        paired = self._by_sent.get(node.event)
        framing = self._shared.kinds.framing(self._families[node.socket])
        payload, parts = self._filling.message(node.event, message, number, framing)
        return {
            "payload": payload,
            "parts": parts,
            "is_text": message.opcode is Opcode.TEXT,
            "message_kind": node.group,
            "reply": self._numbers[node.socket, paired.received] if paired is not None else -1,
        }

    def _receive_fields(self, node: Node) -> dict[str, Any]:
        paired = self._by_received.get(node.event)
        if paired is None:
            return {"message_kind": node.group}
        sent = self._numbers[node.socket, paired.sent]
        return {"message_kind": node.group, "reply_to": sent, "pairing": paired.pairing}

    # Sockets.

    def _socket(self, position: int) -> SocketScript:
        exchange = self._reading.track.exchanges[position]
        family = self._families[position]
        socket = exchange.socket
        code = socket.close_code if socket is not None else None
        rules = self._shared.responders.get(family, {})
        return SocketScript(
            route=self._routes[position],
            connect=self._numbers[position, -1],
            discriminator=self._shared.kinds.place(family, is_sent=False),
            framing=self._shared.kinds.framing(family),
            closed_by_server=socket is not None and socket.closed_by is Peer.SERVER,
            close_code=code if code is not None else self._found.close_codes.get(position, 1000),
            responders=tuple(self._responder(position, rule, family, exchange) for rule in rules.values()),
            tickers=tuple(self._ticker(each) for each in self._heartbeats.heartbeats if each.socket == position),
            ready=self._ready(position),
            pushes=self._pushed(position),
            greets=self._greets(position),
        )

    def _greets(self, position: int) -> bool:
        """Tell whether the server was the first to speak, and at once: not a push that just happened to come."""
        log, opened_ns = self._reading.logs[position], _opened_ns(self._reading.track.exchanges[position])
        first = log.entries[0] if log.entries else None
        return first is not None and not first.is_sent and first.t_ns - opened_ns <= _GREETING_NS

    def _pushed(self, position: int) -> tuple[int, ...]:
        received = {entry.kind for entry in self._reading.logs[position].entries if not entry.is_sent}
        return tuple(sorted(received & self._shared.pushes))

    def _ticker(self, heartbeat: Heartbeat) -> Ticker:
        message = self._reading.logs[heartbeat.socket].messages[heartbeat.events[0][1]]
        return Ticker(
            message_kind=heartbeat.kind,
            payload=self._filling.ticker(heartbeat, message.data),
            every_ns=heartbeat.every_ns,
            first_ns=heartbeat.first_ns,
            is_text=message.opcode is Opcode.TEXT,
            reply_kind=heartbeat.reply_kind,
            pairing=heartbeat.pairing,
            n_recorded=len(heartbeat.events),
        )

    def _ready(self, position: int) -> tuple[int, ...]:
        answers = {event: (event[0], paired.received) for event, paired in self._by_sent.items()}
        opened_ns = _opened_ns(self._reading.track.exchanges[position])
        events = ready_of(self._nodes, position, opened_ns, answers)
        return tuple(self._numbers[event] for event in events if event in self._numbers)

    def _responder(self, position: int, rule: ResponderRule, family: FamilyKey, exchange: Exchange) -> Responder:
        example = self._shared.examples[family][rule.send_kind]
        at: EventRef = (position, -2 - rule.send_kind)
        payload = self._filling.responder(at, example.data, example.uses, example.echoes, exchange)
        extractors = tuple(self._filling.slots.extractors.get(at, ()))
        return Responder(message_kind=rule.receive_kind, payload=payload, extractors=extractors)

    # Evidence.

    def _evidence(self) -> ScriptEvidence:
        return ScriptEvidence(
            session=self._reading.track.session,
            slots=[self._slot_evidence(number) for number in range(len(self._filling.slots.records()))],
            literals=self._bindings.literals(self._numbers),
            reasons=[tuple((need, why.value) for need, why in each.items()) for each in self._needs],
            notes=list(dict.fromkeys(self._found.notes)),
        )

    def _slot_evidence(self, number: int) -> SlotEvidence:
        slots = self._filling.slots
        consumers = self._filling.consumers.get(number, [])
        sighting = slots.producers.get(number)
        if sighting is None or slots.slot(number).kind is not SlotKind.EXTRACTED:
            return SlotEvidence(slot=number, consumers=consumers)
        return SlotEvidence(
            slot=number,
            producer=self._numbers.get(sighting.event, -1),
            place=sighting.place,
            others=self._bindings.others(sighting, slots.slot(number).recorded, self._numbers),
            consumers=consumers,
        )


def _opened_ns(exchange: Exchange) -> int:
    return exchange.socket.open_ns if exchange.socket is not None else exchange.start_ns
