"""Bootstrap draws: how far a statistic might have come out otherwise. Pure; the random generator is an argument.

Two units are drawn with replacement: whole runs, whose statistic is the median over the runs, and, where a side has a
single run, the users of that run (or its seconds), whose statistic is a quantile of all their values together. Requests
are never drawn one by one: they share their user, their second and the state of the target, so a test on them finds a
"change" between two runs of the same build in every fourth comparison and more.

Source: Davison & Hinkley, Bootstrap Methods and their Application (1997), §3.8; measurement method §5.2, §5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, log, pi, sqrt, tan
from operator import mul
from statistics import NormalDist, stdev
from typing import Protocol

from analysis.histogram import HIGHEST_US, highest_of, rank_of
from analysis.slots import Buckets

N_DRAWS = 2_000
MAX_CLUSTERS = 50
"""More clusters than this are joined, each with every fiftieth: larger clusters keep the draws valid, and faster."""


class Chooser(Protocol):
    """What is needed of a random generator."""

    def choices(self, population: Sequence[int], *, k: int) -> list[int]:
        """Return k members, drawn with replacement."""


def median(values: Sequence[float]) -> float:
    """Return the middle of some values, of two middle ones their mean; at least one value."""
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def median_draws(values: Sequence[float], chooser: Chooser, n_draws: int = N_DRAWS) -> list[float]:
    """Return the medians of ``n_draws`` samples with replacement, each as large as ``values``."""
    ordered = sorted(values)
    n, places = len(ordered), range(len(ordered))
    lower, upper = (n - 1) // 2, n // 2
    found = []
    for _ in range(n_draws):
        drawn = sorted(chooser.choices(places, k=n))
        found.append((ordered[drawn[lower]] + ordered[drawn[upper]]) / 2)
    return found


def quantile_draws(clusters: Sequence[Buckets], q: float, chooser: Chooser, n_draws: int = N_DRAWS) -> list[float]:
    """Return the q-quantiles (µs) of ``n_draws`` samples of whole clusters with replacement.

    Args:
        clusters: the histogram of each; at least one of them holds a value.
        q: 0 < q ≤ 1.
    """
    joined = _joined(clusters)
    grid = sorted({bucket for cluster in joined for bucket in cluster})
    below = _cumulative(joined, grid)
    n, places = len(joined), range(len(joined))
    found = []
    for _ in range(n_draws):
        weights = [0] * n
        for place in chooser.choices(places, k=n):
            weights[place] += 1
        rank = rank_of(q, sum(map(mul, weights, below[-1])))
        found.append(float(min(highest_of(grid[_first(below, weights, rank)]), HIGHEST_US)))
    return found


def _joined(clusters: Sequence[Buckets]) -> list[Buckets]:
    filled = [cluster for cluster in clusters if cluster]
    joined: list[Buckets] = [{} for _ in filled[:MAX_CLUSTERS]]
    for number, cluster in enumerate(filled):
        into = joined[number % MAX_CLUSTERS]
        for bucket, count in cluster.items():
            into[bucket] = into.get(bucket, 0) + count
    return joined


def _cumulative(clusters: Sequence[Buckets], grid: Sequence[int]) -> list[list[int]]:
    """Return by bucket of the grid how many values each cluster has at or below it."""
    seen = [0] * len(clusters)
    below = []
    for bucket in grid:
        seen = [n + cluster.get(bucket, 0) for n, cluster in zip(seen, clusters, strict=True)]
        below.append(seen)
    return below


def _first(below: Sequence[Sequence[int]], weights: Sequence[int], rank: int) -> int:
    """Return the first place of the grid with ``rank`` weighted values at or below it."""
    low, high = 0, len(below) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(map(mul, weights, below[middle])) >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def prediction_ratios(ratio: float, others: Sequence[float], n: int = N_DRAWS) -> list[float]:
    """Return how a single run's ratio to several others might have come out, as n equally likely values.

    The others say how far a further run lies from them: with s the standard deviation of the logarithms of m of them
    and t of Student with m − 1 degrees of freedom, ratio · exp(t · s · √(1 + 1/m)). Worked: 20, 22 and 26 ms have
    s = 0.133, so 95 % of further runs lie within a factor exp(4.30 · 0.133 · 1.155) = 1.94 of their middle.

    Args:
        ratio: above 0.
        others: at least two values above 0.

    Source: Hahn & Meeker, Statistical Intervals (1991), §4.7, on the logarithms.
    """
    m = len(others)
    spread = stdev(map(log, others)) * sqrt(1 + 1 / m)
    return [ratio * exp(spread * student_quantile((place + 0.5) / n, m - 1)) for place in range(n)]


def student_quantile(p: float, df: int) -> float:
    """Return the p-quantile of Student's t. Worked: 0.975 is 4.30 for 2 degrees of freedom, 2.78 for 4.

    Exact for 1 and 2; above, with z of the normal distribution, z + (z³ + z)/4df + (5z⁵ + 16z³ + 3z)/96df² +
    (3z⁷ + 19z⁵ + 17z³ − 15z)/384df³, 1 % off at 3 in the range used here.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    """
    if df == 1:
        return tan(pi * (p - 0.5))
    if df == 2:
        return (2 * p - 1) / sqrt(2 * p * (1 - p))
    z = NormalDist().inv_cdf(p)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / df + second / df**2 + third / df**3


def percentile_interval(draws: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the middle ``level`` (0–1) of some draws: its lowest and its highest."""
    ordered = sorted(draws)
    n, beyond = len(ordered), (1 - level) / 2
    return ordered[min(n - 1, int(beyond * n + 1e-9))], ordered[max(0, ceil((1 - beyond) * n - 1e-9) - 1)]


def p_value(draws: Sequence[float], null: float = 1.0) -> float:
    """Return how likely draws as far from ``null`` are where it is true, on either side; never 0.

    With b of n draws on the far side of it: 2·(b + 1)/(n + 1), at most 1. Worked: 9 of 1999 give 0.01.

    Source: Davison & Hinkley, Bootstrap Methods and their Application (1997), §4.2.
    """
    n = len(draws)
    n_beyond = min(sum(draw <= null for draw in draws), sum(draw >= null for draw in draws))
    return min(1.0, 2 * (n_beyond + 1) / (n + 1))


def holm_levels(p_values: Sequence[float], level: float = 0.95) -> list[float]:
    """Return the level (0–1) of each interval so that all hold together, by Holm's step-down.

    Of m p-values the smallest is held against α/m, the next against α/(m − 1), …; from the first that is above its
    limit on all are held against that one. Worked: 0.001, 0.04 and 0.02 at 95 %: limits 0.05/3, 0.025, 0.025.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    alpha, n = 1 - level, len(p_values)
    levels = [level] * n
    has_stopped, limit = False, alpha
    for rank, place in enumerate(sorted(range(n), key=p_values.__getitem__)):
        limit = limit if has_stopped else alpha / (n - rank)
        has_stopped = has_stopped or p_values[place] > limit
        levels[place] = 1 - limit
    return levels
