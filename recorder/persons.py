"""Persons: what the recorder knows of each browser identity on a port; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from recorder.evidence import Cookie, Digest, Evidence

MAX_VALUES = 200_000
"""Values remembered at most; the oldest go first."""
MAX_PLACES_PER_PERSON = 20_000
"""Places that are bound again when two persons become one; older ones keep the number they have."""

Place = tuple[int, int]
"""Connection and exchange; the exchange is 0 where the whole connection is meant."""


class Rule(Enum):
    """Why a place belongs to its session, the strongest first; a session's rule lists all that were used."""

    LISTENER = "listener"
    PROXY_USER = "proxy user"
    COOKIE = "cookie"
    TOKEN = "token"
    PEER = "peer"


@dataclass(slots=True)
class _Held:
    """A session cookie as one person held it, with all its values so far."""

    values: set[Digest] = field(default_factory=set)
    is_expected: bool = False
    is_encrypted: bool = False
    was_shown: bool = False
    path: str = "/"

    def is_due(self, evidence: Evidence) -> bool:
        """Tell whether a request like this one would show it, if it were from who holds it."""
        if not evidence.is_navigation and not (evidence.is_own and self.was_shown):
            return False
        is_reached = evidence.path.startswith(self.path) and (evidence.is_encrypted or not self.is_encrypted)
        return self.is_expected and is_reached


@dataclass(slots=True, eq=False)
class Person:
    """One browser's identity.

    Attributes:
        number: of its session.
        is_named: the proxy knows its name; nothing else counts.
        last_asked: number of its last request among all.
    """

    number: int
    is_named: bool = False
    last_asked: int = 0
    rules: set[Rule] = field(default_factory=set)
    places: dict[Place, None] = field(default_factory=dict)
    cookies: dict[tuple[str, bytes], _Held] = field(default_factory=dict)
    tokens: dict[str, set[Digest]] = field(default_factory=dict)
    merged_into: Person | None = None

    @property
    def rule(self) -> str:
        """All rules that made this session."""
        return ", ".join(rule.value for rule in Rule if rule in self.rules)

    @property
    def root(self) -> Person:
        """The person that this one has become."""
        person = self
        while person.merged_into is not None:
            person = person.merged_into
        return person

    def enter(self, place: Place) -> None:
        """Own a place."""
        self.places[place] = None
        if len(self.places) > MAX_PLACES_PER_PERSON:
            del self.places[next(iter(self.places))]

    def show(self, cookie: Cookie, evidence: Evidence) -> None:
        """Own a session cookie's value, having shown it."""
        held = self.cookies.setdefault((evidence.site, cookie.name), _Held())
        held.is_encrypted &= evidence.is_encrypted
        held.values.add(cookie.value)
        held.was_shown = True

    def receive(self, site: str, cookie: Cookie) -> None:
        """Take or lose a session cookie that an answer sets or deletes."""
        if not cookie.value:
            if held := self.cookies.get((site, cookie.name)):
                held.is_expected = False
            return
        held = self.cookies.setdefault((site, cookie.name), _Held())
        held.values.add(cookie.value)
        held.is_expected, held.is_encrypted, held.path = cookie.is_expected, cookie.is_encrypted, cookie.path

    def absorb(self, other: Person) -> None:
        """Become one with another person, who has no places afterwards."""
        other.merged_into = self
        self.rules |= other.rules
        self.last_asked = max(self.last_asked, other.last_asked)
        for place in other.places:
            self.enter(place)
        other.places = {}
        for key, theirs in other.cookies.items():
            held = self.cookies.setdefault(key, theirs)
            held.values |= theirs.values
        for site, tokens in other.tokens.items():
            self.tokens.setdefault(site, set()).update(tokens)

    def has_other_cookies(self, evidence: Evidence) -> bool:
        """Tell whether a session cookie is shown that this person has only ever had other values of."""
        for cookie in evidence.cookies:
            held = self.cookies.get((evidence.site, cookie.name))
            if held is not None and cookie.is_telling and cookie.value not in held.values:
                return True
        return False

    def is_contradicted(self, evidence: Evidence) -> bool:
        """Tell whether a request with no value of this person's is probably not this person's."""
        tokens = self.tokens.get(evidence.site)
        if tokens and evidence.tokens and tokens.isdisjoint(evidence.tokens):
            return True
        return self.has_other_cookies(evidence) or self._misses_cookies(evidence)

    def contradicts(self, other: Person) -> bool:
        """Tell whether both hold one cookie and have no value of it in common."""
        return any(
            held.values.isdisjoint(theirs.values)
            for key, held in self.cookies.items()
            if (theirs := other.cookies.get(key)) is not None
        )

    def _misses_cookies(self, evidence: Evidence) -> bool:
        shown = {cookie.name for cookie in evidence.cookies}
        return any(
            site == evidence.site and name not in shown and held.is_due(evidence)
            for (site, name), held in self.cookies.items()
        )


class Values:
    """Which person each value belongs to; none where it tells nobody apart."""

    def __init__(self) -> None:
        self._owners: dict[Digest, Person | None] = {}

    def owner(self, value: Digest) -> Person | None:
        """Whose it is, if one person's."""
        person = self._owners.get(value)
        return None if person is None else person.root

    def claim(self, value: Digest, person: Person) -> None:
        """Give a value to a person; one that is somebody else's is nobody's from then on."""
        known = self._owners.setdefault(value, person)
        if known is not None and known.root is not person:
            self._owners[value] = None
        if len(self._owners) > MAX_VALUES:
            del self._owners[next(iter(self._owners))]
