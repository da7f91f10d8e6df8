"""What a user does when its script is over: which part is played again, and what it lost against the recording."""

from __future__ import annotations

from typing import Any

from analysis.series import latency_of
from captures.units import NS_PER_S
from replayer.plan.records import RequestTemplate, Slot, SlotKind, SocketScript, Step, StepKind
from replayer.user.ending import (
    MIN_PERIOD_NS,
    Pace,
    closing_steps,
    next_pass_ns,
    on_time_ns,
    opening_length,
    steady_of,
)
from replayer.user.meter import Meter
from tests.fakes_port import plan_of

ONE_S = NS_PER_S


def step(index: int, kind: StepKind, *, needs: tuple[int, ...] = (), slot: int | None = None, **more: Any) -> Step:
    target = (b"/",) if slot is None else (b"/", slot)
    request = RequestTemplate(method=b"GET", target=target, headers=())
    of_socket = {} if kind is StepKind.REQUEST else {"socket": 0}
    made = {"at_ns": index * ONE_S, "needs": needs, "request": request, **of_socket, **more}
    return Step(index=index, kind=kind, route=index, origin=0, **made)


SLOTS = (
    Slot(name="password", kind=SlotKind.INPUT, detail="password"),
    Slot(name="password_form", kind=SlotKind.DERIVED, detail="0:form"),
)
SCRIPT = plan_of(
    step(0, StepKind.REQUEST),
    step(1, StepKind.REQUEST, needs=(0,), slot=1),  # the login, its password written as a form does
    step(2, StepKind.CONNECT, needs=(1,)),
    step(3, StepKind.SEND, needs=(2,), message_kind=0, reply=4),  # joins once
    step(4, StepKind.RECEIVE, needs=(3,), reply_to=3, message_kind=9),
    step(5, StepKind.SEND, needs=(4,), message_kind=1),
    step(6, StepKind.REQUEST, needs=(1, 5)),
    step(7, StepKind.SEND, needs=(6,), message_kind=1),
    step(8, StepKind.REQUEST, needs=(1,), kept_open=True),
    step(9, StepKind.CLOSE, needs=(7,)),
    step(10, StepKind.REQUEST, needs=(1,), is_unsafe=True),  # signs out
    slots=SLOTS,
    sockets=(SocketScript(route=2, connect=2),),
).scripts[0]


def test_the_opening_ends_with_the_last_connect_or_credential() -> None:
    assert opening_length(SCRIPT) == 3
    assert opening_length(plan_of(step(0, StepKind.REQUEST), step(1, StepKind.REQUEST)).scripts[0]) == 0
    assert opening_length(plan_of(step(0, StepKind.REQUEST, slot=0), slots=SLOTS).scripts[0]) == 1


def test_only_what_is_no_part_of_a_sockets_life_is_played_again() -> None:
    ideal_ns = [s.at_ns for s in SCRIPT.steps]
    needs = [s.needs for s in SCRIPT.steps]
    steady = steady_of(SCRIPT, ideal_ns=ideal_ns, needs=needs, played_ns=11 * ONE_S)
    # Not the join that was recorded once with its reply, not the stream, not the close.
    assert steady.steps == (5, 6, 7, 10)
    assert steady.roots == (5, 10), "what they waited for has been there since the opening"
    assert (steady.n_needs[6], steady.n_needs[7]) == (1, 1)
    assert (steady.start_ns, steady.period_ns) == (2 * ONE_S, 9 * ONE_S)


def test_a_script_of_an_opening_alone_has_nothing_to_repeat() -> None:
    script = plan_of(step(0, StepKind.REQUEST, slot=0), slots=SLOTS).scripts[0]
    steady = steady_of(script, ideal_ns=[0], needs=[()], played_ns=0)
    assert steady.steps == () and steady.period_ns == MIN_PERIOD_NS


def test_users_who_stay_neither_close_their_last_sockets_nor_sign_out_after_it() -> None:
    assert closing_steps(SCRIPT) == {9, 10}
    paging = plan_of(
        step(0, StepKind.CONNECT),
        step(1, StepKind.CLOSE, needs=(0,)),
        step(2, StepKind.CONNECT, socket=1),
        sockets=(SocketScript(route=0, connect=0), SocketScript(route=2, connect=2)),
    ).scripts[0]
    assert closing_steps(paging) == frozenset(), "an earlier close is the way from page to page"


def test_a_pass_begins_in_the_recorded_rhythm_or_when_the_last_one_is_over() -> None:
    assert next_pass_ns(10, length_ns=5, now_ns=12) == 15
    assert next_pass_ns(10, length_ns=5, now_ns=17) == 17


def test_stretch_is_how_long_a_session_took_of_what_it_takes_on_time() -> None:
    meter = Meter(0)
    pace = Pace(meter, played_ns=12 * ONE_S, on_time_ns=10 * ONE_S)
    pace.note(12 * ONE_S, 3 * ONE_S)
    measures = meter.take_slot(0, {}, 0).measures
    assert latency_of(measures["session.stretch", ()]).max_us == 1_200_000  # 1.2, written as 1200 ms
    assert latency_of(measures["session.slip", ()]).max_us == 3_000_000


def test_on_time_services_take_as_long_as_they_did_whatever_the_speed() -> None:
    script = plan_of(step(0, StepKind.REQUEST), step(4, StepKind.REQUEST, duration_ns=ONE_S)).scripts[0]
    assert on_time_ns(script, [0, 0, 0, 0, 2 * ONE_S], 2.0) == 3 * ONE_S


def test_a_message_is_on_time_as_long_after_a_send_as_recorded_where_a_pause_was_cut() -> None:
    script = plan_of(
        step(0, StepKind.CONNECT),
        step(1, StepKind.SEND, at_ns=30 * ONE_S),
        step(2, StepKind.RECEIVE, at_ns=34 * ONE_S),
        sockets=(SocketScript(route=0, connect=0),),
    ).scripts[0]
    assert on_time_ns(script, [0, ONE_S, 0], 2.0) == 3 * ONE_S
