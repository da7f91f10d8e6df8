"""Capture → plan. Pure and deterministic: the same capture and options give the same bytes.

Theory of operation: select what is compiled; learn where messages name their kind; read every session once, in the
order in which its client knew things; name the routes; judge all matches, comparing sessions; learn how messages answer
each other; draft a script per session. Each room does one of these and knows nothing of the next.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from captures.leaves import JsonPath
from captures.records import Anchor, Exchange, Origin
from captures.sessions import Capture
from replayer.plan.answers import Expectations
from replayer.plan.bindings import Bindings
from replayer.plan.correlate import Behind, Judge
from replayer.plan.evidence import ScriptEvidence
from replayer.plan.messages import FamilyKey, Kinds
from replayer.plan.minted import constants
from replayer.plan.origins import OriginFinder
from replayer.plan.pairing import Paired, Pairings, ResponderRule, SocketLog, pair
from replayer.plan.reading import Answer, Reading, read_session
from replayer.plan.records import Plan, RouteKind, Script, Source
from replayer.plan.routes import Asked, Routes, Templates, is_unsafe, operation_of, path_template
from replayer.plan.scripts import Draft, Example, Shared
from replayer.plan.selection import Selected, Track, select
from replayer.plan.sightings import Sighting
from replayer.plan.values import EventRef, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A plan, and why it is so; ``evidence`` is by script."""

    plan: Plan
    evidence: tuple[ScriptEvidence, ...]


def compile_plan(capture: Capture, *, mapped: frozenset[Origin] = frozenset()) -> Plan:
    """Compile a capture.

    Args:
        mapped: origins besides the page's that have a target; those of the capture are compiled too.
    """
    return compile_explained(capture, mapped=mapped).plan


def compile_explained(capture: Capture, *, mapped: frozenset[Origin] = frozenset()) -> Compiled:
    """Compile a capture and keep the evidence."""
    with _uncollected():
        return _compile(capture, mapped)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the cyclic collector from walking the growing heap again and again: nothing in here makes cycles.

    Without it 20,000 exchanges took 5.7 times as long as 5,000, with it 4.0 times (``benchmarks/compile_plan.py``).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _compile(capture: Capture, mapped: frozenset[Origin]) -> Compiled:
    selected = select(capture.sessions, url=capture.header.get("url"), mapped=mapped)
    anchor = cast("Anchor | None", capture.header.get("anchor"))
    compiler = _Compiler(selected, anchor.wall_ns if anchor is not None else 0)
    drafts = [compiler.draft(number).script() for number in range(len(selected.tracks))]
    plan = compiler.plan(capture.sha256, tuple(script for script, _ in drafts))
    return Compiled(plan=plan, evidence=tuple(evidence for _, evidence in drafts))


@dataclass(slots=True)
class _Family:
    """The sockets of one route: logs in order, and whose they are."""

    logs: list[SocketLog] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)


