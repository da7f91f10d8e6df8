"""The golden capture of the demo: a real browser, the real recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from captures.bodies import header
from captures.leaves import cookie_leaves
from captures.records import Exchange
from captures.sessions import Capture, load_capture
from replayer.plan.compile import Compiled, compile_explained
from replayer.plan.evidence import Left
from replayer.plan.records import Script, SlotKind, Step, StepKind
from replayer.plan.requests import decoded_response
from replayer.plan.sightings import parsed
from tests.fakes_plans import Player, literals_of, step_of


@pytest.fixture(scope="module")
def capture(golden: Path) -> Capture:
    """The golden capture, in memory."""
    return load_capture(golden)


@pytest.fixture(scope="module")
def compiled(capture: Capture) -> Compiled:
    """Its plan."""
    return compile_explained(capture)


@pytest.fixture
def script(compiled: Compiled) -> Script:
    """Its one session."""
    return compiled.plan.scripts[0]


def _answered(capture: Capture, method: str, path: str) -> Exchange:
    exchanges = (exchange for session in capture.sessions for exchange in session.exchanges)
    return next(exchange for exchange in exchanges if (exchange.method, exchange.path) == (method, path))


def _secrets(capture: Capture) -> dict[str, bytes]:
    """Return what the recorded target minted for this one user."""
    login = parsed(decoded_response(_answered(capture, "POST", "/api/login")))
    order = _answered(capture, "POST", "/api/orders")
    cookies = cookie_leaves(header(order.request_headers, b"cookie") or b"")
    return {
        **{name: login[name].encode() for name in ("access_token", "refresh_token", "ws_ticket")},
        "csrf": header(order.request_headers, b"x-csrf-token") or b"",
        "order": parsed(decoded_response(order))["id"].encode(),
        "cookie": cookies[0].value,
    }


def test_no_recorded_secret_stands_literally_in_a_template(capture: Capture, compiled: Compiled) -> None:
    literals = literals_of(compiled.plan)
    secrets = _secrets(capture)
    assert all(len(value) >= 8 for value in secrets.values())
    assert not [name for name, value in secrets.items() if value in literals]


def test_recorded_values_render_to_what_the_browser_sent(capture: Capture, script: Script) -> None:
    recorded = {exchange.id: exchange for session in capture.sessions for exchange in session.exchanges}
    player = Player(script)
    player.fill_recorded()
    requests = [step for step in script.steps if step.request is not None]
    assert requests
    for step in requests:
        exchange = recorded[step.exchange]
        assert player.target(step) == exchange.target.encode("latin-1")
        assert player.body(step) == exchange.request_body.data
        assert step.request is not None
        for name, _ in step.request.headers:
            if name.lower() != b"cookie":
                assert player.header(step, name.decode().lower()) == header(exchange.request_headers, name.lower())


def test_no_recorded_ping_is_answered_literally(capture: Capture, compiled: Compiled) -> None:
    sockets = [e.socket for session in capture.sessions for e in session.exchanges if e.socket is not None]
    pings = [
        document["id"].encode() for s in sockets for m in s.messages if (document := parsed(m.data))["type"] == "ping"
    ]
    assert pings
    assert not [ping for ping in pings if ping in literals_of(compiled.plan)]


def test_nothing_is_left_unbound_and_what_was_typed_is_an_input(compiled: Compiled, script: Script) -> None:
    assert sorted(slot.detail for slot in script.slots if slot.kind is SlotKind.INPUT) == ["password", "user"]
    left = {literal.why for literal in compiled.evidence[0].literals}
    assert not left & {Left.CREDENTIAL, Left.UNBOUND}


def test_the_socket_is_opened_with_the_ticket_of_the_login(compiled: Compiled, script: Script) -> None:
    login = step_of(compiled.plan, script, "POST /api/login")
    connect = step_of(compiled.plan, script, "WS /ws/market")
    player = Player(script)
    player.answer(login, document={"access_token": "live-token", "ws_ticket": "live-ticket", "refresh_token": "r"})
    assert b"live-ticket" in player.target(connect)
    assert login.index in connect.needs
    assert player.header(step_of(compiled.plan, script, "GET /api/quotes"), "authorization") == b"Bearer live-token"


def test_the_order_carries_the_csrf_token_of_its_form_and_is_read_back(compiled: Compiled, script: Script) -> None:
    plan = compiled.plan
    form, order = step_of(plan, script, "GET /orders/new"), step_of(plan, script, "POST /api/orders")
    back = step_of(plan, script, "GET /api/orders/{id}")
    player = Player(script)
    player.answer(step_of(plan, script, "POST /api/login"), document={"access_token": "t", "ws_ticket": "w"})
    player.answer(form, body=b'<form>\n  <input type="hidden" name="csrf" value="live-csrf">\n')
    player.answer(order, document={"id": "live-order"})
    assert player.header(order, "x-csrf-token") == b"live-csrf"
    assert player.target(back) == b"/api/orders/live-order"
    assert {form.index} <= set(order.needs) and {order.index} <= set(back.needs)
    assert order.is_unsafe and not back.is_unsafe


def test_subscriptions_are_paired_with_their_acks_by_id(compiled: Compiled, script: Script) -> None:
    kinds = compiled.plan.message_kinds
    sends = [step for step in script.steps if step.kind is StepKind.SEND]
    assert sends
    for send in sends:
        reply = script.steps[send.reply]
        assert (kinds[send.message_kind].name, kinds[reply.message_kind].name) == ("subscribe", "ack")
        assert reply.pairing is not None and reply.pairing.rule == "id"


def test_pings_are_answered_and_no_step_waits_for_them(compiled: Compiled, script: Script) -> None:
    (socket,) = script.sockets
    (responder,) = socket.responders
    assert compiled.plan.message_kinds[responder.message_kind].name == "ping"
    assert socket.discriminator == ("type",)
    names = {compiled.plan.message_kinds[s.message_kind].name for s in script.steps if s.message_kind >= 0}
    assert names == {"subscribe", "ack"}


def test_snapshots_must_hold_their_five_channels(compiled: Compiled) -> None:
    (snapshot,) = [kind for kind in compiled.plan.message_kinds if kind.name == "snapshot"]
    keys = {path[0] for path in snapshot.expectation.required}
    assert {"quotes", "indices", "foreign", "derivatives", "prices", "ts", "seq"} <= keys
    assert ("quotes",) in snapshot.expectation.non_empty
    assert not [path for path in snapshot.expectation.required if len(path) > 1 and path[0] == "prices"]


def test_the_poll_of_the_page_is_known_as_a_timer(compiled: Compiled, script: Script) -> None:
    login = step_of(compiled.plan, script, "POST /api/login").index
    polls = [s for s in script.steps if compiled.plan.routes[s.route].name == "GET /api/foreign-flow"]
    assert len(polls) >= 4
    assert [step.needs for step in polls[1:]] == [(login,)] * (len(polls) - 1)


def test_every_slot_that_is_used_is_filled_by_a_step_that_its_user_needs(script: Script) -> None:
    fillers = {extractor.slot: step.index for step in script.steps for extractor in step.extractors}
    for step in script.steps:
        for number in _slots_of(step):
            slot = script.slots[number]
            source = int(slot.detail.partition(":")[0]) if slot.kind is SlotKind.DERIVED else number
            if script.slots[source].kind is SlotKind.EXTRACTED:
                assert fillers[source] in step.needs


def _slots_of(step: Step) -> set[int]:
    templates = [step.payload]
    if step.request is not None:
        templates += [step.request.target, step.request.body, *(template for _, template in step.request.headers)]
    return {part for template in templates for part in template if isinstance(part, int)}
