from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.markup import Html, escape, join, tag
from analysis.report.text import (
    format_bytes,
    format_count,
    format_instant,
    format_ms,
    format_seconds,
    format_value,
    json_for_script,
    plural,
    printable,
)


@given(st.text())
def test_printable_text_steers_nothing(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text, 10)) <= 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J", "a\\x1b[2J"),
        ("\u202eabc", "\\u202eabc"),
        ("a\nb", "a\\x0ab"),
        ("ünï ✓", "ünï ✓"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_is_not_printable_is_shown_as_its_number(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut() -> None:
    assert printable("x" * 50, 10) == "x" * 9 + "…"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_in_a_script_cannot_end_it_and_means_the_same(data: object) -> None:
    text = json_for_script(data)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == data


def test_markup_is_escaped_once() -> None:
    assert escape("<b>&'\"") == "&lt;b&gt;&amp;&#x27;&quot;"
    assert tag("p", "<i>", tag("b", "x"), None, class_="a b", data_value='"', hidden=None) == Html(
        '<p class="a b" data-value="&quot;">&lt;i&gt;<b>x</b></p>'
    )
    assert join(1, " ", None, "<") == "1 &lt;"


@pytest.mark.parametrize(
    ("value_ms", "shown"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.0001, "<0.001 ms"),
        (0.4219, "0.422 ms"),
        (118.4, "118 ms"),
        (999.6, "1 s"),
        (2350, "2.35 s"),
        (90_000, "1.5 min"),
    ],
)
def test_milliseconds_for_people(value_ms: float | None, shown: str) -> None:
    assert format_ms(value_ms) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "ms", "no data"),
        (0.0, "%", "0%"),
        (0.2208, "%", "0.22%"),
        (0.0004, "%", "0.0004%"),
        (98.4, "%", "98.4%"),
        (99.999, "%", "99.99%"),  # never rounded up to all
        (100.0, "%", "100%"),
        (50.25, "/s", "50.25/s"),
        (12345.0, "", "12,345"),
        (12.0, "ms", "12 ms"),
    ],
)
def test_values_of_thresholds_for_people(value: float | None, unit: str, shown: str) -> None:
    assert format_value(value, unit) == shown


def test_other_figures_for_people() -> None:
    assert [format_seconds(s) for s in (0.5, 42.34, 200, 3900)] == ["0.5 s", "42.3 s", "3 min 20 s", "1 h 05 min"]
    assert [format_bytes(n) for n in (812, 4_200_000, 7e12)] == ["812 B", "4.2 MB", "7e+03 GB"]
    assert (plural(1, "user"), plural(2000, "user"), format_count(0)) == ("1 user", "2,000 users", "0")
    assert format_instant("2026-03-14T09:26:53+00:00") == "2026-03-14 09:26:53 UTC"
    assert format_instant("yesterday") == "yesterday"
