"""The walker over JSON, forms, multipart, HTML and text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.leaves import (
    Coding,
    Leaf,
    body_leaves,
    cookie_leaves,
    find_json,
    form_leaves,
    html_leaves,
    json_leaves,
    path_leaves,
    text_runs,
)

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _leaves_of(document: Any) -> int:
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else None
    return 1 if inner is None else sum(map(_leaves_of, inner))


def _summary(leaves: list[Leaf]) -> list[tuple[tuple[str | int, ...], bytes]]:
    return [(leaf.path, leaf.value) for leaf in leaves]


@given(documents, st.booleans(), st.sampled_from([None, 2]))
def test_every_json_leaf_is_found_with_its_path_and_its_place(
    document: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:  # A lone surrogate is no JSON in UTF-8.
        return
    leaves = [leaf for leaf in json_leaves(text) if not leaf.is_nested]
    assert len(leaves) == _leaves_of(document)
    for leaf in leaves:
        written = text[leaf.start : leaf.end]
        expected = _at(document, leaf.path)
        if leaf.is_text:
            assert leaf.value.decode("utf-8", "surrogatepass") == expected
            assert json.loads(b'"' + written + b'"') == expected
        else:
            assert json.loads(written) == expected
            assert leaf.value == written


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=8), min_size=1, max_size=3))
def test_a_document_inside_a_string_is_entered_and_its_places_are_those_of_the_outer_text(
    inner: dict[str, str],
) -> None:
    text = json.dumps({"payload": json.dumps(inner, ensure_ascii=False)}, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    try:
        nested = [leaf for leaf in json_leaves(text) if leaf.is_nested]
    except UnicodeDecodeError:
        return
    for leaf in nested:
        assert leaf.path[0] == "payload"
        assert leaf.value.decode("utf-8", "surrogatepass") == inner[str(leaf.path[1])]
        # What stands there is the inner document's text, written once more as the inside of a JSON string.
        once = json.loads(b'"' + text[leaf.start : leaf.end] + b'"')
        assert json.loads(f'"{once}"') == inner[str(leaf.path[1])]
    has_unicode_escape = b"\\u" in text
    assert has_unicode_escape or len(nested) == len(inner)


@given(documents)
def test_finding_by_value_agrees_with_the_walk(document: Any) -> None:
    text = json.dumps(document).encode()
    leaves = [leaf for leaf in json_leaves(text) if leaf.is_text and not leaf.is_nested]
    wanted: set[str | int] = {_at(document, leaf.path) for leaf in leaves}
    found = [each for each in find_json(document, wanted) if not each.is_nested]
    assert [each.path for each in found] == [leaf.path for leaf in leaves]


def test_finding_by_value_tells_integers_from_booleans_and_floats() -> None:
    document = {"a": 1, "b": True, "c": 1.0, "d": [1, "1"], "e": '{"deep": "needle"}'}
    found = find_json(document, {1, "needle"})
    assert [(each.path, each.is_nested) for each in found] == [
        (("a",), False),
        (("d", 0), False),
        (("e", "deep"), True),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Two fields, one of them coded.
        (b"a=1&b=x%20y", [(("a",), b"1"), (("b",), b"x y")]),
        # A plus is a space in forms.
        (b"q=big+sale", [(("q",), b"big sale")]),
        # The second of a name carries its number.
        (b"t=1&t=2", [(("t",), b"1"), (("t", 1), b"2")]),
        # A name alone carries no value.
        (b"debug&x=1", [(("x",), b"1")]),
        # An empty value is one.
        (b"x=", [(("x",), b"")]),
    ],
)
def test_forms_are_taken_apart(text: bytes, expected: list[tuple[tuple[str | int, ...], bytes]]) -> None:
    leaves = form_leaves(text)
    assert _summary(leaves) == expected
    assert all(text[leaf.start : leaf.end].replace(b"+", b" ").replace(b"%20", b" ") == leaf.value for leaf in leaves)


def test_path_segments_are_counted_and_decoded() -> None:
    text = b"GET /api/a%20b/42"
    leaves = path_leaves(text[4:], 4)
    assert _summary(leaves) == [((0,), b"api"), ((1,), b"a b"), ((2,), b"42")]
    assert [text[leaf.start : leaf.end] for leaf in leaves] == [b"api", b"a%20b", b"42"]


def test_cookies_are_taken_apart_with_their_places() -> None:
    text = b"sid=abc; theme=dark;x="
    leaves = cookie_leaves(text)
    assert _summary(leaves) == [(("sid",), b"abc"), (("theme",), b"dark"), (("x",), b"")]
    assert [text[leaf.start : leaf.end] for leaf in leaves] == [b"abc", b"dark", b""]


def test_multipart_fields_are_leaves_and_files_are_not() -> None:
    text = (
        b'--XX\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n\x00\x01\r\n--XX--\r\n'
    )
    (leaf,) = body_leaves(b"multipart/form-data; boundary=XX", text)
    assert (leaf.path, leaf.value, text[leaf.start : leaf.end]) == (("token",), b"abc", b"abc")


def test_inputs_and_metas_of_a_page_are_leaves_whatever_the_order_of_their_attributes() -> None:
    page = (
        b'<meta name="csrf-token" content="m1"><input type=hidden value=\'a&amp;b\' name="state">'
        b'<input name="q"><INPUT NAME="id" VALUE=7>'
    )
    leaves = html_leaves(page)
    assert _summary(leaves) == [(("csrf-token",), b"m1"), (("state",), b"a&b"), (("id",), b"7")]
    assert page[leaves[1].start : leaves[1].end] == b"a&amp;b"
    assert {leaf.coding for leaf in leaves} == {Coding.HTML}


def test_json_is_taken_as_json_whatever_its_type_says() -> None:
    assert _summary(body_leaves(b"text/plain", b' {"a": "b"}')) == [(("a",), b"b")]


def test_what_is_no_json_after_all_is_taken_as_its_type_says() -> None:
    assert _summary(body_leaves(b"application/x-www-form-urlencoded", b"{a=b")) == [(("{a",), b"b")]


def test_runs_are_what_tokens_are_made_of() -> None:
    text = b'Bearer abcDEF123_-. x="short" token=QUJDREVGRw== end'
    assert [text[start:end] for start, end in text_runs(text)] == [b"abcDEF123_-.", b"QUJDREVGRw=="]


def test_hostile_depth_is_passed_over_and_not_followed() -> None:
    deep: Any = "needle"
    for _ in range(500):
        deep = [deep]
    assert find_json(deep, {"needle"}) == []
    assert body_leaves(b"application/json", b"[" * 100_000) == []
