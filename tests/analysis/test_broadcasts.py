"""The spread of one broadcast over the sockets of many workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.broadcasts import WAIT_S, WINDOW_S, BroadcastMerge, late_of
from analysis.histogram import Histogram
from analysis.merge import SlotMerge
from analysis.run import Run
from analysis.slots import Broadcast, Measure, SecondSlot
from tests.analysis.runs import FINISHED, a_slot
from tests.analysis.synthetic_run import facts

SKEW = ("ws.push_lag", (("estimator", "skew"), ("message", "quote"), ("route", "WS /feed")))
S = 1_000_000_000
MS = 1_000_000


def heard(worker: int, second: int, arrivals_ns: list[int], digest: bytes = b"a" * 8) -> SecondSlot:
    slot = SecondSlot(worker=worker, second=second)
    ordered = sorted(arrivals_ns)
    slot.broadcasts.append(Broadcast("WS /feed", "quote", digest, ordered[0], late_of(ordered)))
    return slot


def spread_of(*slots: SecondSlot) -> Measure:
    merge = BroadcastMerge()
    for slot in slots:
        merge.add(slot)
    ((_, measures),) = merge.rest()
    return measures[SKEW]


@given(st.lists(st.lists(st.integers(0, 9_000_000), min_size=1, max_size=20), min_size=1, max_size=5))
def test_many_workers_measure_what_one_with_all_the_sockets_would(by_worker: list[list[int]]) -> None:
    everything = sorted(5 * S + 1000 * us for arrivals in by_worker for us in arrivals)
    if len(everything) < 2:
        return
    slots = [heard(worker, 20, [5 * S + 1000 * us for us in arrivals]) for worker, arrivals in enumerate(by_worker)]
    expected = Histogram.of((arrival - everything[0]) // 1000 for arrival in everything)
    assert spread_of(*slots).latency == spread_of(*reversed(slots)).latency == expected.buckets


def test_the_first_arrival_anywhere_is_the_zero_of_all() -> None:
    spread = spread_of(heard(0, 15, [5000 * MS, 5001 * MS]), heard(1, 15, [5100 * MS]))
    assert (spread.ok, spread.latency_max_us, spread.latency_sum_us) == (3, 100_000, 101_000)


def test_one_receiver_has_no_spread() -> None:
    merge = BroadcastMerge()
    merge.add(heard(0, 15, [5 * S]))
    assert list(merge.rest()) == []


def test_equal_bytes_long_after_are_another_message() -> None:
    merge = BroadcastMerge()
    merge.add(heard(0, 15, [1 * S, 1 * S + MS]))
    merge.add(heard(0, 40, [(2 + WINDOW_S) * S, (2 + WINDOW_S) * S + 3 * MS]))
    assert [(second, measures[SKEW].latency_max_us) for second, measures in merge.rest()] == [(1, 1000), (12, 3000)]


def test_it_counts_in_the_second_of_the_first_arrival_and_once() -> None:
    run, merge = Run(facts=facts(), end=FINISHED), SlotMerge()
    for second in range(WAIT_S + 8):
        slot = a_slot(second=second)
        if second == 16:
            slot.broadcasts = heard(0, 16, [5 * S, 5 * S + 7 * MS]).broadcasts
        merge.add(slot)
        merge.add(slot)  # A slot that comes twice changes nothing.
        for total in merge.ripe():
            run.add(total)
    for total in merge.rest():
        run.add(total)
    assert run.by_route[SKEW].ok == 2
    assert [second for second, slot in run.seconds.items() if slot.measures] == [5]
    assert all(workers == {0} for workers in run.workers.values())
