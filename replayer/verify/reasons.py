"""Says why a difference between the recording and what came is no fault, or that nothing explains it. Pure.

What explains a difference, in this order: it follows from a slot, an input column or the redaction; the recording
itself varies there; it is a time, a minted value or a number, which no second visit repeats; it is text of the data.
Not explained are missing keys that every recorded answer has, other kinds of value, arrays that came empty, and words
of state: ``status``, ``ok`` and their like say something about what happened, and are not data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from captures.redact.pseudonyms import is_stand_in
from replayer.plan.expectations import ERROR_KEYS, MAX_DEPTH, kind_of
from replayer.plan.records import Expectation, JsonKind, JsonPath
from replayer.plan.scoring import TOKEN_CLASSES, ValueClass, value_class
from replayer.user.slots import to_bytes
from replayer.verify.records import Aspect, RawDifference

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
_STATE_KEY = re.compile(r"(?:.*[_-])?(?:status|state|ok|success|result|outcome|phase|stage|type|kind|code|error)", re.I)
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"
)
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_\-+/=.~|:]{12,}")
_EPOCHS = ((10**9, 10**10), (10**12, 10**13), (10**15, 10**16), (10**18, 10**19))
"""Seconds, ms, µs and ns from 2001 to 2286."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known about one step, and about the one user who played it.

    Attributes:
        expectation: of the step, learned from all recorded answers of its route.
        values: by recorded value, (name of the slot, live value) of every slot of the script.
        varied: paths at which the recorded answers of the route differ among each other.
        words: by key, the words of state that the recording shows under it, anywhere.
    """

    expectation: Expectation = field(default_factory=Expectation)
    values: Mapping[bytes, tuple[str, bytes | None]] = field(default_factory=dict)
    varied: Collection[JsonPath] = ()
    words: Mapping[str, Collection[Any]] = field(default_factory=dict)


def reason(difference: RawDifference, facts: Facts) -> str:
    """Return why a difference is no fault, or ""."""
    match difference.aspect:
        case Aspect.ADDED if _is_error(difference) and not facts.expectation.may_err:
            return ""
        case Aspect.ADDED:
            return "it came in addition; nothing that was recorded is missing"
        case Aspect.LENGTH:
            return "another number of items"
        case Aspect.MISSING:
            return _of_missing(difference, facts)
        case Aspect.EMPTY:
            is_required = general(difference.path) in facts.expectation.non_empty
            return "" if is_required or not facts.expectation.required else "it was empty in other recorded answers"
        case Aspect.KIND:
            return _of_kind(difference, facts)
        case Aspect.VALUE:
            return _of_value(difference, facts)
        case _:
            return ""


def general(path: JsonPath) -> JsonPath:
    """Return a path with 0 for every position in an array."""
    return tuple(0 if isinstance(key, int) else key for key in path)


def words_of(document: Any, into: dict[str, set[Any]]) -> None:
    """Collect the words of state of a document, by their key."""
    if isinstance(document, dict):
        for key, value in document.items():
            if is_state(key, value):
                into.setdefault(key, set()).add(value)
            else:
                words_of(value, into)
    elif isinstance(document, list):
        for value in document:
            words_of(value, into)


def is_state(key: object, value: object) -> bool:
    """Tell whether a value says what happened, rather than being data."""
    if isinstance(value, bool):
        return True
    return isinstance(value, str) and _WORD.fullmatch(value) is not None and _STATE_KEY.fullmatch(str(key)) is not None


def _is_error(difference: RawDifference) -> bool:
    """Tell whether what came in addition says that something went wrong."""
    return bool(difference.live) and difference.path[-1] in ERROR_KEYS


def _of_missing(difference: RawDifference, facts: Facts) -> str:
    path, required = general(difference.path), facts.expectation.required
    if path in required:
        return ""
    if sum(isinstance(key, str) for key in path) > MAX_DEPTH or path.count(0) > 1:
        return "data, deeper than what the recording can vouch for"
    if not required:
        return ""
    parent = path[:-1]
    if any(known[:-1] == parent for known in required) or parent in required:
        return "other recorded answers lack it too, or it is a key of a map"
    return "" if not parent else "it is part of something that may be missing"


def _of_kind(difference: RawDifference, facts: Facts) -> str:
    path = general(difference.path)
    seen = dict(zip(facts.expectation.required, facts.expectation.kinds, strict=False)).get(path, 0)
    if seen & kind_of(difference.live):
        return "other recorded answers have that too"
    plain = JsonKind.BOOLEAN | JsonKind.NUMBER | JsonKind.STRING
    if kind_of(difference.live) == JsonKind.NULL and kind_of(difference.recorded) & plain:
        return "null, as any plain value may be"
    return "where null was recorded, anything may come" if difference.recorded is None else ""


def _of_value(difference: RawDifference, facts: Facts) -> str:
    recorded, live = difference.recorded, difference.live
    if known := _of_slot(recorded, live, facts):
        return known
    if isinstance(recorded, str) and is_stand_in(recorded.encode()):
        return "the capture holds a stand-in: redacted"
    if general(difference.path) in facts.varied:
        return "it varies in the recording"
    key = next((each for each in reversed(difference.path) if isinstance(each, str)), "")
    if is_state(key, recorded) or is_state(key, live):
        return "another recorded state" if live in facts.words.get(key, ()) else ""
    return _of_class(recorded, live)


def _of_slot(recorded: Any, live: Any, facts: Facts) -> str:
    """A value of a slot, whole or as a part of a longer text."""
    old, new = to_bytes(recorded), to_bytes(live)
    if old is None or new is None:
        return ""
    for value, (name, filled) in facts.values.items():
        if filled is not None and value and value in old and (value == old or len(value) >= 4):
            if old.replace(value, filled) == new:
                return f"slot {name}"
    return ""


def _of_class(recorded: Any, live: Any) -> str:
    if isinstance(recorded, bytes):
        return "minted by the server" if value_class(recorded) == ValueClass.BINARY else "bytes of the data"
    if isinstance(recorded, (int, float)):
        return "a time" if _is_epoch(recorded) and _is_epoch(live) else "a number of the data"
    if not isinstance(recorded, str):
        return ""
    if _DATE.fullmatch(recorded) and _DATE.fullmatch(live):
        return "a time"
    kind = value_class(recorded.encode("utf-8", "replace"))
    if kind in TOKEN_CLASSES and value_class(live.encode("utf-8", "replace")) == kind:
        return f"minted by the server ({kind})"
    if _RANDOM.fullmatch(recorded) and _RANDOM.fullmatch(live):
        return "minted by the server"
    return "text of the data"


def _is_epoch(value: float) -> bool:
    return any(low <= value < high for low, high in _EPOCHS)
