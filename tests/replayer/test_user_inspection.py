"""Looking into answers: every kind of mismatch, on documents that were learned from, and what is no mismatch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.slots import Measure
from analysis.verification import MISMATCHES, PARSED_KINDS
from captures.envelopes import Framing
from replayer.plan.expectations import Learner
from replayer.plan.records import Demand, Expectation
from replayer.plan.sizes import items_of
from replayer.user.checks import Budget, inspected
from replayer.user.inspection import Inspection, inspection_of, is_login_page
from replayer.user.slots import Answer

QUOTES = {"tick": 7, "name": None, "quotes": [{"symbol": "KIT", "last": 12.5}], "page": {"next": 2}, "tags": []}

# (what came, the mismatch or "").
ANSWERS: list[tuple[Any, str]] = [
    (QUOTES, ""),
    # Other data, other lengths, more keys, null for a plain value: no mismatch.
    ({**QUOTES, "quotes": [{"symbol": "MOA", "last": None, "more": 1}] * 9, "new": 1, "tick": None}, ""),
    ({**QUOTES, "name": "anything where only null was seen", "tags": ["x"]}, ""),
    # A key is missing: at the top, deeper, inside the elements of an array.
    ({key: value for key, value in QUOTES.items() if key != "tick"}, "required"),
    ({**QUOTES, "page": {}}, "required"),
    ({**QUOTES, "quotes": [{"symbol": "KIT"}]}, "required"),
    # An array that was not empty is, or is null.
    ({**QUOTES, "quotes": []}, "empty"),
    ({**QUOTES, "quotes": None}, "empty"),
    # Another kind of value.
    ({**QUOTES, "tick": "7"}, "kind"),
    ({**QUOTES, "quotes": {"KIT": 1}}, "kind"),
    ({**QUOTES, "page": [1]}, "kind"),
    # Errors inside an answer, whatever else it holds.
    ({"errors": [{"message": "refused"}]}, "error"),
    ({**QUOTES, "error": "try later"}, "error"),
    ({**QUOTES, "error": None, "errors": []}, ""),
    # Not even the same kind of document.
    ([QUOTES], "required"),
    ("quotes", "required"),
]


def _learned() -> Expectation:
    learner = Learner()
    learner.add(len(json.dumps(QUOTES)), QUOTES)
    return learner.expectation()


@pytest.mark.parametrize(("document", "mismatch"), ANSWERS)
def test_documents_are_compared_with_what_was_learned(document: Any, mismatch: str) -> None:
    assert inspection_of(_learned()).mismatch(document) == mismatch


def test_errors_are_no_surprise_where_the_recording_had_one() -> None:
    learner = Learner()
    learner.add(10, {"error": "not found"})
    assert inspection_of(learner.expectation()).mismatch({"error": "another"}) == ""


# Texts that are no whole JSON, and what they are called.
TEXTS = [
    (b'{"tick": 7, "quotes": [{"symbol": "KI', "truncated"),
    (b'{"tick": 7, "quotes": [{"symbol": "KIT"}', "truncated"),
    (b'{"tick": 7, ', "truncated"),
    (b"", "truncated"),
    (b"<html><body>Bad gateway", "json"),
    (b'<html><form><input name="p" type="password"></form>', "login"),
    (b"{tick: 7}", "json"),
]


@pytest.mark.parametrize(("text", "mismatch"), TEXTS)
def test_what_is_no_json_is_named(text: bytes, mismatch: str) -> None:
    assert inspected(Measure(), inspection_of(_learned()), Answer((), (), lambda: text)) == mismatch


def test_a_text_about_passwords_is_no_login_page() -> None:
    assert not is_login_page(b'{"hint": "type=\\"password\\""}')
    assert is_login_page(b"<!DOCTYPE html><INPUT TYPE='PASSWORD'>")


def test_demands_of_a_rules_file_are_checked_and_warnings_only_counted() -> None:
    strict = Expectation(demands=(Demand(path=("quotes",), min_items=2), Demand(path=("seq",))))
    assert inspection_of(strict).mismatch({"seq": 1, "quotes": [1]}) == "items"
    assert inspection_of(strict).mismatch({"quotes": [1, 2]}) == "required"
    assert inspection_of(strict).mismatch({"seq": 1, "quotes": [1, 2]}) == ""
    mild = Expectation(demands=(Demand(path=("seq",), is_warning=True), Demand(max_bytes=10, is_warning=True)))
    measure = Measure()
    for text in (b'{"a": 1}', b'{"seq": 1}', b'{"seq": 100}'):
        assert inspected(measure, inspection_of(mild), Answer((), (), lambda text=text: text)) == ""  # type: ignore[misc]
    assert measure.warnings == {"required": 1, "size": 1}


def test_what_the_budget_does_not_allow_is_eligible_and_not_checked() -> None:
    now_ns = [0]

    def clock() -> int:
        now_ns[0] += 200_000_000  # Each look at the clock costs more than the first second allows.
        return now_ns[0]

    budget, measure = Budget(clock), Measure()
    answer = Answer((), (), lambda: b'{"tick": "wrong"}')
    found = [budget.check(measure, inspection_of(_learned()), answer) for _ in range(3)]
    assert found == ["kind", "", ""]
    assert (measure.eligible, measure.checked) == (3, 1)
    assert budget.check_answer(measure, inspection_of(_learned()), answer, "size") == "size"


def test_a_login_page_instead_of_data_is_told_from_other_pages() -> None:
    budget = Budget(lambda: 0)
    pages = {b"<form><input type=password>": "login", b"<h1>maintenance</h1>": "content_type"}
    for page, mismatch in pages.items():
        answer = Answer((), (), lambda page=page: page)  # type: ignore[misc]
        assert budget.check_answer(Measure(), inspection_of(_learned()), answer, "content_type") == mismatch


def test_kinds_that_need_parsing_are_among_all_kinds() -> None:
    assert set(MISMATCHES) > PARSED_KINDS


class _Counted(Answer):
    """An answer that counts how often it is parsed."""

    n_parsed = 0

    def json(self) -> Any:
        type(self).n_parsed += 1
        return super().json()


def test_a_broadcast_is_parsed_once_for_all_sockets_and_judged_for_each() -> None:
    inspection, measure = Inspection(_learned()), Measure()
    bodies = [b'{"tick": 7}', json.dumps(QUOTES).encode()]
    found = [inspected(measure, inspection, _Counted((), (), lambda: body)) for _ in range(50) for body in bodies]  # noqa: B023
    assert _Counted.n_parsed == 2
    assert found[::2] == [found[0]] * 50 and found[0] != ""
    assert set(found[1::2]) == {""}
    once = Measure()
    inspected(once, Inspection(_learned()), Answer((), (), lambda: bodies[1]))
    assert measure.items == 50 * (once.items + items_of(json.loads(bodies[0])))


def test_equal_bytes_in_another_wrapping_are_another_message() -> None:
    inspection, body = Inspection(_learned()), json.dumps(QUOTES).encode()
    assert inspected(Measure(), inspection, Answer((), (), lambda: body)) == ""
    assert inspected(Measure(), inspection, Answer((), (), lambda: body, Framing.STOMP)) != ""
