"""Looks into a parsed answer or message: keys, kinds, emptiness, errors, demands of a rules file. Pure.

An expectation becomes a tree of keys once, when a script is linked, so that a document is walked down each branch once
however many paths go through it. The closed set of what may be wrong is ``analysis.verification.MISMATCHES``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from analysis.verification import EMPTY, ERROR, ITEMS, JSON, KIND, LOGIN, REQUIRED, SIZE, TRUNCATED
from captures.envelopes import Framing
from replayer.plan.expectations import ABSENT, NOT_APPLICABLE, at, carries_error, kind_of
from replayer.plan.records import Demand, Expectation, JsonKind, JsonPath
from replayer.user.slots import Answer

_SEARCHED_BYTES = 65_536
_KEPT_BYTES = 65_536
"""Of each of two bodies that an inspection keeps: sockets hear one broadcast while others hear the next."""
_NULL = JsonKind.NULL.value
_PLAIN = _NULL | JsonKind.BOOLEAN.value | JsonKind.NUMBER.value | JsonKind.STRING.value


class _Place:
    """One key and what is expected of its value; ``kinds`` 0 allows any."""

    __slots__ = ("is_required", "keys", "kinds", "must_be_filled")

    def __init__(self) -> None:
        self.is_required = False
        self.kinds = 0
        self.must_be_filled = False
        self.keys: dict[str | int, _Place] = {}


class Finding(NamedTuple):
    """What an inspection found: a mismatch or "", what a rule only warns of or "", and the items of arrays."""

    mismatch: str
    warned: str = ""
    n_items: int = 0


class Inspection:
    """What an expectation says about the inside of a JSON document.

    A broadcast reaches every socket with the same bytes, and a polled endpoint answers many users alike: what was found
    in the latest bodies is kept, and equal bytes are not parsed again.

    Attributes:
        max_bytes: of the decoded body, which is known only now where it came encoded.
        has_warnings: a rules file demands something that is only warned of.
    """

    __slots__ = ("_demands", "_may_err", "_root", "_seen", "_warned", "has_warnings", "max_bytes")

    def __init__(self, expectation: Expectation) -> None:
        self._root = _Place()
        for position, path in enumerate(expectation.required):
            place = self._placed(path)
            place.is_required = True
            place.kinds = _allowed(expectation.kinds[position]) if position < len(expectation.kinds) else 0
        for path in expectation.non_empty:
            self._placed(path).must_be_filled = True
        self._may_err = expectation.may_err
        self._demands = tuple(demand for demand in expectation.demands if not demand.is_warning)
        self._warned = tuple(demand for demand in expectation.demands if demand.is_warning)
        self.max_bytes = expectation.max_bytes
        self.has_warnings = bool(self._warned)
        self._seen: tuple[tuple[bytes, Framing, Finding], ...] = ()

    def _placed(self, path: JsonPath) -> _Place:
        place = self._root
        for key in path:
            place = place.keys.setdefault(key, _Place())
        return place

    def known(self, text: bytes, framing: Framing = Framing.PLAIN) -> Finding | None:
        """Return what was found in one of the latest bodies, None in another."""
        for seen, its_framing, finding in self._seen:
            if seen == text and its_framing is framing:
                return finding
        return None

    def remember(self, text: bytes, framing: Framing, finding: Finding) -> Finding:
        """Keep what was found in a body that is not large, instead of the one before the latest; return it."""
        if 0 < len(text) <= _KEPT_BYTES:
            self._seen = ((text, framing, finding), *self._seen[:1])
        return finding

    def mismatch(self, document: Any) -> str:
        """Return what is wrong with a document, or ""; errors first, because all else follows from them."""
        if not self._may_err and carries_error(document):
            return ERROR
        found = _value(self._root, document)
        for demand in self._demands:
            found = found or breach(demand, document)
        return found

    def warning(self, document: Any, n_bytes: int) -> str:
        """Return which demand of severity ``warn`` a document does not meet, or ""."""
        for demand in self._warned:
            if found := breach(demand, document) or (SIZE if -1 < demand.max_bytes < n_bytes else ""):
                return found
        return ""


@lru_cache(maxsize=4096)
def inspection_of(expectation: Expectation) -> Inspection:
    """Return the inspection of an expectation; equal ones share it."""
    return Inspection(expectation)


STRANGER = Inspection(Expectation())
"""What may be said of a message of a kind that was never recorded."""


def is_document(answer: Answer) -> bool:
    """Tell whether a message can be opened at all."""
    try:
        answer.json()
    except (ValueError, RecursionError):
        return False
    return True


def has_inside(expectation: Expectation) -> bool:
    """Tell whether an answer has to be parsed to be judged: the recorded one was JSON, or a rule demands something."""
    return bool(expectation.required or expectation.non_empty or expectation.kinds or expectation.demands)


def breach(demand: Demand, document: Any) -> str:
    """Return how a document falls short of a demand, or ""."""
    if demand.max_bytes >= 0:
        return ""  # Sizes are judged before anything is parsed.
    value = at(document, demand.path)
    if value is ABSENT:
        return REQUIRED
    if demand.min_items < 0 or value is NOT_APPLICABLE:
        return ""
    return ITEMS if not isinstance(value, (list, dict)) or len(value) < demand.min_items else ""


def unparsed(text: bytes, exc: ValueError | RecursionError) -> str:
    """Return why a body that should be JSON is none: ``truncated`` where it ends too early, else ``json``."""
    if isinstance(exc, json.JSONDecodeError):
        rest = exc.doc[exc.pos :].strip()
        if not rest or exc.msg.startswith("Unterminated string"):
            return TRUNCATED
    return LOGIN if is_login_page(text) else JSON


def is_login_page(text: bytes) -> bool:
    """Tell whether a body is a page that asks for a password, as is sent instead of data to who is not logged in."""
    head = text[:_SEARCHED_BYTES].lower()
    if b"<" not in head[:512]:
        return False
    return b'type="password"' in head or b"type='password'" in head or b"type=password" in head


def _allowed(kinds: int) -> int:
    """What may stand where these kinds were seen: where only null was, anything; a plain value may always be null."""
    kinds = int(kinds)
    if kinds == _NULL:
        return 0
    return kinds | _NULL if kinds & _PLAIN else kinds


def _value(place: _Place, value: Any) -> str:
    if place.must_be_filled and not value and (value is None or isinstance(value, (list, dict))):
        return EMPTY
    if place.kinds and not place.kinds & kind_of(value):
        return KIND
    return _inside(place, value) if place.keys else ""


def _inside(place: _Place, value: Any) -> str:
    for key, inner in place.keys.items():
        if type(key) is int:
            if type(value) is not list or not value:
                continue  # That it must be an array, or have elements, is said at its own place.
        elif type(value) is not dict or key not in value:
            if _needs(inner):
                return REQUIRED
            continue
        found = _value(inner, value[key])
        if found:
            return found
    return ""


def _needs(place: _Place) -> bool:
    return place.is_required or place.must_be_filled or any(map(_needs, place.keys.values()))
