"""A script made ready for one run in one worker: templates encoded, gaps divided, dependencies turned round. Pure.

Every user of the script shares the result. Lists are indexed by step, so that playing a step is a few list lookups.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from replayer.load.schedule import played_duration_ns, retime, timing_of
from replayer.plan.records import Codec, Plan, RequestTemplate, Script, SlotKind, Step, StepKind, Template
from replayer.targets import TargetSpec
from replayer.user.awaited import patience_of
from replayer.user.ending import AtEnd, Pace, Steady, farewells, on_time_ns, steady_of
from replayer.user.expiry import expiry_codes
from replayer.user.framing import RenderedParts, rendered_payload, reply_key
from replayer.user.inbox import NEVER_RECORDED, inbox_of
from replayer.user.labels import labels_of
from replayer.user.linked_request import LinkedRequest
from replayer.user.meter import Meter, Recorder
from replayer.user.pacing import Pacing
from replayer.user.render import CookieSlots, Rendered, begin_with_cookies, link_http1, link_template
from replayer.user.render_http2 import RenderedHttp2, link_http2
from replayer.user.slots import encode
from replayer.user.tickers import link_tickers
from replayer.wire.sse import CONTENT_TYPE

_SERIES_OF_SOCKET = {
    StepKind.CONNECT: "ws.connect",
    StepKind.SEND: "ws.send",
    StepKind.RECEIVE: "ws.reply",
    StepKind.CLOSE: "ws.lifetime",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The rendered parts of a CONNECT step."""

    target: Rendered
    headers: tuple[tuple[bytes, Rendered], ...]
    subprotocols: tuple[Rendered, ...] = ()


