"""Walks a recorded and a live JSON document side by side and says in what they differ; asks not why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replayer.plan.expectations import kind_of
from replayer.plan.records import JsonPath
from replayer.verify.records import Aspect, RawDifference

MAX_ELEMENTS = 8
"""Elements of an array that are compared one by one; arrays of different lengths are compared by their first."""
MAX_DIFFERENCES = 200
MAX_DEPTH = 12


def differences(recorded: Any, live: Any) -> list[RawDifference]:
    """Return in what a live document differs from the recorded one, in the order of the recorded one."""
    found: list[RawDifference] = []
    for difference in _walk(recorded, live, ()):
        found.append(difference)
        if len(found) == MAX_DIFFERENCES:
            break
    return found


def _walk(recorded: Any, live: Any, path: JsonPath) -> Iterator[RawDifference]:
    if len(path) > MAX_DEPTH:
        return
    if kind_of(recorded) != kind_of(live):
        yield RawDifference(aspect=Aspect.KIND, path=path, recorded=recorded, live=live)
    elif isinstance(recorded, dict):
        yield from _keys(recorded, live, path)
    elif isinstance(recorded, list):
        yield from _elements(recorded, live, path)
    elif recorded != live:
        yield RawDifference(aspect=Aspect.VALUE, path=path, recorded=recorded, live=live)


def _keys(recorded: dict[str, Any], live: dict[str, Any], path: JsonPath) -> Iterator[RawDifference]:
    for key, value in recorded.items():
        if key not in live:
            yield RawDifference(aspect=Aspect.MISSING, path=(*path, key), recorded=value)
        else:
            yield from _walk(value, live[key], (*path, key))
    for key, value in live.items():
        if key not in recorded:
            yield RawDifference(aspect=Aspect.ADDED, path=(*path, key), live=value)


def _elements(recorded: list[Any], live: list[Any], path: JsonPath) -> Iterator[RawDifference]:
    if recorded and not live:
        yield RawDifference(aspect=Aspect.EMPTY, path=path, recorded=recorded, live=live)
        return
    n_compared = MAX_ELEMENTS
    if len(recorded) != len(live):
        yield RawDifference(aspect=Aspect.LENGTH, path=path, recorded=len(recorded), live=len(live))
        n_compared = 1
    for number, (old, new) in enumerate(zip(recorded[:n_compared], live[:n_compared], strict=False)):
        yield from _walk(old, new, (*path, number))
