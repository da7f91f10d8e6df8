"""HARs of every dialect become captures; what cannot be taken over is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from captures.convert.json_stream import JsonReader
from captures.errors import CaptureError
from captures.records import Origin
from captures.units import NS_PER_MS
from tests.captures.convert_samples.hars import STARTED_NS, document, entry, message, socket, write_har
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

_MS = NS_PER_MS


def test_an_entry_becomes_an_exchange_at_its_times(tmp_path: Path) -> None:
    capture, conversion = imported(write_har(tmp_path / "one.har", entry()))
    exchange = exchange_of(capture)
    assert (exchange.method, exchange.origin, exchange.target) == (
        "GET",
        Origin("https", "shop.example", 443),
        "/api/items?page=2",
    )
    assert exchange.http_version == "HTTP/2.0"
    assert exchange.request_headers == ((b"accept", b"*/*"),)
    assert (exchange.status, exchange.response_body.data) == (200, b'{"ok":true}')
    start_ns = exchange.start_ns
    assert exchange.request_end_ns == start_ns + 2 * _MS
    assert exchange.response_start_ns == start_ns + 22 * _MS
    assert exchange.end_ns == start_ns + 25 * _MS
    anchor: Any = capture.header["anchor"]
    assert anchor.wall_ns + start_ns == STARTED_NS
    assert conversion.not_held == []


def test_the_header_names_source_format_creator_and_page(tmp_path: Path) -> None:
    page = {"id": "page_1", "title": "https://shop.example/start", "startedDateTime": "", "pageTimings": {}}
    capture, _ = imported(write_har(tmp_path / "one.har", entry(), pages=[page]))
    source: Any = capture.header["converted_from"]
    assert (source["file"], source["format"], source["creator"]) == ("one.har", "HAR 1.2", "WebInspector 1")
    assert len(source["sha256"]) == 64
    assert capture.header["url"] == "https://shop.example/start"


def test_without_a_page_url_the_first_document_is_the_page(tmp_path: Path) -> None:
    html = {"content": {"size": 2, "mimeType": "text/html; charset=utf-8", "text": "hi"}}
    har = write_har(tmp_path / "one.har", entry(), entry("https://shop.example/home", response=html))
    capture, _ = imported(har)
    assert capture.header["url"] == "https://shop.example/home"


@pytest.mark.parametrize(
    ("started", "wall_ns"),
    [
        ("2024-05-01T10:00:00.250Z", STARTED_NS),
        ("2024-05-01T12:00:00.250+02:00", STARTED_NS),  # Firefox
        ("2024-05-01T10:00:00.250000+00:00", STARTED_NS),  # mitmproxy
        ("2024-05-01T10:00:00.2500000Z", STARTED_NS),  # Fiddler: seven digits
        ("2024-05-01T10:00:00Z", STARTED_NS - 250 * _MS),
        ("2024-05-01T10:00:00.250", STARTED_NS),  # no zone
        (1714557600250, STARTED_NS),  # epoch milliseconds
    ],
)
def test_dates_in_all_spellings_are_understood(started: Any, wall_ns: int, tmp_path: Path) -> None:
    capture, _ = imported(write_har(tmp_path / "one.har", entry(started=started)))
    anchor: Any = capture.header["anchor"]
    assert anchor.wall_ns == wall_ns


def test_an_entry_without_a_date_stays_in_its_place_and_is_told_of(tmp_path: Path) -> None:
    har = write_har(tmp_path / "one.har", entry("https://a.example/1"), entry("https://a.example/2", started="soon"))
    capture, conversion = imported(har)
    assert [exchange.target for exchange in exchanges_of(capture)] == ["/1", "/2"]
    assert conversion.not_held == ["entries without a date, given that of the one before: 1 (first: entry 2)"]


@pytest.mark.parametrize(
    ("creator", "timings", "ended_ms"),
    [
        # ssl lies within connect; blocked, dns and connect come before send
        ("WebInspector", {"blocked": 1, "dns": 2, "connect": 8, "ssl": 5, "send": 1, "wait": 10, "receive": 2}, 24),
        # some count ssl apart: it cannot be longer than what it lies in
        ("Charles Proxy", {"dns": 1, "connect": 3, "ssl": 6, "send": 1, "wait": 10, "receive": 2}, 23),
        # mitmproxy's entries begin after the connect
        ("mitmproxy", {"connect": 100, "ssl": 200, "send": 1, "wait": 10, "receive": 2}, 13),
        ("WebKit Web Inspector", {"blocked": -1, "dns": -1, "connect": -1, "send": -1, "wait": -1, "receive": -1}, 25),
        ("Firefox", {}, 25),
        ("somebody", {"send": "soon", "wait": 1e400, "receive": None}, 25),
    ],
)
def test_timings_of_every_dialect_add_up(creator: str, timings: dict[str, Any], ended_ms: int, tmp_path: Path) -> None:
    capture, _ = imported(write_har(tmp_path / "one.har", entry(timings=timings), creator=creator))
    exchange = exchange_of(capture)
    assert exchange.end_ns == exchange.start_ns + ended_ms * _MS


def test_without_tls_no_time_is_taken_for_it(tmp_path: Path) -> None:
    # Playwright 1.65 for every http:// URL: ssl is connectEnd - (-1)
    timings = {"dns": 0, "connect": 9, "ssl": 11, "send": 0, "wait": 7, "receive": 2}
    har = write_har(tmp_path / "one.har", entry("http://shop.example/", timings=timings), creator="Playwright")
    exchange = exchange_of(imported(har)[0])
    assert exchange.request_end_ns == exchange.start_ns + 9 * _MS
    assert exchange.end_ns == exchange.start_ns + 18 * _MS


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("http/2.0", "HTTP/2.0"),
        ("h2", "HTTP/2.0"),
        ("HTTP/2", "HTTP/2.0"),
        ("h3", "HTTP/3"),
        ("HTTP/3", "HTTP/3"),
        ("http/2+quic/46", "HTTP/3"),
        ("http/1.1", "HTTP/1.1"),
        ("HTTP/1.0", "HTTP/1.0"),
        ("unknown", "HTTP/2.0"),  # the answer's is known
        ("", "HTTP/2.0"),
        (None, "HTTP/2.0"),
    ],
)
def test_names_of_http_versions_are_made_one(written: str | None, version: str, tmp_path: Path) -> None:
    capture, _ = imported(write_har(tmp_path / "one.har", entry(request={"httpVersion": written})))
    assert exchange_of(capture).http_version == version


def test_cookies_that_were_split_are_joined_and_set_cookies_that_were_joined_are_split(tmp_path: Path) -> None:
    crumbs = [{"name": "cookie", "value": "a=1"}, {"name": "x", "value": "y"}, {"name": "cookie", "value": "b=2"}]
    answer = [{"name": "set-cookie", "value": "a=1; Path=/\nb=2"}]
    made = entry(request={"headers": crumbs}, response={"headers": answer})
    exchange = exchange_of(imported(write_har(tmp_path / "one.har", made))[0])
    assert exchange.request_headers == ((b"cookie", b"a=1; b=2"), (b"x", b"y"))
    assert exchange.response_headers == ((b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2"))


def test_cookies_are_taken_from_their_list_where_no_header_has_them(tmp_path: Path) -> None:
    made = entry(request={"headers": [], "cookies": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]})
    assert exchange_of(imported(write_har(tmp_path / "one.har", made))[0]).request_headers == (
        (b"Cookie", b"a=1; b=2"),
    )


def test_headers_that_cannot_be_sent_never_get_in(tmp_path: Path) -> None:
    headers = [
        {"name": "evil\r\nname", "value": "1"},
        {"name": "", "value": "1"},
        {"name": "ok", "value": "a\r\nInjected: yes"},
        {"value": "nameless"},
        ["pair", "of Slack"],
        "text",
    ]
    capture, conversion = imported(write_har(tmp_path / "one.har", entry(request={"headers": headers})))
    assert exchange_of(capture).request_headers == ((b"ok", b"a"), (b"ok", b"Injected: yes"), (b"pair", b"of Slack"))
    assert conversion.not_held == ["header fields that are none: 4 (first: entry 1)"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("HTTPS://Shop.Example:8443/a?b#c", "https://shop.example:8443/a?b"),
        ("https://user:secret@shop.example/a", "https://shop.example/a"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
        ("https://shop.example?q", "https://shop.example/?q"),
        ("https://shop.example/köln straße", "https://shop.example/k%C3%B6ln%20stra%C3%9Fe"),
        ("https://köln.example/", "https://xn--kln-sna.example/"),
        ("ws://shop.example/live", "http://shop.example/live"),
        ("https://shop.example/a\r\nHost: evil", "https://shop.example/a%0D%0AHost:%20evil"),
    ],
)
def test_urls_become_origin_and_target(url: str, place: str, tmp_path: Path) -> None:
    exchange = exchange_of(imported(write_har(tmp_path / "one.har", entry(url)))[0])
    assert f"{exchange.origin}{exchange.target}" == place


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"request": {"url": "data:text/plain,hi"}}, "no URL of HTTP or WebSocket"),
        ({"request": {"url": "blob:https://shop.example/1"}}, "no URL of HTTP or WebSocket"),
        ({"request": {"url": None}}, "its request has no URL"),
        ({"request": {"url": "https://shop.example:99999/"}}, "no port"),
        ({"request": {"method": "GET / HTTP/1.1\r\nX:"}}, "its method cannot be sent"),
        ({"request": {"method": "CONNECT"}}, "a tunnel of a proxy"),
        ({"request": {"headers": [{"name": "a", "value": "x" * 300_000}]}}, "its headers are larger"),
        ({"response": {"_deep": "["}}, "nested too deeply"),
    ],
)
def test_entries_that_are_no_requests_are_left_out_and_told_of(bad: Any, why: str, tmp_path: Path) -> None:
    har = document(entry("https://shop.example/good"), entry(**bad))
    text = json.dumps(har).replace('"_deep": "["', f'"_deep": {"[" * 50_000}{"]" * 50_000}')
    path = tmp_path / "one.har"
    path.write_text(text, encoding="utf-8")
    capture, conversion = imported(path)
    assert exchange_of(capture).target == "/good"
    assert conversion.not_held[-1].startswith("entries left out: 1 (first: entry 2: ")
    assert why in conversion.not_held[-1]


@pytest.mark.parametrize("junk", [None, 1, "text", [], {}, {"request": None}, {"request": "GET"}])
def test_what_is_no_entry_is_left_out(junk: Any, tmp_path: Path) -> None:
    capture, conversion = imported(write_har(tmp_path / "one.har", junk, entry()))
    assert exchange_of(capture).target == "/api/items?page=2"
    assert len(conversion.not_held) == 1


@pytest.mark.parametrize("response", [{"status": 0, "_error": "net::ERR_CONNECTION_REFUSED"}, {"status": "0"}])
def test_a_request_without_an_answer_is_an_error(response: dict[str, Any], tmp_path: Path) -> None:
    exchange = exchange_of(imported(write_har(tmp_path / "one.har", entry(response=response)))[0])
    assert exchange.status is None
    assert exchange.error == response.get("_error", "no answer (status 0)")


def test_missing_parts_are_no_obstacle(tmp_path: Path) -> None:
    bare = {"request": {"url": "https://shop.example/"}, "response": {"status": 204}, "startedDateTime": "2024-05-01"}
    lonely = {"request": {"url": "https://shop.example/2", "method": "PUT"}}
    capture, _ = imported(write_har(tmp_path / "one.har", bare, lonely))
    first, second = exchanges_of(capture)
    assert (first.method, first.status, first.error) == ("GET", 204, "")
    assert (second.method, second.status, second.error) == ("PUT", None, "no answer (status 0)")


# Order and size


def test_entries_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    starts = ["2024-05-01T10:00:03Z", "2024-05-01T10:00:01Z", "2024-05-01T10:00:02Z"]
    entries = [entry(f"https://shop.example/{number}", started=start) for number, start in enumerate(starts)]
    capture, _ = imported(write_har(tmp_path / "one.har", *entries))
    assert [(exchange.id, exchange.target) for exchange in exchanges_of(capture)] == [(1, "/1"), (2, "/2"), (3, "/0")]


def test_a_large_entry_is_walked_and_comes_out_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [
        message(number / 100, f"message {number} é", "send" if number % 2 else "receive") for number in range(500)
    ]
    body = {"size": 0, "mimeType": "text/plain", "text": '"é\\' * 4000}
    upload = {"mimeType": "text/plain", "text": "ü" * 9000}
    entries = [
        socket(frames),
        entry(
            response={"content": body}, request={"postData": upload, "method": "POST"}, started="2024-05-01T11:00:00Z"
        ),
    ]
    whole, _ = imported(write_har(tmp_path / "whole.har", *entries))
    monkeypatch.setattr(JsonReader.whole, "__defaults__", (2000,))
    walked, _ = imported(write_har(tmp_path / "walked.har", *entries))
    assert exchanges_of(whole) == exchanges_of(walked)
    assert exchanges_of(walked)[1].response_body.data == ('"é\\' * 4000).encode()


def test_a_gzipped_har_and_one_without_its_wrapping_are_read(tmp_path: Path) -> None:
    path = tmp_path / "one.har.gz"
    path.write_bytes(gzip.compress(json.dumps(document(entry())["log"]).encode()))
    assert exchange_of(imported(path)[0]).status == 200


def test_bytes_that_are_not_utf8_come_through_as_they_were(tmp_path: Path) -> None:
    path = write_har(tmp_path / "one.har", entry(response={"content": {"mimeType": "text/plain", "text": "a@z"}}))
    path.write_bytes(path.read_bytes().replace(b"a@z", b"a\xfc\xffz"))
    assert exchange_of(imported(path)[0]).response_body.data == b"a\xfc\xffz"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a HAR"),
        ("no json", "is not a HAR"),
        ("[]", "is not a HAR"),
        ("{}", "is not a HAR"),
        ('{"log": []}', "is not a HAR"),
        ('{"log": {"entries": []}}', "holds no request: log.entries is empty"),
        ('{"log": {"entries": [{}]}}', "holds no request: entries left out: 1 (first: entry 1: it has no request)"),
        (
            '{"log": {"entries": [{"request": {"url"',
            "it ends in the middle of a HAR, in entry 1, at byte",
        ),
        (
            '{"log": {"entries": [{}, {"a": 1 "b": 2}, {}' + " " * 99,
            "is not valid JSON: expecting ',' delimiter, in entry 2",
        ),
        ("[" * 100_000, "is not a HAR"),
        ('{"log": ' + '{"log": ' * 100_000, "is cut short"),
    ],
)
def test_what_is_no_har_is_refused_with_its_place(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "one.har"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CaptureError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
    assert not path.with_name("one.har.rush").exists()
