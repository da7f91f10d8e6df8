"""What is kept of a failed step: readable, and without a secret."""

from __future__ import annotations

from typing import Any

import pytest

from captures.redact.pseudonyms import Pseudonyms
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script, Step, StepKind
from replayer.targets import TargetSpec
from replayer.user.exhibits import Exhibits, said
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.pacing import Pacing
from tests.fakes_captures import Tape, capture_of

TOKEN = "b7e1f09c2d4a4e6c9a1b3c5d7e9f0a2b"
LIVE_TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TARGET = TargetSpec(scheme="http", host="127.0.0.1", port=1, addresses=("127.0.0.1",))
STAND_IN = Pseudonyms(b"k" * 32).of(b"7aQorder-0193-1182-aa4f").decode()


def a_plan() -> Plan:
    tape = Tape()
    answer = {"access_token": TOKEN, "basket_id": "basket-4711", "loyalty": STAND_IN}
    tape.post("/api/login", send_json={"user": "{{input.user}}", "password": "{{input.password}}"}, answer_json=answer)
    bearer = [("Authorization", f"Bearer {TOKEN}")]
    tape.get(f"/api/baskets/basket-4711?card={STAND_IN}", sent=bearer, answer_json={"items": [1, 2]})
    tape.socket(
        f"/ws?token={TOKEN}",
        [(20, ">", {"type": "hello", "id": 7}), (30, "<", {"type": "ack", "id": 7})],
        close_ms=60,
    )
    return compile_plan(capture_of(tape))


class Shown:
    """Exhibits of one plan."""

    def __init__(self) -> None:
        self.plan = a_plan()
        self.script: Script = self.plan.scripts[0]
        self.exhibits = Exhibits(self.plan, b"key of the run")
        self.linked = LinkedScript(
            self.plan,
            self.script,
            targets=[TARGET],
            added=[],
            meter=Meter(0),
            speed=1,
            max_gap_ns=None,
            pacing=Pacing.THINK,
        )

    def step(self, kind: StepKind, number: int = 0) -> Step:
        return [step for step in self.script.steps if step.kind is kind][number]

    def request(self, step: Step) -> str:
        return self.exhibits.request(self.script, step)

    def slots(self, step: Step, **values: str) -> dict[str, str]:
        held: list[Any] = [values[slot.name].encode() if slot.name in values else None for slot in self.script.slots]
        return dict(self.exhibits.slots(self.linked, step, held))


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


def test_a_request_is_shown_with_the_names_of_its_slots(shown: Shown) -> None:
    login, basket = (shown.request(shown.step(StepKind.REQUEST, number)) for number in (0, 1))
    assert login == 'POST /api/login {"user": "{user}", "password": "{password}"}'
    assert basket.startswith("GET /api/baskets/{basket_id}?card=")
    assert shown.request(shown.step(StepKind.CONNECT)) == "WS /ws?token={access_token}"


def test_what_is_no_secret_is_shown_and_what_is_becomes_a_stand_in(shown: Shown) -> None:
    values = {"access_token": LIVE_TOKEN, "basket_id": "basket-1209"}
    found = shown.slots(shown.step(StepKind.REQUEST, 1), **values)
    assert found["basket_id"] == "basket-1209"
    assert found["access_token"] != LIVE_TOKEN and LIVE_TOKEN not in str(found)
    again = shown.slots(shown.step(StepKind.CONNECT), **values)
    assert again["access_token"] == found["access_token"], "equal values look equal"


def test_identities_are_never_shown(shown: Shown) -> None:
    found = shown.slots(shown.step(StepKind.REQUEST), user="ann", password="hunter2")
    assert set(found) == {"user", "password"}
    assert "ann" not in found["user"] and "hunter2" not in found["password"]


def test_what_the_recordings_own_policy_replaced_stays_secret(shown: Shown) -> None:
    basket = shown.step(StepKind.REQUEST, 1)
    slot = next((slot for slot in shown.script.slots if slot.recorded == STAND_IN.encode()), None)
    assert slot is not None, "the value is correlated"
    found = shown.slots(basket, **{slot.name: "plain-words-of-theirs", "basket_id": "b", "access_token": "t"})
    assert "plain-words-of-theirs" not in found[slot.name]


def test_an_empty_slot_is_told(shown: Shown) -> None:
    assert shown.slots(shown.step(StepKind.CONNECT)) == {"access_token": "(empty)"}


def test_the_recorded_counterpart_says_what_came_and_when(shown: Shown) -> None:
    told = [shown.exhibits.recorded(shown.script, step) for step in shown.script.steps]
    assert told[0].startswith("status 200, application/json, ") and told[0].endswith("bytes, after 20 ms")
    assert "status 101, after 10 ms; closed by the client with 1000" in told
    assert any(each.startswith("ack after 10 ms, paired by") for each in told)
    assert "closed with 1000" in told


@pytest.mark.parametrize(
    ("failure", "status", "expected"),
    [
        ("status_503", 503, "status 503"),
        ("ws_close_1011", 0, "closed by the server with 1011"),
        ("timeout_message", 0, "nothing within 250 ms"),
        ("connect_refused", 0, "connect refused"),
    ],
)
def test_what_was_seen_is_said_in_words(failure: str, status: int, expected: str) -> None:
    assert said(failure, status, 250_000_000) == expected
