"""What answers and messages look like: learned over all recorded examples of a route or kind. Pure.

A learner keeps what the first example has and strikes out what a later one lacks, so its cost is that of what is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from captures.leaves import JsonPath
from replayer.plan.records import Expectation
from replayer.plan.values import is_id_like

MAX_DEPTH = 3
"""Keys of a path, at most; what lies deeper, and inside arrays, is data and not shape."""
MAX_PATHS = 64
_SLACK_BYTES = 200
_N_SYMBOLS = 3

# Keys of objects that are dictionaries of things: ids, symbols in capitals, dates.
_DATA_KEY = re.compile(r"\d.*|[A-Z0-9]{2,}(?:[-./:][A-Z0-9]+)*\d[A-Z0-9./:-]*|.{41,}")


class Learner:
    """What all examples of one route and status, or of one message kind, have in common."""

    __slots__ = ("max_bytes", "min_bytes", "n", "non_empty", "required")

    def __init__(self) -> None:
        self.n = 0
        self.min_bytes = 0
        self.max_bytes = 0
        self.required: list[JsonPath] = []
        self.non_empty: list[JsonPath] = []

    def add(self, n_bytes: int, document: Any) -> None:
        """Learn from one example.

        Args:
            n_bytes: size of the decoded body or message.
            document: parsed, or None where it is no JSON.
        """
        if not self._count(n_bytes):
            self.required, self.non_empty = shape_of(document)
            return
        if self.required:
            self.required = [path for path in self.required if at(document, path) is not _ABSENT]
        if self.non_empty:
            self.non_empty = [path for path in self.non_empty if _is_filled(at(document, path))]

    def add_shape(self, n_bytes: int, required: Sequence[JsonPath], non_empty: Sequence[JsonPath]) -> None:
        """Learn from an example whose shape is known already."""
        if not self._count(n_bytes):
            self.required, self.non_empty = list(required), list(non_empty)
            return
        self.required = [path for path in self.required if path in required]
        self.non_empty = [path for path in self.non_empty if path in non_empty]

    def _count(self, n_bytes: int) -> bool:
        """Count an example; tell whether there were others before it."""
        self.n += 1
        self.min_bytes = min(self.min_bytes, n_bytes) if self.n > 1 else n_bytes
        self.max_bytes = max(self.max_bytes, n_bytes)
        return self.n > 1

    def expectation(self, *, statuses: tuple[int, ...] = (), content_type: bytes = b"") -> Expectation:
        """Return what an answer must look like: half the smallest size to twice the largest, 200 bytes at least."""
        return Expectation(
            statuses=statuses,
            content_type=content_type,
            min_bytes=max(0, min(self.min_bytes // 2, self.min_bytes - _SLACK_BYTES)),
            max_bytes=max(2 * self.max_bytes, self.max_bytes + _SLACK_BYTES),
            required=tuple(self.required),
            non_empty=tuple(self.non_empty),
        )


_ABSENT = object()


def at(document: Any, path: JsonPath) -> Any:
    """Return the value at a path of keys; a private mark where there is none."""
    for key in path:
        if type(document) is not dict or key not in document:
            return _ABSENT
        document = document[key]
    return document


def _is_filled(value: Any) -> bool:
    return isinstance(value, (list, dict)) and len(value) > 0


def shape_of(document: Any) -> tuple[list[JsonPath], list[JsonPath]]:
    """Return the paths of a document's keys, and those of its arrays and objects that are not empty."""
    required: list[JsonPath] = []
    non_empty: list[JsonPath] = [()] if isinstance(document, list) and document else []
    for path, value in _paths(document, ()):
        required.append(path)
        if _is_filled(value):
            non_empty.append(path)
        if len(required) == MAX_PATHS:
            break
    return required, non_empty


def _paths(node: Any, path: JsonPath) -> Iterator[tuple[JsonPath, Any]]:
    if not isinstance(node, dict) or _is_dictionary(node):
        return
    for key, value in node.items():
        yield (*path, key), value
        if len(path) + 1 < MAX_DEPTH:
            yield from _paths(value, (*path, key))


def _is_dictionary(node: dict[str, Any]) -> bool:
    """Tell whether an object's keys are data: ids or symbols, not names of fields."""
    if len(node) >= _N_SYMBOLS and all(key.isupper() for key in node):
        return True
    return any(_DATA_KEY.fullmatch(key) or is_id_like(key.encode("utf-8", "surrogatepass")) for key in node)
