"""What a reverse proxy turns in headers, and what it leaves."""

from __future__ import annotations

import pytest

from captures.errors import ConfigError
from recorder.reverse import Front, Listen, parse_listen, site_of

FRONT = Front(site="https://staging.example", visited="https://10.0.0.7:8443")
PLAIN = Front(site="https://staging.example", visited="http://10.0.0.7:8080")

# Header · as the visitor's browser sends it · as the site gets it.
REQUESTS = [
    (b"Origin", b"https://10.0.0.7:8443", b"https://staging.example"),
    (b"Referer", b"https://10.0.0.7:8443/a?b=1", b"https://staging.example/a?b=1"),
    (b"Referer", b"https://10.0.0.7:84430/a", b"https://10.0.0.7:84430/a"),
    (b"X-Back", b"https://10.0.0.7:8443/", b"https://10.0.0.7:8443/"),
]

# Header · as the site sends it · as the visitor's browser gets it.
ANSWERS = [
    (b"Location", b"https://staging.example/in?next=/", b"https://10.0.0.7:8443/in?next=/"),
    (b"location", b"HTTPS://Staging.Example/in", b"https://10.0.0.7:8443/in"),
    (b"Location", b"/relative", b"/relative"),
    (b"Location", b"https://staging.example.org/", b"https://staging.example.org/"),
    (b"Location", b"https://sso.example/?to=https://staging.example/cb", b"https://sso.example/?to=https://10.0.0.7:8443/cb"),
    (b"Refresh", b"0; url=https://staging.example/x", b"0; url=https://10.0.0.7:8443/x"),
    (b"Access-Control-Allow-Origin", b"https://staging.example", b"https://10.0.0.7:8443"),
    (b"Set-Cookie", b"a=secure; Domain=staging.example; Secure; Path=/", b"a=secure; Secure; Path=/"),
    (b"Set-Cookie", b"a=1;domain=.example", b"a=1"),
    (b"X-Own", b"https://staging.example", b"https://staging.example"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "turned"), REQUESTS)
def test_the_site_is_asked_as_if_it_had_been_visited(name: bytes, value: bytes, turned: bytes) -> None:
    assert FRONT.to_site(name, value) == turned


@pytest.mark.parametrize(("name", "value", "turned"), ANSWERS)
def test_the_visitor_is_kept_here(name: bytes, value: bytes, turned: bytes) -> None:
    assert FRONT.to_visitor(((name, value),)) == ((name, turned),)


def test_cookies_reach_a_visitor_without_tls() -> None:
    cookie = b"sid=secure; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
    assert PLAIN.to_visitor(((b"Set-Cookie", cookie),)) == ((b"Set-Cookie", b"sid=secure; Path=/; HttpOnly"),)
    assert PLAIN.to_visitor(((b"Set-Cookie", b"a=1; SameSite=Lax"),)) == ((b"Set-Cookie", b"a=1; SameSite=Lax"),)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8443", "127.0.0.1", 8443), (":80", "127.0.0.1", 80), ("[::1]:1", "::1", 1), ("me:9", "me", 9)],
)
def test_addresses_to_listen_at(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == Listen(host=host, port=port)
    assert parse_listen(Listen(host=host, port=port).address) == Listen(host=host, port=port)


@pytest.mark.parametrize("text", ["", "localhost", "a:b", "a:99999", "a:0", "a:80/x", "[::1", "8443"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--listen"):
        parse_listen(text)


def test_who_can_come_in_is_known() -> None:
    hosts = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.7", "me")
    assert [Listen(host=host, port=1).is_loopback for host in hosts] == [True, True, True, False, False, False]


def test_a_site_is_an_origin() -> None:
    assert site_of("https://Staging.Example:443/") == "https://staging.example"
    assert site_of("http://[::1]:8000") == "http://[::1]:8000"
    with pytest.raises(ConfigError, match="has a path"):
        site_of("https://staging.example/app")
