"""A value that never came: the step, the slot and its producer are named, apart from errors of the target."""

from __future__ import annotations

from replayer.plan.compile import compile_plan
from tests.fakes_captures import Tape, capture_of
from tests.fakes_port import FakePort, Reply, user_of

TOKEN = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"


def test_a_miss_names_the_slot_and_who_should_have_brought_it() -> None:
    tape = Tape()
    tape.post("/login", send_json={"n": 1}, answer_json={"token": TOKEN})
    tape.get(f"/start?key={TOKEN}%2B", sent=[("Authorization", f"Bearer {TOKEN}")], answer_json={"ok": True})
    port = FakePort(answer=lambda data, connection: Reply(body=b'{"other": 1}'))
    user = user_of(compile_plan(capture_of(tape)), port)
    user.start(port.clock_ns)
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    (record,) = [each for each in slot.steps if each.outcome == "not_sent_correlation_miss"]
    assert (record.step, record.detail) == (1, "token, of step 0 (POST /login)")
    assert slot.counts["correlation_misses"] == slot.counts["not_sent:correlation_miss"] == 1


def test_what_a_failed_step_should_have_brought_is_no_miss() -> None:
    tape = Tape()
    tape.post("/login", send_json={"n": 1}, answer_json={"token": TOKEN})
    tape.get("/me", sent=[("Authorization", f"Bearer {TOKEN}")], answer_json={"ok": True})
    port = FakePort(answer=lambda data, connection: Reply(status=503))
    user = user_of(compile_plan(capture_of(tape)), port)
    user.start(port.clock_ns)
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert slot.counts["not_sent:producer_failed"] == 1 and "correlation_misses" not in slot.counts
