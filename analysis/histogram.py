"""Sparse log-linear histograms of microseconds: the resolution of HDR with two digits, exact merge. Pure.

A histogram is a dict bucket → count. Up to 255 µs every microsecond has its own bucket; above, the eight leading bits
of a value make its bucket, so a bucket is at most 1/128 = 0.78 % wide. With v in µs::

    s = max(0, v.bit_length() - 8)      bucket = (s << 8) + (v >> s)
    lowest  = m << s                    highest = ((m + 1) << s) - 1        where s = bucket >> 8, m = bucket & 255

Worked: v = 1000 has s = 2, bucket = 512 + 250 = 762, which holds 1000 to 1003.

Source: HdrHistogram, http://hdrhistogram.org (sub-bucket layout); measurement method §4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, exp, lgamma, log, sqrt

from analysis.slots import Buckets

HIGHEST_US = 3_600_000_000
"""Values above one hour are out of range: counted, held at the upper end, never dropped."""

_EPSILON = 1e-9


def bucket_of(us: int) -> int:
    """Return the bucket of a value in µs; values below 0 fall into bucket 0.

    A hot path writes it out: ``us if us < 256 else (s << 8) + (us >> s)`` with ``s = us.bit_length() - 8``.
    """
    if us < 256:
        return us if us > 0 else 0
    shift = us.bit_length() - 8
    return (shift << 8) + (us >> shift)


def lowest_of(bucket: int) -> int:
    """Return the smallest value (µs) of a bucket."""
    return bucket if bucket < 256 else (bucket & 255) << (bucket >> 8)


def highest_of(bucket: int) -> int:
    """Return the largest value (µs) of a bucket, what a quantile that falls into it is reported as."""
    return bucket if bucket < 256 else (((bucket & 255) + 1) << (bucket >> 8)) - 1


LAST_BUCKET = bucket_of(HIGHEST_US)
NEVER_BUCKET = bucket_of(2 * HIGHEST_US)
"""Where what never happened is counted: out of range, so no quantile can miss it."""


def merge_buckets(into: Buckets, other: Buckets) -> None:
    """Add the counts of ``other`` to ``into``; exact, in any order."""
    if not into:
        into.update(other)
        return
    count_of = into.get
    for bucket, count in other.items():
        into[bucket] = count_of(bucket, 0) + count


@dataclass(frozen=True, slots=True)
class RankInterval:
    """95 % interval of a quantile, as 1-based ranks; too few values have no lower (0) or upper end (None)."""

    low: int
    high: int | None


@dataclass(slots=True)
class Histogram:
    """A distribution of µs over sparse buckets."""

    buckets: Buckets = field(default_factory=dict)

    @classmethod
    def of(cls, values_us: Iterable[int]) -> Histogram:
        """Return the histogram of some values (µs)."""
        histogram = cls()
        for us in values_us:
            histogram.add(us)
        return histogram

    def add(self, us: int, count: int = 1) -> None:
        """Count a value (µs)."""
        bucket = bucket_of(us)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def merge(self, other: Histogram) -> None:
        """Add another histogram; the result is the histogram of all the values."""
        merge_buckets(self.buckets, other.buckets)

    @property
    def n(self) -> int:
        """Number of values, those out of range among them."""
        return sum(self.buckets.values())

    @property
    def n_over(self) -> int:
        """Number of values above ``HIGHEST_US``."""
        return sum(count for bucket, count in self.buckets.items() if bucket > LAST_BUCKET)

    def value_at(self, rank: int) -> int:
        """Return the highest equivalent value (µs) of the value with a 1-based rank; out of range is ``HIGHEST_US``."""
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(highest_of(bucket), HIGHEST_US)
        raise ValueError(f"rank {rank} of {seen} values")

    def quantile(self, q: float) -> int | None:
        """Return the q-quantile (µs, 0 < q ≤ 1): the smallest value with at least q·n values at or below it.

        None where there are no values.
        """
        n = self.n
        return self.value_at(rank_of(q, n)) if n else None

    def quantiles(self, qs: Iterable[float]) -> list[int | None]:
        """Return several quantiles in one walk; ``qs`` ascend."""
        n = self.n
        if not n:
            return [None for _ in qs]
        ordered = sorted(self.buckets.items())
        position, seen, found = 0, ordered[0][1], []
        for q in qs:
            rank = rank_of(q, n)
            while seen < rank:
                position += 1
                seen += ordered[position][1]
            found.append(min(highest_of(ordered[position][0]), HIGHEST_US))
        return list(found)

    def minimum(self) -> int | None:
        """Return the lowest value (µs) of the first bucket, or None."""
        return lowest_of(min(self.buckets)) if self.buckets else None

    def maximum(self) -> int | None:
        """Return the highest equivalent value (µs) of the last bucket, or None."""
        return min(highest_of(max(self.buckets)), HIGHEST_US) if self.buckets else None


def rank_of(q: float, n: int) -> int:
    """Return the 1-based rank of the q-quantile of n values: ⌈q·n⌉, at least 1, at most n."""
    return min(n, max(1, ceil(q * n - _EPSILON)))


def rank_interval(q: float, n: int) -> RankInterval:
    """Return the exact distribution-free 95 % interval of the q-quantile of n independent values, as ranks.

    With X ~ Binomial(n, q): low is the largest l with P(X < l) ≤ 2.5 %, high the smallest u with P(X < u) ≥ 97.5 %.
    Worked: p95 has an upper bound from n = 72 on, p99 from 368, p99.9 from 3688.

    Source: David & Nagaraja, Order Statistics, 3rd ed. §7.1; measurement method §5.3.
    """
    spread = 10 * sqrt(n * q * (1 - q)) + 10
    k = max(0, int(n * q - spread))
    mass = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(q) + (n - k) * log(1 - q))
    below, low = 0.0, k
    odds = q / (1 - q)
    while k < n:
        below += mass
        k += 1
        if below <= 0.025:
            low = k
        if below >= 0.975:
            return RankInterval(low, k)
        mass *= (n - k + 1) / k * odds
    return RankInterval(low, None)
