"""Which values of the client came from the server, and from where: an index by value, candidates, scores, verdicts.

Theory of operation
-------------------
A session is replayed once in memory, in the order in which its client knew things: what a response or message shows is
indexed when it had arrived whole, what a request carries is looked up when it was sent. So a candidate is always
causally complete, and no text is ever searched for a value.

When all sessions are read, each candidate is scored (``scoring``). Sessions are compared where both ends are the same
place: there, a value that differs is dynamic, one that never differs is not. A value that was accepted somewhere in a
session is accepted wherever that session's client sent it afterwards, if it is long enough to be no coincidence.

Knows nothing of templates, slots and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from captures.leaves import JsonPath
from replayer.plan.index import Match
from replayer.plan.scoring import (
    ACCEPTED,
    TOKEN_CLASSES,
    Terms,
    ValueClass,
    is_id_key,
    is_named_after,
    is_same_key,
    is_version_key,
    name_terms,
    shape_terms,
    value_class,
)
from replayer.plan.sightings import Sighting, is_argument, is_returned
from replayer.plan.values import WHOLE_URL, EventRef, Use

_TOO_COMMON = 200
_N_SESSIONS_FOR_CONSTANT = 3


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
        if not is_named and _names_in(use.path) == _names_in(sighting.path) != ():
            is_named = True
            terms.append(("it is sent back at the place where it stood", 2))
        elif is_named:
            terms.append((f"{use.key} is named after the {sighting.parent} whose {sighting.key} this is", 6))
        is_said = sighting.rank > 3 and value_class(use.value) == ValueClass.WORDS  # A word in a page names nothing.
        if use.before and sighting.event[1] < 0 and not is_said and _is_resource(use.before, asked.path):
            terms.append((f"the answer of {asked.path} named what is asked for below it", 4))
            match.is_listed = sighting.rank == 3 and isinstance(sighting.path[-1], str)
            if asked.is_unsafe:
                terms.append(("it was created there", 2))
            elif use.value.isdigit() and is_id_key(sighting.key):
                terms.append(("it is a number, and an id there", 2))
        elif use.segment >= 0 and use.value.isdigit():
            terms.append(("a number in a path", 2))
        terms += _minted_terms(match)
        if is_version_key(use.key) and is_same_key(use.key, sighting.key) and self._asked(session, use.event).is_unsafe:
            terms.append(("it guards a write", 3))
        if use.key == WHOLE_URL == sighting.key and not sighting.is_redirect:
            terms.append(("the answer named this address", 4))
        if use.segment >= 0 and sighting.rank > 1 and self._asked(session, use.event).is_asset:
            terms.append(("a file that a page names, the same for everybody", -12))
        if sighting.is_redirect:
            terms.append(("a redirect said so", 4))
        if sighting.rank == 3 and value_class(use.value) not in TOKEN_CLASSES and not is_named:
            terms.append(("known by its position in a list", -2))
        if match.is_sent_first:
            terms.append(("the client sent it before the server showed it", -4))
        if match.is_counted:
            terms.append(("the client counts there", -6))
        if match.n_sightings > _TOO_COMMON:
            terms.append((f"shown {match.n_sightings} times", -3))
        difference = compared.get(self._place(session, match), 0) if compared else 0
        if difference > 0:
            terms.append(("differs between sessions", 4))
        elif difference < 0:
            terms.append(("the same in all sessions", -6))
        return terms


def _minted_terms(match: Match) -> Terms:
    """Subtle: numbers that count something coincide with ids, so both ends of a short one must be places of ids."""
    use, sighting = match.use, match.sighting
    if not match.is_minted or (len(use.value) < 4 and not (is_id_place(use) and _is_id_shown(sighting))):
        return []
    if value_class(use.value) in (ValueClass.WORDS, ValueClass.FIXED) and not is_id_key(sighting.key):
        return []
    terms: Terms = [("it was not there before that", 4)]
    if not use.is_piece and len(use.value) > 1 and is_argument(use.path):
        terms.append(("an argument that has no name", 2))
        if is_returned(sighting.path):
            terms.append(("all that a call returned", 2))
    return terms


def is_id_place(use: Use) -> bool:
    """Tell whether a use is at a place where programs say which thing they mean."""
    return use.segment >= 0 or use.is_piece or is_id_key(use.key) or is_argument(use.path)


def _is_id_shown(sighting: Sighting) -> bool:
    return is_id_key(sighting.key) or sighting.rank in (0, 2, 4) or is_returned(sighting.path)


def _names_in(path: JsonPath) -> tuple[str, ...]:
    """Return the last two names of a path, () where it has fewer."""
    names = [step for step in path if isinstance(step, str)]
    return tuple(names[-2:]) if len(names) > 1 else ()


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
