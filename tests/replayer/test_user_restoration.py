"""What a client sends again after it lost its socket, read from recorded sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from captures.sessions import load_capture
from replayer.plan.compile import compile_plan
from replayer.plan.records import (
    Chain,
    Plan,
    Refresh,
    RequestTemplate,
    RouteKind,
    Slot,
    SlotKind,
    StepKind,
)
from replayer.user.restoration import Restoration, restorations_of
from tests.fakes_port import MS
from tests.replayer.test_user_storms import resumable, step, visit

GOLDEN = Path(__file__).resolve().parents[2] / "captures" / "golden" / "demo" / "market.rush"


def restored(plan: Plan, socket: int = 0) -> Restoration:
    return restorations_of(plan, plan.scripts[0])[socket]


def routes(plan: Plan, steps: tuple[int, ...]) -> list[str]:
    return [plan.routes[plan.scripts[0].steps[index].route].name for index in steps]


def changed(plan: Plan, **script: object) -> Plan:
    return replace(plan, scripts=(replace(plan.scripts[0], **script),))  # type: ignore[arg-type]


def test_the_demos_ticket_comes_with_the_login_so_resuming_asks_for_nothing() -> None:
    plan = compile_plan(load_capture(GOLDEN))
    found = restored(plan)
    assert found.fetches == ()
    assert "POST /api/login" in routes(plan, found.bootstrap)
    assert "POST /api/orders" not in routes(plan, found.bootstrap)
    assert not [name for name in routes(plan, found.bootstrap) if name.startswith("GET /page/")]
    kinds = {plan.message_kinds[kind].name for kind in found.kinds}
    assert kinds == {"subscribe"}


def test_a_ticket_of_its_own_request_is_fetched_again_and_the_login_is_not() -> None:
    found = restored(visit())
    assert (found.fetches, found.bootstrap) == ((1,), (0, 1))


def test_a_value_that_a_page_brought_is_not_fetched_again() -> None:
    plan = visit()
    ticket = replace(plan.routes[1], kind=RouteKind.DOCUMENT)
    assert restored(replace(plan, routes=(plan.routes[0], ticket, *plan.routes[2:]))).fetches == ()


def test_requests_that_renew_credentials_are_played_only_where_a_handshake_was_refused() -> None:
    refresh = Refresh(slots=(2,), steps=(2,), chains=(Chain(steps=(1,)),))
    found = restored(changed(visit(), refreshes=(refresh,)))
    assert (found.fetches, found.renewal) == ((), (1,))


def test_a_poll_by_the_fetched_session_id_belongs_to_the_handshake() -> None:
    plan = visit()
    script = plan.scripts[0]
    poll = RequestTemplate(method=b"POST", target=(b"/poll?sid=", 2), headers=(), body=(b"40",))
    between = step(2, StepKind.REQUEST, 80, needs=(1,), request=poll, is_unsafe=True, route=9)
    shifted = [
        replace(
            each,
            index=each.index + 1,
            needs=tuple(n + (n >= 2) for n in each.needs) if each.index != 2 else (1, 2),
            reply=each.reply + (each.reply >= 0),
            reply_to=each.reply_to + (each.reply_to >= 0),
        )
        for each in script.steps[2:]
    ]
    socket = replace(script.sockets[0], connect=3)
    found = restored(changed(plan, steps=(*script.steps[:2], between, *shifted), sockets=(socket,)))
    assert found.fetches == (1, 2)


def test_the_opening_ends_with_the_first_pause_of_the_user() -> None:
    plan = visit()
    assert restored(plan).kinds == frozenset({1})
    hurried = [replace(each, at_ns=150 * MS) if each.index == 7 else each for each in plan.scripts[0].steps]
    hurried = [replace(each, at_ns=140 * MS) if each.index in (5, 6) else each for each in hurried]
    assert restored(changed(plan, steps=tuple(hurried))).kinds == frozenset({1, 2})


def test_messages_that_write_are_never_sent_again() -> None:
    plan = visit()
    writing = [replace(each, is_unsafe=each.kind is StepKind.SEND) for each in plan.scripts[0].steps]
    assert restored(changed(plan, steps=tuple(writing))).kinds == frozenset()


def test_a_recorded_resumption_lends_its_handshake_and_its_token() -> None:
    plan = resumable()
    found = restored(plan)
    assert found.resumes
    assert found.connect == plan.scripts[0].sockets[1].connect
    assert {kind: [e.slot for e in each] for kind, each in found.tokens.items()} == {4: [3]}
    assert not restored(plan, 1).resumes


def test_values_that_the_clients_clock_minted_are_minted_again() -> None:
    plan = visit()
    script = plan.scripts[0]
    slots = (
        *script.slots,
        Slot(name="now", kind=SlotKind.GENERATED, detail="epoch_ms"),
        Slot(name="who", kind=SlotKind.GENERATED, detail="uuid4"),
        Slot(name="quoted", kind=SlotKind.DERIVED, detail="4:percent"),
    )
    request = RequestTemplate(method=b"GET", target=(b"/ws?t=", 6, b"&id=", 5), headers=())
    steps = tuple(replace(each, request=request) if each.index == 2 else each for each in script.steps)
    assert restored(changed(plan, slots=slots, steps=steps)).clocks == (4,)


def test_a_script_without_sockets_has_nothing_to_restore() -> None:
    plan = changed(visit(), steps=(), sockets=(), slots=())
    assert restorations_of(plan, plan.scripts[0]) == ()