class LinkedScript:
    """One script of one run.

    Attributes:
        steps: as planned.
        roots: steps that need none, in order of ``ideal_ns``.
        ideal_ns: by step: place on the run's timeline relative to the user's arrival.
        think_ns: by step: reaction time after the last needed step ended, divided and capped.
        n_needs: by step; dependents: by step, those that wait for it.
        rendered: by step: the encoded request or message, None where the kind has none.
        handshakes: by step: of CONNECT steps.
        expiry_codes: close codes of a server that ask for a fresh credential.
        patience_ns: by step: the least time that its message is waited for.
        reply_keys: by SEND step with a static payload and a reply: the value its answer will carry.
        requests: by step: of REQUEST steps; steps that ask for the same share one.
        extractors: by step.
        stream_connects, events, event_gaps, first_events: by step: where the opening of a stream is counted, its
            events, the times between them, and that of the first.
        recorders: by step: where its outcome is counted.
        steady: the part that is played again, None where none is; pace: where a session's slip and stretch go.
        tickers: by socket: its heartbeats.
        messages: by message kind: where received messages are counted.
        inboxes: by socket: what is known of the messages that the server sends.
        drops: by socket: where a socket that the server ended too early is counted.
        derived: by slot: (slot, codec name) of the slots written from it in another coding.
        cookie_slot: number of the COOKIE_HEADER slot, or -1; two more values stand behind the last slot:
            cookie_line_slot, the whole header line or nothing, and cookie_start_slot, the pairs that others follow.
        generated: by step: the GENERATED slots (slot, generator) that it uses.
        triggers: by step: those of them that a push may repeat.
        farewells: SEND steps after which the server may end the socket first.
        optional: slots that begin with a value (slot, value).
        head_slots: slots that stand in a request line or in a header, where a line break would end it.
        hosts: by origin: recorded host, which cookies belong to.
    """

    __slots__ = (
        "_generators",
        "cookie_line_slot",
        "cookie_slot",
        "cookie_start_slot",
        "cookies",
        "dependents",
        "derived",
        "drops",
        "event_gaps",
        "events",
        "expiry_codes",
        "extractors",
        "farewells",
        "first_events",
        "generated",
        "handshakes",
        "head_slots",
        "hosts",
        "ideal_ns",
        "inboxes",
        "inputs",
        "messages",
        "n_needs",
        "n_values",
        "optional",
        "pace",
        "paths",
        "patience_ns",
        "recorders",
        "rendered",
        "reply_keys",
        "requests",
        "roots",
        "script",
        "steady",
        "steps",
        "stream_connects",
        "think_ns",
        "tickers",
        "triggers",
    )

    def __init__(
        self,
        plan: Plan,
        script: Script,
        *,
        targets: Sequence[TargetSpec],
        added: Sequence[tuple[bytes, bytes]],
        meter: Meter,
        speed: float,
        max_gap_ns: int | None,
        pacing: Pacing,
        at_end: AtEnd = AtEnd.END,
        trusts_clock: Sequence[bool] = (),
    ) -> None:
        self.script = script
        self.steps = script.steps
        self._link_slots(script, targets)
        self.head_slots = frozenset(slot for step in script.steps for slot in _slots_of_head(step))
        self.generated = [self.generated_by(_template_of(step)) for step in script.steps]
        self.hosts = [origin.host for origin in plan.origins]
        self._link_times(script, speed, max_gap_ns)
        needs = self._link_needs(script, pacing)
        played_ns = played_duration_ns(timing_of(script), speed=speed, max_gap_ns=max_gap_ns)
        self.pace = Pace(meter, played_ns=played_ns, on_time_ns=on_time_ns(script, self.ideal_ns, speed))
        self.steady: Steady | None = None
        if at_end is AtEnd.REPEAT:
            self.steady = steady_of(script, ideal_ns=self.ideal_ns, needs=needs, played_ns=played_ns)
        constants = _constants(script, targets)
        known: dict[tuple[int, RequestTemplate], Rendered | RenderedHttp2] = {}
        self.rendered = [self._render(step, targets, added, constants, known) for step in script.steps]
        self.handshakes = [self._handshake(step, added, constants) for step in script.steps]
        self.cookies = [(c.name, Rendered(link_template(c.value, constants))) for c in script.cookies]
        self.tickers = link_tickers(plan, script, meter, constants)
        self.expiry_codes = expiry_codes(script)
        self.patience_ns = patience_of(script.steps)
        self.reply_keys = [self._reply_key(step) for step in script.steps]
        self.extractors = [step.extractors for step in script.steps]
        self.farewells = farewells(script)
        self.paths = [_static_path(step) for step in script.steps]
        self.recorders = [_recorder(plan, step, meter) for step in script.steps]
        self.stream_connects = [_stream_recorder(plan, step, meter, "sse.connect") for step in script.steps]
        self.events = [_stream_recorder(plan, step, meter, "sse.event") for step in script.steps]
        self.first_events = [_stream_recorder(plan, step, meter, "sse.first_event") for step in script.steps]
        self.event_gaps = [_stream_recorder(plan, step, meter, "sse.gap") for step in script.steps]
        self.requests = self._link_requests()
        self.drops = [meter.recorder("ws.lifetime", **labels_of(plan, s.route)) for s in script.sockets]
        self.messages = [
            meter.recorder("ws.message", **labels_of(plan, kind.route), message=kind.name)
            for kind in plan.message_kinds
        ]
        pushes = [
            meter.pushes.meter_of(number, kind, route.name, meter, is_absolute=any(trusts_clock[route.origin :][:1]))
            for number, kind in enumerate(plan.message_kinds)
            for route in (plan.routes[kind.route],)
        ]
        has_echoes = any(kind.push is not None and kind.push.echo for kind in plan.message_kinds)
        self.triggers = [tuple(slot for slot, _ in generated) if has_echoes else () for generated in self.generated]
        self.inboxes = [
            inbox_of(
                plan,
                script,
                number,
                recorders=self.messages,
                pushes=pushes,
                strangers=meter.recorder(
                    "ws.message", **labels_of(plan, script.sockets[number].route), message=NEVER_RECORDED
                ),
                greeting=meter.recorder("ws.ready", **labels_of(plan, script.sockets[number].route)),
                constants=constants,
                generated_by=self.generated_by,
            )
            for number in range(len(script.sockets))
        ]

    def _link_slots(self, script: Script, targets: Sequence[TargetSpec]) -> None:
        self.cookie_line_slot = len(script.slots)
        self.cookie_start_slot = len(script.slots) + 1
        self.n_values = len(script.slots) + 2
        self.cookie_slot = -1
        self.derived: dict[int, list[tuple[int, str]]] = {}
        self._generators: dict[int, str] = {}
        self.inputs: list[tuple[int, str]] = []
        self.optional = [(number, slot.recorded) for number, slot in enumerate(script.slots) if slot.is_optional]
        for number, slot in enumerate(script.slots):
            if slot.kind is SlotKind.COOKIE_HEADER:
                self.cookie_slot = number
            elif slot.kind is SlotKind.DERIVED:
                source, _, codec = slot.detail.partition(":")
                self.derived.setdefault(int(source), []).append((number, codec))
            elif slot.kind is SlotKind.GENERATED:
                self._generators[number] = slot.detail
            elif slot.kind is SlotKind.INPUT:
                self.inputs.append((number, slot.detail))

    def _link_times(self, script: Script, speed: float, max_gap_ns: int | None) -> None:
        sends = [step for step in script.steps if step.kind is not StepKind.RECEIVE]
        placed = retime([step.at_ns for step in sends], speed=speed, max_gap_ns=max_gap_ns)
        self.ideal_ns = [0] * len(script.steps)
        for step, at_ns in zip(sends, placed, strict=True):
            self.ideal_ns[step.index] = at_ns
        cap = max_gap_ns if max_gap_ns is not None else 1 << 62
        self.think_ns = [min(int(step.think_ns / speed), cap) for step in script.steps]

    def _link_needs(self, script: Script, pacing: Pacing) -> list[tuple[int, ...]]:
        needs = [step.needs for step in script.steps]
        if pacing is Pacing.ASAP:
            needs = _recorded_order(script)
            self.think_ns = [0] * len(script.steps)
        self.n_needs = [len(each) for each in needs]
        dependents: list[list[int]] = [[] for _ in script.steps]
        for index, each in enumerate(needs):
            for needed in each:
                dependents[needed].append(index)
        self.dependents = [tuple(each) for each in dependents]
        self.roots = sorted((i for i, n in enumerate(self.n_needs) if n == 0), key=lambda i: (self.ideal_ns[i], i))
        return needs

    def _render(
        self,
        step: Step,
        targets: Sequence[TargetSpec],
        added: Sequence[tuple[bytes, bytes]],
        constants: dict[int, bytes],
        known: dict[tuple[int, RequestTemplate], Rendered | RenderedHttp2],
    ) -> Rendered | RenderedHttp2 | RenderedParts | None:
        """Encode what a step sends; ``known`` holds the requests so far, by origin."""
        if step.kind is StepKind.SEND:
            return rendered_payload(step, constants)
        if step.kind is not StepKind.REQUEST or step.request is None:
            return None
        rendered = known.get((step.origin, step.request))
        if rendered is None:
            rendered = self._render_request(step.request, targets[step.origin], added, constants)
            known[step.origin, step.request] = rendered
        return rendered

    def _render_request(
        self,
        request: RequestTemplate,
        target: TargetSpec,
        added: Sequence[tuple[bytes, bytes]],
        constants: dict[int, bytes],
    ) -> Rendered | RenderedHttp2:
        if target.http == "2":
            return link_http2(
                request,
                authority=target.authority.encode(),
                scheme=target.scheme.encode(),
                added=added,
                constants=constants,
                cookies=self._cookie_slots(),
            )
        return link_http1(
            request,
            authority=target.authority.encode(),
            added=added,
            constants=constants,
            cookies=self._cookie_slots(),
        )

    def _link_requests(self) -> list[LinkedRequest | None]:
        """By step: what there is to a request, one object for all that are the same."""
        known: dict[object, LinkedRequest] = {}
        linked: list[LinkedRequest | None] = []
        for step, rendered, recorder in zip(self.steps, self.rendered, self.recorders, strict=True):
            if step.request is None or not isinstance(rendered, Rendered | RenderedHttp2):
                linked.append(None)
                continue
            # Subtle: equal templates were rendered into one object, and equal expectations were decoded into one.
            key = (id(rendered), id(recorder), step.origin, id(step.expectation), step.extractors)
            request = known.get(key)
            if request is None:
                request = known[key] = LinkedRequest(step, rendered, recorder)
            linked.append(request)
        return linked

    def _handshake(
        self, step: Step, added: Sequence[tuple[bytes, bytes]], constants: dict[int, bytes]
    ) -> Handshake | None:
        if step.kind is not StepKind.CONNECT or step.request is None:
            return None
        replaced = {name.lower() for name, _ in added}
        headers = [
            (name, Rendered(link_template(begin_with_cookies(value, self._cookie_slots()), constants)))
            for name, value in step.request.headers
            if name.lower() not in replaced
        ]
        headers += [(name, Rendered((value,))) for name, value in added]
        offered = tuple(Rendered(link_template(each, constants)) for each in step.request.subprotocol_templates)
        target = Rendered(link_template(step.request.target, constants))
        return Handshake(target=target, headers=tuple(headers), subprotocols=offered)

    def _cookie_slots(self) -> CookieSlots:
        return CookieSlots(self.cookie_slot, self.cookie_line_slot, self.cookie_start_slot)

    def generated_by(self, template: Template) -> tuple[tuple[int, str], ...]:
        """Return the GENERATED slots (slot, generator) that a template uses, itself or in another coding."""
        sources = {derived: source for source, uses in self.derived.items() for derived, _ in uses}
        used = {sources.get(part, part) for part in template if isinstance(part, int)}
        return tuple((slot, self._generators[slot]) for slot in sorted(used & self._generators.keys()))

    def _reply_key(self, step: Step) -> bytes | None:
        rendered = self.rendered[step.index]
        if step.kind is not StepKind.SEND or step.reply < 0 or rendered is None or rendered.static is None:
            return None
        pairing = self.steps[step.reply].pairing
        framing = self.script.sockets[step.socket].framing
        return reply_key(rendered.static, pairing.send_path, framing) if pairing else None


