"""Does an answer look like the recording? Cheap checks always, parsed ones within a budget. Pure.

Checks run after the end of a step is stamped, so they cost no latency; what they cost the loop is bounded per second,
and what the budget did not allow is counted as eligible but not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from analysis.slots import Measure
from replayer.plan.records import Expectation, JsonPath

STATUS = "status"
CONTENT_TYPE = "content_type"
SIZE = "size"
REQUIRED = "required"
EMPTY = "empty"
JSON = "json"

LEAST_BUDGET_NS = 20_000_000
"""A worker without a moment to spare still parses for 2 % of its time: a sample of every second is checked."""
FIRST_BUDGET_NS = 150_000_000

_ABSENT = object()


class Budget:
    """How much parsing for checks alone the current second still allows.

    Args:
        clock: returns monotonic ns.
    """

    __slots__ = ("_clock", "_left_ns")

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._left_ns = FIRST_BUDGET_NS

    def renew(self, idle_ns: int) -> None:
        """Begin the next second: half of what the last one left idle may go into parsing."""
        self._left_ns = max(LEAST_BUDGET_NS, idle_ns // 2)

    def allows(self) -> bool:
        """Tell whether an answer may be parsed now."""
        return self._left_ns > 0

    def check(self, measure: Measure, expectation: Expectation, document: Callable[[], Any]) -> str:
        """Return the mismatch of a body, or ""; ``document`` parses it and raises ValueError where it is no JSON.

        ``measure`` counts it as eligible, and as checked where the budget allowed.
        """
        measure.eligible += 1
        if self._left_ns <= 0:
            return ""
        measure.checked += 1
        started_ns = self._clock()
        try:
            return check_document(expectation, document())
        except (ValueError, RecursionError):
            return JSON
        finally:
            self._left_ns -= self._clock() - started_ns


def is_parsed(expectation: Expectation) -> bool:
    """Tell whether the expectation says anything about the inside of a JSON body."""
    return bool(expectation.required or expectation.non_empty)


def check_head(expectation: Expectation, status: int, content_type: bytes) -> str:
    """Return the mismatch that status and content type show, or ""; an empty expectation allows anything."""
    if expectation.statuses and status not in expectation.statuses:
        return STATUS
    if expectation.content_type and media_type(content_type) != expectation.content_type:
        return CONTENT_TYPE
    return ""


def check_size(expectation: Expectation, n_bytes: int) -> str:
    """Return ``size`` where a decoded body of ``n_bytes`` is out of range, or ""."""
    return "" if expectation.min_bytes <= n_bytes <= expectation.max_bytes else SIZE


def check_document(expectation: Expectation, document: Any) -> str:
    """Return the mismatch of a parsed JSON document, or ""."""
    for path in expectation.required:
        if _at(document, path) is _ABSENT:
            return REQUIRED
    for path in expectation.non_empty:
        value = _at(document, path)
        if value is _ABSENT:
            return REQUIRED
        if value is None or value == [] or value == {}:
            return EMPTY
    return ""


@lru_cache(maxsize=1024)
def media_type(content_type: bytes) -> bytes:
    """Return the lower-case media type without parameters (RFC 9110 §8.3.1)."""
    return content_type.partition(b";")[0].strip().lower()


def _at(document: Any, path: JsonPath) -> Any:
    for key in path:
        if isinstance(key, str):
            if not isinstance(document, dict) or key not in document:
                return _ABSENT
        elif not isinstance(document, list) or not -len(document) <= key < len(document):
            return _ABSENT
        document = document[key]
    return document
