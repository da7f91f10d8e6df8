"""Bodies in a HAR: text, Base64, parameters; cut, spoiled or left out."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from captures.convert.tape import KEPT_BYTES
from captures.units import NS_PER_MS
from tests.captures.convert_samples.hars import entry, write_har
from tests.captures.convert_samples.reading import exchange_of, imported

_MS = NS_PER_MS


# Bodies


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ({"mimeType": "text/plain", "text": "größe"}, "größe".encode()),
        ({"mimeType": "text/plain; charset=ISO-8859-1", "text": "größe"}, "größe".encode("latin-1")),
        ({"mimeType": "text/plain; charset=martian", "text": "größe"}, "größe".encode()),
        ({"mimeType": "image/png", "text": "iVBORw0KGgo=", "encoding": "base64"}, b"\x89PNG\r\n\x1a\n"),
        ({"mimeType": "image/png", "text": "iVBO\r\nRw0KGgo", "encoding": "BASE64"}, b"\x89PNG\r\n\x1a\n"),
        ({"mimeType": "application/json", "text": {"a": [1]}}, b'{"a":[1]}'),  # parsed by the exporter
        ({"mimeType": "text/plain", "text": "\ud83d"}, b"\xed\xa0\xbd"),
    ],
)
def test_bodies_become_bytes(content: dict[str, Any], data: bytes, tmp_path: Path) -> None:
    body = exchange_of(imported(write_har(tmp_path / "one.har", entry(response={"content": content})))[0]).response_body
    assert (body.data, body.size_bytes, len(body.hash)) == (data, len(data), 16)


def test_a_wrong_base64_loses_that_body_alone_and_says_so(tmp_path: Path) -> None:
    content = {"size": 9, "mimeType": "image/png", "text": "%%%not base64%%%", "encoding": "base64"}
    capture, conversion = imported(write_har(tmp_path / "one.har", entry(response={"content": content})))
    body = exchange_of(capture).response_body
    assert body.data == b""
    assert body.is_cut
    assert conversion.not_held == ["bodies and messages whose Base64 is wrong, left empty: 1 (first: entry 1)"]


def test_a_body_that_the_har_does_not_hold_keeps_its_size(tmp_path: Path) -> None:
    made = entry(response={"content": {"size": 5000, "mimeType": "text/html"}})
    capture, conversion = imported(write_har(tmp_path / "one.har", made))
    assert exchange_of(capture).response_body.size_bytes == 5000
    assert conversion.not_held == ["response bodies that the HAR does not hold: 1 (first: entry 1)"]


@pytest.mark.parametrize(("wire_bytes", "size_bytes"), [(9, 9), (-1, 11)])
def test_a_body_is_known_to_be_decoded_because_a_har_holds_it_so(
    wire_bytes: int, size_bytes: int, tmp_path: Path
) -> None:
    headers = [{"name": "Content-Encoding", "value": "br"}, {"name": "Vary", "value": "*"}]
    made = entry(response={"headers": headers, "bodySize": wire_bytes})
    exchange = exchange_of(imported(write_har(tmp_path / "one.har", made))[0])
    body = exchange.response_body
    assert exchange.response_headers == ((b"Vary", b"*"),)
    assert (body.data, body.encoding, body.size_bytes, body.is_cut) == (b'{"ok":true}', "br", size_bytes, False)


def test_a_body_out_of_the_cache_is_not_taken_for_that_of_a_304(tmp_path: Path) -> None:
    capture, conversion = imported(write_har(tmp_path / "one.har", entry(response={"status": 304})))
    assert exchange_of(capture).response_body.data == b""
    assert conversion.not_held == ["bodies out of the browser's cache, of answers that carry none: 1 (first: entry 1)"]


@pytest.mark.parametrize(
    ("post", "data"),
    [
        ({"mimeType": "application/json", "text": '{"a":1}'}, b'{"a":1}'),
        ({"mimeType": "a/b", "text": "AAH/", "encoding": "base64"}, b"\x00\x01\xff"),
        (
            {
                "mimeType": "application/x-www-form-urlencoded",
                "params": [{"name": "q r", "value": "a&b"}, {"name": "n", "value": "a%20b"}],
            },
            b"q+r=a%26b&n=a%20b",
        ),
        (
            {"mimeType": "multipart/form-data; boundary=XX", "params": [{"name": "f", "value": "1"}]},
            b'--XX\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n--XX--\r\n',
        ),
        ({"mimeType": "text/plain", "text": "", "params": []}, b""),
        (None, b""),
    ],
)
def test_request_bodies_come_from_text_or_params(post: Any, data: bytes, tmp_path: Path) -> None:
    made = entry(request={"method": "POST", "postData": post})
    assert exchange_of(imported(write_har(tmp_path / "one.har", made))[0]).request_body.data == data


def test_a_body_over_the_limit_is_cut_and_its_size_kept(tmp_path: Path) -> None:
    data = bytes(range(256)) * ((KEPT_BYTES >> 8) + 1000)
    content = {"size": len(data), "mimeType": "a/b", "text": base64.b64encode(data).decode(), "encoding": "base64"}
    capture, conversion = imported(write_har(tmp_path / "one.har", entry(response={"content": content})))
    body = exchange_of(capture).response_body
    assert body.data == data[:KEPT_BYTES]
    assert body.size_bytes == len(data)
    assert conversion.not_held == ["bodies of which only the first 16 MiB are kept: 1 (first: entry 1)"]


def test_a_binary_request_body_of_http_toolkit_is_found(tmp_path: Path) -> None:
    content = {"text": base64.b64encode(b"\x00\xff").decode(), "size": 2, "encoding": "base64"}
    made = entry(request={"method": "POST", "_content": content, "_requestBodyStatus": "discarded:not-representable"})
    assert exchange_of(imported(write_har(tmp_path / "one.har", made))[0]).request_body.data == b"\x00\xff"
