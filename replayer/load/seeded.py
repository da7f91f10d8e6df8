"""Seeded choices that depend on (seed, user) only: no stream that somebody could consume in another order. Pure."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def hash_of(seed: int, user: int) -> int:
    """Return 64 well-mixed bits of (seed, user).

    Source: the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
    OOPSLA 2014), seeded twice so that neighbouring seeds share nothing.
    """
    return _mix((_mix(seed & _MASK) + user * 0x9E3779B97F4A7C15) & _MASK)


def unit_interval(seed: int, user: int) -> float:
    """Return a number in [0, 1) of (seed, user), with 53 bits."""
    return (hash_of(seed, user) >> 11) / (1 << 53)


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
