"""HPACK against the ``hpack`` library, the examples of RFC 7541, and blocks that mean harm."""

from __future__ import annotations

import pytest
from hpack import Decoder as LibraryDecoder
from hpack import Encoder as LibraryEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.wire import hpack
from replayer.wire.hpack import Decoder, HeadersTooLarge, HpackError, encode_field, encode_integer, scan
from replayer.wire.hpack_huffman import HuffmanError, code_words, decode_huffman

NAMES = st.one_of(
    st.sampled_from([name for name, _ in hpack.STATIC]),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=30).map(str.encode),
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=20)
ROOMY = 1 << 20


def decoder() -> Decoder:
    return Decoder(max_list_bytes=ROOMY)


def test_code_of_strings_is_the_librarys() -> None:
    words = [code_words()[symbol] for symbol in range(257)]
    assert words == list(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True))


def test_static_table_is_the_librarys() -> None:
    library = LibraryEncoder().header_table.STATIC_TABLE
    assert [tuple(entry) for entry in library] == list(hpack.STATIC)


@pytest.mark.parametrize(
    ("value", "bits", "encoded"),
    [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00"), (127, 7, "7f00")],  # RFC 7541 C.1
)
def test_integers_are_those_of_the_rfc(value: int, bits: int, encoded: str) -> None:
    assert encode_integer(value, bits).hex() == encoded


@given(FIELDS)
def test_what_we_write_the_library_reads_and_keeps_nothing_of(fields: list[tuple[bytes, bytes]]) -> None:
    library = LibraryDecoder()
    read = library.decode(b"".join(encode_field(*field) for field in fields), raw=True)
    assert [tuple(field) for field in read] == fields
    assert not library.header_table.dynamic_entries


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([0, 64, 512, 4096])), min_size=1, max_size=6))
def test_what_the_library_writes_we_read_block_after_block(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int]],
) -> None:
    library, ours = LibraryEncoder(), decoder()
    for fields, huffman, table_bytes in blocks:
        library.header_table_size = table_bytes
        assert ours.decode(library.encode(fields, huffman=huffman)) == fields


@given(FIELDS, st.booleans())
def test_scan_finds_the_wanted_fields_and_no_others(fields: list[tuple[bytes, bytes]], huffman: bool) -> None:
    library = LibraryEncoder()
    library.header_table_size = 0
    wanted = {b":status", b"set-cookie", b"etag"}
    block = library.encode(fields, huffman=huffman)
    assert scan(block, wanted, max_list_bytes=ROOMY) == [field for field in fields if field[0] in wanted]


@given(st.binary(max_size=60))
@settings(max_examples=400)
def test_any_bytes_are_a_block_for_both_or_for_neither(block: bytes) -> None:
    try:
        fields: list[tuple[bytes, bytes]] | None = [(f[0], f[1]) for f in LibraryDecoder().decode(block, raw=True)]
    except Exception:  # The library raises what its parts raise.
        fields = None
    try:
        ours: list[tuple[bytes, bytes]] | None = decoder().decode(block)
    except HpackError:
        ours = None
    assert ours == fields


@given(st.binary(max_size=60))
def test_scan_of_any_bytes_ends_in_fields_or_in_its_error(block: bytes) -> None:
    try:
        scan(block, {b":status"}, max_list_bytes=ROOMY)
    except HpackError:
        pass


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("80", "there is no field 0"),
        ("be", "there is no field 62"),  # The first of a table that is empty.
        ("0005", "a block ends|a string ends"),
        ("00", "a block ends inside a field"),
        ("ff8080808080808001", "an integer is too long"),
        ("8820", "a table changes its size inside a block"),
        ("3fe21f", "a table of 4097 bytes"),
        ("008162ff81ff", "string"),  # Padding that is a whole symbol's worth of ones.
    ],
)
def test_broken_blocks_are_told(block: str, why: str) -> None:
    with pytest.raises(HpackError, match=why):
        decoder().decode(bytes.fromhex(block))


@pytest.mark.parametrize("padding", [b"\xff", b"\xff\xff\xff\xff", b"\x1e", b"\x19\xff\xff"])
def test_strings_may_be_padded_with_seven_ones_and_no_more(padding: bytes) -> None:
    assert decode_huffman(b"\x1f") == b"a"
    with pytest.raises(HuffmanError):
        decode_huffman(padding)


def test_small_block_that_repeats_a_large_entry_is_stopped() -> None:
    bomb = encode_bomb(4000, times=5000)
    with pytest.raises(HeadersTooLarge):
        Decoder(max_list_bytes=256 * 1024).decode(bomb)


def encode_bomb(n_bytes: int, *, times: int) -> bytes:
    """Put one large field into the table and name it again and again, a byte each."""
    field = b"\x40" + encode_integer(1, 7) + b"x" + encode_integer(n_bytes, 7) + b"y" * n_bytes
    return field + b"\xbe" * times


@pytest.mark.parametrize("block", [b"\x88" * 10_000, encode_field(b"x", b"y" * 300_000)])
def test_scan_bounds_the_list_too(block: bytes) -> None:
    with pytest.raises(HeadersTooLarge):
        scan(block, {b":status"}, max_list_bytes=256 * 1024)


def test_credentials_are_never_indexed_and_known_fields_are_one_byte() -> None:
    assert encode_field(b"cookie", b"a=1")[0] & 0xF0 == 0x10
    assert encode_field(b"accept", b"*/*")[0] & 0xF0 == 0x00
    assert encode_field(b":method", b"GET") == b"\x82"
    assert encode_field(b"accept-encoding", b"gzip, deflate") == b"\x90"
