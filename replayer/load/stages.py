"""When the users of a staged load start and end. Pure, lazy: memory for the stages only, however many users.

The level goes linearly from stage to stage, beginning with 0. User *place* i is taken while the level is above i: it is
taken at the instant the level rises past i, and given up at the instant it falls to i again. So the newest end first,
and with ``30s@800`` place i is taken at i × 30 s / 800.

With rates the level is the rate of a Poisson process; see ``rate_arrivals``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from captures.units import NS_PER_S
from replayer.load.seeded import unit_interval
from replayer.load.shapes import RateStages, Stages


class Leg(NamedTuple):
    """One stage on the run's clock: from level ``low`` at ``start_ns`` to ``high`` at ``end_ns``."""

    start_ns: int
    end_ns: int
    low: float
    high: float


def legs_of(shape: Stages | RateStages) -> list[Leg]:
    """Return the stages one after the other."""
    at_ns, level = 0, 0.0
    legs = []
    for duration_ns, target in _targets(shape):
        legs.append(Leg(at_ns, at_ns + duration_ns, level, target))
        at_ns, level = at_ns + duration_ns, target
    return legs


def total_ns(shape: Stages | RateStages) -> int:
    """Return how long the stages last."""
    return sum(stage.duration_ns for stage in shape.stages)


def level_at(shape: Stages | RateStages, at_ns: int) -> float:
    """Return the planned level at an instant; at a jump what it jumps to, 0 after the last stage."""
    for leg in legs_of(shape):
        if at_ns < leg.end_ns:
            return leg.low + (leg.high - leg.low) * (at_ns - leg.start_ns) / (leg.end_ns - leg.start_ns)
    return 0.0


def n_stage_users(shape: Stages) -> int:
    """Return how many users start in all: the sum of all rises."""
    return sum(max(0, int(leg.high - leg.low)) for leg in legs_of(shape))


def stage_arrivals(shape: Stages) -> Iterator[tuple[int, int]]:
    """Generate (start, end) of every user in order of the start, both ns after the run's start."""
    legs = legs_of(shape)
    for number, leg in enumerate(legs):
        low, high = int(leg.low), int(leg.high)
        for place in range(low, high):
            at_ns = leg.start_ns + (place - low) * (leg.end_ns - leg.start_ns) // (high - low)
            yield at_ns, _given_up_ns(legs, number + 1, place)


def rate_arrivals(shape: RateStages, seed: int) -> Iterator[int]:
    """Generate the arrivals of a Poisson process whose rate is the level, in ns, until the stages end.

    The k-th arrival is where the integral of the rate reaches the sum of k unit exponentials, each −ln(1 − u) with u
    uniform in [0, 1). Within a stage from rate a to b over D seconds the integral after x seconds is
    ``y = a·x + (b − a)·x²/(2·D)``, so ``x = 2·y / (a + √(a² + 2·y·(b − a)/D))``. Worked value: 0/s to 10/s over 10 s is
    50 arrivals on average, and y = 12.5 is reached after 5 s.

    Source: time change of a Poisson process (Çinlar: Introduction to stochastic processes, 1975, §4.7).
    """
    passed = 0.0
    user, needed = 0, _exponential(seed, 0)
    for leg in legs_of(shape):
        duration_s = (leg.end_ns - leg.start_ns) / NS_PER_S
        whole = (leg.low + leg.high) / 2 * duration_s
        while needed < passed + whole:
            yield leg.start_ns + int(_reached_s(leg, duration_s, needed - passed) * NS_PER_S)
            user += 1
            needed += _exponential(seed, user)
        passed += whole


def _targets(shape: Stages | RateStages) -> Iterator[tuple[int, float]]:
    if isinstance(shape, Stages):
        return ((stage.duration_ns, stage.users) for stage in shape.stages)
    return ((stage.duration_ns, stage.per_s) for stage in shape.stages)


def _given_up_ns(legs: list[Leg], first: int, place: int) -> int:
    for leg in legs[first:]:
        if leg.high <= place < leg.low:
            return leg.start_ns + int(leg.low - place) * (leg.end_ns - leg.start_ns) // int(leg.low - leg.high)
    return legs[-1].end_ns


def _reached_s(leg: Leg, duration_s: float, area: float) -> float:
    slope = (leg.high - leg.low) / duration_s
    root = math.sqrt(max(0.0, leg.low * leg.low + 2 * slope * area))
    return min(duration_s, 2 * area / (leg.low + root)) if area else 0.0


def _exponential(seed: int, user: int) -> float:
    return -math.log1p(-unit_interval(seed, user))
