"""Short ids that a session itself brought into the world: numbers of things that it created, wherever it names them."""

from __future__ import annotations

from typing import Any

import pytest

from replayer.plan.compile import compile_plan
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
