"""Stages: when places are taken and given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.schedule import LoadOptions, ScriptTiming, arrivals, implied_users
from replayer.load.shapes import RateStage, RateStages, Stage, Stages, parse_shape
from replayer.load.stages import level_at, n_stage_users, rate_arrivals, stage_arrivals, total_ns

ONE = [ScriptTiming(start_ns=0, duration_ns=NS_PER_S)]
MOMENTS_NS = st.integers(0, 10**5).map(lambda ms: ms * NS_PER_MS)
STAGES = st.lists(st.builds(Stage, duration_ns=MOMENTS_NS, users=st.integers(0, 40)), min_size=1, max_size=6).filter(
    lambda stages: any(s.users for s in stages) and any(s.duration_ns for s in stages)
)


def staged(text: str) -> Stages:
    shape = parse_shape(text)
    assert isinstance(shape, Stages)
    return shape


def test_users_come_evenly_and_the_newest_ends_first() -> None:
    shape = staged("stages:4s@4,10s@4,2s@2,2s@0")
    seconds = [(at_ns / NS_PER_S, until_ns / NS_PER_S) for at_ns, until_ns in stage_arrivals(shape)]
    assert seconds == [(0, 18), (1, 17), (2, 16), (3, 15)]
    assert total_ns(shape) == 18 * NS_PER_S and n_stage_users(shape) == 4


def test_a_place_that_was_given_up_is_taken_by_a_new_user() -> None:
    shape = staged("stages:2s@2,2s@0,0s@1,1s@1")
    found = [(at_ns / NS_PER_S, until_ns / NS_PER_S) for at_ns, until_ns in stage_arrivals(shape)]
    assert found == [(0, 4), (1, 3), (4, 5)]
    assert implied_users(shape, seed=0, for_ns=None) == 3


@given(stages=STAGES, at_share=st.floats(0, 1, exclude_max=True))
def test_as_many_are_there_as_the_level_says(stages: list[Stage], at_share: float) -> None:
    shape = Stages(stages=tuple(stages))
    at_ns = int(total_ns(shape) * at_share)
    there = sum(start <= at_ns < end for start, end in stage_arrivals(shape))
    assert abs(there - level_at(shape, at_ns)) <= 1.001


@given(stages=STAGES)
def test_stage_arrivals_are_in_order_and_end_after_they_begin(stages: list[Stage]) -> None:
    shape = Stages(stages=tuple(stages))
    found = list(stage_arrivals(shape))
    assert [start for start, _ in found] == sorted(start for start, _ in found)
    assert all(start <= end <= total_ns(shape) for start, end in found)
    assert len(found) == n_stage_users(shape)


@given(stages=STAGES, n_workers=st.integers(1, 7))
def test_the_shares_of_all_workers_are_the_staged_schedule(stages: list[Stage], n_workers: int) -> None:
    shape = Stages(stages=tuple(stages))
    load = LoadOptions(users=n_stage_users(shape), shape=shape)
    whole = list(arrivals(ONE, load))
    parts = [[a for a in arrivals(ONE, load) if a.user % n_workers == worker] for worker in range(n_workers)]
    assert sorted(arrival for part in parts for arrival in part) == sorted(whole)


def test_arrival_rates_follow_the_stages() -> None:
    shape = RateStages(stages=(RateStage(duration_ns=100 * NS_PER_S, per_s=100), RateStage(duration_ns=0, per_s=10)))
    times_s = [at_ns / NS_PER_S for at_ns in rate_arrivals(shape, seed=3)]
    assert times_s == sorted(times_s) and times_s[-1] <= 100
    early, late = sum(t < 50 for t in times_s), sum(t >= 50 for t in times_s)
    # The integral of 1/s per s: 1,250 and 3,750 expected, standard deviations 35 and 61.
    assert abs(early - 1_250) < 4 * 35 and abs(late - 3_750) < 4 * 61


def test_a_rate_that_runs_for_a_time_says_how_many_come() -> None:
    shape = parse_shape("rate:50/s")
    n = implied_users(shape, seed=1, for_ns=20 * NS_PER_S)
    assert n is not None and abs(n - 1_000) < 4 * 32
    times_ns = [arrival.at_ns for arrival in arrivals(ONE, LoadOptions(users=n + 1, shape=shape, seed=1))]
    assert times_ns[n - 1] < 20 * NS_PER_S <= times_ns[n]
    assert implied_users(parse_shape("ramp:5s"), seed=1, for_ns=NS_PER_S) is None
