"""Values that a machine has drawn, told by their looks alone."""

from __future__ import annotations

import json
import secrets
import string
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from captures.redact.drawn import drawn_strings, is_drawn, may_hold_drawn
from captures.redact.policy_file import load_policy
from captures.redact.redactor import Redactor
from captures.sessions import load_capture
from tests.captures.recording import Tape

TOKEN = "kD83jKs9dkLs02mdkQ2lsX7p"
LETTERS = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (lambda: "".join(secrets.choice(LETTERS) for _ in range(24)), 0.9),
        (lambda: "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(32)), 0.85),
        (lambda: secrets.token_urlsafe(24), 0.9),
        (lambda: secrets.token_hex(16), 1.0),
    ],
    ids=["base 62", "base 36", "base 64 of URLs", "hexadecimal"],
)
def test_tokens_of_every_alphabet_are_known(make: Callable[[], str], least: float) -> None:
    assert sum(is_drawn(make().encode()) for _ in range(400)) >= 400 * least


@pytest.mark.parametrize(
    "value",
    [
        # Ids open nothing, and are what correlation goes by.
        str(uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)),
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "507f1f77bcf86cd799439011",
        "20240131120000123456789",
        # What somebody wrote.
        "us-east-1-production-cluster-2",
        "main.8f3ab2c1.chunk.js",
        "/api/v1/users/12345678901",
        "application/vnd.api+json",
        "2024-01-01T00:00:00.000Z",
        "GoogleChrome120Windows10x64",
        "Content-Security-Policy-Report-Only",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "TLS_AES_128_GCM_SHA256",
    ],
)
def test_ids_times_names_and_paths_are_not_drawn(value: str) -> None:
    assert not is_drawn(value.encode())


def test_the_fast_look_misses_nothing() -> None:
    for value in (TOKEN, secrets.token_urlsafe(30), secrets.token_hex(16)):
        text = json.dumps({"a": [{"p": value}]}).encode()
        assert may_hold_drawn(text)
        ((start, end, key),) = drawn_strings(text)
        assert (text[start:end], key) == (value.encode(), b"p")


def test_a_string_in_a_string_and_one_in_an_array_are_found() -> None:
    text = json.dumps({"a": json.dumps({"p": TOKEN}), "b": [TOKEN]}).encode()
    assert [(text[start:end].decode(), key) for start, end, key in drawn_strings(text)] == [
        (TOKEN, b"p"),
        (TOKEN, None),
    ]


def test_a_token_is_replaced_whatever_its_name_and_the_same_everywhere(tmp_path: Path) -> None:
    with Tape(tmp_path / "a.rush") as tape:
        tape.exchange(json.dumps({"p": TOKEN}).encode(), "application/json", "", is_request=False)
        tape.exchange(f"a=1&t={TOKEN}".encode(), "application/x-www-form-urlencoded", "", is_request=True)
        tape.ask(f"/files/{TOKEN}?x={TOKEN}", **{"x-thing": TOKEN})
        tape.message(json.dumps(["go", TOKEN]).encode(), sender=1)
    answer, form, ask, socket = (
        exchange for session in load_capture(tmp_path / "a.rush").sessions for exchange in session.exchanges
    )
    new = json.loads(answer.response_body.data)["p"]
    assert new != TOKEN and len(new) == len(TOKEN)
    assert form.request_body.data == f"a=1&t={new}".encode()
    assert ask.target == f"/files/{new}?x={new}"
    assert (b"x-thing", new.encode()) in ask.request_headers
    assert socket.socket is not None
    assert json.loads(socket.socket.messages[0].data) == ["go", new]


def test_what_says_that_it_is_an_id_or_a_hash_stays(tmp_path: Path) -> None:
    document = {"client_id": TOKEN, "sha256Hash": "ab" * 32, "orderRef": {"id": TOKEN}, "endCursor": TOKEN[::-1]}
    with Tape(tmp_path / "a.rush") as tape:
        tape.exchange(json.dumps(document).encode(), "application/json", "", is_request=True)
    ((exchange,),) = (session.exchanges for session in load_capture(tmp_path / "a.rush").sessions)
    assert json.loads(exchange.request_body.data) == document


def test_a_name_that_the_policy_keeps_is_kept(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('[keep]\nkeys = ["p"]\n')
    redactor = Redactor(load_policy(policy), bytes(32))
    assert redactor.policy.of_key("p").is_silent is False
    assert redactor.policy.of_key("q").is_silent


def test_a_flood_of_drawn_values_does_not_push_out_what_is_known_for_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captures.redact.known.MAX_VALUES", 50)
    redactor = Redactor(load_policy(None), bytes(32))
    known = redactor.censor.known
    known.learn(b"certain-secret-1", b"certain-standin1")
    for number in range(200):
        known.learn(b"drawn-value-%06d" % number, b"other-value-%06d" % number, is_loose=True)
    assert known.replacement(b"certain-secret-1") == b"certain-standin1"
    assert known.replacement(b"drawn-value-000000") is None


def test_what_is_replaced_where_it_first_stands_is_not_late(tmp_path: Path) -> None:
    with Tape(tmp_path / "a.rush") as tape:
        tape.exchange(json.dumps({"p": TOKEN}).encode(), "application/json", "", is_request=False)
        tape.exchange(b"<p>write to joe.smith@mail.example</p>", "text/html", "", is_request=False)
        tape.message(b'{"p":"%s"}' % TOKEN[::-1].encode(), sender=1)
        redactor = tape.sink._redactor
        assert redactor is not None and redactor.censor.known.replacement(b"joe.smith@mail.example")
        assert redactor.n_late == 0, "the file need not be gone over again"


def test_a_value_that_is_forgotten_takes_no_other_with_it() -> None:
    known = Redactor(load_policy(None), bytes(32)).censor.known
    known.learn(b"common77word/first", b"standin77one/aaaaa")
    known.learn(b"common77word/second", b"standin77two/bbbbbb")
    known.learn(b"common77word/first", b"{{input.first}}")
    text = b"a common77word/first and a common77word/second"
    assert [(text[start:end], new) for start, end, new in known.places(text)] == [
        (b"common77word/first", b"{{input.first}}"),
        (b"common77word/second", b"standin77two/bbbbbb"),
    ]
