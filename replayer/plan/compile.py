"""Capture → plan. Pure and deterministic: the same capture and options give the same bytes.

Theory of operation: select what is compiled; learn where messages name their kind; read every session once, in the
order in which its client knew things; name the routes; judge all matches, comparing sessions; learn how messages answer
each other; draft a script per session. Each room does one of these and knows nothing of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from captures.leaves import JsonPath
from captures.records import Anchor, Exchange, Origin, Socket
from captures.sessions import Capture
from replayer.plan.answers import Expectations
from replayer.plan.bindings import Bindings
from replayer.plan.codec import uncollected
from replayer.plan.correlate import Behind, Judge
from replayer.plan.evidence import ScriptEvidence
from replayer.plan.messages import FamilyKey, Kinds
from replayer.plan.minted import constants
from replayer.plan.origins import OriginFinder
from replayer.plan.pairing import Paired, Pairings, ResponderRule, SocketLog, pair, paired_by_rule
from replayer.plan.playing import played
from replayer.plan.push import Push
from replayer.plan.pushes import echo_key, pushes_of
from replayer.plan.reading import Answer, Reading, read_session
from replayer.plan.records import MessageKind, Pairing, Plan, RouteKind, Script, Source
from replayer.plan.requirements import with_requirements
from replayer.plan.routes import Asked, Routes, Templates, is_unsafe, operation_of, path_template
from replayer.plan.rules import NO_RULES, Play, RouteRule, Rules, place_name
from replayer.plan.ruling import RouteRules, SessionPlaces, SlotRules, check_pairing_routes, pairing_rules
from replayer.plan.scripts import Draft, Example, Shared
from replayer.plan.selection import Selected, Track, select
from replayer.plan.sightings import Sighting
from replayer.plan.sizes import with_message_sizes, with_sizes
from replayer.plan.values import EventRef, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A plan, and why it is so.

    Attributes:
        evidence: by script.
        places: by name of a place (``rules.place_name``): what fills it and where that is shown, each way once.
    """

    plan: Plan
    evidence: tuple[ScriptEvidence, ...]
    places: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


def compile_plan(
    capture: Capture,
    *,
    mapped: frozenset[Origin] = frozenset(),
    rules: Rules = NO_RULES,
    also: Sequence[Capture] = (),
) -> Plan:
    """Compile a capture.

    Args:
        mapped: origins besides the page's that have a target; those of the capture are compiled too.
        rules: what a person decided.
        also: further captures of the same application: they tell dynamic values from static ones, and are not played.

    Raises:
        ConfigError: a rule speaks of something that the capture does not have.
    """
    return compile_explained(capture, mapped=mapped, rules=rules, also=also).plan


def compile_explained(
    capture: Capture,
    *,
    mapped: frozenset[Origin] = frozenset(),
    rules: Rules = NO_RULES,
    also: Sequence[Capture] = (),
    with_places: bool = False,
) -> Compiled:
    """Compile a capture and keep the evidence.

    Args:
        mapped, rules, also: as of ``compile_plan``.
        with_places: note what fills every place, for a rules file.
    """
    with uncollected():
        return _compile(capture, mapped, rules, also, with_places=with_places)


def _compile(
    capture: Capture, mapped: frozenset[Origin], rules: Rules, also: Sequence[Capture], *, with_places: bool
) -> Compiled:
    selected = select(capture.sessions, url=capture.header.get("url"), mapped=mapped)
    n_played = len(selected.tracks)
    for other in also:
        selected.tracks.extend(_tracks_beside(other, selected))
    anchor = cast("Anchor | None", capture.header.get("anchor"))
    compiler = _Compiler(selected, anchor.wall_ns if anchor is not None else 0, rules, n_played=n_played)
    drafts = [compiler.draft(number, with_places=with_places).script() for number in range(n_played)]
    plan = compiler.plan(capture.sha256, tuple(script for script, _ in drafts))
    compiler.check_rules()
    plan = with_requirements(plan, rules.requirements)
    compiled = Compiled(plan=plan, evidence=tuple(evidence for _, evidence in drafts), places=compiler.places)
    return played(compiled, compiler.plays(plan), rules)


