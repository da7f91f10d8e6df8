"""What is learned of answers and messages: paths, kinds, sizes, errors, and which objects are maps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.plan.expectations import LEAST_LIMIT_BYTES, Learner, shape_of_document
from replayer.plan.records import Expectation, JsonKind
from replayer.user.inspection import inspection_of


def _learned(*documents: Any) -> Expectation:
    learner = Learner()
    for document in documents:
        learner.add(len(json.dumps(document)), document)
    return learner.expectation()


def _paths(*documents: Any) -> set[tuple[str | int, ...]]:
    return set(_learned(*documents).required)


def test_keys_of_the_elements_of_an_array_are_learned_over_all_of_them() -> None:
    assert _paths([{"id": 1, "note": "x"}, {"id": 2}]) == {(0, "id")}
    assert _paths({"rows": [{"id": 1, "of": {"a": 1}}]}) == {("rows",), ("rows", 0, "id"), ("rows", 0, "of")}
    assert _paths({"rows": [1, {"id": 1}]}) == {("rows",)}


def test_an_empty_array_says_nothing_of_its_elements_but_a_missing_one_does() -> None:
    assert _paths({"rows": [{"id": 1}]}, {"rows": []}) == {("rows",), ("rows", 0, "id")}
    assert _paths({"rows": [{"id": 1}]}, {"rows": [{"name": 1}]}) == {("rows",)}
    assert _paths({"rows": [{"id": 1}]}, {}) == set()


# Objects used as maps, whose keys are no names of fields: (document, paths that remain).
MAPS: list[tuple[Any, set[tuple[str | int, ...]]]] = [
    # Paths and file names.
    ({"files": {"a/b": 1}}, {("files",)}),
    ({"open": {"Untitled.ipynb": 1}}, {("open",)}),
    # People.
    ({"members": {"ann@shop.example": {"n": 1}}}, {("members",)}),
    # Names of things that all look alike.
    ({"specs": {"python3": {"name": "p", "spec": 1}, "julia": {"name": "j", "spec": 2}}}, {("specs",)}),
    # A struct of two different things is none.
    ({"page": {"size": 1, "next": {"a": 1, "b": 2}}}, {("page",), ("page", "size"), ("page", "next")}
     | {("page", "next", "a"), ("page", "next", "b")}),
]  # fmt: skip


@pytest.mark.parametrize(("document", "paths"), MAPS)
def test_the_keys_of_an_object_used_as_a_map_are_not_required(document: Any, paths: set[tuple[str | int, ...]]) -> None:
    assert _paths(document) == paths


def test_varying_keys_of_an_object_are_struck_out_by_the_second_example() -> None:
    assert _paths({"extra": {"beta": 1}}, {"extra": {"gamma": 2}}) == {("extra",)}


def test_kinds_are_united_over_the_examples() -> None:
    learned = _learned({"a": 1, "b": "x"}, {"a": None, "b": "y"})
    assert dict(zip(learned.required, learned.kinds, strict=True)) == {
        ("a",): JsonKind.NUMBER | JsonKind.NULL,
        ("b",): JsonKind.STRING,
    }


# Sizes of examples, whether they are JSON, and the range that is allowed.
SIZES: list[tuple[list[int], bool, tuple[int, int]]] = [
    ([400, 900], True, (1, LEAST_LIMIT_BYTES)),
    ([800_000], True, (1, 1_600_000)),
    ([1000, 3000], False, (500, LEAST_LIMIT_BYTES)),
    ([150], False, (0, LEAST_LIMIT_BYTES)),
    ([0, 100], False, (0, LEAST_LIMIT_BYTES)),
]


@pytest.mark.parametrize(("sizes", "is_json", "allowed"), SIZES)
def test_the_limit_is_the_larger_of_one_megabyte_and_twice_the_largest(
    sizes: list[int], is_json: bool, allowed: tuple[int, int]
) -> None:
    learner = Learner()
    for size in sizes:
        learner.add(size, {"a": 1} if is_json else None)
    expectation = learner.expectation()
    assert (expectation.min_bytes, expectation.max_bytes) == allowed


# Documents that say that something went wrong, or do not.
ERRORS = [
    ({"errors": [{"message": "refused"}]}, True),
    ({"data": {"a": 1}, "errors": []}, False),
    ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000}}, True),
    ({"error": None, "result": 1}, False),
    ({"error": "log in first"}, True),
    ([{"data": 1}, {"errors": [{}]}], True),
    ({"type": "next", "payload": {"errors": [{"message": "x"}]}}, True),
    ({"type": "next", "payload": {"data": 1}}, False),
    ({"kind": "ack", "id": 3, "data": [{"error": "refused"}]}, True),
    ({"data": [{"id": 1, "error": "of an item"}]}, False),
    ("error", False),
]


@pytest.mark.parametrize(("document", "carries"), ERRORS)
def test_errors_inside_an_answer_are_seen(document: Any, carries: bool) -> None:
    assert shape_of_document(document).carries_error is carries
    assert _learned(document).may_err is carries


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_whatever_was_learned_from_passes_the_check(documents: list[Any]) -> None:
    inspection = inspection_of(_learned(*documents))
    assert [inspection.mismatch(document) for document in documents] == [""] * len(documents)


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_shapes_teach_what_documents_teach(documents: list[Any]) -> None:
    by_shape = Learner()
    for document in documents:
        by_shape.add_shape(len(json.dumps(document)), shape_of_document(document) if document is not None else None)
    inspection = inspection_of(by_shape.expectation())
    assert [inspection.mismatch(document) for document in documents if document is not None] == [""] * sum(
        document is not None for document in documents
    )
