"""What is planned before a run starts."""

from __future__ import annotations

from dataclasses import replace

from captures.units import NS_PER_MS, NS_PER_S
from replayer.facts import environment, input_columns, planned_duration_s, planned_steps, unsafe_routes
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst
from replayer.plan.records import Expectation, MessageKind, Slot, SlotKind
from replayer.user.pacing import Pacing
from tests.replayer.test_pruning import PLAN, SCRIPT, STEPS

SHORT = replace(SCRIPT, steps=STEPS[:1], sockets=(), duration_ns=10 * NS_PER_MS)


def test_planned_steps_are_those_of_each_users_script_without_assets() -> None:
    plan = replace(PLAN, scripts=(SCRIPT, SHORT))
    assert planned_steps(plan, 3) == {"http": 2 * 2 + 1, "ws.connect": 2, "ws.reply": 2, "session": 3, "verify": 0}


def test_answers_whose_inside_is_known_are_planned_to_be_verified() -> None:
    known = Expectation(required=(("quotes",),))
    steps = (STEPS[0], replace(STEPS[3], index=1, needs=(0,), expectation=known))
    pushed = MessageKind(name="quotes", route=3, value="quotes", is_sent=False, n_recorded=9, expectation=known)
    plan = replace(PLAN, scripts=(replace(SHORT, steps=steps),), message_kinds=(pushed,))
    assert planned_steps(plan, 5)["verify"] == 5 + 5


def test_a_stream_kept_open_is_no_planned_request() -> None:
    steps = (replace(STEPS[0], kept_open=True),)
    assert planned_steps(replace(PLAN, scripts=(replace(SHORT, steps=steps),)), 1)["http"] == 0


def test_the_planned_duration_is_when_the_last_user_would_end() -> None:
    load = LoadOptions(users=4, shape=Burst(at_ns=2 * NS_PER_S), speed=10)
    assert planned_duration_s(PLAN, load, Pacing.THINK) == 2.011
    assert planned_duration_s(PLAN, load, Pacing.ASAP) == 0


def test_routes_that_write_and_columns_that_are_missing_are_named_once_in_order() -> None:
    steps = (replace(STEPS[0], is_unsafe=True), replace(STEPS[3], is_unsafe=True), STEPS[3])
    slots = tuple(Slot(name=name, kind=SlotKind.INPUT, detail=name) for name in ("user", "password", "user"))
    plan = replace(PLAN, scripts=(replace(SCRIPT, steps=steps, slots=slots),))
    assert unsafe_routes(plan) == ["GET /", "GET /api"]
    assert input_columns(plan) == ["password", "user"]


def test_the_environment_names_what_figures_depend_on() -> None:
    found = environment(["::1", "127.0.0.1"])
    assert found["addresses"] == ["127.0.0.1", "::1"]
    assert {"python", "cores", "uvloop", "httptools"} <= found.keys()
