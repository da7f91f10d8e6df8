"""Several populations under one schedule."""

from __future__ import annotations

from collections import Counter

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from captures.units import NS_PER_S
from replayer.load.populations import (
    PopulationLoad,
    arrivals_by_population,
    crowd_arrivals,
    n_users,
    population_from_body,
    population_of,
    population_to_body,
    scripts_played,
)
from replayer.load.schedule import LoadOptions, ScriptTiming
from replayer.load.shapes import Burst, Ramp, parse_shape
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing

TIMINGS = [ScriptTiming(start_ns=0, duration_ns=NS_PER_S, sends_ns=(0, NS_PER_S)) for _ in range(5)]
SOCKETS = PopulationLoad(
    name="sockets", n_scripts=2, load=LoadOptions(users=7, shape=Ramp(duration_ns=7 * NS_PER_S), seed=4)
)
REST = PopulationLoad(
    name="rest",
    first_script=2,
    n_scripts=3,
    first_user=7,
    load=LoadOptions(users=5, shape=Burst(at_ns=2 * NS_PER_S)),
    pacing=Pacing.TIMELINE,
    at_end=AtEnd.HOLD,
    for_ns=9 * NS_PER_S,
    identities=({"user": "ada"},),
)


def test_users_and_scripts_are_numbered_over_all_populations_and_arrive_merged() -> None:
    found = list(crowd_arrivals(TIMINGS, [SOCKETS, REST]))
    assert [arrival.at_ns for arrival in found] == sorted(arrival.at_ns for arrival in found)
    assert sorted(arrival.user for arrival in found) == list(range(12)) and n_users([SOCKETS, REST]) == 12
    assert {a.user: a.script for a in found} == {u: u % 2 for u in range(7)} | {7 + u: 2 + u % 3 for u in range(5)}
    assert Counter(population_of([SOCKETS, REST], arrival.script) for arrival in found) == {0: 7, 1: 5}


def test_who_would_come_after_the_end_does_not_come() -> None:
    brief = PopulationLoad(n_scripts=1, load=SOCKETS.load, for_ns=3 * NS_PER_S)
    assert [arrival.at_ns // NS_PER_S for arrival in crowd_arrivals(TIMINGS, [brief])] == [0, 1, 2]
    assert arrivals_by_population(TIMINGS, [brief]) == [3]
    assert brief.ends_early


def test_stages_end_with_their_own_users() -> None:
    shape = parse_shape("stages:1s@3,1s@0")
    load = PopulationLoad(n_scripts=1, load=LoadOptions(users=3, shape=shape), for_ns=2 * NS_PER_S)
    assert not load.ends_early


@given(n_workers=st.integers(1, 6))
def test_a_worker_knows_beforehand_which_scripts_its_users_play(n_workers: int) -> None:
    for worker in range(n_workers):
        own = {a.script for a in crowd_arrivals(TIMINGS, [SOCKETS, REST]) if a.user % n_workers == worker}
        assert {number for number, _ in scripts_played([SOCKETS, REST], worker=worker, n_workers=n_workers)} == own


def test_a_population_survives_the_way_to_a_worker() -> None:
    for population in (SOCKETS, REST):
        carried = msgpack.unpackb(msgpack.packb(population_to_body(population)), strict_map_key=False)
        assert population_from_body(carried) == population
