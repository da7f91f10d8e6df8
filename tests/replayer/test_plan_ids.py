"""Short ids, symbols, elements of lists: what is told by place and name because the value tells nothing."""

from __future__ import annotations

from typing import Any

import pytest

from replayer.plan.compile import compile_plan
from replayer.plan.records import Anchor, Plan, Script, SlotKind
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player

HASH = "5e884898da28047151d0e56f8dc62927"


def _compiled(*tapes: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(*tapes))
    return plan, plan.scripts[0], Player(plan.scripts[0])


# Answer of /checkout, recorded and live · what is asked for then · what is asked for with the live answer.
SHORT: list[tuple[Any, Any, str, str]] = [
    ({"order": {"id": 17}}, {"order": {"id": 4211}}, "/orders/17", "/orders/4211"),
    ({"orders": [{"id": 17}]}, {"orders": [{"id": 9}]}, "/orders/17", "/orders/9"),
    ({"order": {"id": "17"}}, {"order": {"id": "x9"}}, "/receipts?order_id=17", "/receipts?order_id=x9"),
    (
        {"user": {"id": 17}, "order": {"id": 17}},
        {"user": {"id": 1}, "order": {"id": 2}},
        "/orders/17/lines",
        "/orders/2/lines",
    ),
    ({"data": {"cart": {"id": 3}}}, {"data": {"cart": {"id": 8}}}, "/carts/3", "/carts/8"),
]


@pytest.mark.parametrize(("shown", "live", "asked", "expected"), SHORT)
def test_a_short_number_is_an_id_where_names_say_so(shown: Any, live: Any, asked: str, expected: str) -> None:
    tape = Tape()
    tape.post("/checkout", send_json={"items": "all"}, answer_json=shown)
    tape.get(asked, answer_json={"ok": True})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document=live)
    assert player.target(script.steps[1]) == expected.encode()


# Answer of /stats · what is asked for then: numbers that mean something else.
NO_IDS: list[tuple[Any, str]] = [
    ({"count": 17}, "/orders/17"),
    ({"user": {"id": 17}}, "/orders?page=17"),
    ({"items": [{"qty": 2, "id": 5}]}, "/search?limit=5"),
]


@pytest.mark.parametrize(("shown", "asked"), NO_IDS)
def test_a_short_number_stays_where_nothing_says_that_it_is_an_id(shown: Any, asked: str) -> None:
    tape = Tape()
    tape.get("/stats", answer_json=shown)
    tape.get(asked, answer_json={"ok": True})
    _, script, _ = _compiled(tape)
    assert not [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]


@pytest.mark.parametrize(
    "answers",
    [
        ({"last": 1.0}, {"last": 2.0}),  # too small a shape to be told by
        ({"symbol": "FPT", "last": 1.0, "ceiling": 2}, {"symbol": "VNM", "last": 1.0, "ceiling": 2, "note": "x"}),
        (None, None),  # no JSON
    ],
)
def test_two_symbols_are_one_route(answers: tuple[Any, Any]) -> None:
    tape = Tape()
    for symbol, answer in zip(("FPT", "VNM"), answers, strict=True):
        tape.get(f"/api/quotes/{symbol}", answer_json=answer)
    plan, _, _ = _compiled(tape)
    assert [route.name for route in plan.routes] == ["GET /api/quotes/{id}"]


def test_names_of_resources_stay_apart() -> None:
    tape = Tape()
    tape.get("/api/orders", answer_json={"orders": [], "total": 0, "page": 1})
    tape.get("/api/users", answer_json={"users": [], "next": None, "size": 5})
    plan, _, _ = _compiled(tape)
    assert [route.name for route in plan.routes] == ["GET /api/orders", "GET /api/users"]


def test_an_element_of_a_list_is_known_by_its_name_and_not_by_its_place() -> None:
    tape = Tape()
    shelves = [{"name": "books", "id": HASH[::-1]}, {"name": "toys", "id": HASH}]
    tape.get("/api/shelves", answer_json={"shelves": shelves})
    tape.get(f"/api/shelves/{HASH}", answer_json={"ok": True})
    _, script, player = _compiled(tape)
    (extractor,) = script.steps[0].extractors
    assert extractor.where == (Anchor(at=1, key="name", value="toys"),)
    player.answer(script.steps[0], document={"shelves": [{"name": "toys", "id": "t"}, {"name": "books", "id": "b"}]})
    assert player.target(script.steps[1]) == b"/api/shelves/t"
    player.answer(script.steps[0], document={"shelves": [{"name": "a", "id": "0"}, {"name": "b", "id": "1"}]})
    assert player.target(script.steps[1]) == b"/api/shelves/1", "where none has the name the place decides"


