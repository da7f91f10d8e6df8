"""Stand-ins: equal for equal values, of the same shape, told from real values, and nothing without the key."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.leaves import claims_of
from captures.redact import detect, known
from captures.redact.detect import form_of, hits, is_random, meets
from captures.redact.policy import Need
from captures.redact.pseudonyms import Form, Pseudonyms, is_stand_in
from captures.redact.shapes import Stream, is_marked, luhn_digit, mod_97, stand_in

KEY = bytes(range(32))
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwiZXhwIjoxNzAwMDAwMDAwLCJyb2xlIjoiYWRtaW4ifQ"
    ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)

# Value · what its stand-in looks like.
SHAPES = [
    (UUID, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}"),
    (UUID.upper(), r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-9[0-9A-F]{3}-[0-9A-F]{12}"),
    ("0123456789abcdef" * 2, r"[0-9a-f]{32}"),
    ("48151623", r"[1-9]\d{7}"),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", r"0[0-9A-HJKMNP-TV-Z]{25}"),
    ("aQ3_x-Z9.kk+/B==", r"[a-z][A-Z]\d_[a-z]-[A-Z]\d\.[a-z]{2}\+/[A-Z]=="),
    ("bob.smith@a-long-domain.example", r"u[a-z0-9]{13}@redacted\.invalid"),
    ("4111 1111 1111 1111", r"4000 00\d\d \d{4} \d{4}"),
    ("DE89370400440532013000", r"ZZ\d{20}"),
    ("203.0.113.7", r"198\.1[89]\.\d{1,3}\.\d{1,3}"),
    ("2001:4860:4860::8888", r"2001:db8::[0-9a-f]{1,4}:[0-9a-f]{1,4}"),
    (JWT, r"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}"),
]

tokens = st.text("abcdefXYZ0189_-./+=", min_size=4, max_size=60).map(str.encode)
anything = st.one_of(tokens, st.binary(min_size=1, max_size=60), st.uuids().map(lambda u: str(u).encode()))


@pytest.mark.parametrize(("value", "shape"), SHAPES)
def test_a_stand_in_has_the_shape_of_its_value(value: str, shape: str) -> None:
    raw = value.encode()
    made = Pseudonyms(KEY).of(raw, form_of(raw))
    assert re.fullmatch(shape, made.decode()), made
    assert len(made) == len(raw) or form_of(raw) is Form.IP
    assert made != raw and is_stand_in(made)


@given(value=anything)
def test_equal_values_have_equal_stand_ins_and_another_key_has_others(value: bytes) -> None:
    made = Pseudonyms(KEY).of(value)
    assert made == Pseudonyms(KEY).of(value)
    assert len(made) == len(value) or value.startswith(b"eyJ")
    n_free = sum(chr(byte).isalnum() and byte < 0x80 for byte in value)
    if n_free >= 16:
        assert made != value
        assert made != Pseudonyms(KEY[::-1]).of(value)


@given(values=st.sets(tokens, max_size=40))
def test_two_values_never_share_a_stand_in(values: set[bytes]) -> None:
    pseudonyms = Pseudonyms(KEY)
    roomy = {value for value in values if sum(chr(byte).isalnum() for byte in value) >= 6}
    assert len({pseudonyms.of(value) for value in roomy}) == len(roomy)


@given(value=tokens)
def test_characters_keep_their_class(value: bytes) -> None:
    made = Pseudonyms(KEY).of(value)
    if re.fullmatch(rb"[0-9a-f]{8,}|[0-9A-F]{8,}|[0-7][0-9A-HJKMNP-TV-Z]{25}", value) or value.startswith(b"eyJ"):
        return
    for before, after in zip(value.decode(), made.decode(), strict=True):
        assert (before.isdigit(), before.islower(), before.isupper()) == (
            after.isdigit(),
            after.islower(),
            after.isupper(),
        )
        assert before.isalnum() or before == after


@settings(max_examples=50)
@given(value=st.text("abcdefghijkABCDEFGHIJK0123456789_-", min_size=16, max_size=64))
def test_real_values_are_hardly_ever_taken_for_stand_ins(value: str) -> None:
    # 50 draws at 1 in 10,000 or rarer: a failure here is a defect, not bad luck.
    assert not is_marked(value.encode())


def test_a_jwt_keeps_what_tells_when_it_ends_and_nothing_of_whom_it_is() -> None:
    head, claims, signature = Pseudonyms(KEY).of(JWT.encode()).split(b".")
    told = json.loads(urlsafe_b64decode(claims + b"=" * (-len(claims) % 4)))
    assert told["exp"] == 1_700_000_000
    assert told["sub"] != "1234567890" and len(told["sub"]) == 10
    assert told["role"] != "admin"
    assert json.loads(urlsafe_b64decode(head + b"=="))["alg"] == "HS256"
    assert signature != JWT.split(".")[2].encode()


def test_the_claims_that_a_page_sends_by_itself_have_the_stand_ins_of_its_token() -> None:
    told = {"sub": UUID, "account_id": 61, "tax_id": 123456789, "name": "bo", "exp": 1_700_000_000}
    part = urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=")
    token = b"eyJhbGciOiJIUzI1NiJ9." + part + b".c2lnbmF0dXJlc2lnbmF0dXJl"
    pseudonyms = Pseudonyms(KEY)
    made = pseudonyms.of(token)
    assert list(pseudonyms.claims_of(token, made)) == [(UUID.encode(), pseudonyms.of(UUID.encode()))]
    claims = claims_of(made.decode())
    assert claims is not None and claims["account_id"] == 61, "the number of a row"
    assert claims["tax_id"] != 123456789 and claims["name"] != "bo"


def test_names_beyond_ascii_are_replaced_too() -> None:
    name = "홍길동 Müller".encode()
    made = Pseudonyms(KEY).of(name)
    assert len(made) == len(name) and is_marked(made)
    assert not set(made.decode()) & set("홍길동ü")


def test_nothing_is_given_out_after_the_key_is_forgotten() -> None:
    pseudonyms = Pseudonyms(KEY)
    pseudonyms.of(b"secret value 1")
    pseudonyms.forget()
    with pytest.raises(ValueError, match="forgotten"):
        pseudonyms.of(b"secret value 1")


def test_check_digits_are_those_of_the_standards() -> None:
    assert luhn_digit(b"7992739871") == b"3"
    assert mod_97(b"370400440532013000DE89") == 1


def test_a_stream_is_the_same_for_the_same_key_and_value() -> None:
    first, second = Stream(KEY, b"v"), Stream(KEY, b"v")
    assert [first.below(36) for _ in range(100)] == [second.below(36) for _ in range(100)]
    assert stand_in(b"abc123abc123", Stream(KEY, b"v")) != stand_in(b"abc123abc123", Stream(KEY, b"v", 1))


# Value · need · whether it meets it.
NEEDS = [
    ("true", Need.ANY, False),
    ("hunter2", Need.ANY, True),
    ("Bearer", Need.NO_WORD, False),
    ("regular", Need.NO_WORD, False),
    ("Invalid token", Need.NO_WORD, False),
    ("https://idp.example/token", Need.NO_WORD, False),
    ("1700000000123", Need.NO_WORD, False),
    ("a1b2c3d4", Need.NO_WORD, True),
    ("camelCaseIdentifier", Need.TOKEN, False),
    ("application.module.name", Need.TOKEN, False),
    ("2024-01-02T10:00:00.000Z", Need.TOKEN, False),
    ("d41d8cd98f00b204e9800998ecf8427e", Need.TOKEN, True),
    ("q8ZkP2nV5xYw3RtA", Need.TOKEN, True),
    ("123456", Need.CODE, True),
    ("12", Need.CODE, False),
    ("1", Need.TYPED, False),
    ("p", Need.TYPED, True),
    ("127.0.0.1", Need.IP, False),
    ("203.0.113.7", Need.IP, True),
]


@pytest.mark.parametrize(("value", "need", "is_met"), NEEDS)
def test_a_name_alone_does_not_make_a_secret(value: str, need: Need, is_met: bool) -> None:
    assert meets(value.encode(), need) is is_met


# Text · what it looks like it holds.
LOOKS = [
    ("order 4111111111111111 paid", ["a card number"]),
    ("order 4111111111111112 paid", []),
    ("price 4111.1111111111111", []),
    ("pay to DE89 3704 0044 0532 0130 00 please", ["an IBAN"]),
    ("DE89 3704 0044 0532 0130 01", []),
    ("call +49 170 1234567 now", ["a phone number"]),
    ("1+1234567890123456789", []),
    ("a@b", []),
    ("me@shop.example, you", ["an email address"]),
    ("https://bob:hunter2@db.example/", ["a password in a URL"]),
    (f"x {JWT} y", ["a JWT"]),
    ("Authorization: Bearer abcdef0123456789", ["a bearer token"]),
    ("curl -H 'Authorization: Basic am9lOmh1bnRlcjJ4OQ=='", ["basic credentials"]),
    ("Basic Authentication and basic training", []),
    ("AKIAIOSFODNN7EXAMPLE", ["an AWS key"]),
    ("/bot123456789:AAF" + "q8ZkP2nV5xYw3RtA" * 2 + "/sendMessage", ["a bot's address"]),
    ("https://hooks.example/services/T0123ABCD/B0123ABCD/q8ZkP2nV5xYw3RtAq8ZkP2nV", ["a webhook"]),
    ("/api/webhooks/123456789012345678/" + "q8ZkP2nV5xYw3RtA" * 4, ["a webhook"]),
    ("-----BEGIN RSA PRIVATE KEY-----\\n" + "MIIEow" * 8 + "\\n-----END RSA PRIVATE KEY-----", ["a private key"]),
]


@pytest.mark.parametrize(("text", "names"), LOOKS)
def test_looks_that_give_a_secret_away(text: str, names: list[str]) -> None:
    assert [hit.name for hit in hits(text.encode())] == names


def test_words_are_not_random() -> None:
    assert not any(is_random(word) for word in (b"internationalization", b"get-user-settings-page", b"/static/app.js"))


def _long(words: list[bytes]) -> list[bytes]:
    """Words that a needle may be filed under."""
    return [word for word in words if len(word) >= known._WORD_BYTES]


@given(text=st.text(alphabet="0123456789 -AZa.\\%", max_size=80).map(str.encode))
def test_the_fast_looks_miss_nothing_that_the_patterns_find(text: bytes) -> None:
    if detect._CARD.search(text):
        assert detect.may_hold_card(text)
    if detect._IBAN.search(text):
        assert detect.may_hold_iban(text)
    assert _long(known._words_of(text)) == _long(known._WORD.findall(text))


@pytest.mark.parametrize("byte", range(256))
def test_a_word_ends_at_the_same_bytes_in_the_fast_way(byte: int) -> None:
    text = b"abcd" + bytes([byte]) + b"1234"
    assert _long(known._words_of(text)) == _long(known._WORD.findall(text))
