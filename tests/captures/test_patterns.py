"""What people type to pick exchanges."""

from __future__ import annotations

import pytest

from captures.edit.patterns import choice_of, method_test, origin_test, route_test, session_test, status_test
from captures.errors import ConfigError
from captures.records import Origin

SHOP = Origin("https", "shop.example", 443)
LOCAL = Origin("http", "127.0.0.1", 8000)
SIX = Origin("http", "::1", 8000)


@pytest.mark.parametrize(
    ("text", "origin", "expected"),
    [
        ("https://shop.example", SHOP, True),
        ("https://SHOP.example/", SHOP, True),
        ("wss://shop.example", SHOP, True),  # sockets count under their http twin
        ("http://shop.example", SHOP, False),
        ("shop.example", SHOP, True),
        ("shop.example:443", SHOP, True),  # the default port may be written
        ("*.example", SHOP, True),
        ("example", SHOP, False),
        ("https://*", SHOP, True),
        ("127.0.0.1:8000", LOCAL, True),
        ("127.0.0.1:800", LOCAL, False),
        ("127a0.0.1:8000", LOCAL, False),
        ("http://[::1]:8000", SIX, True),  # brackets are no character class
    ],
)
def test_origins(text: str, origin: Origin, expected: bool) -> None:
    assert origin_test(text)(origin) is expected


@pytest.mark.parametrize(
    ("text", "method", "path", "expected"),
    [
        ("/api/quotes/{id}", "GET", "/api/quotes/7", True),
        ("/api/quotes/{id}", "GET", "/api/quotes/7/history", False),
        ("/api/quotes/{id}", "GET", "/api/quotes/", False),  # a segment is not empty
        ("/api/{id}/x/{id2}", "GET", "/api/1/x/2", True),
        ("/api/*", "GET", "/api/quotes", True),
        ("/api/*", "GET", "/api/quotes/7", False),
        ("/api/**", "GET", "/api/quotes/7", True),
        ("*.js", "GET", "/app.js", False),  # one star stays in its segment
        ("**.js", "GET", "/a/app.js", True),
        ("/a.b", "GET", "/aXb", False),
        ("POST /login", "POST", "/login", True),
        ("post /login", "POST", "/login", True),
        ("POST /login", "GET", "/login", False),
        ("/login?next=1", "GET", "/login", True),  # the query is not looked at
    ],
)
def test_routes(text: str, method: str, path: str, expected: bool) -> None:
    assert route_test(text)((method, path)) is expected


def test_statuses_sessions_and_methods() -> None:
    assert [status for status in (199, 200, 299, 300, None) if status_test("2xx")(status)] == [200, 299]
    assert [status for status in (399, 400, 404, 405) if status_test("400-404")(status)] == [400, 404]
    assert status_test("none")(None) and not status_test("none")(200)
    assert [number for number in range(10) if session_test("3-5")(number)] == [3, 4, 5]
    assert method_test("get")("GET")


def test_an_exclamation_mark_takes_out() -> None:
    choice = choice_of(["*.example", "!shop.example"], origin_test)
    assert choice.has(Origin("https", "api.example", 443))
    assert not choice.has(SHOP)
    assert choice_of(["!shop.example"], origin_test).has(LOCAL), "nothing but exclusions: all the rest"
    assert choice_of([], origin_test).has(SHOP) and not choice_of([], origin_test)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (origin_test, ""),
        (origin_test, "https://"),
        (origin_test, "https://shop.example/path"),
        (route_test, "api"),
        (route_test, "G ET /x"),
        (method_test, "GET /"),
        (status_test, "600"),
        (status_test, "2x"),
        (session_test, "-1"),
        (session_test, "first"),
    ],
)
def test_what_is_malformed_is_refused_with_an_example(test: object, text: str) -> None:
    assert callable(test)
    with pytest.raises(ConfigError, match="write"):
        test(text)
