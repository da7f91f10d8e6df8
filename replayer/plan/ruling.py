"""Applies a rules file while a capture is compiled: which rule speaks of what, and that every rule speaks of something.

Pure. Knows the names of routes and places, nothing of templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from captures.errors import ConfigError
from replayer.plan.index import Match
from replayer.plan.records import RouteKind
from replayer.plan.rules import PairingRule, RouteRule, Rules, SlotRule, nearest, place_name
from replayer.plan.sightings import Sighting
from replayer.plan.values import EventRef, Use

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}")


class RouteRules:
    """Names and kinds of routes as a person decided.

    Attributes:
        used: rules that met a route.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._by_name = {rule.name: rule for rule in rules.routes}
        self._templates = [(rule, *_parted(rule)) for rule in rules.routes if rule.template is not None]
        self.used: set[str] = set()
        self._known: set[str] = set()

    def renamed(self, method: str, path: str, template: str, operation: str) -> tuple[str, RouteKind | None]:
        """Return the name of a route and, where a rule says so, its kind.

        Args:
            template: that the compiler found for the path.
            operation: " name" of a GraphQL or JSON-RPC operation, or "".
        """
        name = f"{method} {template}{operation}"
        if not self._by_name:
            return name, None
        self._known.add(name)
        rule = self._by_name.get(name)
        for other, verb, pattern in self._templates:
            if verb == method and pattern.fullmatch(path):
                name, rule = f"{method} {other.template}{operation}", other
                break
        if rule is not None:
            self.used.add(rule.name)
        rule = rule or self._by_name.get(name)
        return name, rule.kind if rule is not None else None

    def meet(self, name: str) -> None:
        """Know of a route that is named by its socket."""
        self._known.add(name)

    def check(self) -> None:
        """Refuse rules for routes that the capture does not have.

        Raises:
            ConfigError: the line, and the nearest name.
        """
        for rule in self._rules.routes:
            if rule.name not in self.used and rule.name not in self._known:
                raise self._rules.wrong(rule.line, f"there is no route {rule.name}", nearest(rule.name, self._known))

    def of(self, name: str) -> RouteRule | None:
        """Return the rule of a route by the name that it has in the plan."""
        rule = self._by_name.get(name)
        if rule is not None:
            return rule
        return next((r for r, verb, _ in self._templates if f"{verb} {r.template}" == name), None)


def _parted(rule: RouteRule) -> tuple[str, re.Pattern[str]]:
    pieces = _PLACEHOLDER.split(rule.template or "")
    return rule.name.partition(" ")[0], re.compile("[^/]+".join(map(re.escape, pieces)))


class SlotRules:
    """The slot rules of a whole capture.

    Args:
        rules: the file.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.used: set[int] = set()
        self.known: set[str] = set()

    def check(self) -> None:
        """Refuse rules for places that the capture does not have.

        Raises:
            ConfigError: the line, and the nearest place.
        """
        for number, rule in enumerate(self.rules.slots):
            if number not in self.used:
                name = rule.at or rule.id
                raise self.rules.wrong(rule.line, f"nothing is sent at {name}", nearest(name, self.known))

    def take(self, place: str) -> SlotRule | None:
        """Return the rule of a place."""
        rule = self.rules.for_place(place)
        self.known.add(place)
        if rule is not None:
            self.used.add(self.rules.slots.index(rule))
        return rule


class SessionPlaces:
    """Implements ``bindings.RuledPlaces`` for one session.

    Args:
        label: returns the name of what sent or showed something: a route, with the kind of a message.
    """

    def __init__(self, slots: SlotRules, label: Callable[[EventRef], str]) -> None:
        self._slots = slots
        self._label = label
        self._found: dict[tuple[str, str], SlotRule | None] = {}

    def _rule(self, use: Use) -> SlotRule | None:
        key = (self._label(use.event), use.place)
        if key not in self._found:
            self._found[key] = self._slots.take(place_name(*key))
        return self._found[key]

    def decides(self, use: Use) -> bool:
        """Tell whether a rule speaks of the place; pieces of values follow the whole."""
        return not use.is_piece and self._rule(use) is not None

    def is_literal(self, use: Use) -> bool:
        """Tell whether it stays as it was recorded."""
        rule = self._rule(use)
        return rule is not None and rule.use == "literal"

    def generator(self, use: Use) -> str:
        """Return the generator, or ``input:<column>``, or ""."""
        rule = self._rule(use)
        if rule is None or rule.use in ("extract", "literal"):
            return ""
        return rule.use.removeprefix("mint:")

    def chosen(self, use: Use, match: Match | None) -> Match:
        """Return the match whose sighting the rule names.

        Raises:
            ConfigError: the value was never shown before, or not there.
        """
        rule = self._rule(use)
        assert rule is not None
        place = place_name(self._label(use.event), use.place)
        if match is None:
            raise self._wrong(
                rule, f"nothing showed the value of {place} before it was sent", 'use "mint:…" or "input:…"'
            )
        if not rule.source:
            return match
        shown = {self.source_of(s): s for s in reversed([match.sighting, *match.messages, *match.others])}
        sighting = shown.get(rule.source)
        if sighting is None:
            raise self._wrong(rule, f"{rule.source} did not show the value of {place}", nearest(rule.source, shown))
        return match if sighting is match.sighting else replace(match, sighting=sighting)

    def source_of(self, sighting: Sighting) -> str:
        """Return the name of a place that showed a value."""
        return place_name(self._label(sighting.event), sighting.place)

    def _wrong(self, rule: SlotRule, problem: str, hint: str) -> ConfigError:
        return self._slots.rules.wrong(rule.line, problem, hint)


def pairing_rules(
    rules: Rules, route: str, kinds: Sequence[tuple[str, bool]]
) -> Iterator[tuple[PairingRule, int, int]]:
    """Yield the pairing rules of one socket route with the numbers of the kinds that they name (reply: -1 for none).

    Args:
        kinds: name and whether the client sends it, by number; of other routes ("", False).

    Raises:
        ConfigError: a kind is not there.
    """
    for rule in rules.pairings:
        if rule.route != route:
            continue
        numbers = []
        for name, is_sent in ((rule.send, True), (rule.reply, False)):
            known = {kind: number for number, (kind, sent) in enumerate(kinds) if sent is is_sent and kind}
            if name and name not in known:
                who = "client" if is_sent else "server"
                raise rules.wrong(rule.line, f"on {route} the {who} sent no {name}", nearest(name, known))
            numbers.append(known.get(name, -1))
        yield rule, numbers[0], numbers[1]


def check_pairing_routes(rules: Rules, routes: Iterable[str]) -> None:
    """Refuse pairing rules for sockets that the capture does not have.

    Raises:
        ConfigError: the line, and the nearest name.
    """
    known = set(routes)
    for rule in rules.pairings:
        if rule.route not in known:
            raise rules.wrong(rule.line, f"there is no socket {rule.route}", nearest(rule.route, known))
