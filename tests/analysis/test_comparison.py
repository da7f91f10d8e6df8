from __future__ import annotations

import pytest

from analysis.comparison import (
    Change,
    Comparison,
    compare_shares,
    decide_time,
    newcombe_interval,
    sentence,
    tolerance_of,
)
from analysis.series import Unit

FIVE = (100.0,) * 5


def a_time(change: float, low: float, high: float, *, base_ms: float = 100.0, n: int = 5) -> Comparison:
    return Comparison(
        subject="http p95",
        unit=Unit.MS,
        base=(base_ms,) * n,
        runs=(base_ms * (1 + change),) * n,
        base_value=base_ms,
        run_value=base_ms * (1 + change),
        change=change,
        low=low,
        high=high,
        tolerance=0.2,
        floor=5.0,
    )


# change · its interval · value of the baseline · outcome, strictly
TIMES = [
    (0.30, 0.10, 0.50, 100.0, Change.REGRESSED),
    (0.15, 0.05, 0.30, 100.0, Change.INCONCLUSIVE),  # slower for sure, whether by more than allowed is open
    (0.30, -0.05, 0.60, 100.0, Change.INCONCLUSIVE),  # perhaps not slower at all
    (0.05, -0.05, 0.15, 100.0, Change.OK),
    (0.30, 0.10, 0.50, 9.0, Change.OK),  # even the end of the interval is less than 5 ms away
    (1.00, 0.80, 1.20, 4.0, Change.OK),
    (0.60, 0.10, 1.50, 9.0, Change.REGRESSED),
    (-0.30, -0.40, -0.20, 100.0, Change.IMPROVED),
    (-0.10, -0.20, -0.05, 100.0, Change.OK),
]


@pytest.mark.parametrize(("change", "low", "high", "base_ms", "outcome"), TIMES)
def test_a_time_needs_interval_effect_and_floor_to_have_changed(
    change: float, low: float, high: float, base_ms: float, outcome: Change
) -> None:
    assert decide_time(a_time(change, low, high, base_ms=base_ms), strict=True).outcome is outcome


def test_what_only_the_value_allows_is_ok_with_low_confidence_and_says_what_it_may_hide() -> None:
    known = decide_time(a_time(0.15, 0.05, 0.30))
    assert (known.outcome, known.is_low) == (Change.OK, True)
    assert "up to +30% cannot be ruled out" in sentence(known)
    assert "run 20 more of each" in sentence(known)
    assert decide_time(a_time(0.25, -0.05, 0.60)).outcome is Change.INCONCLUSIVE


def test_what_is_open_says_how_many_more_runs_would_tell() -> None:
    assert decide_time(a_time(0.10, -0.10, 0.34, n=4)).more_runs == 17  # the docstring's worked value
    assert decide_time(a_time(0.10, -0.10, 0.34, n=2)).more_runs == 3
    assert decide_time(a_time(0.199, -0.10, 0.60, n=5)).more_runs == 20


def test_the_sentence_says_how_sure_it_is() -> None:
    known = decide_time(a_time(0.30, 0.11, 0.51, base_ms=176.0))
    assert sentence(known) == (
        "http p95 229 ms vs 176 ms: +30% (95% CI +11%..+51%, 5 vs 5 runs) REGRESSED (limit +20% and +5 ms)"
    )


@pytest.mark.parametrize(
    ("quantile", "tolerance"), [(0.5, 0.1), (0.9, 0.2), (0.95, 0.2), (0.975, 0.5), (0.99, 0.5), (0.999, 0.5)]
)
def test_the_further_out_a_quantile_lies_the_more_it_may_grow(quantile: float, tolerance: float) -> None:
    assert tolerance_of(quantile) == tolerance


def test_the_interval_of_two_shares_is_newcombes() -> None:
    low, high = newcombe_interval((48, 80), (56, 70))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def a_share(*runs: float) -> Comparison:
    return Comparison(subject="http errors", unit=Unit.PERCENT, base=(0.0,) * 5, runs=runs, floor=0.1)


def test_a_share_has_regressed_where_most_runs_are_worse() -> None:
    worse = compare_shares(a_share(1.0, 0.9, 1.1, 0.8, 1.2), (0, 5_000), (50, 5_000))
    assert worse.outcome is Change.REGRESSED
    assert "+1 points" in sentence(worse)


def test_one_bad_run_of_several_is_open_and_said() -> None:
    one = compare_shares(a_share(5.0, 0.0, 0.0, 0.0, 0.0), (0, 5_000), (50, 5_000))
    assert one.outcome is Change.INCONCLUSIVE
    assert "only 1 of 5 runs are worse" in sentence(one)


def test_a_share_within_the_floor_is_ok_and_one_without_answers_open() -> None:
    assert compare_shares(a_share(0.04), (0, 5_000), (2, 5_000)).outcome is Change.OK
    nothing = compare_shares(a_share(0.0), (0, 0), (2, 5_000))
    assert nothing.outcome is Change.INCONCLUSIVE
    assert "nothing was measured on one side" in sentence(nothing)


def test_fewer_failures_are_an_improvement() -> None:
    assert compare_shares(a_share(*FIVE), (500, 5_000), (0, 5_000)).outcome is Change.IMPROVED


def test_a_comparison_comes_back_as_it_was_stored() -> None:
    known = decide_time(a_time(0.30, 0.11, 0.51))
    assert Comparison.from_body(known.to_body()) == known
