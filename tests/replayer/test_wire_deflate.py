"""permessage-deflate: what may be agreed to, and both streams, against the library's and against bombs."""

from __future__ import annotations

import tracemalloc
import zlib
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from replayer.wire.deflate import DeflateStreams, DeflateTerms, terms_from
from replayer.wire.frames import Breach

MAX = 1 << 20


@pytest.mark.parametrize(
    ("header", "terms"),
    [
        ("permessage-deflate", DeflateTerms()),
        ("Permessage-Deflate ; server_no_context_takeover", DeflateTerms(server_keeps_context=False)),
        ("permessage-deflate; client_no_context_takeover", DeflateTerms(client_keeps_context=False)),
        ("permessage-deflate; server_max_window_bits=10", DeflateTerms(server_bits=10)),
        ('permessage-deflate; client_max_window_bits="8"', DeflateTerms(client_bits=8)),
        (
            "permessage-deflate;server_no_context_takeover;client_no_context_takeover;server_max_window_bits=8",
            DeflateTerms(server_keeps_context=False, client_keeps_context=False, server_bits=8),
        ),
    ],
)
def test_terms_are_read_as_the_server_states_them(header: str, terms: DeflateTerms) -> None:
    assert terms_from(header) == terms


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate",  # two where one was offered
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits",  # only an offer may leave out the value
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; mystery",
    ],
)
def test_terms_that_were_not_offered_or_mean_nothing_are_a_breach(header: str) -> None:
    with pytest.raises(Breach) as raised:
        terms_from(header)
    assert raised.value.code == 1002


def library(terms: DeflateTerms) -> PerMessageDeflate:
    """Return the extension as a server of the ``websockets`` library has it."""
    return PerMessageDeflate(
        remote_no_context_takeover=not terms.client_keeps_context,
        local_no_context_takeover=not terms.server_keeps_context,
        remote_max_window_bits=terms.client_bits,
        local_max_window_bits=terms.server_bits,
    )


MATRIX = [
    DeflateTerms(server_bits=s, client_bits=c, server_keeps_context=sk, client_keeps_context=ck)
    for s, c, sk, ck in product((9, 12, 15), (9, 12, 15), (True, False), (True, False))
]
MESSAGES = [b"x", b'{"type":"tick"}' * 3, b'{"type":"tick"}' * 3, b"", bytes(range(256)) * 300, b'{"type":"tick"}']


@pytest.mark.parametrize("terms", MATRIX, ids=str)
def test_messages_go_both_ways_under_all_terms(terms: DeflateTerms) -> None:
    ours, theirs = DeflateStreams(terms, MAX), library(terms)
    for message in MESSAGES:
        sent = ours.deflate(message)
        if sent is None:
            assert message == b""
        else:
            assert bytes(theirs.decode(Frame(Opcode.BINARY, sent, rsv1=True)).data) == message
        if message:  # The library cannot deflate an empty message after another.
            assert ours.inflate(bytes(theirs.encode(Frame(Opcode.BINARY, message)).data)) == message


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=6), st.sampled_from(MATRIX))
def test_any_messages_survive_the_way_there_and_back(messages: list[bytes], terms: DeflateTerms) -> None:
    ours, theirs = DeflateStreams(terms, MAX), library(terms)
    for message in filter(None, messages):
        sent = ours.deflate(message)
        assert sent is not None
        assert bytes(theirs.decode(Frame(Opcode.BINARY, sent, rsv1=True)).data) == message
        assert ours.inflate(bytes(theirs.encode(Frame(Opcode.BINARY, message)).data)) == message


def test_server_whose_window_zlib_cannot_make_gets_its_messages_as_they_are() -> None:
    assert DeflateStreams(DeflateTerms(client_bits=8), MAX).deflate(b"x" * 100) is None


def test_context_makes_a_repeated_message_small_only_where_it_is_kept() -> None:
    message = bytes(range(256))
    kept = DeflateStreams(DeflateTerms(), MAX)
    fresh = DeflateStreams(DeflateTerms(client_keeps_context=False), MAX)
    assert len(kept.deflate(message) or b"") > 20 * len(kept.deflate(message) or b"")
    assert fresh.deflate(message) == fresh.deflate(message)


def deflated(data: bytes, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush(mode)


# RFC 7692 §7.2.3, "Hello" in every form that it shows.
@pytest.mark.parametrize(
    "payload",
    [
        bytes.fromhex("f248cdc9c90700"),  # one block
        bytes.fromhex("000500faff48656c6c6f00"),  # no compression
        bytes.fromhex("f348cdc9c9070000"),  # a final block
        bytes.fromhex("f348cdc9c90700"),  # a final block, and nothing behind it
        bytes.fromhex("f24805000000ffffcac9c90700"),  # two blocks
    ],
)
def test_examples_of_the_standard_are_read_and_leave_the_stream_usable(payload: bytes) -> None:
    streams = DeflateStreams(DeflateTerms(), MAX)
    assert streams.inflate(payload) == b"Hello"
    assert streams.inflate(bytes.fromhex("f248cdc9c90700")) == b"Hello"


def test_message_behind_a_final_block_may_refer_to_it() -> None:
    streams = DeflateStreams(DeflateTerms(), MAX)
    assert streams.inflate(bytes.fromhex("f348cdc9c9070000")) == b"Hello"
    assert streams.inflate(bytes.fromhex("f200110000")) == b"Hello"  # §7.2.3.2: the second of two, by reference


@pytest.mark.parametrize("ends", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
def test_bomb_is_refused_before_it_is_inflated(ends: int) -> None:
    bomb = deflated(bytes(16 * MAX), ends)
    streams = DeflateStreams(DeflateTerms(), MAX)
    tracemalloc.start()
    try:
        with pytest.raises(Breach) as raised:
            streams.inflate(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX
    finally:
        tracemalloc.stop()
    assert raised.value.code == 1009


def test_message_of_just_the_limit_is_let_through() -> None:
    streams = DeflateStreams(DeflateTerms(), MAX)
    assert len(streams.inflate(deflated(bytes(MAX))[:-4])) == MAX
    with pytest.raises(Breach):
        streams.inflate(deflated(bytes(MAX + 1))[:-4])


def test_bomb_of_many_final_blocks_is_refused_too() -> None:
    with pytest.raises(Breach) as raised:
        DeflateStreams(DeflateTerms(), MAX).inflate(deflated(bytes(MAX // 2), zlib.Z_FINISH) * 3)
    assert raised.value.code == 1009


def test_noise_that_is_no_deflated_data_is_a_breach() -> None:
    with pytest.raises(Breach) as raised:
        DeflateStreams(DeflateTerms(), MAX).inflate(b"\xff\xfe\xfd\xfc")
    assert raised.value.code == 1002


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_noise_is_a_message_or_a_breach(noise: bytes) -> None:
    try:
        assert isinstance(DeflateStreams(DeflateTerms(), MAX).inflate(noise), bytes)
    except Breach as breach:
        assert breach.code in (1002, 1009)
