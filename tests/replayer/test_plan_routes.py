"""Routes: path templates, operations, kinds."""

from __future__ import annotations

from typing import Any

import pytest

from replayer.plan.compile import compile_plan
from replayer.plan.records import RouteKind
from replayer.plan.routes import path_template
from tests.fakes_captures import Tape, capture_of

QUOTE = {"symbol": "KIT", "last": 1.5, "bids": [], "asks": []}


def _names(*paths: tuple[str, Any]) -> list[str]:
    tape = Tape()
    for path, answer in paths:
        tape.get(path, answer_json=answer)
    return [route.name for route in compile_plan(capture_of(tape)).routes]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/api/orders/17", "/api/orders/{id}"),
        ("/api/orders/17/lines/3", "/api/orders/{id}/lines/{id2}"),
        ("/u/c0ffee00-1234-4abc-8def-0123456789ab", "/u/{id}"),
        # Hex of 8 and more, and long mixtures of letters and digits.
        ("/o/85e6e3b7", "/o/{id}"),
        ("/o/85e6e3", "/o/85e6e3"),
        ("/s/Zx81kQpTeyW0mBv7_JrXa-99sLwQ", "/s/{id}"),
        # Versions and words stay.
        ("/api/v2/quotes", "/api/v2/quotes"),
        ("/api/v2/quotes/", "/api/v2/quotes/"),
    ],
)
def test_ids_are_known_by_their_shape(path: str, template: str) -> None:
    assert path_template(path) == template


def test_segments_that_vary_below_one_shape_are_one_route() -> None:
    names = _names(("/api/quotes/KIT", QUOTE), ("/api/quotes/MOA", {**QUOTE, "symbol": "MOA"}))
    assert names == ["GET /api/quotes/{id}"]


def test_a_segment_seen_once_stays() -> None:
    assert _names(("/api/quotes/KIT", QUOTE)) == ["GET /api/quotes/KIT"]


def test_answers_of_different_shapes_are_different_routes() -> None:
    other = {"indices": [], "count": 3, "at": 5}
    assert _names(("/api/quotes", QUOTE), ("/api/indices", other)) == ["GET /api/quotes", "GET /api/indices"]


def test_a_shape_that_says_little_merges_nothing() -> None:
    assert _names(("/api/like", {"ok": True}), ("/api/follow", {"ok": True})) == ["GET /api/like", "GET /api/follow"]


def test_ten_words_in_one_place_are_one_route() -> None:
    tape = Tape()
    for number in range(10):
        tape.get(f"/wiki/{'abcdefghij'[number]}pple", html="<p>")
    (route,) = compile_plan(capture_of(tape)).routes
    assert (route.name, route.n_recorded) == ("GET /wiki/{id}", 10)


def test_files_of_a_page_are_never_merged() -> None:
    tape = Tape()
    for number in range(12):
        tape.get(f"/assets/{'abcdefghijkl'[number]}", sent=[("Sec-Fetch-Dest", "script")])
    routes = compile_plan(capture_of(tape)).routes
    assert len(routes) == 12
    assert {route.kind for route in routes} == {RouteKind.ASSET}


# Body of a POST, the route's name, whether it writes.
OPERATIONS = [
    ({"operationName": "Quote", "query": "query Quote { quote { last } }"}, "POST /graphql Quote", False),
    ({"query": "{ me { id } }"}, "POST /graphql anonymous", False),
    ({"query": "mutation Buy($n: Int) { buy(n: $n) { id } }"}, "POST /graphql Buy", True),
    ({"query": "# a mutation\nquery A { a } mutation B { b }", "operationName": "B"}, "POST /graphql B", True),
    (
        {"operationName": "Saved", "extensions": {"persistedQuery": {"sha256Hash": "x"}}},
        "POST /graphql Saved",
        True,  # a persisted query may write, and so does POST unless we know better
    ),
    ([{"query": "query A { a }"}, {"query": "query B { b }"}], "POST /graphql A+B", False),
    ({"jsonrpc": "2.0", "id": 1, "method": "eth_call"}, "POST /graphql eth_call", True),
    ({"query": "shoes", "page": 2}, "POST /graphql", True),
]


@pytest.mark.parametrize(("body", "name", "writes"), OPERATIONS)
def test_operations_are_routes_of_their_own(body: Any, name: str, writes: bool) -> None:
    tape = Tape()
    tape.post("/graphql", send_json=body, answer_json={"data": {}})
    plan = compile_plan(capture_of(tape))
    assert [route.name for route in plan.routes] == [name]
    assert plan.scripts[0].steps[0].is_unsafe is writes


# Request headers, response type, kind of the route.
KINDS = [
    ([("Sec-Fetch-Dest", "document")], "text/html", RouteKind.DOCUMENT),
    ([("Sec-Fetch-Dest", "iframe")], "text/html", RouteKind.DOCUMENT),
    ([("Sec-Fetch-Dest", "empty")], "text/html", RouteKind.API),
    ([("Sec-Fetch-Dest", "script")], "text/javascript", RouteKind.ASSET),
    ([("Sec-Fetch-Dest", "font")], "font/woff2", RouteKind.ASSET),
    # Imports have no such header: the type decides.
    ([], "text/html", RouteKind.DOCUMENT),
    ([("X-Requested-With", "XMLHttpRequest")], "text/html", RouteKind.API),
    ([], "text/css", RouteKind.ASSET),
    ([], "image/svg+xml", RouteKind.ASSET),
    ([], "application/javascript", RouteKind.ASSET),
    ([], "application/json", RouteKind.API),
]


@pytest.mark.parametrize(("sent", "content_type", "kind"), KINDS)
def test_what_a_route_serves(sent: list[tuple[str, str]], content_type: str, kind: RouteKind) -> None:
    tape = Tape()
    tape.get("/x", sent=sent, headers=[("Content-Type", content_type)], answer=b"x")
    assert compile_plan(capture_of(tape)).routes[0].kind is kind


def test_pages_are_not_one_route_with_an_answer_that_has_the_only_document() -> None:
    tape = Tape()
    tape.get("/about", html="<p>a</p>")
    tape.get("/contact", html="<p>c</p>")
    tape.get("/poll", answer_json={"a": 1, "b": 2, "c": 3})
    names = {route.name for route in compile_plan(capture_of(tape)).routes}
    assert names == {"GET /about", "GET /contact", "GET /poll"}