def _tracks_beside(other: Capture, selected: Selected) -> list[Track]:
    """Return the tracks of a capture that is only compared with: what went to the same origins, else to its page."""
    beside = select(other.sessions, url=other.header.get("url"), mapped=frozenset(selected.origins))
    numbers = {origin: number for number, origin in enumerate(selected.origins)}
    if beside.origins and beside.origins[0] not in numbers:
        numbers[beside.origins[0]] = 0  # Recorded from another deployment of the page.
    return [
        replace(track, origins=[numbers.get(beside.origins[origin], 0) for origin in track.origins])
        for track in beside.tracks
    ]


@dataclass(slots=True)
class _Family:
    """The sockets of one route: logs in order, and whose they are."""

    logs: list[SocketLog] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)


class _Compiler:
    """All sessions of a capture on their way to a plan."""

    def __init__(self, selected: Selected, wall_ns: int, rules: Rules, *, n_played: int) -> None:
        self._selected = selected
        self._n_played = n_played
        self._rules = rules
        self._route_rules = RouteRules(rules)
        self._slot_rules = SlotRules(rules)
        self.places: dict[str, set[tuple[str, str]]] = {}
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
        self._pushes = self._learn_pushes()
        self._sent_ns: dict[int, dict[bytes, int]] = {}
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
            self._route_rules.meet(f"WS {family[1]}")
            number = self._family_routes[family] = routes.number(origin, f"WS {family[1]}", RouteKind.SOCKET)
            return number
        operation = operation_of(exchange)
        template = templates.path(origin, exchange.method, exchange.path)
        said = f" {operation.name}" if operation is not None else ""
        name, ruled_kind = self._route_rules.renamed(exchange.method, exchange.path, template, said)
        return routes.number(origin, name, ruled_kind or kind)

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
        for key, (family, pairings) in paired.items():
            self._pair_by_rules(key, family, pairings, names)
        return paired

    def _pair_by_rules(self, key: FamilyKey, family: _Family, pairings: Pairings, names: Sequence[str]) -> None:
        if not self._rules.pairings:
            return
        route = self._routes.name(self._family_routes[key])
        kinds = [(names[n], sent) if family_key == key else ("", False) for n, (family_key, sent) in self._kinds.keys()]
        for rule, send, reply in pairing_rules(self._rules, route, kinds):
            pairing = Pairing(send_path=rule.send_path, reply_path=rule.reply_path, rule="a rule")
            ruled = paired_by_rule(family.logs, send, reply, pairing) if reply >= 0 else [[] for _ in family.logs]
            support = sum(map(len, ruled))
            for number, (log, rows) in enumerate(zip(family.logs, pairings.replies, strict=True)):
                of_kind = {entry.position for entry in log.entries if entry.kind == send}
                kept = [row for row in rows if row.sent not in of_kind]
                kept += [row._replace(pairing=replace(pairing, support=support)) for row in ruled[number]]
                pairings.replies[number] = sorted(kept, key=lambda row: (row.sent, row.received))

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
        starts_ns = [track.exchanges[0].start_ns for track in self._selected.tracks[: self._n_played]]
        origins = self._selected.origins
        return Shared(
            writes=self._writes(),
            pushes=frozenset(self._pushes),
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

    def _writes(self) -> dict[int, bool]:
        rules = ((n, self._route_rules.of(route.name)) for n, route in enumerate(self._routes.records()))
        return {number: rule.writes for number, rule in rules if rule is not None and rule.writes is not None}

    # Scripts.

    def draft(self, session: int, *, with_places: bool) -> Draft:
        """Return the draft of one session."""
        reading, families = self._readings[session], self._families[session]
        replies = self._replies[session]
        label = self._label(session) if self._rules.slots or with_places else _no_label
        places = SessionPlaces(self._slot_rules, label)
        bindings = Bindings(
            reading,
            wall_ns=self._wall_ns,
            passed_over=self._answering(session),
            constants=self._constants,
            answers={(position, paired.received) for position, rows in replies.items() for paired in rows},
            ruled=places if self._rules.slots else None,
        )
        self._sent_ns[session] = dict(bindings.minted_sends())
        if with_places:
            self._note_places(session, bindings, places)
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

    def _label(self, session: int) -> Callable[[EventRef], str]:
        """Return what names the route, and the kind of the message, of an event of a session."""
        reading, numbers = self._readings[session], self._numbers[session]
        kinds = {
            (position, entry.position): self._kinds.value(entry.kind)
            for position, log in reading.logs.items()
            for entry in log.entries
        }

        def label(event: EventRef) -> str:
            name = self._routes.name(numbers[event[0]]) if event[0] >= 0 else ""
            return f"{name} {kinds.get(event, '')}".rstrip() if event[1] >= 0 else name

        return label

    def _note_places(self, session: int, bindings: Bindings, places: SessionPlaces) -> None:
        label = self._label(session)
        for use, how, match in bindings.decided():
            if not use.is_piece and use.place != "url" and not use.place.startswith("referer "):
                source = places.source_of(match.sighting) if match is not None and how == "extract" else ""
                self.places.setdefault(place_name(label(use.event), use.place), set()).add((how, source))

    def check_rules(self) -> None:
        """Refuse rules that speak of nothing.

        Raises:
            ConfigError: the line of the rule, and what comes nearest.
        """
        self._route_rules.check()
        self._slot_rules.check()
        check_pairing_routes(self._rules, (self._routes.name(number) for number in self._family_routes.values()))

    def plays(self, plan: Plan) -> dict[int, RouteRule]:
        """Return by route of the plan what a rule says about how often it is played."""
        rules = ((number, self._route_rules.of(route.name)) for number, route in enumerate(plan.routes))
        return {number: rule for number, rule in rules if rule is not None and rule.play is not Play.ALWAYS}

    def plan(self, sha256: str, scripts: tuple[Script, ...]) -> Plan:
        """Return the plan of these scripts."""
        answers = (
            (route, exchange, answer.n_bytes, answer.document.n_items if answer.document is not None else -1)
            for reading, routes in zip(self._readings, self._numbers, strict=True)
            for (exchange, _, answer), route in zip(_rows(reading), routes, strict=True)
        )
        return Plan(
            capture_sha256=sha256,
            origins=self._selected.origins,
            routes=with_sizes(self._routes.records(), answers),
            message_kinds=self._message_kinds(),
            scripts=scripts,
            dropped_origins=self._selected.dropped,
            anchor_wall_ns=self._wall_ns + self._shared.start_ns,
        )

    # Pushes.

    def _learn_pushes(self) -> dict[int, Push]:
        pushes: dict[int, Push] = {}
        for family, pairings in self._paired.values():
            logs = [(log, self._socket(place)) for log, place in zip(family.logs, family.places, strict=True)]
            pushes.update(pushes_of(logs, pairings, wall_ns=self._wall_ns))
        return pushes

    def _socket(self, place: tuple[int, int]) -> Socket:
        socket = self._readings[place[0]].track.exchanges[place[1]].socket
        assert socket is not None
        return socket

    def _echoes(self) -> dict[int, str]:
        """Return by message kind the key under which it repeats what a client made and sent, replies left out."""
        found: dict[int, str] = {}
        for family, pairings in self._paired.values():
            for log, (session, _), rows in zip(family.logs, family.places, pairings.replies, strict=True):
                replies, sent_ns = {row.received for row in rows}, self._sent_ns.get(session, {})
                for entry in log.entries if sent_ns else ():
                    if not entry.is_sent and entry.position not in replies and entry.kind not in found:
                        key = echo_key(log, entry, sent_ns)
                        if key:
                            found[entry.kind] = key
        return found

    def _message_kinds(self) -> tuple[MessageKind, ...]:
        messages = (
            (entry.kind, log.messages[entry.position])
            for family, _ in self._paired.values()
            for log in family.logs
            for entry in log.entries
        )
        items = [learner.mean_items for learner in self._kinds.learners]
        pushes = dict(self._pushes)
        for kind, key in self._echoes().items():
            pushes[kind] = replace(pushes.get(kind, Push(n=self._kinds.learners[kind].n)), echo=key)
        kinds = with_message_sizes(self._kinds.records(self._family_routes), messages, items)
        return tuple(replace(kind, push=pushes.get(number)) for number, kind in enumerate(kinds))


def _no_label(_: EventRef) -> str:
    return ""


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
        Behind(exchange.path, is_unsafe(exchange, operation_of(exchange)), route, kind is RouteKind.ASSET)
        for exchange, route, kind in zip(exchanges, routes, reading.track.kinds, strict=True)
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
