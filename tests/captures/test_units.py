"""Durations as typed and as shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.units import format_duration, parse_duration_ns

# Typed · nanoseconds.
DURATIONS = [
    ("0", 0),
    ("0s", 0),
    ("250us", 250_000),
    ("500ms", 500_000_000),
    ("2s", 2_000_000_000),
    (" 1.5s ", 1_500_000_000),
    ("5m", 300_000_000_000),
    ("1h", 3_600_000_000_000),
    ("0.1s", 100_000_000),  # exact, not by way of a float
]


@pytest.mark.parametrize(("text", "duration_ns"), DURATIONS)
def test_a_duration_is_a_number_with_a_unit(text: str, duration_ns: int) -> None:
    assert parse_duration_ns(text) == duration_ns


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1e3s", "1d", "1 s", "٣s", "1.s", "nan", "9" * 20 + "s"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="500ms, 2s, 5m or 1h"):
        parse_duration_ns(text)


# Nanoseconds · shown.
SHOWN = [
    (0, "0s"),
    (250_000, "250us"),
    (350_999_999, "350ms"),
    (2_000_000_000, "2s"),
    (2_540_000_000, "2.5s"),
    (59_999_999_999, "59.9s"),
    (200_000_000_000, "3m20s"),
    (300_000_000_000, "5m"),
    (3_900_000_000_000, "1h05m"),
    (-2_000_000_000, "-2s"),
]


@pytest.mark.parametrize(("duration_ns", "shown"), SHOWN)
def test_a_duration_is_shown_in_two_units_at_most(duration_ns: int, shown: str) -> None:
    assert format_duration(duration_ns) == shown


@given(st.integers(0, 999), st.sampled_from(["ms", "s"]))
def test_what_is_shown_can_be_typed_again(number: int, unit: str) -> None:
    duration_ns = parse_duration_ns(f"{number}{unit}")
    if duration_ns < 60_000_000_000:
        assert parse_duration_ns(format_duration(duration_ns)) == duration_ns