def test_a_word_of_a_page_is_no_value() -> None:
    tape = Tape()
    tape.get("/lab", html="<script>{'lab': 'extensions'}</script>")
    tape.get("/lab/extensions/theme.css", sent=[("Sec-Fetch-Dest", "style")])
    _, script, _ = _compiled(tape)
    assert not script.slots


def test_what_stands_only_in_a_referer_is_waited_for_by_nobody() -> None:
    tape = Tape()
    tape.post("/orders", answer_json={"order_id": HASH}, status=201)
    tape.get("/api/news", at_ms=500, sent=[("Referer", f"http://shop.example:8000/orders/{HASH}")])
    _, script, player = _compiled(tape)
    (slot,) = [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]
    assert slot.is_optional and slot.recorded == HASH.encode()


def test_a_bare_query_that_is_the_time_is_minted_and_a_key_with_a_value_follows_it() -> None:
    tape = Tape()
    tape.post("/api/contents", answer_json={"name": "Untitled7.ipynb"}, status=201)
    tape.request(
        "PUT",
        "/api/workspaces/default?1790000000129",
        send_json={"notebook:Untitled7.ipynb": {"name": "Untitled7.ipynb"}},
    )
    _, script, player = _compiled(tape)
    assert "epoch_ms" in {slot.detail for slot in script.slots}
    player.answer(script.steps[0], document={"name": "Live1.ipynb"})
    assert player.body(script.steps[1]) == b'{"notebook:Live1.ipynb": {"name": "Live1.ipynb"}}'


def test_a_cookie_without_escapes_goes_into_a_header() -> None:
    tape = Tape()
    tape.get("/lab", html="<p>", headers=[("Set-Cookie", f"_xsrf={HASH}; Path=/")])
    tape.post("/api/sessions", sent=[("Cookie", f"_xsrf={HASH}"), ("X-XSRFToken", HASH)])
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], cookies=((b"_xsrf", b"live"),))
    assert player.header(script.steps[1], "x-xsrftoken") == b"live"


# Header or key · value that nobody showed · generator, "" for none.
MINTED = [
    ("X-Request-Id", "4bf92f3577b34da6a3ce929d0e0e4736", "hex:32"),
    ("Idempotency-Key", "aK3xP9mQ2rT7vZ5c", "alnum:16"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "traceparent"),
    ("X-Client-Nonce", "8412398745", "digits:10"),
    ("X-Device", "01890a5d-ac96-774b-bcce-b302099a8057", "uuid7"),
    ("X-Api-Version", "4bf92f3577b34da6a3ce929d0e0e4736", ""),
]


@pytest.mark.parametrize(("name", "value", "generator"), MINTED)
def test_what_a_client_drew_is_drawn_again(name: str, value: str, generator: str) -> None:
    tape = Tape()
    tape.get("/api/x", sent=[(name, value)])
    _, script, _ = _compiled(tape)
    assert [slot.detail for slot in script.slots] == ([generator] if generator else [])


def test_a_value_in_a_document_in_a_form_follows() -> None:
    tape = Tape()
    tape.post("/login", answer_json={"token": HASH})
    tape.post("/rpc", form=f"action=save&payload=%7B%22token%22%3A%22{HASH}%22%2C%22n%22%3A1%7D")
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"token": "live"})
    assert player.body(script.steps[1]) == b"action=save&payload=%7B%22token%22%3A%22live%22%2C%22n%22%3A1%7D"


def test_what_a_script_drew_for_its_session_is_drawn_again_where_it_is_sent_more_than_once() -> None:
    tape = Tape()
    tape.post("/queue/join", send_json={"data": [], "session_hash": "udi39sdnmso"}, answer_json={"event_id": HASH})
    tape.get("/queue/data?session_hash=udi39sdnmso", headers=[("Content-Type", "text/event-stream")])
    _, script, _ = _compiled(tape)
    (slot,) = [slot for slot in script.slots if slot.kind is SlotKind.GENERATED]
    assert (slot.detail, slot.recorded) == ("base36:11", b"udi39sdnmso")
    once = Tape()
    once.get("/queue/data?session_hash=udi39sdnmso")
    assert not _compiled(once)[1].slots, "sent once it may be anything"
