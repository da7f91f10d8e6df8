from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.histogram import (
    HIGHEST_US,
    Histogram,
    bucket_of,
    highest_of,
    lowest_of,
    merge_buckets,
    rank_interval,
    rank_of,
)

values = st.integers(min_value=0, max_value=2**40)
samples = st.lists(values, max_size=60)


@given(values)
def test_a_value_lies_within_its_bucket_and_the_bucket_is_narrow(us: int) -> None:
    bucket = bucket_of(us)
    assert lowest_of(bucket) <= us <= highest_of(bucket)
    assert highest_of(bucket) - lowest_of(bucket) <= us / 128


@given(values)
def test_the_bucket_is_what_the_hot_path_writes_out(us: int) -> None:
    shift = us.bit_length() - 8
    assert bucket_of(us) == (us if us < 256 else (shift << 8) + (us >> shift))


@given(values, values)
def test_buckets_keep_the_order_of_values(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


def test_the_worked_value_of_the_formula() -> None:
    assert (bucket_of(1000), lowest_of(762), highest_of(762)) == (762, 1000, 1003)


def test_a_negative_value_counts_as_zero() -> None:
    assert Histogram.of([-5]).buckets == {0: 1}


@given(st.lists(samples, max_size=5))
def test_merging_histograms_is_the_histogram_of_all_values(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.merge(Histogram.of(part))
    assert merged == Histogram.of([us for part in parts for us in part])


@given(samples, samples)
def test_merging_leaves_the_other_histogram_as_it_was(one: list[int], other: list[int]) -> None:
    into, added = Histogram.of(one), Histogram.of(other)
    merge_buckets(into.buckets, added.buckets)
    merge_buckets(into.buckets, added.buckets)
    assert added == Histogram.of(other)


@given(st.lists(st.integers(0, HIGHEST_US), min_size=1, max_size=200), st.floats(0.001, 1))
def test_a_quantile_is_the_highest_equivalent_of_the_value_with_its_rank(sample: list[int], q: float) -> None:
    expected = sorted(sample)[rank_of(q, len(sample)) - 1]
    assert Histogram.of(sample).quantile(q) == min(highest_of(bucket_of(expected)), HIGHEST_US)


@given(samples, st.lists(st.floats(0.001, 1), max_size=6))
def test_several_quantiles_in_one_walk_are_the_same_as_one_by_one(sample: list[int], qs: list[float]) -> None:
    histogram = Histogram.of(sample)
    assert histogram.quantiles(sorted(qs)) == [histogram.quantile(q) for q in sorted(qs)]


def test_no_values_have_no_quantile_and_no_extremes() -> None:
    empty = Histogram()
    assert (empty.quantile(0.5), empty.minimum(), empty.maximum(), empty.n) == (None, None, None, 0)


def test_a_rank_beyond_the_values_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 3 of 2"):
        Histogram.of([1, 2]).value_at(3)


def test_values_out_of_range_are_counted_and_held_at_the_upper_end() -> None:
    histogram = Histogram.of([1000, 3 * HIGHEST_US, 1 << 60])
    assert (histogram.n, histogram.n_over) == (3, 2)
    assert histogram.quantile(0.99) == histogram.maximum() == HIGHEST_US


# From the measurement method, §5.3: the smallest n whose interval has an upper end.
@pytest.mark.parametrize(("q", "n"), [(0.95, 72), (0.99, 368), (0.999, 3688)])
def test_the_interval_of_a_quantile_is_bounded_from_the_published_n_on(q: float, n: int) -> None:
    assert rank_interval(q, n - 1).high is None
    assert rank_interval(q, n).high == n


def _binomial_cdf(k: int, n: int, q: float) -> float:
    return sum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 120), st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]))
def test_the_ranks_of_an_interval_are_the_exact_binomial_ones(n: int, q: float) -> None:
    ranks = rank_interval(q, n)
    assert 0 <= ranks.low <= n
    assert ranks.low == 0 or _binomial_cdf(ranks.low - 1, n, q) <= 0.025 + 1e-9
    assert _binomial_cdf(ranks.low, n, q) >= 0.025 - 1e-9 or ranks.low == n
    if ranks.high is None:
        assert _binomial_cdf(n - 1, n, q) <= 0.975 + 1e-9
    else:
        assert _binomial_cdf(ranks.high - 1, n, q) >= 0.975 - 1e-9


def test_the_interval_of_a_million_values_is_narrow() -> None:
    ranks = rank_interval(0.5, 1_000_000)
    assert ranks.high is not None
    assert 499_000 < ranks.low < 500_000 < ranks.high < 501_000
