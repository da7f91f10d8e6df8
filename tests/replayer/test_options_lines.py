"""Where the keys of a TOML document stand."""

from __future__ import annotations

import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from replayer.options.lines import Path, lines_of

DOCUMENT = '''# a comment = no key
name = "x = 3 # no comment"
purpose = """
two = 3
lines"""
speed = 1.5

[[population]]
name = 'a'
stages = [ # each on its line
  { for = "30s", users = 800 },
  { until = "180s",
    users = 3 }
]
[[population]]
nested.key = 2
[[population.stages]]
for = "1s"
[other]
rows = [[1, 2],
  [3]]
'''


def test_every_key_and_element_has_the_line_where_it_begins() -> None:
    found = lines_of(DOCUMENT)
    expected: dict[Path, int] = {
        ("name",): 2,
        ("purpose",): 3,
        ("speed",): 6,
        ("population",): 8,
        ("population", 0): 8,
        ("population", 0, "name"): 9,
        ("population", 0, "stages", 0, "for"): 11,
        ("population", 0, "stages", 1): 12,
        ("population", 1, "nested", "key"): 16,
        ("population", 1, "stages", 0): 17,
        ("population", 1, "stages", 0, "for"): 18,
        ("other",): 19,
        ("other", "rows", 1, 0): 21,
    }
    assert expected.items() <= found.items()
    assert ("two",) not in found and ("a", "comment") not in found


KEYS = st.text("abcXYZ09_-", min_size=1, max_size=6)
VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.floats(-9, 9) | st.text("ab =\"[]{}#,'\\\n", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def places(value: Any, path: Path = ()) -> set[Path]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {place for key, child in children for place in places(child, (*path, key))}


@given(document=st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_place_of_any_document_is_found(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    assert places(tomllib.loads(text)) - {()} <= lines_of(text).keys()
