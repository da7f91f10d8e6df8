"""Firefox's HARs: their deviations are those of a file by Firefox 111, and of its HarBuilder.js and CurlUtils.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from captures.records import Origin
from captures.units import NS_PER_MS
from tests.captures.convert_samples.hars import Entry, write_har
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

PAGE = {
    "startedDateTime": "2023-03-29T16:58:59.303-07:00",
    "id": "page_1",
    "title": "Shop: the best prices",
    "pageTimings": {"onContentLoad": 208, "onLoad": 270},
}
STARTED_NS = 1_680_134_339_303_000_000


def firefox(url: str = "https://shop.example/", **other: Any) -> Entry:
    """A request, as Firefox writes it: no -1 in timings, the server's port as connection."""
    request = {
        "bodySize": 0,
        "method": "GET",
        "url": url,
        "httpVersion": "HTTP/3",
        "headers": [{"name": "Host", "value": "shop.example"}, {"name": "User-Agent", "value": "Firefox/111.0"}],
        "cookies": [],
        "queryString": [],
        "headersSize": 625,
    }
    response = {
        "status": 200,
        "statusText": "OK",
        "httpVersion": "HTTP/3",
        "headers": [{"name": "content-type", "value": "text/html"}],
        "cookies": [],
        "content": {"mimeType": "text/html", "size": 2, "text": "hi"},
        "redirectURL": "",
        "headersSize": 386,
        "bodySize": 388,
    }
    made = {
        "pageref": "page_1",
        "startedDateTime": "2023-03-29T16:58:59.303-07:00",
        "request": request | other.pop("request", {}),
        "response": response | other.pop("response", {}),
        "cache": {},
        "timings": {"blocked": 17, "dns": 0, "connect": 0, "ssl": 0, "send": 0, "wait": 6, "receive": 0},
        "time": 23,
        "_securityState": "secure",
        "serverIPAddress": "192.0.2.55",
        "connection": "443",
    }
    return made | other


def har(path: Path, *entries: Entry) -> Path:
    """A HAR by Firefox."""
    return write_har(path / "one.har", *entries, creator="Firefox", pages=[PAGE])


def test_a_page_title_is_no_address_and_the_document_is_taken(tmp_path: Path) -> None:
    capture, conversion = imported(har(tmp_path, firefox("https://shop.example/start")))
    assert capture.header["url"] == "https://shop.example/start"
    exchange = exchange_of(capture)
    anchor: Any = capture.header["anchor"]
    assert anchor.wall_ns + exchange.start_ns == STARTED_NS
    assert (exchange.http_version, exchange.end_ns) == ("HTTP/3", exchange.start_ns + 23 * NS_PER_MS)
    assert conversion.not_held == []


def test_the_port_of_the_server_is_not_taken_for_a_connection(tmp_path: Path) -> None:
    other = firefox("https://cdn.example/app.js")
    capture, _ = imported(har(tmp_path, firefox(), other, firefox("https://shop.example/2")))
    page, script, second = exchanges_of(capture)
    assert page.connection == second.connection != script.connection
    assert script.origin == Origin("https", "cdn.example", 443)


def test_a_request_out_of_the_cache_has_no_version_size_connection_or_body(tmp_path: Path) -> None:
    cached = firefox(
        request={"httpVersion": ""},
        response={
            "httpVersion": "",
            "bodySize": -1,
            "content": {"mimeType": "text/css; charset=utf-8", "comment": "Response bodies are not included."},
        },
    )
    del cached["response"]["headersSize"], cached["connection"], cached["serverIPAddress"], cached["_securityState"]
    capture, conversion = imported(har(tmp_path, cached, firefox()))
    first, _ = exchanges_of(capture)
    assert (first.status, first.http_version, first.response_body.data) == (200, "HTTP/1.1", b"")
    assert conversion.not_held == []


def test_the_cached_body_of_a_304_is_not_taken_for_sent(tmp_path: Path) -> None:
    content = {"mimeType": "text/html", "size": 15, "text": "<!DOCTYPE html>"}
    capture, conversion = imported(har(tmp_path, firefox(response={"status": 304, "content": content})))
    assert exchange_of(capture).response_body.size_bytes == 0
    assert conversion.not_held == ["bodies out of the browser's cache, of answers that carry none: 1 (first: entry 1)"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("user=bob&note=a%20b%26c", b"user=bob&note=a%20b%26c"),
        # What was given to Firefox as a stream with headers of its own, shows them.
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nuser=bob", b"user=bob"),
        ("content-length: 8\r\n\r\nuser=bob", b"user=bob"),
        # A text that only begins like that is what was sent.
        ("Content-Type: is a header\nuser=bob", b"Content-Type: is a header\nuser=bob"),
    ],
)
def test_forms_are_taken_from_their_text_without_the_headers_of_an_upload(
    text: str, sent: bytes, tmp_path: Path
) -> None:
    decoded = [{"name": "user", "value": "bob"}, {"name": "note", "value": "a b&c"}]
    post = {"mimeType": "application/x-www-form-urlencoded", "params": decoded, "text": text}
    capture, _ = imported(har(tmp_path, firefox(request={"method": "POST", "postData": post})))
    assert exchange_of(capture).request_body.data == sent


def test_a_multipart_form_is_found_below_the_headers_of_its_upload(tmp_path: Path) -> None:
    form = '------x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nabc\r\n------x--\r\n'
    text = f"Content-Type: multipart/form-data; boundary=----x\r\nContent-Length: {len(form)}\r\n\r\n{form}"
    post = {"mimeType": "multipart/form-data; boundary=----x", "params": [], "text": text}
    capture, _ = imported(har(tmp_path, firefox(request={"method": "POST", "postData": post})))
    assert exchange_of(capture).request_body.data == form.encode()


def test_a_blocked_request_has_an_empty_status_and_is_an_error(tmp_path: Path) -> None:
    blocked = {"status": "", "statusText": "", "httpVersion": "", "headers": [], "content": {"size": 0}}
    capture, _ = imported(har(tmp_path, firefox(response=blocked), firefox()))
    first, second = exchanges_of(capture)
    assert first.status is None and first.error and second.status == 200
