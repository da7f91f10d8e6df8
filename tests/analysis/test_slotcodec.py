from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.slotcodec import slot_from_body, slot_to_body
from analysis.slots import Broadcast, Measure, SecondSlot
from analysis.steplog import StepLog, StepRecord

counts = st.integers(0, 2**40)
buckets = st.dictionaries(st.integers(0, 9000), st.integers(1, 10**6), max_size=4)
names = st.dictionaries(st.text(max_size=12), counts, max_size=3)
labels = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3).map(lambda d: tuple(sorted(d.items())))
series = st.tuples(st.text(max_size=12), labels)
measures = st.builds(
    Measure,
    planned=counts,
    ok=counts,
    latency=buckets,
    service=buckets,
    failed=buckets,
    mismatched=buckets,
    errors=names,
    mismatches=names,
    latency_sum_us=counts,
    latency_max_us=counts,
    service_sum_us=counts,
    service_max_us=counts,
    bytes_in=counts,
    items=counts,
    due_milli=counts,
)
steps = st.builds(
    StepRecord,
    user=counts,
    session=counts,
    step=counts,
    series=series,
    intended_ns=counts,
    actual_ns=counts,
    end_ns=counts,
    outcome=st.text(max_size=9),
    status=st.integers(0, 999),
    detail=st.text(max_size=30),
    request=st.text(max_size=30),
    slots=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=2).map(tuple),
    recorded=st.text(max_size=30),
)
broadcasts = st.builds(
    Broadcast, st.text(max_size=9), st.text(max_size=9), st.binary(max_size=8), counts, st.binary(max_size=8)
)
slots = st.builds(
    SecondSlot,
    worker=st.integers(0, 63),
    second=st.integers(0, 10**5),
    measures=st.dictionaries(series, measures, max_size=3),
    lag=buckets,
    loop=buckets,
    counts=names,
    gauges=names,
    cpu_ns=counts,
    steps=st.lists(steps, max_size=3).map(StepLog),
    broadcasts=st.lists(broadcasts, max_size=2),
)


def through_msgpack(body: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(body, use_bin_type=True), strict_map_key=False)


@given(slots)
def test_a_slot_comes_back_whole_through_msgpack(slot: SecondSlot) -> None:
    assert slot_from_body(through_msgpack(slot_to_body(slot))) == slot


def test_a_body_of_a_later_version_with_further_fields_is_read() -> None:
    body = slot_to_body(SecondSlot(worker=1, second=2, measures={("http", ()): Measure(ok=3)}))
    body[2][0].append("further")
    assert slot_from_body([*body, "further"]) == SecondSlot(worker=1, second=2, measures={("http", ()): Measure(ok=3)})


@pytest.mark.parametrize("body", [None, [], [1, 2], 7, [0, 0, [["http"]], {}, {}, {}, {}, 0, []], {"a": 1}])
def test_what_is_no_slot_is_refused(body: object) -> None:
    with pytest.raises(ValueError, match="not a second-slot|not enough values"):
        slot_from_body(body)


def test_a_body_of_an_earlier_version_with_fewer_fields_is_read() -> None:
    body = slot_to_body(SecondSlot(worker=1, second=2, measures={("http", ()): Measure(ok=3)}))
    body[2][0] = body[2][0][:18]
    assert slot_from_body(body[:9]) == slot_from_body(body)
