"""Short ids that a session itself brought into the world: numbers of things that it created, wherever it names them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from replayer.plan.compile import compile_explained, compile_plan
from replayer.plan.records import Plan, Script, SlotKind, StepKind
from replayer.user.slots import Answer
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player, literals_of, step_of

LIST = [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]


def _compiled(*tapes: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(*tapes))
    return plan, plan.scripts[0], Player(plan.scripts[0])


# What the client sends after POST /posts was answered with {"id": 4}: keywords of the request · with id 31.
SENT: list[tuple[str, str, Any, bytes, Any]] = [
    ("GET", "/posts/4", None, b"/posts/31", None),
    ("GET", "/posts?id=4", None, b"/posts?id=31", None),
    ("PUT", "/posts", {"id": 4, "title": "x"}, b"/posts", b'{"id": 31, "title": "x"}'),
    ("POST", "/comments", {"postId": 4, "body": "hi"}, b"/comments", b'{"postId": 31, "body": "hi"}'),
    ("POST", "/pins", {"post": 4}, b"/pins", b'{"post": 31}'),
    ("POST", "/join", {"topic": "post:4:readers"}, b"/join", b'{"topic": "post:31:readers"}'),
]


@pytest.mark.parametrize(("method", "target", "document", "asked", "body"), SENT)
def test_the_number_of_what_was_created_follows_wherever_it_is_named(
    method: str, target: str, document: Any, asked: bytes, body: bytes | None
) -> None:
    tape = Tape()
    tape.get("/posts", answer_json=LIST)
    tape.post("/posts", send_json={"title": "mine", "views": 4}, answer_json={"title": "mine", "id": 4}, status=201)
    tape.request(method, target, send_json=document, answer_json={"ok": True})
    _, script, player = _compiled(tape)
    player.answer(script.steps[1], document={"title": "mine", "id": 31})
    assert player.target(script.steps[2]) == asked
    assert body is None or player.body(script.steps[2]) == body


# What is asked of the server after the creation of thing number 4, and must stay: numbers that count something.
COUNTED: list[Any] = [{"quantity": 4}, {"page": 4, "categoryId": 7}, {"rating": 4, "note": "4"}]


@pytest.mark.parametrize("document", COUNTED)
def test_a_count_that_happens_to_be_the_same_stays(document: Any) -> None:
    tape = Tape()
    tape.post("/posts", send_json={"title": "mine"}, answer_json={"id": 4}, status=201)
    tape.post("/reviews", send_json=document, answer_json={"ok": True})
    _, script, _ = _compiled(tape)
    assert not [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]


def test_a_later_answer_that_repeats_the_number_is_not_its_origin() -> None:
    tape = Tape()
    tape.post("/posts", send_json={"title": "mine"}, answer_json={"id": 4}, status=201)
    tape.post("/comments", send_json={"postId": 4}, answer_json={"id": 9, "postId": 4}, status=201)
    tape.request("PATCH", "/comments/9", send_json={"body": "x"}, answer_json={"id": 9, "postId": 4})
    tape.request("DELETE", "/posts/4", answer_json={})
    _, script, _ = _compiled(tape)
    create, _, patch, delete = script.steps
    assert create.index in delete.needs and patch.extractors == ()


def test_a_thing_that_a_form_made_is_known_by_the_redirect_or_by_the_page_after_it() -> None:
    tape = Tape()
    tape.get("/t", html="<ul></ul>")
    tape.post("/t", form="title=one", status=302, headers=[("Location", "/t")])
    tape.get("/t", html="<ul><li><a class=t href='/t/41'>one</a></li></ul>")
    tape.get("/t/41", html="<form action='/t/41/done' method=post><input type=hidden name=v value=k3></form>")
    tape.post("/t/41/done", form="v=k3", status=302, headers=[("Location", "/t/41")])
    plan, script, player = _compiled(tape)
    page = step_of(plan, script, "GET /t", 1)
    player.answer(page, body=b"<ul><li><a class=t href='/t/7'>one</a></li></ul>")
    assert player.target(step_of(plan, script, "GET /t/{id}")) == b"/t/7"


def test_a_number_in_a_page_is_an_id_under_the_name_of_one() -> None:
    tape = Tape()
    tape.post("/notes", form="title=one", status=302, headers=[("Location", "/note")])
    tape.get("/note", html="<div id=n data-note-id='4'></div><script>const views = 4;</script>")
    tape.post("/api/touch", send_json={"note_id": 4}, answer_json={"ok": True})
    plan, script, player = _compiled(tape)
    player.answer(step_of(plan, script, "GET /note"), body=b"<div id=n data-note-id='88'></div>")
    assert player.body(step_of(plan, script, "POST /api/touch")) == b'{"note_id": 88}'


def test_a_number_that_a_message_brought_is_asked_for_and_said_again() -> None:
    tape = Tape()
    tape.socket(
        "/ws",
        [
            (20, ">", {"type": "join", "room": "den"}),
            (40, "<", {"type": "joined", "memberId": 6}),
            (600, ">", {"type": "say", "memberId": 6, "text": "hi"}),
        ],
        close_ms=900,
    )
    _, script, _ = _compiled(tape)
    joined = next(step for step in script.steps if step.kind is StepKind.RECEIVE)
    (extractor,) = joined.extractors
    assert Answer((), (), lambda: b'{"type": "joined", "memberId": 8}').find(extractor) == b"8"
    assert joined.index in script.steps[-2].needs


def test_numbers_that_the_client_counts_up_are_not_the_servers() -> None:
    said = [(20 + 100 * n, ">", {"type": "call", "id": n}) for n in (1, 2, 3)]
    told = [(25, "<", {"type": "news", "id": 2}), (130, "<", {"type": "news", "id": 3})]
    tape = Tape()
    tape.socket("/ws", sorted([*said, *told], key=lambda row: row[0]), close_ms=900)
    plan, script, _ = _compiled(tape)
    assert not [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]
    assert b'{"type": "call", "id": 3}' in literals_of(plan)


def test_the_version_of_what_was_read_guards_the_write() -> None:
    tape = Tape()
    tape.get("/settings", answer_json={"version": 12, "theme": "dark"})
    tape.request("PUT", "/settings", send_json={"version": 12, "theme": "light"}, answer_json={"version": 13})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"version": 99, "theme": "dark"})
    assert player.body(script.steps[1]) == b'{"version": 99, "theme": "light"}'


# Answer of POST /orders, recorded and live · what is sent then · with the live answer.
WRITTEN: list[tuple[Any, Any, dict[str, Any], bytes]] = [
    ({"id": 17}, {"id": 4}, {"form": "comment[order_id]=17&comment[text]=hi"}, b"comment[order_id]=4&comment[text]=hi"),
    ({"id": 17}, {"id": 4}, {"send_json": {"orderIds": [17]}}, b'{"orderIds": [4]}'),
    ({"id": 17}, {"id": 4}, {"send_json": {"selectedOrderId": 17}}, b'{"selectedOrderId": 4}'),
    (
        {"lines": [{"id": 21}, {"id": 22}]},
        {"lines": [{"id": 8}, {"id": 9}]},
        {"send_json": {"lines": [{"id": 21, "n": 1}, {"id": 22, "n": 2}]}},
        b'{"lines": [{"id": 8, "n": 1}, {"id": 9, "n": 2}]}',
    ),
]


@pytest.mark.parametrize(("shown", "live", "sent", "expected"), WRITTEN)
def test_ids_in_forms_lists_and_objects_sent_back_follow(
    shown: Any, live: Any, sent: dict[str, Any], expected: bytes
) -> None:
    tape = Tape()
    tape.post("/orders", send_json={"what": "tea"}, answer_json=shown, status=201)
    tape.post("/more", answer_json={"ok": True}, **sent)
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document=live)
    assert player.body(script.steps[1]) == expected


def test_an_id_before_the_ending_of_a_file_follows() -> None:
    tape = Tape()
    tape.post("/orders", send_json={"what": "tea"}, answer_json={"id": 17}, status=201)
    tape.get("/orders/17.json", answer_json={"ok": True})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"id": 4})
    assert player.target(script.steps[1]) == b"/orders/4.json"


def _token(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{part}.c2lnbmF0dXJl"


def test_what_a_page_reads_out_of_its_token_follows() -> None:
    subject = "3e39a480-26ed-44bb-8355-78b2e05f1efa"
    tape = Tape()
    tape.post("/token", form="code=1", answer_json={"access_token": _token(sub=subject, account_id=61)})
    bearer = [("Authorization", f"Bearer {_token(sub=subject, account_id=61)}")]
    tape.get(f"/users/{subject}", sent=bearer, answer_json={"ok": True})
    tape.get("/accounts/61/feed", sent=bearer, answer_json={"ok": True})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"access_token": _token(sub="live", account_id=7)})
    assert player.target(script.steps[1]) == b"/users/live"
    assert player.target(script.steps[2]) == b"/accounts/7/feed"


def test_a_line_of_a_program_is_not_told_as_a_value_that_nothing_brings() -> None:
    tape = Tape()
    tape.post("/run", send_json={"code": "print(6*7)", "token": "q8Zr5TnX1mQ2vB7c"}, answer_json={"ok": True})
    (evidence,) = compile_explained(capture_of(tape)).evidence
    assert [literal.place for literal in evidence.literals] == ["json /token"]


def test_a_proof_key_is_drawn_and_its_challenge_made_from_it() -> None:
    verifier, challenge = "kjQ_44GK" * 6, "r89QJEd8xTn3b0aLw2mZ5vC7yU1oP4sD6fG9hJ0kL_-"
    query = f"client_id=app&code_challenge={challenge}&code_challenge_method=S256"
    tape = Tape()
    tape.get(f"/auth?{query}", status=302, headers=[("Location", "/cb?code=aB3dE5fG7hJ9kL1m")])
    tape.get("/cb?code=aB3dE5fG7hJ9kL1m", html="<p>hi</p>")
    tape.post("/token", form=f"code=aB3dE5fG7hJ9kL1m&code_verifier={verifier}", answer_json={"ok": True})
    _, script, player = _compiled(tape)
    (drawn,) = [n for n, slot in enumerate(script.slots) if slot.kind is SlotKind.GENERATED]
    assert script.slots[drawn].detail == "alnum:48"
    player.fill(drawn, b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    expected = b"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B.
    assert b"code_challenge=" + expected in player.target(script.steps[0])
    player.answer(script.steps[0], headers=((b"location", b"/cb?code=live"),))
    assert b"code_verifier=dBjftJeZ4CVP" in player.body(script.steps[2])
