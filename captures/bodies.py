"""Bodies as people meant them: content-encodings undone under a hard cap, and the two header look-ups that this needs.

Pure. Knows nothing of files or of what a body means.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from captures.errors import RushhourError
from captures.records import Headers

# More layers than any server applies (RFC 9110 §8.4 allows a list); keeps a hostile header from stacking decoders.
MAX_ENCODINGS = 4
# Source: RFC 9659: the window of a zstd content-encoding is at most 8 MB.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
_STEP_BYTES = 64 * 1024
# Subtle: before 1.2 a brotli decompressor has no limit on its output, and one meta-block (RFC 7932 §9.2, at most 16
# MiB decoded) needs only a few bytes; small input steps keep what a bomb can make in one call near that size.
_BROTLI_STEP_BYTES = 16


class BodyError(RushhourError):
    """A body cannot be decoded: ``BodyError(encoding, problem)``.

    What a target sent is an outcome, not a fault of ours: callers catch this and count it.
    """

    def __init__(self, encoding: str, problem: str) -> None:
        super().__init__(encoding, problem)
        self.encoding = encoding
        self.problem = problem

    def __str__(self) -> str:
        return f"body with content-encoding {self.encoding}: {self.problem}"


def header(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first header called ``name`` (lower case), or None."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def media_type(headers: Headers) -> str:
    """The media type of ``Content-Type`` in lower case without its parameters, or an empty string."""
    value = header(headers, b"content-type") or b""
    return value.partition(b";")[0].strip().lower().decode("ascii", "replace")


def decoded_body(headers: Headers, body: bytes, limit_bytes: int) -> bytes:
    """Undo the content-encodings of ``body``.

    Args:
        headers: of the message that carried the body.
        body: as it was on the wire. Where it was cut short, the decoded part of what is there is returned.
        limit_bytes: hard cap on every decoded layer; memory stays near it whatever the input.

    Raises:
        BodyError: the encoding is unknown, the bytes do not follow it, or the result is larger than the cap.
    """
    encodings = _encodings(headers)
    if len(encodings) > MAX_ENCODINGS:
        raise BodyError(", ".join(encodings), f"more than {MAX_ENCODINGS} encodings")
    for encoding in reversed(encodings):
        body = _decoded_layer(encoding, body, limit_bytes)
    if len(body) > limit_bytes:
        raise BodyError("identity", f"more than {limit_bytes} bytes")
    return body


def _encodings(headers: Headers) -> list[str]:
    values = b",".join(value for key, value in headers if key.lower() == b"content-encoding")
    names = (name.strip().lower().decode("ascii", "replace") for name in values.split(b","))
    return [name for name in names if name not in ("", "identity")]


def _decoded_layer(encoding: str, body: bytes, limit_bytes: int) -> bytes:
    decoder = _DECODERS.get(encoding)
    if decoder is None:
        raise BodyError(encoding, "not an encoding known here")
    parts: list[bytes] = []
    room_bytes = limit_bytes
    try:
        for part in decoder(body):
            parts.append(part)
            room_bytes -= len(part)
            if room_bytes < 0:
                raise BodyError(encoding, f"decodes to more than {limit_bytes} bytes")
    except (zlib.error, brotli.error, zstandard.ZstdError) as exc:
        raise BodyError(encoding, f"corrupt: {exc}") from exc
    return b"".join(parts)


def _gzip(body: bytes) -> Iterator[bytes]:
    while body:
        member = zlib.decompressobj(wbits=31)
        yield from _inflated(member, body)
        # Trailing zeros are padding, as gzip(1) treats them; anything else is the next member (RFC 1952 §2.2).
        body = member.unused_data.lstrip(b"\0")


def _deflate(body: bytes) -> Iterator[bytes]:
    # "deflate" means zlib (RFC 9110 §8.4.1.2), but some servers send bare deflate; the zlib header tells (RFC 1950
    # §2.2).
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    yield from _inflated(zlib.decompressobj(wbits=15 if is_zlib else -15), body)


def _inflated(decoder: zlib._Decompress, body: bytes) -> Iterator[bytes]:
    while body and not decoder.eof:
        yield decoder.decompress(body, _STEP_BYTES)
        body = decoder.unconsumed_tail


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    if hasattr(decoder, "can_accept_more_data"):
        yield decoder.process(body, output_buffer_limit=_STEP_BYTES)
        while not decoder.is_finished() and not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_STEP_BYTES)
        return
    for start in range(0, len(body), _BROTLI_STEP_BYTES):
        yield decoder.process(body[start : start + _BROTLI_STEP_BYTES])


def _zstd(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with decompressor.stream_reader(io.BytesIO(body), read_across_frames=True) as stream:
        while part := stream.read(_STEP_BYTES):
            yield part


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
