"""What answers and messages look like: learned over all recorded examples of a route or kind. Pure.

A learner keeps what the first example has and strikes out what a later one lacks, so its cost is that of what is left.
A path goes through keys; ``0`` in it stands for the elements of an array, and says something only where there are some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from captures.leaves import JsonPath
from replayer.plan.records import Expectation, JsonKind
from replayer.plan.sizes import items_of
from replayer.plan.values import is_id_like

MAX_DEPTH = 3
"""Keys of a path, at most; what lies deeper is data and not shape."""
MAX_PATHS = 64
LEAST_LIMIT_BYTES = 1_000_000
"""No answer is too large below this, whatever was recorded: lists grow with the data of the target."""
_MAX_ELEMENTS = 8
_SLACK_BYTES = 200
_N_SYMBOLS = 3
ERROR_KEYS = ("error", "errors")

# Keys of objects that are dictionaries of things: ids, symbols in capitals, dates, paths, addresses.
_DATA_KEY = re.compile(r"\d.*|[A-Z0-9]{2,}(?:[-./:][A-Z0-9]+)*\d[A-Z0-9./:-]*|.*[/ ].*|.+[@.].+|.{41,}")

# Plain numbers: an operation on a flag costs twenty times that of an int, and these are asked of every value.
_KINDS: dict[type, int] = {
    type(None): JsonKind.NULL.value,
    bool: JsonKind.BOOLEAN.value,
    int: JsonKind.NUMBER.value,
    float: JsonKind.NUMBER.value,
    str: JsonKind.STRING.value,
    list: JsonKind.ARRAY.value,
    dict: JsonKind.OBJECT.value,
}


@dataclass(slots=True)
class DocumentShape:
    """What one JSON document shows.

    Attributes:
        kinds: by path, the kinds of value seen there.
        filled: paths of arrays and objects that are not empty.
        carries_error: it says that something went wrong.
        n_items: elements of its arrays.
    """

    kinds: dict[JsonPath, int] = field(default_factory=dict)
    filled: set[JsonPath] = field(default_factory=set)
    carries_error: bool = False
    n_items: int = 0


class Learner:
    """What all examples of one route and status, or of one message kind, have in common."""

    __slots__ = ("_filled", "_is_json", "_kinds", "_may_err", "_n_documents", "_n_items", "max_bytes", "min_bytes", "n")

    def __init__(self) -> None:
        self.n = 0
        self._n_documents = 0
        self._n_items = 0
        self.min_bytes = 0
        self.max_bytes = 0
        self._kinds: dict[JsonPath, int] = {}
        self._filled: list[JsonPath] = []
        self._is_json = True
        self._may_err = False

    def add(self, n_bytes: int, document: Any) -> None:
        """Learn from one example.

        Args:
            n_bytes: size of the decoded body or message.
            document: parsed, or None where it is no JSON.
        """
        if self.n == 0:
            self.add_shape(n_bytes, shape_of_document(document) if document is not None else None)
            return
        self._count(n_bytes)
        self._n_documents += document is not None
        self._n_items += items_of(document)
        self._is_json = self._is_json and document is not None
        self._may_err = self._may_err or carries_error(document)
        for path, kinds in list(self._kinds.items()):
            found = at(document, path)
            if found is ABSENT:
                del self._kinds[path]
            elif found is not NOT_APPLICABLE:
                self._kinds[path] = kinds | kind_of(found)
        if self._filled:
            self._filled = [path for path in self._filled if _is_filled(at(document, path))]

    def add_shape(self, n_bytes: int, shape: DocumentShape | None) -> None:
        """Learn from an example whose shape is known already; None is no JSON."""
        is_first = self.n == 0
        self._count(n_bytes)
        if shape is None:
            self._is_json = False
            shape = DocumentShape()
        else:
            self._n_documents += 1
            self._n_items += shape.n_items
        self._may_err = self._may_err or shape.carries_error
        if is_first:
            self._kinds, self._filled = dict(shape.kinds), sorted(shape.filled, key=_order)
            return
        for path, kinds in list(self._kinds.items()):
            if path in shape.kinds:
                self._kinds[path] = kinds | shape.kinds[path]
            elif not _is_spared(path, shape):
                del self._kinds[path]
        self._filled = [path for path in self._filled if path in shape.filled]

    @property
    def mean_items(self) -> float:
        """Elements of the arrays of an example, on the average; 0 where none was JSON."""
        return self._n_items / self._n_documents if self._n_documents else 0.0

    def _count(self, n_bytes: int) -> None:
        self.n += 1
        self.min_bytes = min(self.min_bytes, n_bytes) if self.n > 1 else n_bytes
        self.max_bytes = max(self.max_bytes, n_bytes)

    def expectation(self, *, statuses: tuple[int, ...] = (), content_type: bytes = b"") -> Expectation:
        """Return what an answer must look like.

        JSON may be as short as it likes, where its keys are there, but not empty where it never was; other bodies have
        at least half of the smallest recorded size, less 200 bytes at most. The limit is the larger of 1 MB and twice
        the largest.
        """
        least = min(1, self.min_bytes) if self._is_json and self._kinds else self.min_bytes // 2
        return Expectation(
            statuses=statuses,
            content_type=content_type,
            min_bytes=max(0, min(least, self.min_bytes - _SLACK_BYTES) if least > 1 else least),
            max_bytes=max(2 * self.max_bytes, LEAST_LIMIT_BYTES),
            required=tuple(self._kinds),
            non_empty=tuple(path for path in self._filled if self._must_be_filled(path)),
            kinds=tuple(self._kinds.values()),
            may_err=self._may_err,
        )

    def _must_be_filled(self, path: JsonPath) -> bool:
        """One example of a filled object shows its keys, but not that such an object is never without any."""
        return self.n > 1 or not path or bool(self._kinds.get(path, 0) & JsonKind.ARRAY)


ABSENT = object()
NOT_APPLICABLE = object()


def at(document: Any, path: JsonPath) -> Any:
    """Return the value at a path; ``ABSENT`` where a key is missing, ``NOT_APPLICABLE`` inside an array without any."""
    for key in path:
        if type(key) is int:
            if type(document) is not list:
                return ABSENT
            if not document:
                return NOT_APPLICABLE
            document = document[key]
        elif type(document) is not dict or key not in document:
            return ABSENT
        else:
            document = document[key]
    return document


def array_of(path: JsonPath) -> JsonPath | None:
    """Return the path of the innermost array that a path goes through, None where it goes through none."""
    for position in range(len(path) - 1, -1, -1):
        if type(path[position]) is int:
            return path[:position]
    return None


def _is_spared(path: JsonPath, shape: DocumentShape) -> bool:
    """Tell whether a path goes through an array that is there and has no elements: that says nothing of them."""
    array = array_of(path)
    return array is not None and array not in shape.filled and (array == () or array in shape.kinds)


def kind_of(value: Any) -> int:
    """Return the kind of a parsed JSON value; byte strings and extensions of MessagePack are strings."""
    return _KINDS.get(type(value), JsonKind.STRING)


def carries_error(document: Any) -> bool:
    """Tell whether a document says that something went wrong, as GraphQL, JSON-RPC and many others do.

    Source: GraphQL over HTTP §6.4 (``errors``), JSON-RPC 2.0 §5 (``error``); graphql-ws puts both into ``payload``,
    an opened Socket.IO acknowledgement has them in its ``data`` (``captures.envelopes``).
    """
    if type(document) is list:
        return any(carries_error(each) for each in islice(document, _MAX_ELEMENTS) if type(each) is dict)
    if type(document) is not dict:
        return False
    if any(document.get(key) for key in ERROR_KEYS):
        return True
    if document.get("kind") == "ack" and type(document.get("data")) is list:
        return carries_error(document["data"])
    payload = document.get("payload")
    return type(payload) is dict and any(payload.get(key) for key in ERROR_KEYS)


def shape_of_document(document: Any) -> DocumentShape:
    """Return what one document shows: its paths, those inside of arrays included."""
    shape = DocumentShape(carries_error=carries_error(document), n_items=items_of(document))
    if isinstance(document, list) and document:
        shape.filled.add(())
    for path, value in islice(_paths_with_elements(document, ()), MAX_PATHS):
        shape.kinds[path] = kind_of(value) | shape.kinds.get(path, 0)
        if _is_filled(value):
            shape.filled.add(path)
    return shape


def shape_of(document: Any) -> tuple[list[JsonPath], list[JsonPath]]:
    """Return the paths of a document's keys outside of arrays, and those of its arrays and objects not empty."""
    required: list[JsonPath] = []
    non_empty: list[JsonPath] = [()] if isinstance(document, list) and document else []
    for path, value in islice(_paths(document, ()), MAX_PATHS):
        required.append(path)
        if _is_filled(value):
            non_empty.append(path)
    return required, non_empty