def _slots_of_head(step: Step) -> list[int]:
    if step.request is None:
        return []
    parts = (*step.request.target, *(part for _, value in step.request.headers for part in value))
    return [part for part in parts if isinstance(part, int)]


def _template_of(step: Step) -> Template:
    """Everything of a step that is rendered, in one template."""
    request = step.request
    if request is None:
        return step.payload
    offered = (part for template in request.subprotocol_templates for part in template)
    return (*request.target, *(part for _, value in request.headers for part in value), *request.body, *offered)


def _constants(script: Script, targets: Sequence[TargetSpec]) -> dict[int, bytes]:
    constants = {}
    for number, slot in enumerate(script.slots):
        if slot.kind is SlotKind.ORIGIN:
            origin, _, form = slot.detail.partition(":")
            constants[number] = _origin_form(targets[int(origin)], form)
    for number, slot in enumerate(script.slots):
        if slot.kind is SlotKind.DERIVED:
            source, _, codec = slot.detail.partition(":")
            if int(source) in constants:
                constants[number] = encode(constants[int(source)], Codec(codec))
    return constants


def _origin_form(target: TargetSpec, form: str) -> bytes:
    if form == "authority":
        return target.authority.encode()
    if form == "ws_origin":
        return target.origin.replace("http", "ws", 1).encode()
    return target.origin.encode()


