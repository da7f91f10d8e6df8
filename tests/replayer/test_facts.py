"""What is planned before a run starts."""

from __future__ import annotations

from dataclasses import replace

from captures.units import NS_PER_MS, NS_PER_S
from replayer.facts import (
    environment,
    input_columns,
    planned_duration_s,
    planned_steps,
    population_facts,
    unsafe_routes,
)
from replayer.load.populations import PopulationLoad
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst
from replayer.plan.records import Expectation, MessageKind, Plan, Slot, SlotKind
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing
from tests.replayer.test_pruning import PLAN, SCRIPT, STEPS


def played_by(plan: Plan, users: int) -> list[PopulationLoad]:
    return [PopulationLoad(n_scripts=len(plan.scripts), load=LoadOptions(users=users))]


SHORT = replace(SCRIPT, steps=STEPS[:1], sockets=(), duration_ns=10 * NS_PER_MS)


def test_planned_steps_are_those_of_each_users_script_without_assets() -> None:
    plan = replace(PLAN, scripts=(SCRIPT, SHORT))
    assert planned_steps(plan, played_by(plan, 3)) == {
        "http": 2 * 2 + 1,
        "ws.connect": 2,
        "ws.reply": 2,
        "session": 3,
        "verify": 0,
    }


def test_answers_whose_inside_is_known_are_planned_to_be_verified() -> None:
    known = Expectation(required=(("quotes",),))
    steps = (STEPS[0], replace(STEPS[3], index=1, needs=(0,), expectation=known))
    pushed = MessageKind(name="quotes", route=3, value="quotes", is_sent=False, n_recorded=9, expectation=known)
    plan = replace(PLAN, scripts=(replace(SHORT, steps=steps),), message_kinds=(pushed,))
    assert planned_steps(plan, played_by(plan, 5))["verify"] == 5 + 5


def test_a_stream_kept_open_is_no_planned_request() -> None:
    steps = (replace(STEPS[0], kept_open=True),)
    plan = replace(PLAN, scripts=(replace(SHORT, steps=steps),))
    assert planned_steps(plan, played_by(plan, 1))["http"] == 0


def test_the_planned_duration_is_when_the_last_user_would_end() -> None:
    load = LoadOptions(users=4, shape=Burst(at_ns=2 * NS_PER_S), speed=10)
    one = PopulationLoad(n_scripts=1, load=load)
    assert planned_duration_s(PLAN, [one]) == 2.011
    assert planned_duration_s(PLAN, [replace(one, pacing=Pacing.ASAP)]) == 0


def test_users_who_are_there_until_the_end_make_the_end_the_planned_duration() -> None:
    load = LoadOptions(users=4, shape=Burst(), speed=10)
    held = PopulationLoad(name="held", n_scripts=1, load=load, for_ns=30 * NS_PER_S, at_end=AtEnd.HOLD)
    brief = replace(held, name="brief", at_end=AtEnd.END)
    assert planned_duration_s(PLAN, [held, brief]) == 30
    assert planned_duration_s(PLAN, [brief]) == 0.011
    facts = [population_facts(each, capture="a.rush", users=4, along=()) for each in (held, brief)]
    assert [each["concurrent"] for each in facts] == [4, None]


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
