from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from analysis.merge import SETTLE_S, WINDOW_S, Grain, SlotMerge, Total, coarse_key, merge_slot
from analysis.run import Run
from analysis.series import sum_of
from analysis.slots import Measure, SecondSlot, SeriesKey
from tests.analysis.runs import ASSET, QUOTES, a_run, a_slot, measured
from tests.analysis.synthetic_run import facts
from tests.analysis.synthetic_run import slots as synthetic_slots

latencies = st.lists(st.integers(0, 10**7), max_size=6)


@st.composite
def some_slots(draw: st.DrawFn) -> list[SecondSlot]:
    keys = draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 25)), max_size=8))
    slots = []
    for worker, second in sorted(keys):
        measures = {key: measured(*[us / 1000 for us in draw(latencies)]) for key in (QUOTES, ASSET)}
        slots.append(a_slot(measures, worker=worker, second=second, counts={"messages_in": draw(st.integers(0, 9))}))
    return slots


def contents(run: Run) -> tuple[object, ...]:
    return run.seconds, run.windows, run.workers, run.whole


@given(some_slots(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_slots_matters(slots: list[SecondSlot], random: object) -> None:
    again = [*slots, *slots]
    random.shuffle(again)  # type: ignore[attr-defined]
    merged, expected = a_run(again), a_run(slots)
    assert merged.seconds == expected.seconds
    assert merged.windows == expected.windows
    assert merged.workers == expected.workers


@given(some_slots())
def test_totals_by_second_and_by_route_sum_up_to_the_same(slots: list[SecondSlot]) -> None:
    run = a_run(slots)
    by_slot = sum_of(measure for slot in slots for measure in slot.measures.values())
    assert sum_of(run.whole.measures.values()) == by_slot == sum_of(run.by_route.values())


@given(some_slots(), st.randoms(use_true_random=False))
def test_storing_as_it_happens_is_the_same_as_storing_at_the_end(slots: list[SecondSlot], random: object) -> None:
    random.shuffle(slots)  # type: ignore[attr-defined]
    merge, run = SlotMerge(), Run(facts=facts())
    for slot in slots:
        merge.add(slot)
        for total in merge.ripe():
            run.add(total)
    for total in merge.rest():
        run.add(total)
    assert contents(run)[:3] == contents(a_run(slots))[:3]


def test_a_slot_that_was_counted_is_told_apart() -> None:
    merge = SlotMerge()
    assert merge.add(a_slot(worker=1, second=4))
    assert not merge.add(a_slot(worker=1, second=4))
    assert merge.add(a_slot(worker=2, second=4))


def test_a_second_waits_for_the_slower_workers_and_a_window_for_its_last_second() -> None:
    merge = SlotMerge()
    merge.add(a_slot(second=0))
    assert list(merge.ripe()) == []
    merge.add(a_slot(second=SETTLE_S))
    assert [(total.grain, total.slot.second) for total in merge.ripe()] == [(Grain.SECOND, 0)]
    merge.add(a_slot(second=WINDOW_S + SETTLE_S))
    assert (Grain.WINDOW, 0) in [(total.grain, total.slot.second) for total in merge.ripe()]


def test_a_total_whose_slots_were_counted_already_changes_nothing() -> None:
    run = a_run([a_slot({QUOTES: measured(5.0)}, second=3)])
    before = run.measure("http")
    slot = SecondSlot(worker=-1, second=3, measures={coarse_key(QUOTES): measured(7.0)})
    run.add(Total(Grain.SECOND, slot, [(0, 3)]))
    assert run.measure("http") == before


def test_merging_keeps_the_sources_untouched() -> None:
    source = a_slot({QUOTES: measured(5.0)})
    into = SecondSlot(worker=-1, second=0)
    merge_slot(into, source)
    merge_slot(into, source)
    assert source.measures[QUOTES] == measured(5.0)
    assert into.measures[QUOTES].ok == 2


def test_a_total_keeps_kind_and_origin_but_not_the_route() -> None:
    key: SeriesKey = ("http", (("kind", "api"), ("origin", "http://a"), ("route", "GET /")))
    assert coarse_key(key) == ("http", (("kind", "api"), ("origin", "http://a")))


def test_a_long_run_keeps_little_in_memory() -> None:
    merge = SlotMerge()
    for slot in synthetic_slots(n_workers=1, n_seconds=60):
        merge.add(slot)
        list(merge.ripe())
    left = list(merge.rest())
    assert len(left) <= SETTLE_S + 3


def test_largest_values_are_kept_exactly() -> None:
    run = a_run([a_slot({QUOTES: measured(1.0, 250.123)}, second=s) for s in range(3)])
    assert run.measure("http").latency_max_us == 250_123


def _planned(slots: Sequence[SecondSlot]) -> int:
    return sum(measure.planned for slot in slots for measure in slot.measures.values())


def test_offered_load_survives_the_merge() -> None:
    slots = list(synthetic_slots(n_workers=2, n_seconds=20))
    assert sum_of(a_run(slots).whole.measures.values()).planned == _planned(slots)
    assert isinstance(a_run(slots).whole.measures[("http", (("kind", "api"),))], Measure)
