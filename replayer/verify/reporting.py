"""From what a witness saw to a report: each step with its recorded counterpart, each kind of message with its count."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from analysis.slots import Measure, SecondSlot, SeriesKey
from analysis.verification import MISMATCHES
from captures.bodies import header
from captures.envelopes import Framing, open_document
from captures.records import Exchange, Message, Peer
from captures.sessions import Capture
from replayer.plan.records import JsonPath, Plan, Script, SlotKind, Step, StepKind
from replayer.plan.requests import decoded_response
from replayer.user.checks import media_type
from replayer.user.framing import kind_of
from replayer.user.inbox import NEVER_RECORDED
from replayer.verify.compare import Show, compared, of_extractors, plain_json
from replayer.verify.reasons import Facts, general, words_of
from replayer.verify.records import Aspect, Difference, Live, MessageReport, Recorded, StepReport
from replayer.verify.witness import Witness
from replayer.wire.sse import CONTENT_TYPE, EventReader

SlotValues = Mapping[bytes, tuple[str, bytes | None]]
"""By recorded value: name and live value of the slot."""
_EVENTS = "events"
MAX_EXAMPLES = 40
"""Recorded answers of a route that are looked at to learn what varies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One verification.

    Attributes:
        lost: sentences about sockets that ended too early.
    """

    target: str
    session: int
    steps: tuple[StepReport, ...]
    messages: tuple[MessageReport, ...]
    lost: tuple[str, ...] = ()

    @property
    def n_unexplained(self) -> int:
        """How many differences nothing explains, of steps, messages and sockets."""
        of_messages = sum(not each.is_explained for report in self.messages for each in report.differences)
        return sum(step.n_unexplained for step in self.steps) + of_messages + len(self.lost)

    @property
    def n_explained(self) -> int:
        """How many differences something explains."""
        n_all = sum(len(step.differences) for step in self.steps)
        return n_all - sum(step.n_unexplained for step in self.steps)


class Reporter:
    """Compares what one user saw with the capture.

    Args:
        plan: as it was played; ``script`` is the one that the user played.
        show: makes a value fit to be shown under its key.
    """

    def __init__(self, capture: Capture, plan: Plan, script: Script, *, show: Show) -> None:
        self._plan = plan
        self._script = script
        self._show = show
        self._exchanges = {exchange.id: exchange for session in capture.sessions for exchange in session.exchanges}
        self._origin_ns = self._script_start_ns()
        self._varied, self._words = self._learned()
        self._sent = self._learn_messages(self._words)

    def report(self, witness: Witness, measured: SecondSlot, *, target: str) -> Report:
        """Return the comparison of every step and kind of message."""
        values = self._slot_values(witness)
        reports = [self._step(step, witness, values) for step in self._script.steps]
        return Report(
            target=target,
            session=self._script.session,
            steps=tuple(report for report in reports if report is not None),
            messages=tuple(self._messages(measured)),
            lost=tuple(self._lost(witness)),
        )

    # Steps.

    def _step(self, step: Step, witness: Witness, values: SlotValues) -> StepReport | None:
        live = witness.seen.get(step.index, Live())
        if self._is_stream(step):  # Its values came event by event, long before its end.
            live.found = {extractor.slot: witness.memory.values[extractor.slot] for extractor in step.extractors}
        if step.kind is StepKind.SEND and live.outcome == "":
            return None  # Messages that were handed over answer nothing.
        recorded = self._recorded(step)
        return StepReport(
            step=step.index,
            what=self._what(step),
            kind="message" if step.message_kind >= 0 else self._plan.routes[step.route].kind.value,
            outcome=live.outcome,
            recorded_status=recorded.status,
            live_status=live.status,
            content_type=live.content_type.partition(";")[0],
            n_wanted=len(step.extractors),
            n_found=sum(value is not None for value in live.found.values()),
            n_fresh=sum(self._is_fresh(slot, value) for slot, value in live.found.items()),
            differences=tuple(self._differences(step, recorded, live, values)),
        )

    def _differences(self, step: Step, recorded: Recorded, live: Live, values: SlotValues) -> Iterable[Difference]:
        if live.outcome != "ok":
            yield self._failed(recorded, live)
            return
        if self._is_stream(step):
            status = live.status or recorded.status  # Where nothing came while it was open, nothing is known of it.
            content_type = live.content_type if live.status else recorded.content_type
            live = Live(outcome="ok", status=status, content_type=content_type, found=live.found)
        facts = Facts(
            expectation=self._expectation_of(step),
            values=values,
            varied=self._varied.get(self._example_key(step), frozenset()),
            words=self._words,
        )
        yield from compared(recorded, live, facts, show=self._show, parse=self._parse_of(step))
        yield from of_extractors(step.extractors, self._script.slots, live)

    @staticmethod
    def _is_stream(step: Step) -> bool:
        return step.kept_open or step.expectation.content_type == CONTENT_TYPE

    @staticmethod
    def _failed(recorded: Recorded, live: Live) -> Difference:
        told = live.outcome.replace("not_sent_", "not sent, ") or "never begun: a step before it did not end"
        expected = f"status {recorded.status}" if recorded.status else "ok"
        return Difference(
            aspect=Aspect.OUTCOME, recorded=expected, live=f"{told}: lacks {live.detail}" if live.detail else told
        )

    def _is_fresh(self, slot: int, value: bytes | None) -> bool:
        return value is not None and value != self._script.slots[slot].recorded

    def _slot_values(self, witness: Witness) -> dict[bytes, tuple[str, bytes | None]]:
        """By recorded value; longer ones first, so that a part of a value never explains it."""
        filled = [
            (slot.recorded, (slot.name, witness.memory.values[number]))
            for number, slot in enumerate(self._script.slots)
            if slot.recorded and slot.kind not in (SlotKind.COOKIE_HEADER, SlotKind.ORIGIN)
        ]
        return dict(sorted(filled, key=lambda each: -len(each[0])))

    def _what(self, step: Step) -> str:
        route = self._plan.routes[step.route].name
        if step.kind is StepKind.REQUEST:
            return route
        word = step.kind.name.lower()
        kind = f" {self._plan.message_kinds[step.message_kind].name} on" if step.message_kind >= 0 else ""
        return f"{word}{kind} {route}"

    # What was recorded.

    def _script_start_ns(self) -> int:
        for step in self._script.steps:
            exchange = self._exchanges.get(step.exchange)
            if exchange is not None and step.kind in (StepKind.REQUEST, StepKind.CONNECT):
                return exchange.start_ns - step.at_ns
        return 0

    def _recorded(self, step: Step) -> Recorded:
        exchange = self._exchanges.get(step.exchange)
        if exchange is None:
            return Recorded()
        if step.kind is StepKind.REQUEST:
            return _recorded_answer(exchange)
        if step.kind is StepKind.CONNECT:
            return Recorded(status=exchange.status or 0)
        if step.kind is StepKind.RECEIVE:
            message = self._message(exchange, step)
            return Recorded(body=message.data if message is not None else None)
        return Recorded()

    def _message(self, exchange: Exchange, step: Step) -> Message | None:
        """The recorded message of a step: the one of the server that came at its time."""
        if exchange.socket is None:
            return None
        at_ns = self._origin_ns + step.at_ns
        received = [message for message in exchange.socket.messages if message.sender is Peer.SERVER]
        return min(received, key=lambda message: abs(message.t_ns - at_ns), default=None)

    def _expectation_of(self, step: Step) -> Any:
        if step.message_kind >= 0:
            return self._plan.message_kinds[step.message_kind].expectation
        return step.expectation

    def _parse_of(self, step: Step) -> Callable[[bytes], Any]:
        if step.message_kind < 0:
            return plain_json
        return partial(open_document, self._script.sockets[step.socket].framing)

    # What varies in the recording.

    def _example_key(self, step: Step) -> tuple[int, int]:
        return step.route, step.message_kind

    def _learned(self) -> tuple[dict[tuple[int, int], frozenset[JsonPath]], dict[str, set[Any]]]:
        values: dict[tuple[int, int], dict[JsonPath, set[str]]] = defaultdict(lambda: defaultdict(set))
        counts: Counter[tuple[int, int]] = Counter()
        words: dict[str, set[Any]] = {}
        for script in self._plan.scripts:
            for step in script.steps:
                key = self._example_key(step)
                document = self._recorded_document(step) if counts[key] < MAX_EXAMPLES else None
                if document is not None:
                    counts[key] += 1
                    words_of(document, words)
                    for path, value in _plain_leaves(document, ()):
                        values[key][path].add(value)
        return {k: frozenset(p for p, seen in v.items() if len(seen) > 1) for k, v in values.items()}, words

    def _learn_messages(self, words: dict[str, set[Any]]) -> Counter[tuple[int, str]]:
        """Count what the server sent in this session, by route and what names its kind; learn its words of state."""
        counts: Counter[tuple[int, str]] = Counter()
        for socket in self._script.sockets:
            exchange = self._exchanges.get(self._script.steps[socket.connect].exchange)
            messages = exchange.socket.messages if exchange is not None and exchange.socket is not None else ()
            for number, message in enumerate(message for message in messages if message.sender is Peer.SERVER):
                document = _parsed(message.data, socket.framing)
                counts[socket.route, kind_of(document, socket.discriminator).decode("utf-8", "replace")] += 1
                if number < 10 * MAX_EXAMPLES:
                    words_of(document, words)
        return counts

    def _recorded_document(self, step: Step) -> Any:
        if step.kind is not StepKind.REQUEST or step.exchange not in self._exchanges:
            return None
        return _parsed(decoded_response(self._exchanges[step.exchange]), Framing.PLAIN)

    # Messages and sockets.

    def _messages(self, measured: SecondSlot) -> Iterable[MessageReport]:
        routes = {socket.route for socket in self._script.sockets}
        awaited = {step.message_kind for step in self._script.steps if step.kind is StepKind.RECEIVE}
        for number, kind in enumerate(self._plan.message_kinds):
            if not kind.is_sent and kind.route in routes:
                n_recorded = self._sent[kind.route, kind.value]
                yield from self._of_kind(measured, kind.route, kind.name, n_recorded, is_awaited=number in awaited)
        for number in sorted(routes):
            yield from self._of_kind(measured, number, NEVER_RECORDED, 0, is_awaited=False)
        yield from self._streams(measured)

    def _streams(self, measured: SecondSlot) -> Iterable[MessageReport]:
        """Yield what came over event streams, by route."""
        counts: Counter[int] = Counter()
        for step in self._script.steps:
            exchange = self._exchanges.get(step.exchange)
            if step.kind is StepKind.REQUEST and exchange is not None:
                counts[step.route] += _n_events(exchange)
        for number, n_recorded in sorted(counts.items()):
            if n_recorded:
                route = self._plan.routes[number].name
                n_live = _measure(measured.measures, "sse.event", route=route).ok
                found = () if n_live else (_never_came(_EVENTS, n_recorded, is_awaited=True),)
                yield MessageReport(route=route, name=_EVENTS, n_recorded=n_recorded, n_live=n_live, differences=found)

    def _of_kind(
        self, measured: SecondSlot, number: int, name: str, n_recorded: int, *, is_awaited: bool
    ) -> Iterable[MessageReport]:
        route = self._plan.routes[number].name
        measure = _measure(measured.measures, "ws.message", message=name, route=route)
        n_live = measure.ok + sum(measure.mismatches.values())
        found = [
            Difference(aspect=Aspect.MESSAGES, place=name, live=f"{n} × {MISMATCHES[mismatch]}")
            for mismatch, n in sorted(measure.mismatches.items())
        ]
        if n_recorded and not n_live:
            found.append(_never_came(name, n_recorded, is_awaited=is_awaited))
        if n_recorded or n_live:
            yield MessageReport(route=route, name=name, n_recorded=n_recorded, n_live=n_live, differences=tuple(found))

    def _lost(self, witness: Witness) -> Iterable[str]:
        for (number, failure), n in sorted(witness.lost.items()):
            route = self._plan.routes[self._script.sockets[number].route].name
            yield f"{route} ended with {failure}{f', {n} times' if n > 1 else ''}, although the recording went on"


def _n_events(exchange: Exchange) -> int:
    content_type = header(exchange.response_headers, b"content-type") or b""
    if media_type(content_type) != CONTENT_TYPE or exchange.response_body.is_cut:
        return 0
    return len(EventReader().feed(decoded_response(exchange)))


def _never_came(name: str, n_recorded: int, *, is_awaited: bool) -> Difference:
    why = "" if is_awaited or n_recorded > 1 else "it came once in the recording, at the server's own pace"
    return Difference(aspect=Aspect.MESSAGES, place=name, recorded=str(n_recorded), live="none came", reason=why)


def _recorded_answer(exchange: Exchange) -> Recorded:
    content_type = (header(exchange.response_headers, b"content-type") or b"").decode("latin-1")
    is_cut = exchange.response_body.is_cut
    return Recorded(
        status=exchange.status or 0,
        content_type=content_type,
        body=None if is_cut else decoded_response(exchange),
    )


def _measure(measures: Mapping[SeriesKey, Measure], name: str, **labels: str) -> Measure:
    return measures.get((name, tuple(sorted(labels.items()))), Measure())


def _parsed(text: bytes, framing: Framing) -> Any:
    try:
        return open_document(framing, text)
    except (ValueError, RecursionError):
        return None


def _plain_leaves(node: Any, path: JsonPath) -> Iterable[tuple[JsonPath, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _plain_leaves(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node[:8]):
            yield from _plain_leaves(value, (*path, number))
    else:
        yield general(path), json.dumps(node, default=repr)
