"""A JSON document of any size is read in windows of any size, and what is wrong with it has a place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captures.convert import json_stream
from captures.convert.inputs import Input
from captures.convert.json_stream import JsonReader, Left
from captures.errors import CaptureError

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_DOCUMENTS = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def _walk(reader: JsonReader, limit_chars: int) -> Any:
    """Read a document the hard way: what is larger than the limit is walked."""
    value = reader.whole(limit_chars)
    if not isinstance(value, Left):
        return value
    first = reader.peek()
    if first == "{":
        return {key: _walk(reader, limit_chars) for key in reader.members()}
    if first == "[":
        return [_walk(reader, limit_chars) for _ in reader.elements()]
    return "".join(reader.text_pieces()) if first == '"' else reader.whole()


@given(document=_DOCUMENTS, window=st.integers(1, 50), indent=st.none() | st.integers(0, 2), is_ascii=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_walk_through_windows_of_any_size_finds_the_same_document(
    document: Any, window: int, indent: int | None, is_ascii: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "WINDOW_BYTES", window)
    path = tmp_path / "any.json"
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with Input(str(path)) as source:
        reader = JsonReader(source, "a document")
        found = _walk(reader, 40)
        assert reader.peek() == ""
    assert json.dumps(found) == json.dumps(json.loads(path.read_bytes().decode("utf-8", "surrogateescape")))


@given(document=_DOCUMENTS, window=st.integers(1, 30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_skipping_stops_right_behind_the_value(
    document: Any, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "WINDOW_BYTES", window)
    path = tmp_path / "pair.json"
    path.write_text(json.dumps([document, "next"]), encoding="utf-8")
    with Input(str(path)) as source:
        reader = JsonReader(source, "a document")
        elements = reader.elements()
        next(elements)
        reader.skip()
        next(elements)
        assert reader.whole() == "next"


@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ('{"a": 1, "b": [tru', 18, "cut short"),
        ('{"a": "text', 11, "cut short"),
        ('{"a": 1,, "b": 2}', 8, "not valid JSON"),
        ('["é", x]', 7, "not valid JSON"),  # é is two bytes
        ('{"a" 1}', 5, "not valid JSON"),
        ('{"a": 1', 7, "cut short"),
    ],
)
def test_what_is_wrong_has_a_place(text: str, offset: int, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text, encoding="utf-8")
    with Input(str(path)) as source, pytest.raises(CaptureError, match=problem) as caught:
        _walk(JsonReader(source, "a document"), 0)
    assert caught.value.offset is not None
    assert abs(caught.value.offset - offset) <= 4


def test_nesting_that_would_exhaust_a_parser_is_left_and_can_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 500_000 + "]" * 500_000, encoding="utf-8")
    with Input(str(path)) as source:
        reader = JsonReader(source, "a document")
        assert reader.whole() is Left.TOO_DEEP
        reader.skip()
        assert reader.peek() == ""


def test_a_number_too_long_for_an_int_is_left(tmp_path: Path) -> None:
    path = tmp_path / "number.json"
    path.write_text("[" + "9" * 10_000 + ", 2]", encoding="utf-8")
    with Input(str(path)) as source:
        reader = JsonReader(source, "a document")
        assert reader.whole() is Left.BAD_NUMBER
        elements = reader.elements()
        next(elements)
        assert reader.whole() is Left.BAD_NUMBER
        reader.skip()
        next(elements)
        assert reader.whole() == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_bytes('{"é": "ü"}'.encode(encoding))
    with Input(str(path)) as source:
        assert JsonReader(source, "a document").whole() == {"é": "ü"}
