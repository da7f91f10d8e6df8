"""Playwright puts bodies and messages into files, or all of it into one archive."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from captures.convert.json_stream import WHOLE_CHARS
from captures.records import Peer
from captures.units import NS_PER_MS
from tests.captures.convert_samples.hars import STARTED_NS, entry, message, write_har
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

_MS = NS_PER_MS


def test_why_playwright_says_a_request_failed_is_kept(tmp_path: Path) -> None:
    failed = {"status": -1, "statusText": "", "_failureText": "net::ERR_CONNECTION_REFUSED"}
    broken = {"_failureText": "net::ERR_ABORTED"}
    entries = [entry(response=response) for response in (failed, broken)]
    no_socket = entry("wss://shop.example/live", response=failed)
    found = exchanges_of(imported(write_har(tmp_path / "one.har", *entries, no_socket, creator="Playwright"))[0])
    assert [exchange.error for exchange in found] == [
        "net::ERR_CONNECTION_REFUSED",
        "net::ERR_ABORTED",
        "net::ERR_CONNECTION_REFUSED (status 0)",
    ]


def test_bodies_that_playwright_put_into_files_are_found_by_hash_and_no_other_file_is(tmp_path: Path) -> None:
    data = b"<p>attached</p>"
    name = f"{hashlib.sha1(data).hexdigest()}.html"
    (tmp_path / name).write_bytes(data)
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    good = entry("https://shop.example/1", response={"content": {"mimeType": "text/html", "_file": name}})
    bad = [
        entry("https://shop.example/2", response={"content": {"mimeType": "text/html", "_file": other}})
        for other in ("secret.txt", "../secret.txt", "/etc/passwd", "0" * 40)
    ]
    capture, conversion = imported(write_har(tmp_path / "one.har", good, *bad))
    assert [exchange.response_body.data for exchange in exchanges_of(capture)] == [data, b"", b"", b"", b""]
    assert any(sentence.startswith("bodies in other files: 3") for sentence in conversion.not_held)
    assert any("cannot be read: 1" in sentence for sentence in conversion.not_held)


@pytest.mark.parametrize("text", [{}, {"text": ""}])
def test_request_bodies_that_playwright_put_into_files_are_found(text: dict[str, str], tmp_path: Path) -> None:
    data = b'{"user":"ada"}'
    name = f"{hashlib.sha1(data).hexdigest()}.json"
    (tmp_path / name).write_bytes(data)
    post = {"mimeType": "application/json", "params": [], "_file": name, **text}
    capture, conversion = imported(write_har(tmp_path / "one.har", entry(request={"method": "POST", "postData": post})))
    assert exchange_of(capture).request_body.data == data
    assert conversion.not_held == []


def test_messages_that_playwright_put_into_a_file_are_found(tmp_path: Path) -> None:
    name = f"{'0a' * 16}.jsonl"
    good = [{"type": "send", "time": STARTED_NS / 1e6 + 5, "opcode": 1, "data": "hi"}, message(1, "there")]
    lines = [json.dumps(good[0]), "no JSON", f'"{"x" * WHOLE_CHARS}"', "[" * 100_000, json.dumps(good[1])]
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    attached = {"status": 101, "content": {"mimeType": "x-unknown", "size": -1, "_file": name}}
    missing = {"status": 101, "content": {"_file": f"{'0b' * 16}.jsonl"}}
    entries = [entry("wss://shop.example/ws", response=response) for response in (attached, missing)]
    capture, conversion = imported(write_har(tmp_path / "one.har", *entries))
    found, other = (exchange.socket for exchange in exchanges_of(capture))
    assert found is not None
    assert [(item.sender, item.data) for item in found.messages] == [(Peer.CLIENT, b"hi"), (Peer.SERVER, b"there")]
    assert other is not None
    assert other.messages == []
    assert any(sentence.startswith("messages left out: 3") for sentence in conversion.not_held)
    assert any(sentence.startswith("messages in files that cannot be read: 1") for sentence in conversion.not_held)
