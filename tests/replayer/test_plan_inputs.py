"""Placeholders of redacted credentials become columns, whatever the coding of their place."""

from __future__ import annotations

import pytest

from replayer.plan.inputs import InputSpan, find_inputs
from replayer.plan.records import Codec


@pytest.mark.parametrize(
    ("raw", "is_json", "found"),
    [
        (b'{"p":"{{input.password}}"}', True, InputSpan(6, 24, "password", Codec.JSON_STRING)),
        (b"p=%7B%7Binput.password%7D%7D&x=1", False, InputSpan(2, 28, "password", Codec.PERCENT)),
        (b"Basic {{input.authorization|base64}}", False, InputSpan(6, 36, "authorization", Codec.BASE64)),
        # MessagePack: the head of the string goes with it.
        (b"\x81\xa1p\xb2{{input.password}}", False, InputSpan(3, 22, "password", Codec.MSGPACK_STRING)),
        (b"\x81\xa1p\xb4{{input.pin|number}}", False, InputSpan(3, 24, "pin", Codec.MSGPACK_INT)),
        (b"\x81\xa1p\xd9\x20{{input.%b}}" % (b"p" * 22), False, InputSpan(3, 37, "p" * 22, Codec.MSGPACK_STRING)),
        # A number's placeholder stands in quotes that go with it.
        (b'{"pin":"{{input.pin|number}}"}', True, InputSpan(7, 29, "pin", Codec.RAW)),
    ],
)
def test_placeholders_are_found_in_the_coding_of_their_place(raw: bytes, is_json: bool, found: InputSpan) -> None:
    assert list(find_inputs(raw, is_json=is_json)) == [found]


def test_other_braces_are_left_alone() -> None:
    assert not list(find_inputs(b"{{ template }} input.x {{input.}}", is_json=False))
