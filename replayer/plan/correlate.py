"""Which values of the client came from the server, and from where: an index by value, candidates, scores, verdicts.

Theory of operation
-------------------
A session is replayed once in memory, in the order in which its client knew things: what a response or message shows is
indexed when it had arrived whole, what a request carries is looked up when it was sent. So a candidate is always
causally complete, and no text is ever searched for a value.

Of several places that showed a value, one with a name (header, cookie, JSON key, named HTML element) is preferred to
one with a position, a response to a message, and among equals the most recent response and the first message. A
response that only repeats what its own request carried mints nothing: a poll does not depend on the poll before.

When all sessions are read, each candidate is scored (``scoring``). Sessions are compared where both ends are the same
place: there, a value that differs is dynamic, one that never differs is not. A value that was accepted somewhere in a
session is accepted wherever that session's client sent it afterwards, if it is long enough to be no coincidence.

Knows nothing of templates, slots and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from replayer.plan.scoring import (
    ACCEPTED,
    TOKEN_CLASSES,
    Terms,
    ValueClass,
    is_id_key,
    is_named_after,
    is_same_key,
    name_terms,
    shape_terms,
    total,
    value_class,
)
from replayer.plan.sightings import STABLE, Sighting
from replayer.plan.values import EventRef, Use

_TOO_COMMON = 200
_N_SESSIONS_FOR_CONSTANT = 3
_MAX_OTHERS = 4
_SHORT_CHARS = 8
"""Values below this length mean different things at different places."""
_MAX_NAMES = 32
_MAX_MESSAGES = 6


class _Entry:
    """What is known of one value so far."""

    __slots__ = ("by_name", "is_sent_first", "message", "messages", "n", "others", "position", "response")

    def __init__(self, *, is_sent_first: bool, is_short: bool) -> None:
        self.by_name: dict[tuple[str, str], Sighting] | None = {} if is_short else None
        self.response: Sighting | None = None
        self.message: Sighting | None = None
        self.messages: tuple[Sighting, ...] = ()
        self.position: Sighting | None = None
        self.others: tuple[Sighting, ...] = ()
        self.n = 0
        self.is_sent_first = is_sent_first

    def add(self, sighting: Sighting) -> None:
        self.n += 1
        best = self.best()
        if self.by_name is not None and len(self.by_name) < _MAX_NAMES:
            name = (sighting.parent, sighting.key)
            self.by_name[name] = _newer(self.by_name.get(name), sighting)
        if sighting.rank > STABLE:
            self.position = _newer(self.position, sighting)
        elif sighting.event[1] >= 0:
            self.message = self.message or sighting
            self.messages = (*self.messages, sighting)[:_MAX_MESSAGES]
        else:
            self.response = _newer(self.response, sighting)
        if best is not None:
            left = best if best is not self.best() else sighting
            self.others = (left, *self.others)[:_MAX_OTHERS]

    def best(self) -> Sighting | None:
        return self.response or self.message or self.position

    def best_for(self, use: Use) -> Sighting | None:
        """Return the sighting that a use most likely means: of a short value the one whose names fit.

        Subtle: 17 is the id of an order and of a user; only names tell which one ``/orders/17`` asks for.
        """
        best = self.best()
        if not self.by_name or best is None or _fits(use, best):
            return best
        fitting = [sighting for sighting in self.by_name.values() if _fits(use, sighting)]
        return min(fitting, key=lambda s: (s.rank > STABLE, -s.at_ns, s.event, s.place), default=best)


def _fits(use: Use, sighting: Sighting) -> bool:
    return is_named_after(use.key, sighting.parent, sighting.key) or is_same_key(use.key, sighting.key)


def _newer(old: Sighting | None, new: Sighting) -> Sighting:
    """Return the sighting of the later event; of one event, the better anchored and then the first."""
    if old is None or old.event != new.event:
        return new
    return new if new.rank < old.rank else old


class Index:
    """Values of one session, by value."""

    __slots__ = ("_entries", "_sent")

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._sent: set[bytes] = set()

    def show(self, seen: Iterable[tuple[bytes, Sighting]], echoed: Sequence[Use] = ()) -> None:
        """Take what a response or message shows.

        Args:
            echoed: the uses of the request that the response answers.
        """
        own = {use.value for use in echoed}
        for value, sighting in seen:
            entry = self._entries.get(value)
            if entry is None:
                is_short = len(value) < _SHORT_CHARS
                entry = self._entries[value] = _Entry(is_sent_first=value in self._sent, is_short=is_short)
            elif value in own:
                entry.n += 1
                continue
            entry.add(sighting)

    def match(self, use: Use) -> Match | None:
        """Return where the value of a use had been shown before it was sent, or None."""
        entry = self._entries.get(use.value)
        best = entry.best_for(use) if entry is not None else None
        if entry is None or best is None:
            return None
        return Match(
            use=use,
            sighting=best,
            n_sightings=entry.n,
            is_sent_first=entry.is_sent_first,
            others=entry.others,
            messages=entry.messages if best is entry.message else (),
        )

    def send(self, uses: Iterable[Use]) -> None:
        """Note what the client has sent."""
        self._sent.update(use.value for use in uses)


@dataclass(slots=True, kw_only=True)
class Match:
    """A use, and where its value may come from.

    Attributes:
        n_sightings: how often the server had shown the value before.
        is_sent_first: the client sent it before the server ever showed it.
        others: what else was considered, the last first.
        messages: where the sighting is a message: all that showed the value so far, it the first of them.
        terms: the score, term by term.
        is_accepted: whether it becomes a slot.
        is_listed: it is a path segment, and a list in the answer of the path before it names it.
    """

    use: Use
    sighting: Sighting
    n_sightings: int = 1
    is_sent_first: bool = False
    others: tuple[Sighting, ...] = ()
    messages: tuple[Sighting, ...] = ()
    terms: Terms = field(default_factory=list)
    is_accepted: bool = False
    is_listed: bool = False

    @property
    def score(self) -> int:
        """Sum of the terms."""
        return total(self.terms)


class Behind(NamedTuple):
    """The request behind an event: its path without query, whether it writes, its route, whether it is an asset."""

    path: str
    is_unsafe: bool
    route: int
    is_asset: bool = False


class Judge:
    """Scores the matches of all sessions.

    Args:
        asked: returns the request behind an event of a session.
    """

    def __init__(self, asked: Callable[[int, EventRef], Behind]) -> None:
        self._asked = asked

    def judge(self, sessions: Sequence[Sequence[Match]]) -> None:
        """Fill in terms and verdicts; the sessions are those of one capture, in order."""
        compared = self._compare(sessions)
        for session, matches in enumerate(sessions):
            for match in matches:
                match.terms = self._terms(session, match, compared)
                match.is_accepted = match.score >= ACCEPTED
            _spread(matches)

    def _place(self, session: int, match: Match) -> tuple[int, str, int, str]:
        use, sighting = match.use, match.sighting
        return (
            self._asked(session, use.event).route,
            use.place,
            self._asked(session, sighting.event).route,
            sighting.place,
        )

    def _compare(self, sessions: Sequence[Sequence[Match]]) -> dict[tuple[int, str, int, str], int]:
        """Return 1 for the places where sessions differ, -1 where three or more of them have one same value."""
        values: dict[tuple[int, str, int, str], dict[int, set[bytes]]] = {}
        if len(sessions) < 2:
            return {}
        for session, matches in enumerate(sessions):
            for match in matches:
                place = values.setdefault(self._place(session, match), {})
                place.setdefault(session, set()).add(match.use.value)
        return {place: _verdict(list(by_session.values())) for place, by_session in values.items()}

    def _terms(self, session: int, match: Match, compared: dict[tuple[int, str, int, str], int]) -> Terms:
        use, sighting = match.use, match.sighting
        terms = [*shape_terms(use.value), *name_terms(use.key, sighting.key)]
        asked = self._asked(session, sighting.event)
        is_named = is_named_after(use.key, sighting.parent, sighting.key)
        if is_named:
            terms.append((f"{use.key} is named after the {sighting.parent} whose {sighting.key} this is", 6))
        is_said = sighting.rank > 3 and value_class(use.value) == ValueClass.WORDS  # A word in a page names nothing.
        if use.before and sighting.event[1] < 0 and not is_said and _is_resource(use.before, asked.path):
            terms.append((f"the answer of {asked.path} named what is asked for below it", 4))
            match.is_listed = sighting.rank == 3 and isinstance(sighting.path[-1], str)
            if asked.is_unsafe:
                terms.append(("it was created there", 2))
            elif use.value.isdigit() and is_id_key(sighting.key):
                terms.append(("it is a number, and an id there", 2))
        if use.segment >= 0 and sighting.rank > 1 and self._asked(session, use.event).is_asset:
            terms.append(("a file that a page names, the same for everybody", -12))
        if sighting.is_redirect:
            terms.append(("a redirect said so", 4))
        if sighting.rank == 3 and value_class(use.value) not in TOKEN_CLASSES and not is_named:
            terms.append(("known by its position in a list", -2))
        if match.is_sent_first:
            terms.append(("the client sent it before the server showed it", -4))
        if match.n_sightings > _TOO_COMMON:
            terms.append((f"shown {match.n_sightings} times", -3))
        difference = compared.get(self._place(session, match), 0) if compared else 0
        if difference > 0:
            terms.append(("differs between sessions", 4))
        elif difference < 0:
            terms.append(("the same in all sessions", -6))
        return terms


def _is_resource(before: str, path: str) -> bool:
    return before == path or (path != "/" and before.endswith(path.rstrip("/")))


def _verdict(values: list[set[bytes]]) -> int:
    if len(values) < 2:
        return 0
    shared = set.intersection(*values)
    if not shared:
        return 1
    return -1 if len(values) >= _N_SESSIONS_FOR_CONSTANT and set.union(*values) == shared else 0


def _spread(matches: Sequence[Match]) -> None:
    accepted = {match.use.value for match in matches if match.is_accepted}
    for match in matches:
        value = match.use.value
        if match.is_accepted or value not in accepted:
            continue
        is_same = is_same_key(match.use.key, match.sighting.key)
        if len(value) >= 8 or value_class(value) in TOKEN_CLASSES or (len(value) >= 4 and is_same):
            match.terms.append(("a slot elsewhere in this session", 0))
            match.is_accepted = True