class _Compiler:
    """All sessions of a capture on their way to a plan."""

    def __init__(self, selected: Selected, wall_ns: int) -> None:
        self._selected = selected
        self._wall_ns = wall_ns
        self._kinds = Kinds()
        self._families = [_families_of(track) for track in selected.tracks]
        self._learn_kinds()
        self._readings = [
            read_session(track, self._kinds, families)
            for track, families in zip(selected.tracks, self._families, strict=True)
        ]
        self._family_routes: dict[FamilyKey, int] = {}
        self._judge()
        self._routes, self._numbers = self._name_routes()
        self._constants = constants({use.value for use in reading.unmatched} for reading in self._readings)
        self._paired = self._pair()
        self._replies = self._replies_by_session()
        self._shared = self._share()

    def _learn_kinds(self) -> None:
        for track, families in zip(self._selected.tracks, self._families, strict=True):
            for position, family in families.items():
                self._kinds.sample(family, track.exchanges[position])
        self._kinds.learn()

    def _judge(self) -> None:
        """Judge with the routes that the paths alone give; minted segments then make better ones."""
        numbers = self._name_routes()[1]
        behind = [_behind(reading, routes) for reading, routes in zip(self._readings, numbers, strict=True)]
        judge = Judge(lambda session, event: behind[session][event[0]])
        judge.judge([reading.matches for reading in self._readings])

    # Routes.

    def _name_routes(self) -> tuple[Routes, list[list[int]]]:
        """Return the routes, and their numbers by session and position of the exchange."""
        templates = Templates(row for reading in self._readings for row in _asked(reading))
        routes = Routes()
        numbers = []
        for reading, families in zip(self._readings, self._families, strict=True):
            rows = enumerate(_rows(reading))
            kinds = reading.track.kinds
            numbers.append([self._route(routes, row[:2], kinds[at], templates, families.get(at)) for at, row in rows])
        return routes, numbers

    def _route(
        self,
        routes: Routes,
        row: tuple[Exchange, int],
        kind: RouteKind,
        templates: Templates,
        family: FamilyKey | None,
    ) -> int:
        exchange, origin = row
        if family is not None:
            number = self._family_routes[family] = routes.number(origin, f"WS {family[1]}", RouteKind.SOCKET)
            return number
        operation = operation_of(exchange)
        name = f"{exchange.method} {templates.path(origin, exchange.method, exchange.path)}"
        if operation is not None:
            name = f"{name} {operation.name}"
        return routes.number(origin, name, kind)

    # Messages.

    def _pair(self) -> dict[FamilyKey, tuple[_Family, Pairings]]:
        families: dict[FamilyKey, _Family] = {}
        for session, reading in enumerate(self._readings):
            for position, key in self._families[session].items():
                family = families.setdefault(key, _Family())
                family.logs.append(reading.logs[position])
                family.places.append((session, position))
        asked = {key: self._protocol_responder(key) for key in families}
        names = [self._kinds.value(number) for number in range(len(self._kinds.learners))]
        paired = {key: (family, pair(family.logs, names)) for key, family in families.items()}
        for key, rule in asked.items():
            responders = paired[key][1].responders
            if rule is not None and all(each.receive_kind != rule.receive_kind for each in responders.values()):
                responders[rule.send_kind] = rule
        return paired

    def _protocol_responder(self, key: FamilyKey) -> ResponderRule | None:
        """Return the answer to a heartbeat that the protocol asks for, though none may have come in the recording."""
        heartbeat = self._kinds.heartbeat(key)
        if heartbeat is None:
            return None
        answered = self._kinds.named(key, heartbeat.answered, is_sent=True)
        asked = self._kinds.named(key, heartbeat.asked, is_sent=False)
        return ResponderRule(answered, asked, (), 0)

    def _replies_by_session(self) -> list[dict[int, list[Paired]]]:
        replies: list[dict[int, list[Paired]]] = [{} for _ in self._readings]
        for family, pairings in self._paired.values():
            for (session, position), pairs in zip(family.places, pairings.replies, strict=True):
                replies[session][position] = pairs
        return replies

    def _share(self) -> Shared:
        expectations = Expectations()
        for reading, routes in zip(self._readings, self._numbers, strict=True):
            for (exchange, _, answer), route in zip(_rows(reading), routes, strict=True):
                expectations.add(route, exchange, answer)
        starts_ns = [track.exchanges[0].start_ns for track in self._selected.tracks]
        origins = self._selected.origins
        return Shared(
            finder=OriginFinder(origins),
            page_host=origins[0].host if origins else "",
            kinds=self._kinds,
            expectations=expectations,
            start_ns=min(starts_ns, default=0),
            responders={key: pairings.responders for key, (_, pairings) in self._paired.items()},
            examples={
                key: {
                    kind: _example(family.logs, rule) if rule.support else self._protocol_example(key)
                    for kind, rule in pairings.responders.items()
                }
                for key, (family, pairings) in self._paired.items()
            },
        )

    def _protocol_example(self, key: FamilyKey) -> Example:
        heartbeat = self._kinds.heartbeat(key)
        return Example(data=heartbeat.answer if heartbeat is not None else b"", uses=[], echoes=[])

    # Scripts.

    def draft(self, session: int) -> Draft:
        """Return the draft of one session."""
        reading, families = self._readings[session], self._families[session]
        replies = self._replies[session]
        bindings = Bindings(
            reading,
            wall_ns=self._wall_ns,
            passed_over=self._answering(session),
            constants=self._constants,
            answers={(position, paired.received) for position, rows in replies.items() for paired in rows},
        )
        routes = self._numbers[session]
        return Draft(self._shared, reading, bindings, routes=routes, families=families, replies=replies)

    def _answering(self, session: int) -> set[EventRef]:
        """Return the sent messages of a session that only answer."""
        return {
            (position, entry.position)
            for position, family in self._families[session].items()
            for entry in self._readings[session].logs[position].entries
            if entry.is_sent and entry.kind in self._shared.responders[family]
        }

    def plan(self, sha256: str, scripts: tuple[Script, ...]) -> Plan:
        """Return the plan of these scripts."""
        return Plan(
            capture_sha256=sha256,
            origins=self._selected.origins,
            routes=self._routes.records(),
            message_kinds=self._kinds.records(self._family_routes),
            scripts=scripts,
            dropped_origins=self._selected.dropped,
            anchor_wall_ns=self._wall_ns + self._shared.start_ns,
        )


def _families_of(track: Track) -> dict[int, FamilyKey]:
    return {
        position: (track.origins[position], path_template(exchange.path))
        for position, exchange in enumerate(track.exchanges)
        if exchange.socket is not None
    }


def _rows(reading: Reading) -> Iterator[tuple[Exchange, int, Answer]]:
    return zip(reading.track.exchanges, reading.track.origins, reading.answers, strict=True)


def _asked(reading: Reading) -> Iterator[Asked]:
    """Yield what the routes are learned from; segments that became slots are ids."""
    ids: dict[int, set[int]] = {}
    for match in reading.matches:
        use = match.use
        if (match.is_accepted or match.is_listed) and use.part is Part.TARGET and use.segment >= 0:
            ids.setdefault(use.event[0], set()).add(use.segment)
    for position, (exchange, origin, answer) in enumerate(_rows(reading)):
        if exchange.socket is None:
            is_asset = reading.track.kinds[position] is RouteKind.ASSET
            known = frozenset(ids.get(position, ()))
            yield Asked(origin, exchange.method, exchange.path, is_asset, answer.shape, known)


def _behind(reading: Reading, routes: Sequence[int]) -> list[Behind]:
    exchanges = reading.track.exchanges
    return [
        Behind(exchange.path, is_unsafe(exchange, None), route)
        for exchange, route in zip(exchanges, routes, strict=True)
    ]


def _example(logs: Sequence[SocketLog], rule: ResponderRule) -> Example:
    """Return the first recorded message of a responder, with the uses that repeat what it answers."""
    log, position = next(
        (log, entry.position) for log in logs for entry in log.entries if entry.is_sent and entry.kind == rule.send_kind
    )
    uses = log.uses.get(position, [])
    paths = dict(rule.echoes)
    echoes = [(use, _echo_sighting(use.key, paths[use.path])) for use in uses if use.path in paths and not use.is_piece]
    return Example(data=log.messages[position].data, uses=uses, echoes=echoes)


def _echo_sighting(key: str, path: JsonPath) -> Sighting:
    place = "json /" + "/".join(map(str, path))
    return Sighting(event=(-1, -1), at_ns=0, source=Source.JSON, key=key, place=place, rank=1, path=path)
