"""Whole step records as bytes, and in the forms in which earlier versions stored them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.slotcodec import slot_from_body, slot_to_body
from analysis.slots import SecondSlot
from analysis.steplog import StepLog, StepRecord, log_from_body, log_to_body
from analysis.storedslots import slot_from_stored
from tests.analysis.test_slotcodec import steps, through_msgpack

KIND = ["http", ["kind", "api"], "reset", 0]
RESET = StepRecord(1, 0, 3, ("http", (("kind", "api"),)), 10, 20, 30, "reset", 0, "after 0 bytes")
MISS = StepRecord(1, 0, 4, ("http", ()), 40, 41, 49, "status_500", 500, "seen", "GET /{id}", (("id", "7"),), "200")


def numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little", signed=True) for value in values)


@given(st.lists(st.lists(steps, max_size=4), max_size=3))
def test_logs_that_were_added_come_back_whole_and_in_order(lists: list[list[StepRecord]]) -> None:
    log = StepLog()
    for records in lists:
        log += StepLog(records)
    found = log_from_body(through_msgpack(log_to_body(log)))
    assert list(found) == list(log) == [record for records in lists for record in records]
    assert len(found) == sum(map(len, lists))


def test_the_worked_value_of_the_format() -> None:
    assert log_to_body(StepLog([RESET])) == [
        [[KIND], numbers(1, 0, 3, 0, 10, 10, 20), [[0, "after 0 bytes", "", [], ""]]]
    ]


def test_a_log_that_took_in_another_leaves_that_one_as_it_is() -> None:
    taken = StepLog([RESET])
    log = StepLog([MISS])
    log += taken
    log.append(MISS)
    assert (list(log), list(taken)) == ([MISS, RESET, MISS], [RESET])


@pytest.mark.parametrize(
    "part",
    [
        [[KIND], numbers(1, 0, 3, 1, 10, 10, 20), []],  # of a kind that is not there
        [[KIND], numbers(1, 0, 3, -1, 10, 10, 20), []],  # of one before the first
        [[KIND, KIND], numbers(1, 0, 3, 0, 10, 10, 20), []],  # a kind that stands there twice
        [[KIND], numbers(1, 0, 3, 0, 10, 10), []],  # half a row
        [[KIND], numbers(1)[:-1], []],  # half a number
        [[KIND], [1, 0, 3, 0, 10, 10, "20"], []],  # not bytes
        [[KIND], b"", [[0, "detail"]]],  # half of the evidence
        [[["http", ["kind"], "reset", 0]], b"", []],  # a label without a value
        [[KIND]],
        7,
    ],
)
def test_what_is_no_log_is_refused(part: Any) -> None:
    body = slot_to_body(SecondSlot(worker=1, second=2))
    body[8] = [part]
    with pytest.raises(
        ValueError, match="not a second-slot|steps of no kind|unpack|bytes length|argument 2 is shorter"
    ):
        slot_from_body(body)


def test_rows_of_an_earlier_version_are_read() -> None:
    body = slot_to_body(SecondSlot(worker=1, second=2))
    plain = [1, 0, 3, "http", ["kind", "api"], 10, 20, 30, "reset", 0, "after 0 bytes"]
    whole = [1, 0, 4, "http", [], 40, 41, 49, "status_500", 500, "seen", "GET /{id}", ["id", "7"], "200"]
    body[8] = [plain, whole]
    assert slot_from_body(body).steps == StepLog([RESET, MISS])


def test_columns_of_an_earlier_version_are_read() -> None:
    table = [["http", ["kind", "api"]], ["http", []]]
    columns = [[1], [0], [3, 4], [0, 1], [10, 40], [10, 1], [20, 9], ["reset", "status_500"], [0, 500]]
    evidence = [["after 0 bytes", "seen"], ["", "GET /{id}"], [[], ["id", "7"]], ["", "200"]]
    stored = [1, 2, [], b"", b"", {}, {}, 0, [table, 2, *columns, *evidence]]
    assert slot_from_stored(stored).steps == StepLog([RESET, MISS])