def _recorded_order(script: Script) -> list[tuple[int, ...]]:
    """By step: what had ended before its recorded send, less those that others among them had waited for."""
    order: list[tuple[int, ...]] = []
    open_steps: list[tuple[int, int]] = []  # (end, index), a heap
    frontier: list[Step] = []
    latest_start_ns = 0
    for step in script.steps:
        while open_steps and open_steps[0][0] <= step.at_ns:
            ended = script.steps[heapq.heappop(open_steps)[1]]
            frontier.append(ended)
            latest_start_ns = max(latest_start_ns, ended.at_ns)
        frontier = [s for s in frontier if s.at_ns + s.duration_ns > latest_start_ns or s.at_ns == latest_start_ns]
        order.append(tuple(sorted({s.index for s in frontier} | set(step.needs))))
        heapq.heappush(open_steps, (step.at_ns + step.duration_ns, step.index))
    return order


def _static_path(step: Step) -> bytes:
    """The request's path as far as it is literal, for cookies bound to a path."""
    if step.request is None or not step.request.target:
        return b"/"
    first = step.request.target[0]
    return first.partition(b"?")[0] if isinstance(first, bytes) else b"/"


def is_event_stream(step: Step) -> bool:
    """Tell whether a step was answered with an event stream when it was recorded."""
    return step.expectation.content_type == CONTENT_TYPE


def _stream_recorder(plan: Plan, step: Step, meter: Meter, series: str) -> Recorder | None:
    if step.kept_open or is_event_stream(step):
        return meter.recorder(series, **labels_of(plan, step.route))
    return None


def _recorder(plan: Plan, step: Step, meter: Meter) -> Recorder:
    labels = labels_of(plan, step.route)
    if step.kind is StepKind.REQUEST:
        if step.kept_open:
            return meter.recorder("sse.stream", **labels)
        return meter.recorder("http", kind=plan.routes[step.route].kind.value, **labels)
    series = _SERIES_OF_SOCKET[step.kind]
    if step.kind is StepKind.RECEIVE and step.reply_to < 0:
        series = "ws.awaited"  # It comes at the server's pace: no reply, and no latency of one.
    if step.message_kind >= 0:
        return meter.recorder(series, message=plan.message_kinds[step.message_kind].name, **labels)
    return meter.recorder(series, **labels)
