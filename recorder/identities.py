"""Tells several people on one port apart; pure.

Theory of operation. A *place* is a connection, or, behind another proxy, a single exchange. Each place belongs to one
person, and a person is one session. Persons own values: a cookie or token that two places show makes them one person
(union-find over equal values), and so does a token that an answer to one of them handed out. A place that shows nothing
known goes, for the time being, to the person who asked last from the same address with the same User-Agent, unless that
person is known to hold another session cookie or token. When the place shows a value later, it moves, or two persons
become one; each move is told as one more SESSION event, since the events before it are in the file already.

A value shown by two persons whose session cookies contradict each other tells nobody apart (an application's public
key, a cookie that is the same for all) and is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recorder.evidence import Cookie, Digest, Evidence
from recorder.persons import Person, Place, Rule, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One SESSION event."""

    connection: int
    exchange: int
    session: int
    rule: str


class Identities:
    """Binds places to sessions as evidence comes in."""

    def __init__(self) -> None:
        self.n_sessions = 0
        self._n_numbers = 0
        self._n_asked = 0
        self._persons: dict[Place, Person] = {}
        self._sure: set[Place] = set()
        self._named: dict[str, Person] = {}
        self._by_peer: dict[tuple[str, bytes], list[Person]] = {}
        self._shown = Values()
        self._handed_out = Values()

    def asked(self, place: Place, evidence: Evidence) -> list[Binding]:
        """Take a request; give what is bound because of it."""
        bindings: list[Binding] = []
        person, rule = self._known(place, evidence, bindings) or self._by_address(evidence)
        bindings += self._move(place, person, rule)
        self._learn(place, person, evidence)
        return bindings

    def asked_by_name(self, place: Place, name: str) -> list[Binding]:
        """Take a request whose sender the proxy knows by name; give what is bound because of it."""
        if name not in self._named:
            self._named[name] = self._new()
            self._named[name].is_named = True
        return self._move(place, self._named[name], Rule.PROXY_USER)

    def answered(self, place: Place, site: str, cookies: Iterable[Cookie]) -> None:
        """Take what an answer sets and deletes."""
        if (person := self._learner(place)) is None:
            return
        for cookie in cookies:
            if cookie.value and cookie.is_telling:
                self._shown.claim(cookie.value, person)
                self._sure.add(place)
            if cookie.is_session:
                person.receive(site, cookie)

    def handed_out(self, place: Place, values: Iterable[Digest]) -> None:
        """Take values of an answer's body, which may come back as tokens."""
        if person := self._learner(place):
            for value in values:
                self._handed_out.claim(value, person)

    def said(self, place: Place, values: Iterable[Digest]) -> list[Binding]:
        """Take values that a socket's client sent: a known one tells who it is."""
        if self._learner(place) is None or place in self._sure:
            return []
        for value in values:
            if owner := self._shown.owner(value) or self._handed_out.owner(value):
                self._sure.add(place)
                return self._move(place, owner, Rule.TOKEN)
        return []

    def left(self, place: Place) -> None:
        """Forget a place that is over; what is bound stays bound."""
        self._persons.pop(place, None)
        self._sure.discard(place)

    def _known(self, place: Place, evidence: Evidence, bindings: list[Binding]) -> tuple[Person, Rule | None] | None:
        """Find the person by values, or by the connection itself where that has proved to be somebody's."""
        current = self._at(place)
        is_sure = current is not None and place in self._sure
        rules: dict[Person, Rule] = {}
        for owner, rule in self._owners(evidence):
            rules.setdefault(owner, rule)
        found = [person for person in rules if not person.has_other_cookies(evidence)]
        if current is not None and is_sure:
            found = [current, *(person for person in found if person is not current)]
        if not found:
            return None if current is None or current.is_contradicted(evidence) else (current, None)
        person = min(found, key=lambda candidate: candidate.number)
        for other in found:
            if other is not person and not person.contradicts(other):
                bindings += self._merge(person, other)
        if current is not None and is_sure and current.root is not person:
            return current.root, None
        return person, rules.get(person)

    def _owners(self, evidence: Evidence) -> Iterable[tuple[Person, Rule]]:
        for value in evidence.tokens:
            if owner := self._shown.owner(value) or self._handed_out.owner(value):
                yield owner, Rule.TOKEN
        for cookie in evidence.cookies:
            if cookie.is_telling and (owner := self._shown.owner(cookie.value) or self._handed_out.owner(cookie.value)):
                yield owner, Rule.COOKIE

    def _by_address(self, evidence: Evidence) -> tuple[Person, Rule | None]:
        neighbours = list(dict.fromkeys(person.root for person in self._by_peer.get(evidence.peer, ())))
        fitting = [person for person in neighbours if not person.is_contradicted(evidence)]
        person = max(fitting, key=lambda candidate: candidate.last_asked) if fitting else self._new()
        self._by_peer[evidence.peer] = neighbours if fitting else [*neighbours, person]
        return person, Rule.PEER

    def _learn(self, place: Place, person: Person, evidence: Evidence) -> None:
        self._n_asked += 1
        person.last_asked = self._n_asked
        for value in evidence.tokens:
            self._shown.claim(value, person)
            person.tokens.setdefault(evidence.site, set()).add(value)
            self._sure.add(place)
        for cookie in evidence.cookies:
            if cookie.is_telling:
                self._shown.claim(cookie.value, person)
                self._sure.add(place)
                if cookie.is_session:
                    person.show(cookie, evidence)

    def _move(self, place: Place, person: Person, rule: Rule | None) -> list[Binding]:
        is_new_rule = rule is not None and rule not in person.rules
        if rule is not None:
            person.rules.add(rule)
        before = self._at(place)
        if before is person and not is_new_rule:
            return []
        self._persons[place] = person
        person.enter(place)
        if before is not None and before is not person:
            before.places.pop(place, None)
            if not before.places:
                self._merge(person, before)
        return [_binding(place, person)]

    def _merge(self, person: Person, other: Person) -> list[Binding]:
        places = list(other.places)
        person.absorb(other)
        self.n_sessions -= 1
        return [_binding(place, person) for place in places]

    def _new(self) -> Person:
        self.n_sessions += 1
        self._n_numbers += 1
        return Person(self._n_numbers)

    def _at(self, place: Place) -> Person | None:
        person = self._persons.get(place)
        return None if person is None else person.root

    def _learner(self, place: Place) -> Person | None:
        person = self._at(place)
        return None if person is None or person.is_named else person


def _binding(place: Place, person: Person) -> Binding:
    connection, exchange = place
    return Binding(connection=connection, exchange=exchange, session=person.number, rule=person.rule)
