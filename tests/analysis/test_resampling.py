from __future__ import annotations

from random import Random

import pytest

from analysis.histogram import bucket_of
from analysis.resampling import (
    holm_levels,
    median,
    median_draws,
    p_value,
    percentile_interval,
    prediction_ratios,
    quantile_draws,
    student_quantile,
)


def test_the_median_of_two_middle_values_is_their_mean() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_medians_are_drawn_from_what_there_is_and_always_the_same() -> None:
    drawn = median_draws([1.0, 2.0, 9.0], Random(7), 200)
    assert set(drawn) <= {1.0, 2.0, 9.0}
    assert drawn == median_draws([9.0, 1.0, 2.0], Random(7), 200)
    assert min(drawn) == 1.0
    assert max(drawn) == 9.0


def test_whole_clusters_are_drawn_and_not_single_values() -> None:
    fast, slow = {bucket_of(1_000): 99}, {bucket_of(50_000): 99}
    drawn = quantile_draws([fast, slow], 0.5, Random(7), 100)
    assert len(set(drawn)) == 2  # of one value out of each, both would be there in every draw


def test_an_interval_leaves_out_as_much_on_both_sides() -> None:
    assert percentile_interval([float(n) for n in range(1, 101)], 0.9) == (6.0, 95.0)
    assert percentile_interval([5.0]) == (5.0, 5.0)


# b of n draws on the far side of 1 · p
P_VALUES = [(0, 999, 0.002), (9, 1999, 0.01), (500, 999, 1.0)]


@pytest.mark.parametrize(("n_beyond", "n", "p"), P_VALUES)
def test_the_p_value_counts_the_draws_beyond(n_beyond: int, n: int, p: float) -> None:
    draws = [0.9] * n_beyond + [1.1] * (n - n_beyond)
    assert p_value(draws) == pytest.approx(p)
    assert p_value([2 - draw for draw in draws]) == pytest.approx(p)


def test_holm_widens_less_and_less_and_stops_at_the_first_that_is_not_clear() -> None:
    assert holm_levels([0.001, 0.04, 0.02]) == pytest.approx([1 - 0.05 / 3, 0.95, 0.975])
    assert holm_levels([0.001, 0.04, 0.03]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert holm_levels([0.5]) == pytest.approx([0.95])
    assert holm_levels([]) == []


# p · degrees of freedom · t, from tables
STUDENT = [
    (0.975, 1, 12.706),
    (0.975, 2, 4.303),
    (0.975, 4, 2.776),
    (0.995, 4, 4.604),
    (0.975, 9, 2.262),
    (0.5, 7, 0.0),
]


@pytest.mark.parametrize(("p", "df", "t"), STUDENT)
def test_students_quantiles_are_those_of_the_tables(p: float, df: int, t: float) -> None:
    assert student_quantile(p, df) == pytest.approx(t, rel=0.03, abs=1e-9)
    assert student_quantile(1 - p, df) == pytest.approx(-t, rel=0.03, abs=1e-9)


def test_three_runs_leave_a_further_one_much_room() -> None:
    low, high = percentile_interval(prediction_ratios(1.0, [20.0, 22.0, 26.0]))
    assert high == pytest.approx(1.94, abs=0.03)
    assert low == pytest.approx(1 / high, rel=0.03)
    assert percentile_interval(prediction_ratios(2.0, [20.0, 20.0, 20.0])) == (2.0, 2.0)
