"""How many users each population has when a number is given for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from replayer.load.shapes import parse_shape
from replayer.options.crowd import CrowdOptions
from replayer.options.population import PopulationOptions, users_of


def population(name: str, *, weight: float | None = None, **crowd: Any) -> PopulationOptions:
    return PopulationOptions(name=name, capture=Path("a.rush"), weight=weight, crowd=CrowdOptions(**crowd))


def shared(
    *populations: PopulationOptions, sessions: list[int], total: int | None, is_typed: bool = False
) -> list[int]:
    found = users_of(list(populations), sessions, total=total, is_typed=is_typed)
    return [each.crowd.load_for(n).users for each, n in zip(found, sessions, strict=True)]


A, B = population("a"), population("b")


def test_without_a_total_everybody_plays_what_was_recorded_or_asked_for() -> None:
    assert shared(A, population("c", scale=2.0), sessions=[3, 2], total=None) == [3, 4]


def test_a_total_is_shared_by_the_recorded_share_unless_weights_say_otherwise() -> None:
    assert shared(A, B, sessions=[3, 1], total=100) == [75, 25]
    assert shared(population("a", weight=1), population("b", weight=4), sessions=[3, 1], total=10) == [2, 8]


def test_who_has_a_number_keeps_it_and_the_others_share_the_rest() -> None:
    assert shared(population("a", users=30), A, B, sessions=[1, 1, 1], total=100) == [30, 35, 35]
    with pytest.raises(ConfigError, match="leaves too few"):
        shared(population("a", users=99), A, B, sessions=[1, 1, 1], total=100)


def test_a_total_that_was_typed_brings_everybody_to_it_in_proportion() -> None:
    both = (population("a", users=300), population("b", users=500))
    assert shared(*both, sessions=[1, 1], total=8, is_typed=True) == [3, 5]
    staged = population("c", shape=parse_shape("stages:1s@5"))
    with pytest.raises(ConfigError, match="contradicts the stages"):
        shared(A, staged, sessions=[1, 1], total=8, is_typed=True)


@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=6), more=st.integers(0, 500))
def test_shares_are_whole_positive_and_add_up(weights: list[float], more: int) -> None:
    total = len(weights) + more
    populations = [population(str(number), weight=weight) for number, weight in enumerate(weights)]
    found = shared(*populations, sessions=[1] * len(weights), total=total)
    assert sum(found) == total and min(found) >= 1
