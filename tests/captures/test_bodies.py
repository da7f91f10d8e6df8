"""Content-encodings are undone under a hard cap."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from captures.bodies import BodyError, decoded_body, header, media_type

TEXT = b'{"quotes": [1, 2, 3], "name": "market"}' * 200
LIMIT = 1_000_000


def raw_deflate(data: bytes) -> bytes:
    """Deflate without the zlib header, as some servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def compress_zstd(data: bytes) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": compress_zstd,
}


def encoded_as(encoding: str) -> tuple[tuple[bytes, bytes], ...]:
    """Headers of a body with this encoding."""
    return ((b"Content-Type", b"text/plain"), (b"Content-Encoding", encoding.encode()))


@pytest.mark.parametrize("encoding", ENCODERS)
def test_each_encoding_is_undone(encoding: str) -> None:
    assert decoded_body(encoded_as(encoding.upper()), ENCODERS[encoding](TEXT), LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ENCODERS)
def test_an_empty_body_is_empty_whatever_its_encoding(encoding: str) -> None:
    assert decoded_body(encoded_as(encoding), b"", LIMIT) == b""


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_body_cut_short_gives_what_is_there(encoding: str) -> None:
    data = bytes(range(256)) * 4000
    packed = ENCODERS[encoding](data)
    part = decoded_body(encoded_as(encoding), packed[: len(packed) * 3 // 4], 2_000_000)
    assert data.startswith(part)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_stops_at_the_limit(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(64 * 1024 * 1024))
    with pytest.raises(BodyError, match="more than 1000000 bytes"):
        decoded_body(encoded_as(encoding), bomb, LIMIT)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_body_of_exactly_the_limit_passes(encoding: str) -> None:
    packed = ENCODERS[encoding](TEXT)
    assert decoded_body(encoded_as(encoding), packed, len(TEXT)) == TEXT
    with pytest.raises(BodyError):
        decoded_body(encoded_as(encoding), packed, len(TEXT) - 1)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_corrupt_bytes_are_an_error_of_ours(encoding: str) -> None:
    with pytest.raises(BodyError, match=encoding):
        decoded_body(encoded_as(encoding), b"\xff\xffnothing of the kind\xff" * 9, LIMIT)


def test_deflate_without_a_zlib_header_is_understood() -> None:
    assert decoded_body(encoded_as("deflate"), raw_deflate(TEXT), LIMIT) == TEXT


def test_several_members_of_gzip_and_zstd_are_one_body() -> None:
    assert decoded_body(encoded_as("gzip"), gzip.compress(b"one") + gzip.compress(b"two") + b"\0\0", LIMIT) == b"onetwo"
    assert decoded_body(encoded_as("zstd"), compress_zstd(b"one") + compress_zstd(b"two"), LIMIT) == b"onetwo"


def test_encodings_are_undone_in_reverse_order_over_several_headers() -> None:
    headers = ((b"content-encoding", b"gzip, identity"), (b"Content-Encoding", b"br"))
    assert decoded_body(headers, brotli.compress(gzip.compress(TEXT)), LIMIT) == TEXT


def test_a_stack_of_encodings_is_refused() -> None:
    with pytest.raises(BodyError, match="more than 4 encodings"):
        decoded_body(encoded_as(",".join(["gzip"] * 5)), b"", LIMIT)


def test_an_unknown_encoding_is_refused_by_name() -> None:
    with pytest.raises(BodyError, match="content-encoding lzma"):
        decoded_body(encoded_as("lzma"), b"x", LIMIT)


def test_a_body_without_encoding_is_itself_up_to_the_limit() -> None:
    assert decoded_body((), TEXT, LIMIT) == TEXT
    with pytest.raises(BodyError, match="more than 5 bytes"):
        decoded_body((), TEXT, 5)


def test_headers_are_looked_up_without_regard_to_case() -> None:
    headers = ((b"X-A", b"1"), (b"Content-TYPE", b" Application/JSON ; charset=utf-8"), (b"x-a", b"2"))
    assert header(headers, b"x-a") == b"1"
    assert header(headers, b"missing") is None
    assert media_type(headers) == "application/json"
    assert media_type(()) == ""