def _is_filled(value: Any) -> bool:
    return value is NOT_APPLICABLE or (isinstance(value, (list, dict)) and len(value) > 0)


def _order(path: JsonPath) -> tuple[int, list[str]]:
    return len(path), list(map(str, path))


def _paths(node: Any, path: JsonPath) -> Iterator[tuple[JsonPath, Any]]:
    if not isinstance(node, dict) or _is_dictionary(node):
        return
    for key, value in node.items():
        yield (*path, key), value
        if len(path) + 1 < MAX_DEPTH:
            yield from _paths(value, (*path, key))


def _paths_with_elements(node: Any, path: JsonPath) -> Iterator[tuple[JsonPath, Any]]:
    """Yield all keys level by level of one branch: the array before what its elements have in common."""
    if isinstance(node, list):
        yield from _paths_of_elements(node, path)
        return
    if not isinstance(node, dict) or _is_dictionary(node):
        return
    for key, value in node.items():
        yield (*path, key), value
        if len(path) + 1 < MAX_DEPTH:
            yield from _paths_with_elements(value, (*path, key))


def _paths_of_elements(node: list[Any], path: JsonPath) -> Iterator[tuple[JsonPath, Any]]:
    """Yield the keys that the first elements of an array have all, each as often as it was seen."""
    elements = [element for element in islice(node, _MAX_ELEMENTS) if isinstance(element, dict)]
    if not elements or len(elements) < min(len(node), _MAX_ELEMENTS) or any(map(_is_dictionary, elements)):
        return
    shared = set.intersection(*(set(element) for element in elements))
    for key in elements[0]:
        if key in shared:
            kinds = {kind_of(element[key]): element[key] for element in elements}
            for value in kinds.values():
                yield (*path, 0, key), value if not isinstance(value, (list, dict)) else type(value)()


def _is_dictionary(node: Mapping[str, Any]) -> bool:
    """Tell whether an object's keys are data: ids, symbols or paths, or names of things that all look alike."""
    if len(node) >= _N_SYMBOLS and all(key.isupper() for key in node):
        return True
    if any(_DATA_KEY.fullmatch(key) or is_id_like(key.encode("utf-8", "surrogatepass")) for key in node):
        return True
    values = list(node.values())
    first = values[0].keys() if values and isinstance(values[0], dict) else ()
    return len(values) > 1 and len(first) > 1 and all(isinstance(v, dict) and v.keys() == first for v in values)
