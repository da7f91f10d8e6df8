"""A second capture of the same application tells what is dynamic; captures with holes in them still compile."""

from __future__ import annotations

import pytest

from captures.records import Body
from replayer.plan.compile import compile_explained, compile_plan
from replayer.plan.records import SlotKind
from tests.fakes_captures import Tape, capture_of

TOKEN = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"


def _visit(basket: str, number: int = 1) -> Tape:
    tape = Tape(number)
    tape.get("/start", answer_json={"basket": basket, "theme": "midnight-blue-7"})
    tape.post("/add", send_json={"basket": basket, "theme": "midnight-blue-7"})
    return tape


def _slots(*, also: tuple[Tape, ...] = ()) -> list[bytes]:
    plan = compile_plan(capture_of(_visit("bk-17")), also=[capture_of(tape) for tape in also])
    assert len(plan.scripts) == 1, "what is only compared with is not played"
    return [slot.recorded for slot in plan.scripts[0].slots if slot.kind is SlotKind.EXTRACTED]


def test_a_second_capture_tells_what_one_alone_does_not() -> None:
    assert b"bk-17" not in _slots()
    assert b"bk-17" in _slots(also=(_visit("bk-99"),))


def test_what_is_the_same_in_all_captures_is_static() -> None:
    assert b"midnight-blue-7" in _slots()
    assert b"midnight-blue-7" not in _slots(also=(_visit("bk-99"), _visit("bk-23")))


def test_sessions_of_one_capture_are_compared_in_the_same_way() -> None:
    plan = compile_plan(capture_of(_visit("bk-17"), _visit("bk-99", 2)))
    values = {slot.recorded for script in plan.scripts for slot in script.slots if slot.kind is SlotKind.EXTRACTED}
    assert {b"bk-17", b"bk-99"} <= values


def test_a_second_capture_from_another_deployment_counts_too() -> None:
    other = _visit("bk-99")
    for exchange in other.exchanges:
        exchange.origin = type(exchange.origin)("https", "staging.example", 443)
    capture = capture_of(other, url="https://staging.example/")
    plan = compile_plan(capture_of(_visit("bk-17")), also=[capture])
    assert b"bk-17" in [slot.recorded for slot in plan.scripts[0].slots]


def test_a_capture_without_answers_compiles_and_says_so() -> None:
    tape = Tape()
    tape.get("/a", status=None)
    tape.post("/b", status=None, send_json={"token": TOKEN})
    compiled = compile_explained(capture_of(tape))
    assert len(compiled.plan.scripts[0].steps) == 2
    assert all("never answered" in note for note in compiled.evidence[0].notes)


def test_a_producer_whose_body_was_cut_leaves_its_consumer_unbound_and_is_named() -> None:
    tape = Tape()
    login = tape.post("/login", answer_json={"pad": "x" * 200, "token": TOKEN})
    data = login.response_body.data
    login.response_body = Body(data=data[:100], size_bytes=len(data))
    tape.get("/me", sent=[("Authorization", f"Bearer {TOKEN}")])
    compiled = compile_explained(capture_of(tape))
    (literal,) = compiled.evidence[0].literals
    assert literal.value == TOKEN.encode()
    (note,) = compiled.evidence[0].notes
    assert "POST /login" in note and "100 of" in note and "values" in note


@pytest.mark.parametrize("n", [0, 1])
def test_a_capture_with_nothing_in_it_is_a_plan_with_nothing_in_it(n: int) -> None:
    plan = compile_plan(capture_of(*[Tape() for _ in range(n)]))
    assert plan.scripts == () and plan.routes == ()
