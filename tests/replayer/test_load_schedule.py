"""Arrivals: order, speed, gaps, spread, and independence of the number of workers."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.partition import share_of, users_per_script
from replayer.load.schedule import (
    MAX_START_SPREAD_NS,
    Arrival,
    LoadOptions,
    ScriptTiming,
    arrivals,
    busiest_second_ns,
    played_duration_ns,
    retime,
    start_spread_ns,
)
from replayer.load.shapes import Align, Burst, Ramp, Rate, Recorded, Shape


def timing(start_s: float, *sends_s: float, duration_s: float = 10.0) -> ScriptTiming:
    return ScriptTiming(
        start_ns=int(start_s * NS_PER_S),
        duration_ns=int(duration_s * NS_PER_S),
        sends_ns=tuple(int(send * NS_PER_S) for send in sends_s),
    )


def starts_s(scripts: list[ScriptTiming], options: LoadOptions) -> list[float]:
    return [arrival.at_ns / NS_PER_S for arrival in arrivals(scripts, options)]


instants = st.integers(0, 3600 * NS_PER_S)
scripts_strategy = st.lists(
    st.builds(
        ScriptTiming,
        start_ns=instants,
        duration_ns=instants,
        sends_ns=st.lists(instants, max_size=8).map(lambda sends: tuple(sorted(sends))),
    ),
    min_size=1,
    max_size=5,
)
shapes_strategy = st.one_of(
    st.just(Recorded()),
    st.builds(Ramp, duration_ns=instants),
    st.builds(Burst, at_ns=instants),
    st.just(Align()),
    st.builds(Rate, per_s=st.floats(0.01, 1e6)),
)
options_strategy = st.builds(
    LoadOptions,
    users=st.integers(1, 60),
    speed=st.floats(0.1, 100),
    max_gap_ns=st.none() | st.integers(0, 60 * NS_PER_S),
    shape=shapes_strategy,
    start_spread_ns=st.none() | instants,
    seed=st.integers(0, 2**70),
)


@given(scripts=scripts_strategy, options=options_strategy)
def test_every_user_arrives_once_in_order_and_plays_its_script(
    scripts: list[ScriptTiming], options: LoadOptions
) -> None:
    planned = list(arrivals(scripts, options))
    assert planned == sorted(planned, key=lambda arrival: arrival.at_ns)
    assert sorted(arrival.user for arrival in planned) == list(range(options.users))
    assert all(arrival.script == arrival.user % len(scripts) for arrival in planned)
    assert all(arrival.at_ns >= 0 for arrival in planned)


@given(scripts=scripts_strategy, options=options_strategy, n_workers=st.integers(1, 7))
def test_the_shares_of_any_number_of_workers_are_the_schedule(
    scripts: list[ScriptTiming], options: LoadOptions, n_workers: int
) -> None:
    shares = [
        list(share_of(arrivals(scripts, options), worker=worker, n_workers=n_workers)) for worker in range(n_workers)
    ]
    assert all(share == sorted(share, key=lambda arrival: arrival.at_ns) for share in shares)
    assert sorted(itertools.chain.from_iterable(shares)) == sorted(arrivals(scripts, options))


@given(scripts=scripts_strategy, options=options_strategy)
def test_no_gap_between_recorded_arrivals_is_longer_than_max_gap(
    scripts: list[ScriptTiming], options: LoadOptions
) -> None:
    planned = [arrival.at_ns for arrival in arrivals(scripts, options)]
    if isinstance(options.shape, Recorded) and options.max_gap_ns is not None:
        gaps = [later - earlier for earlier, later in itertools.pairwise([0, *planned])]
        assert max(gaps) <= options.max_gap_ns


@given(
    at_ns=st.lists(instants, max_size=20).map(sorted),
    speed=st.floats(0.1, 100),
    max_gap_ns=st.none() | st.integers(0, 60 * NS_PER_S),
)
def test_retiming_keeps_order_and_never_stretches_a_divided_gap(
    at_ns: list[int], speed: float, max_gap_ns: int | None
) -> None:
    run_ns = retime(at_ns, speed=speed, max_gap_ns=max_gap_ns)
    assert run_ns == sorted(run_ns)
    for recorded, played in zip(itertools.pairwise([0, *at_ns]), itertools.pairwise([0, *run_ns]), strict=True):
        gap_ns = played[1] - played[0]
        assert gap_ns <= (recorded[1] - recorded[0]) / speed + 1
        assert max_gap_ns is None or gap_ns <= max_gap_ns


def test_retiming_divides_first_and_caps_then() -> None:
    at_ns = [0, 4 * NS_PER_S, 10 * NS_PER_S]
    assert retime(at_ns, speed=2, max_gap_ns=NS_PER_S) == [0, NS_PER_S, 2 * NS_PER_S]
    assert retime(at_ns, speed=8, max_gap_ns=NS_PER_S) == [0, NS_PER_S // 2, NS_PER_S * 5 // 4]
    assert retime(at_ns, speed=1, max_gap_ns=None) == at_ns


def test_one_user_per_session_arrives_exactly_as_recorded_divided_by_speed() -> None:
    scripts = [timing(0), timing(3), timing(8)]
    assert starts_s(scripts, LoadOptions(users=3)) == [0, 3, 8]
    assert starts_s(scripts, LoadOptions(users=3, speed=4)) == [0, 0.75, 2]


def test_fewer_users_than_sessions_play_the_first_sessions() -> None:
    planned = list(arrivals([timing(0), timing(3), timing(8)], LoadOptions(users=2)))
    assert [arrival.script for arrival in planned] == [0, 1]


def test_copies_are_spread_evenly_after_the_recorded_start() -> None:
    options = LoadOptions(users=101, start_spread_ns=10 * NS_PER_S)
    planned = starts_s([timing(5)], options)
    assert planned[0] == 5
    assert all(5 <= start < 15 for start in planned)
    per_second = Counter(int(start) for start in planned[1:])
    assert set(per_second.values()) == {10}, "stratified: as many copies in each second"
    assert len({start % 1 for start in planned}) > 90, "and within its part each at a place of its own"


def test_the_seed_decides_where_copies_start_and_nothing_else() -> None:
    scripts = [timing(0), timing(1)]
    first, again, other = (list(arrivals(scripts, LoadOptions(users=40, seed=seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert [a for a in first if a.user < 2] == [a for a in other if a.user < 2]


def test_the_default_spread_is_the_longest_session_as_played_and_at_most_a_minute() -> None:
    scripts = [timing(0, duration_s=20), timing(0, duration_s=50)]
    assert start_spread_ns(scripts, LoadOptions(users=9)) == 50 * NS_PER_S
    assert start_spread_ns(scripts, LoadOptions(users=9, speed=5)) == 10 * NS_PER_S
    assert start_spread_ns([timing(0, duration_s=600)], LoadOptions(users=9)) == MAX_START_SPREAD_NS
    assert start_spread_ns(scripts, LoadOptions(users=9, start_spread_ns=0)) == 0


def test_a_played_session_is_as_long_as_its_capped_gaps_and_its_tail() -> None:
    script = timing(0, 0, 1, 9, duration_s=12)
    assert played_duration_ns(script, speed=1, max_gap_ns=None) == 12 * NS_PER_S
    assert played_duration_ns(script, speed=1, max_gap_ns=2 * NS_PER_S) == 6 * NS_PER_S
    assert played_duration_ns(timing(0, duration_s=4), speed=2, max_gap_ns=0) == 2 * NS_PER_S


def test_a_ramp_starts_users_at_equal_distances() -> None:
    options = LoadOptions(users=4, shape=Ramp(duration_ns=8 * NS_PER_S), speed=5)
    assert starts_s([timing(0), timing(7)], options) == [0, 2, 4, 6]


def test_a_burst_starts_everybody_at_once_whatever_the_speed() -> None:
    options = LoadOptions(users=3, shape=Burst(at_ns=2 * NS_PER_S), speed=5, max_gap_ns=NS_PER_MS)
    assert starts_s([timing(0), timing(7)], options) == [2, 2, 2]


def test_align_brings_the_busiest_second_of_all_to_one_instant() -> None:
    early, late = timing(0, 0, 2.0, 2.1, 2.2, 8), timing(40, 0, 6.0, 6.5)
    options = LoadOptions(users=4, shape=Align(), speed=2)
    planned = list(arrivals([early, late], options))
    meets = {arrival.at_ns + busiest_second_ns([early, late][arrival.script]) // 2 for arrival in planned}
    assert meets == {3 * NS_PER_S}
    assert planned[0] == Arrival(0, 1, 1), "who needs longest starts first"


def test_align_refuses_an_instant_that_a_session_cannot_meet() -> None:
    options = LoadOptions(users=1, shape=Align(at_ns=NS_PER_S))
    with pytest.raises(ConfigError, match="align:6s or later"):
        arrivals([timing(0, 0, 5.5, 5.6)], options)


def test_the_busiest_second_is_found_in_the_recording() -> None:
    assert busiest_second_ns(timing(0, 0, 0.9, 5.0, 5.4, 5.9, 6.1)) == 5 * NS_PER_S
    assert busiest_second_ns(timing(0)) == 0


def test_a_rate_is_met_on_average_and_is_not_regular() -> None:
    planned = starts_s([timing(0)], LoadOptions(users=5000, shape=Rate(per_s=50), seed=7))
    assert 90 < planned[-1] < 110
    gaps = [later - earlier for earlier, later in itertools.pairwise(planned)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert 0.9 < deviation / mean < 1.1, "exponential gaps deviate by their mean"


def test_no_sessions_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="holds no session"):
        arrivals([], LoadOptions(users=1))


@pytest.mark.parametrize("wrong", [{"users": 0}, {"users": 1, "speed": 0.0}, {"users": 1, "speed": float("nan")}])
def test_impossible_load_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LoadOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [Recorded(), Ramp(duration_ns=NS_PER_S), Burst(), Align(), Rate(per_s=1e5)])
def test_a_schedule_is_made_as_it_is_read(shape: Shape) -> None:
    planned = arrivals([timing(0, 0, 1), timing(1, 0, 2)], LoadOptions(users=10**15, shape=shape))
    assert len(list(itertools.islice(planned, 100))) == 100


@settings(max_examples=30)
@given(users=st.integers(1, 500), n_scripts=st.integers(1, 20))
def test_users_per_script_counts_what_the_schedule_plays(users: int, n_scripts: int) -> None:
    scripts = [timing(0)] * n_scripts
    played = Counter(arrival.script for arrival in arrivals(scripts, LoadOptions(users=users)))
    assert users_per_script(users=users, n_scripts=n_scripts) == [played[script] for script in range(n_scripts)]
