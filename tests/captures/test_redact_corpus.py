"""Nothing planted reaches the disk: through the process's own sink, in every class, place and encoding."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from captures.format.reader import open_capture
from captures.redact.policy import Policy
from captures.redact.scan import scan, told
from tests.captures.planted import CLASSES, ENCODINGS, Planted, bodies, codings, messages, written
from tests.captures.recording import Tape

_BEGINNING = 6
_HASH_BYTES = 16


class Corpus:
    """Plants secrets and remembers where."""

    def __init__(self, tape: Tape) -> None:
        self.planted: list[Planted] = []
        self._tape = tape

    def plant(self, klass: str, place: str, *, key: str = "") -> tuple[str, str]:
        """Make a secret; return its name and value."""
        name, make, _ = CLASSES[klass]
        value = make()
        self.planted.append(Planted(klass=klass, place=place, key=key or name, value=value))
        return key or name, value


def _keys(klass: str) -> Iterator[str]:
    """The name that tells, and one that tells nothing where looks are enough."""
    yield ""
    if CLASSES[klass][2]:
        yield "remark"


def _plant_bodies(corpus: Corpus, tape: Tape, klass: str, key: str) -> None:
    for place in bodies("k", "v"):
        for encoding, encode in ENCODINGS.items():
            for side in ("request", "response"):
                name, value = corpus.plant(klass, f"{side} {place} {encoding}", key=key)
                content_type, text = bodies(name, value)[place]
                n_pieces = 1 if place == "gzip of its own" else 3
                tape.exchange(encode(text), content_type, encoding, is_request=side == "request", n_pieces=n_pieces)


def _plant_heads(corpus: Corpus, tape: Tape, klass: str, key: str) -> None:
    places = (
        *("query", "query in a query", "document in a query", "location", "referer", "fragment of a referer"),
        *("fragment", "cookie", "json cookie", "set-cookie", "header", "bearer"),
    )
    for place in places:
        name, value = corpus.plant(klass, place, key=key)
        coded = quote(value, safe="")
        url = f"/cb?x=1&{name}={coded}"
        match place:
            case "query":
                tape.ask(url)
            case "location" | "referer":
                tape.ask("/", **{place: f"https://shop.example{url}"})
            case "fragment":
                tape.ask("/", location=f"https://shop.example/#{name}={coded}&type=x")
            case "cookie":
                tape.ask("/", cookie=f"theme=dark; {name}={coded}; lang=en")
            case "set-cookie":
                tape.ask("/", **{"set-cookie": f"{name}={coded}; Path=/; HttpOnly; SameSite=Lax"})
            case "header":
                tape.ask("/", **{f"x-{name.replace('_', '-')}": value})
            case "bearer":
                tape.ask("/", authorization=f"Bearer {coded}")
            case "query in a query":
                tape.ask(f"/login?next={quote(url, safe='')}")
            case "document in a query":
                tape.ask(f"/graphql?variables={quote(json.dumps({'input': {name: value}}))}")
            case "fragment of a referer":
                tape.ask("/", referer=f"https://shop.example/#{name}={coded}")
            case "json cookie":
                tape.ask("/", cookie="state=" + quote(json.dumps({name: value})))


def _plant_messages(corpus: Corpus, tape: Tape, klass: str, key: str) -> None:
    for place in messages("k", "v"):
        for sender in (1, 2):
            name, value = corpus.plant(klass, f"{place} {sender}", key=key)
            data = messages(name, value)[place]
            tape.message(data, sender=sender, opcode=1 if data.isascii() and b"\0\0" not in data else 2)


def _plant_streams(corpus: Corpus, tape: Tape, klass: str, key: str) -> None:
    name, value = corpus.plant(klass, "sse", key=key)
    _, document = bodies(name, value)["json"]
    tape.exchange(b"event: x\ndata: " + document + b"\n\n", "text/event-stream", "", is_request=False, n_pieces=7)


def _plant_known(corpus: Corpus, tape: Tape, klass: str) -> None:
    """Once known, it is known in places that tell nothing, in every coding, and inside other values."""
    name, value = corpus.plant(klass, "known")
    tape.exchange(bodies(name, value)["json"][1], "application/json", "", is_request=False)
    for text in codings(value):
        tape.exchange(b"<p>" + text + b"</p>", "text/html", "gzip", is_request=False, is_encoded=False)
        tape.message(b'{"a":"' + text + b'"}' if b'"' not in text else text, sender=2)
    tape.ask(f"/orders/{quote(value, safe='')}/items")
    tape.exchange(b"\x01\x02\x00" + value.encode() + b"\x00\x03", "application/x-protobuf", "", is_request=False)
    tape.error(f"cannot find {value}")
    tape.close_socket(f"bye {value}"[:100])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Planted]]:
    """The corpus, recorded."""
    path = tmp_path_factory.mktemp("corpus") / "planted.rush"
    with Tape(path) as tape:
        corpus = Corpus(tape)
        for klass in CLASSES:
            for key in _keys(klass):
                _plant_bodies(corpus, tape, klass, key)
                _plant_heads(corpus, tape, klass, key)
                _plant_messages(corpus, tape, klass, key)
                _plant_streams(corpus, tape, klass, key)
            _plant_known(corpus, tape, klass)
    return path, corpus.planted


def everything_in(path: Path) -> bytes:
    """The bytes of a capture, and all that is compressed in it."""
    data = [path.read_bytes()]
    with open_capture(path) as reader:
        for event in reader.events():
            for value in event.fields.values():
                data += [value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")]
                data += [unpacked(value)] if isinstance(value, bytes) else []
        data.append(repr(reader.header).encode())
        data.append(repr(reader.index().notes).encode())
    return b"\n".join(data)


def unpacked(data: bytes) -> bytes:
    """What an application packed by itself; the hashes of bodies are shorter, and may begin like anything."""
    if len(data) <= _HASH_BYTES:
        return b""
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    return zlib.decompress(data) if data.startswith(b"x\x9c") else b""


def test_no_planted_secret_is_in_the_file(recorded: tuple[Path, list[Planted]]) -> None:
    path, planted = recorded
    data = everything_in(path)
    # Where a text does not even begin, it needs no looking for: that is all the same, and ten times as fast.
    beginnings = {data[at : at + _BEGINNING] for at in range(len(data))}
    found = [
        secret
        for secret in planted
        if any(
            (len(text) < _BEGINNING or text[:_BEGINNING] in beginnings) and text in data
            for text in written(secret.value)
        )
    ]
    places = sorted({(secret.klass, secret.place, secret.key) for secret in found})
    assert not places, f"{len(found)} of {len(planted)}: {places[:40]}"
    assert len(planted) > 2_000


def test_the_search_finds_what_is_there(recorded: tuple[Path, list[Planted]]) -> None:
    data = everything_in(recorded[0])
    assert b"{{input.password}}" in data and b"theme=dark" in data and b"lang=en" in data, "it is decoded"


def test_a_scan_of_the_corpus_is_clean(recorded: tuple[Path, list[Planted]]) -> None:
    with open_capture(recorded[0]) as reader:
        result = scan(reader, Policy())
    assert not result.leftovers, "\n".join(told(result))
    assert result.is_redacted


def test_the_capture_tells_how_it_was_redacted_and_no_key(recorded: tuple[Path, list[Planted]]) -> None:
    with open_capture(recorded[0]) as reader:
        told = reader.header["redaction"]
        (note,) = [note.value for note in reader.index().notes if note.name == "redaction"]
        assert reader.complete
    assert isinstance(told, dict) and set(told) == {"policy", "policy_hash", "key_id"}
    assert isinstance(note, dict) and set(note["counts"]) == {"secret", "credential", "personal"}
    assert "password" in note["columns"]


def test_the_names_of_the_inputs_stand_beside_the_capture(recorded: tuple[Path, list[Planted]]) -> None:
    path = recorded[0].with_name(recorded[0].name + ".identities.csv")
    assert "password" in path.read_text().strip().split(",")
    assert len(path.read_text().splitlines()) == 1
    assert os.stat(path).st_mode & 0o777 == 0o600
