"""Correlation end to end: a recording goes in, live answers differ, the templates follow them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from captures.records import Origin, Peer
from replayer.plan.compile import compile_explained, compile_plan
from replayer.plan.evidence import Left
from replayer.plan.records import Plan, Script, SlotKind, StepKind
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player, literals_of

BEARER = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"
TICKET = "TkT81kQpTeyW0mBv7_JrXa-99"
CSRF = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"
HASH = "5e884898da28047151d0e56f8dc62927"


def _compiled(*tapes: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(*tapes))
    return plan, plan.scripts[0], Player(plan.scripts[0])


def test_a_bearer_token_of_the_login_is_carried_by_every_later_request() -> None:
    tape = Tape()
    tape.post("/api/login", send_json={"user": "ann", "password": "secret-word"}, answer_json={"access_token": BEARER})
    for _ in range(2):
        tape.get("/api/me", sent=[("Authorization", f"Bearer {BEARER}")], answer_json={"name": "ann"})
    plan, script, player = _compiled(tape)
    login, *others = script.steps
    player.answer(login, document={"access_token": "live"})
    assert [player.header(step, "authorization") for step in others] == [b"Bearer live"] * 2
    assert all(login.index in step.needs for step in others)
    assert BEARER.encode() not in literals_of(plan)


def test_a_csrf_token_of_a_hidden_input_goes_into_header_and_form() -> None:
    tape = Tape()
    tape.get("/form", html=f'<form><input type="hidden" name="csrf" value="{CSRF}"></form>')
    tape.post("/orders", sent=[("X-CSRF-Token", CSRF)], form=f"csrf={CSRF}&symbol=KIT", answer_json={"id": 7})
    plan, script, player = _compiled(tape)
    page, order = script.steps
    player.answer(page, body=b'<p>new text</p>\n<form><input type="hidden" name="csrf" value="0ddba11"></form>')
    assert player.header(order, "x-csrf-token") == b"0ddba11"
    assert player.body(order) == b"csrf=0ddba11&symbol=KIT"
    assert CSRF.encode() not in literals_of(plan)


def test_a_token_is_written_as_the_place_of_its_use_asks_for() -> None:
    token = "Zx81kQp/TeyW0mBv7+JrXa99sLwQ=="
    tape = Tape()
    tape.get("/page", html=f'<input name="state" value="{token}">')
    tape.post("/next?state=Zx81kQp%2FTeyW0mBv7%2BJrXa99sLwQ%3D%3D", send_json={"state": token})
    _, script, player = _compiled(tape)
    page, follow = script.steps
    player.answer(page, body=b'<input name="state" value="a&quot;+/&amp;b">')
    assert player.target(follow) == b"/next?state=a%22%2B%2F%26b"
    assert json.loads(player.body(follow)) == {"state": 'a"+/&b'}


def test_a_meta_tag_is_a_producer_too() -> None:
    tape = Tape()
    tape.get("/", html=f'<head><meta name="csrf-token" content="{HASH}"></head>')
    tape.post("/save", sent=[("X-CSRF-Token", HASH)])
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], body=b'<head><title>t</title><meta name="csrf-token" content="live"></head>')
    assert player.header(script.steps[1], "x-csrf-token") == b"live"


def test_a_ticket_of_the_login_opens_the_socket() -> None:
    tape = Tape()
    tape.post("/api/login", answer_json={"ws_ticket": TICKET})
    tape.socket(f"/ws?v=1&ticket={TICKET}", [(20, "<", {"type": "hello"})], close_ms=500)
    _, script, player = _compiled(tape)
    login, connect = script.steps[:2]
    assert connect.kind is StepKind.CONNECT and login.index in connect.needs
    player.answer(login, document={"ws_ticket": "a+b/c"})
    assert player.target(connect) == b"/ws?v=1&ticket=a%2Bb%2Fc"


@pytest.mark.parametrize(
    "order_id",
    [
        "ord_17af",  # a word and hex
        17,  # a short number: only its place tells that it is an id
        "c0ffee00-1234-4abc-8def-0123456789ab",
    ],
)
def test_the_id_of_a_created_order_is_asked_for(order_id: int | str) -> None:
    tape = Tape()
    tape.post("/api/orders", send_json={"symbol": "KIT"}, status=201, answer_json={"id": order_id, "status": "new"})
    tape.get(f"/api/orders/{order_id}", answer_json={"id": order_id, "status": "filled"})
    tape.get(f"/api/orders/{order_id}", answer_json={"id": order_id, "status": "filled"})
    plan, script, player = _compiled(tape)
    create, first, second = script.steps
    player.answer(create, document={"id": "live", "status": "new"})
    assert player.target(first) == player.target(second) == b"/api/orders/live"
    assert plan.routes[first.route].name == "GET /api/orders/{id}"
    assert second.needs == (create.index, first.index), "the echo in the first answer mints nothing; order does"
    assert not first.extractors


def test_a_location_is_followed_by_its_parts() -> None:
    tape = Tape()
    tape.post("/login", form="user=ann", status=302, headers=[("Location", f"/start?code={HASH}&lang=en")])
    tape.get(f"/start?code={HASH}&lang=en", html="<p>hello</p>")
    _, script, player = _compiled(tape)
    login, start = script.steps
    assert login.index in start.needs
    player.answer(login, headers=((b"location", b"/start?code=live&lang=en"),))
    assert player.target(start) == b"/start?code=live&lang=en"


def test_a_location_at_the_recorded_origin_is_followed_at_the_target() -> None:
    tape = Tape()
    tape.post("/orders", status=303, headers=[("Location", "http://shop.example:8000/orders/ord_17af/receipt")])
    tape.get("/orders/ord_17af/receipt", html="<p>thanks</p>")
    plan, script, _ = _compiled(tape)
    order, receipt = script.steps
    (extractor,) = [e for e in order.extractors if script.slots[e.slot].recorded == b"ord_17af"]
    assert (extractor.name, extractor.left, extractor.right) == ("location", b"/orders/", b"/")
    assert b"ord_17af" not in literals_of(plan)
    assert plan.routes[receipt.route].name == "GET /orders/{id}/receipt"


def test_an_xsrf_cookie_is_repeated_in_a_header() -> None:
    tape = Tape()
    tape.get("/", html="<p>", headers=[("Set-Cookie", f"XSRF-TOKEN={HASH}%3D; Path=/")])
    tape.post("/save", sent=[("Cookie", f"XSRF-TOKEN={HASH}%3D"), ("X-XSRF-TOKEN", f"{HASH}=")])
    plan, script, player = _compiled(tape)
    page, save = script.steps
    player.answer(page, cookies=((b"XSRF-TOKEN", b"live%3D"),))
    assert player.header(save, "x-xsrf-token") == b"live="
    assert player.header(save, "cookie") == b"jar=1", "the cookie itself comes from the jar"
    assert HASH.encode() not in literals_of(plan)


def test_a_cookie_that_a_script_made_of_a_json_value_follows_that_value() -> None:
    tape = Tape()
    tape.post("/login", answer_json={"token": BEARER}, headers=[("Set-Cookie", f"sid={HASH}")])
    tape.get("/me", sent=[("Cookie", f"sid={HASH}; auth={BEARER}")])
    plan, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"token": "live"})
    assert player.header(script.steps[1], "cookie") == b"jar=1; auth=live"
    assert not script.cookies


def test_a_cookie_from_before_the_recording_begins_in_the_jar() -> None:
    tape = Tape()
    tape.get("/", sent=[("Cookie", "theme=dark")], html="<p>", headers=[("Set-Cookie", f"sid={HASH}")])
    tape.get("/me", sent=[("Cookie", f"theme=dark; sid={HASH}")])
    _, script, player = _compiled(tape)
    assert [(cookie.name, cookie.value) for cookie in script.cookies] == [(b"theme", (b"dark",))]
    assert [player.header(step, "cookie") for step in script.steps] == [b"jar=1", b"jar=1"]
    assert script.steps[1].needs == (0,)


def test_a_value_of_a_message_is_used_by_a_request() -> None:
    tape = Tape()
    tape.socket(
        "/ws",
        [(30, "<", {"type": "hello", "session_id": HASH}), (60, "<", {"type": "tick", "n": 1})],
        close_ms=900,
    )
    tape.get(f"/history?session_id={HASH}", at_ms=200)
    plan, script, player = _compiled(tape)
    connect, receive, history, _ = script.steps
    assert receive.kind is StepKind.RECEIVE and receive.reply_to == -1
    assert plan.message_kinds[receive.message_kind].name == "hello"
    assert connect.index in receive.needs and receive.index in history.needs
    player.answer(receive, document={"type": "hello", "session_id": "live"})
    assert player.target(history) == b"/history?session_id=live"


def test_a_challenge_on_a_socket_is_answered_when_it_has_come() -> None:
    tape = Tape()
    tape.socket(
        "/ws",
        [(30, "<", {"type": "challenge", "nonce": HASH}), (40, ">", {"type": "auth", "nonce": HASH})],
        close_ms=900,
    )
    _, script, player = _compiled(tape)
    connect, challenge, auth, _ = script.steps
    assert (challenge.kind, auth.kind) == (StepKind.RECEIVE, StepKind.SEND)
    assert auth.needs == (connect.index, challenge.index)
    player.answer(challenge, document={"type": "challenge", "nonce": "live"})
    assert json.loads(player.render(auth.payload)) == {"type": "auth", "nonce": "live"}


def test_a_value_inside_json_inside_a_string_is_extracted_and_used() -> None:
    tape = Tape()
    tape.get("/boot", answer_json={"state": json.dumps({"cursor": HASH, "n": 1})})
    tape.post("/next", send_json={"args": json.dumps({"cursor": HASH})})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"state": json.dumps({"cursor": "live", "n": 2})})
    assert json.loads(json.loads(player.body(script.steps[1]))["args"]) == {"cursor": "live"}


def test_a_token_inside_a_script_of_a_page_is_anchored_by_what_stands_before_it() -> None:
    tape = Tape()
    page = '<script>window.config = {"build": 17, "apiToken": "%s", "user": 4};</script>'
    tape.get("/", html=page % BEARER)
    tape.get("/api/me", sent=[("X-Api-Token", BEARER)])
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], body=(page % "live").replace("17", "99123").encode())
    assert player.header(script.steps[1], "x-api-token") == b"live"


def test_of_two_responses_that_minted_a_value_the_later_one_counts() -> None:
    tape = Tape()
    tape.get("/a", answer_json={"token": BEARER})
    tape.get("/b", answer_json={"token": BEARER})
    tape.get("/c", sent=[("Authorization", f"Bearer {BEARER}")])
    _, script, _ = _compiled(tape)
    assert [bool(step.extractors) for step in script.steps] == [False, True, False]


def test_a_named_place_is_preferred_to_a_later_position_in_a_list() -> None:
    tape = Tape()
    tape.post("/orders", answer_json={"id": "ord_17af9c"}, status=201)
    tape.get("/orders", answer_json=[{"id": "ord_99999"}, {"id": "ord_17af9c"}])
    tape.get("/orders/ord_17af9c", answer_json={"id": "ord_17af9c"})
    _, script, _ = _compiled(tape)
    assert [bool(step.extractors) for step in script.steps] == [True, False, False]


def test_a_response_that_came_too_late_is_no_producer() -> None:
    tape = Tape()
    tape.get("/slow", at_ms=0, took_ms=500, answer_json={"token": BEARER})
    tape.get("/me", at_ms=100, sent=[("Authorization", f"Bearer {BEARER}")])
    compiled = compile_explained(capture_of(tape))
    assert not any(step.extractors for step in compiled.plan.scripts[0].steps)
    (literal,) = compiled.evidence[0].literals
    assert (literal.step, literal.place, literal.why) == (1, "header authorization", Left.UNBOUND)


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        # What a person chose from a list stays what was chosen.
        ({"quotes": [{"symbol": "KIT"}, {"symbol": "MOA"}]}, {"symbol": "MOA"}),
        # Words are no secrets.
        ({"settings": {"title": "My nice garden"}}, {"title": "My nice garden"}),
        # A locale, a date of another time, a flag and a small number are coincidences.
        (
            {"locale": "en-US", "day": "2019-11-24", "flag": True, "n": 5},
            {"locale": "en-US", "day": "2019-11-24", "n": 5},
        ),
        # A price is no id.
        ({"price": 612.5, "last": "612.5"}, {"price": "612.5"}),
    ],
)
def test_what_is_no_secret_stays_literal(shown: Any, sent: Any) -> None:
    tape = Tape()
    tape.get("/api/data", answer_json=shown)
    tape.post("/api/act", send_json=sent)
    plan, script, player = _compiled(tape)
    assert script.slots == ()
    assert json.loads(player.body(script.steps[1])) == sent


def test_what_a_person_typed_stays_literal_although_the_server_repeats_it() -> None:
    tape = Tape()
    tape.post(
        "/login", send_json={"user": "annabelle77", "password": "correct-horse-9"}, answer_json={"user": "annabelle77"}
    )
    tape.get("/profile?user=annabelle77", answer_json={"user": "annabelle77"})
    compiled = compile_explained(capture_of(tape))
    assert compiled.plan.scripts[0].slots == ()
    told = {(literal.place, literal.why) for literal in compiled.evidence[0].literals}
    assert {("json /user", Left.CREDENTIAL), ("json /password", Left.CREDENTIAL)} <= told


def _sessions(values: list[str], *, key: str = "ref") -> list[Tape]:
    tapes = []
    for number, value in enumerate(values, 1):
        tape = Tape(number)
        tape.get("/api/start", answer_json={key: value})
        tape.post("/api/act", send_json={key: value})
        tapes.append(tape)
    return tapes


def test_a_value_that_differs_between_sessions_is_dynamic() -> None:
    alone = compile_plan(capture_of(*_sessions(["Q7ZX"], key="lane")))
    several = compile_plan(capture_of(*_sessions(["Q7ZX", "B2YY"], key="lane")))
    assert not any(script.slots for script in alone.scripts)
    assert all(script.slots for script in several.scripts)


def test_a_value_that_is_the_same_in_three_sessions_is_a_constant() -> None:
    alone = compile_plan(capture_of(*_sessions(["zone-4711a"])))
    several = compile_plan(capture_of(*_sessions(["zone-4711a"] * 3)))
    assert all(script.slots for script in alone.scripts)
    assert not any(script.slots for script in several.scripts)


def test_client_minted_values_are_minted_afresh_and_their_echoes_follow() -> None:
    tape = Tape()
    minted = "2f1acc6c-3a3b-4f7e-9c0d-0242ac120002"
    now_ms = 1_790_000_000_123 + 5
    tape.post("/api/open", send_json={"session": minted, "at": now_ms}, answer_json={"session": minted})
    tape.get(f"/api/poll?session={minted}")
    plan, script, player = _compiled(tape)
    kinds = {slot.detail for slot in script.slots if slot.kind is SlotKind.GENERATED}
    assert kinds == {"uuid4", "epoch_ms"}
    body = player.body(script.steps[0])
    assert player.target(script.steps[1]).rpartition(b"=")[2] in body
    assert minted.encode() not in literals_of(plan)


def test_a_uuid_that_stands_in_a_script_of_the_page_is_a_constant() -> None:
    client_id = "2f1acc6c-3a3b-4f7e-9c0d-0242ac120002"
    tape = Tape()
    script_of_page = f'const clientId = "{client_id}";'.encode()
    tape.get(
        "/app.js",
        sent=[("Sec-Fetch-Dest", "script")],
        headers=[("Content-Type", "text/javascript")],
        answer=script_of_page,
    )
    tape.post("/oauth", send_json={"client_id": client_id})
    compiled = compile_explained(capture_of(tape))
    assert compiled.plan.scripts[0].slots == ()
    assert [literal.why for literal in compiled.evidence[0].literals] == [Left.CONSTANT]


def test_a_token_that_nothing_showed_is_unbound_and_told() -> None:
    tape = Tape()
    tape.get("/me", sent=[("Authorization", f"Bearer {BEARER}")])
    compiled = compile_explained(capture_of(tape))
    (literal,) = compiled.evidence[0].literals
    assert (literal.value, literal.why) == (BEARER.encode(), Left.UNBOUND)


def test_a_token_in_a_referer_follows_too() -> None:
    tape = Tape()
    tape.post("/orders", answer_json={"order_id": "ord_17af9c"}, status=201)
    tape.get("/orders/ord_17af9c", html="<p>order</p>", sent=[("Sec-Fetch-Dest", "document")])
    tape.get("/api/x", sent=[("Referer", "http://shop.example:8000/orders/ord_17af9c?tab=1")])
    plan, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"order_id": "live"})
    assert player.header(script.steps[2], "referer") == b"http://target.test:9/orders/live?tab=1"
    assert b"ord_17af9c" not in literals_of(plan)


def test_sessions_do_not_see_each_others_values() -> None:
    first, second = Tape(1), Tape(2)
    first.post("/login", answer_json={"token": BEARER})
    second.get("/me", sent=[("Authorization", f"Bearer {BEARER}")])
    plan = compile_plan(capture_of(first, second))
    assert not any(step.extractors for script in plan.scripts for step in script.steps)


def test_values_cross_mapped_origins() -> None:
    api = Origin("https", "api.example", 443)
    tape = Tape()
    tape.get("/", html="<p>")
    tape.post("/token", origin=api, answer_json={"token": BEARER})
    tape.get("/me", sent=[("Authorization", f"Bearer {BEARER}"), ("X-Next", "https://api.example/token")])
    plan = compile_plan(capture_of(tape), mapped=frozenset({api}))
    script = plan.scripts[0]
    assert [step.origin for step in script.steps] == [0, 1, 0]
    assert 1 in script.steps[2].needs
    assert b"api.example" not in literals_of(plan)


def test_a_closed_socket_and_its_server_are_kept_apart() -> None:
    tape = Tape()
    tape.socket("/ws", [], close_ms=100, closed_by=Peer.SERVER, close_code=4002)
    _, script, _ = _compiled(tape)
    (socket,) = script.sockets
    assert (socket.closed_by_server, socket.close_code, len(script.steps)) == (True, 4002, 1)


@pytest.mark.parametrize("position", range(3))
def test_every_slot_is_filled_by_a_step_that_its_users_need(position: int) -> None:
    tape = Tape()
    tape.post("/login", answer_json={"token": BEARER, "tickets": [TICKET, CSRF, HASH]})
    ticket = [TICKET, CSRF, HASH][position]
    tape.get(f"/use?ticket={ticket}", sent=[("Authorization", f"Bearer {BEARER}")])
    _, script, _ = _compiled(tape)
    fillers = {extractor.slot: step.index for step in script.steps for extractor in step.extractors}
    extracted = {number for number, slot in enumerate(script.slots) if slot.kind is SlotKind.EXTRACTED}
    assert extracted == set(fillers)
    assert set(fillers.values()) <= set(script.steps[1].needs)
