"""Second-slots as a run file holds them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.slots import SecondSlot
from analysis.storedslots import packed, slot_from_stored, slot_to_stored, unpacked
from tests.analysis.test_slotcodec import slots, through_msgpack


@given(st.dictionaries(st.integers(0, 2**40), st.integers(1, 2**50), max_size=30))
def test_a_histogram_comes_back_from_its_bytes(buckets: dict[int, int]) -> None:
    assert unpacked(packed(buckets)) == buckets


def test_the_worked_value_of_the_format() -> None:
    assert packed({5: 2, 3: 1}) == b"BB\x03\0\0\0\0\0\0\0\x02\x01\x02"
    assert packed({}) == b"" and unpacked(b"") == {}


@given(slots)
def test_a_slot_comes_back_whole_but_for_its_broadcasts(slot: SecondSlot) -> None:
    found = slot_from_stored(through_msgpack(slot_to_stored(slot)))
    slot.broadcasts = []
    assert found == slot


@pytest.mark.parametrize("body", [None, [], [1, 2, [], b"BBx"], [0, 0, [[]], b"", b"", {}, {}, 0, [[], 0]]])
def test_what_is_no_stored_slot_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"not a (stored )?second-slot|bytes|unpack"):
        slot_from_stored(body)


def test_a_histogram_that_was_cut_is_refused() -> None:
    for data in (b"BB\x03", packed({5: 2, 3: 1})[:-1]):
        with pytest.raises(ValueError, match=f"a histogram of {len(data)} bytes"):
            unpacked(data)
