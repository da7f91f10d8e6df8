"""permessage-deflate: what a server agreed to, and both streams of one socket, made when first needed. Pure.

An idle socket holds neither. Inflating needs the window that the server chose (32 KiB and 7 KiB of state); deflating
uses a smaller window than the server allows, since 10,000 sockets with zlib's default of 256 KiB would need 2.5 GiB:
what is negotiated is a maximum, and what a browser sends is short (RFC 7692 §7.1.2.2).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from replayer.wire.frames import MESSAGE_TOO_BIG, PROTOCOL_ERROR, Breach

OFFER = b"permessage-deflate; client_max_window_bits"
"""What Chromium and Firefox offer."""

_NAME = "permessage-deflate"
_MAX_BITS = 15
_DEFLATE_BITS = 11
"""Window of 2 KiB; with ``_MEMORY_LEVEL`` 8 KiB + 4 KiB, and 6 KiB of state (zconf.h: (1 << (bits + 2)) + (1 << (level
+ 9)) bytes). 200 messages of 90 bytes come out within 6 % of what zlib's defaults make of them."""
_MEMORY_LEVEL = 3
_MIN_ZLIB_BITS = 9
"""zlib cannot deflate with a window of 256 bytes (zlib issue 94); such a server gets its messages uncompressed."""
_TAIL = b"\x00\x00\xff\xff"
"""The end of a sync flush, which RFC 7692 §7.2.1 leaves out of a message."""
_WINDOW_BYTES = 1 << _MAX_BITS
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_BITS = ("server_max_window_bits", "client_max_window_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateTerms:
    """What was negotiated; bits are base-2 logarithms of windows in bytes, 8 to 15."""

    server_bits: int = _MAX_BITS
    client_bits: int = _MAX_BITS
    server_keeps_context: bool = True
    client_keeps_context: bool = True


def terms_from(header: str) -> DeflateTerms:
    """Return the terms of a server's ``Sec-WebSocket-Extensions`` header, all of its lines joined by commas.

    Raises:
        Breach: it is not one acceptable answer to ``OFFER`` (RFC 7692 §7.1).
    """
    name, *parameters = (part.strip() for part in header.split(";"))
    if name.lower() != _NAME:
        raise Breach(PROTOCOL_ERROR, f"an extension that was not offered: {name[:100]}")
    seen: dict[str, str] = {}
    for parameter in parameters:
        key, _, value = (part.strip() for part in parameter.partition("="))
        if key in seen:
            raise Breach(PROTOCOL_ERROR, f"{key} twice")
        seen[key] = _checked(key, value.strip('"'), has_value="=" in parameter)
    return DeflateTerms(
        server_bits=int(seen.get(_BITS[0], _MAX_BITS)),
        client_bits=int(seen.get(_BITS[1], _MAX_BITS)),
        server_keeps_context=_FLAGS[0] not in seen,
        client_keeps_context=_FLAGS[1] not in seen,
    )


def _checked(key: str, value: str, *, has_value: bool) -> str:
    is_flag = key in _FLAGS and not has_value
    is_bits = key in _BITS and value in ("8", "9", "10", "11", "12", "13", "14", "15")
    if not is_flag and not is_bits:
        raise Breach(PROTOCOL_ERROR, f"an extension parameter that has no such value: {key[:100]}")
    return value


class DeflateStreams:
    """Both directions of one socket.

    Args:
        terms: what was negotiated.
        max_bytes: of one inflated message.
    """

    __slots__ = ("_deflater", "_inflater", "_max_bytes", "_terms")

    def __init__(self, terms: DeflateTerms, max_bytes: int) -> None:
        self._terms = terms
        self._max_bytes = max_bytes
        self._inflater: Any = None
        self._deflater: Any = None

    def inflate(self, data: bytes) -> bytes:
        """Return the message that came as ``data``.

        Raises:
            Breach: it is no deflated data, or it is larger than may be; what was inflated until then is bounded.
        """
        inflater = self._inflater
        if inflater is None:
            inflater = zlib.decompressobj(-self._terms.server_bits)
        try:
            message: bytes = inflater.decompress(data + _TAIL, self._max_bytes + 1)
            if inflater.eof or len(message) > self._max_bytes:
                message, inflater = self._inflate_on(inflater, message)
        except zlib.error:
            raise Breach(PROTOCOL_ERROR, "data that cannot be inflated") from None
        self._inflater = inflater if self._terms.server_keeps_context else None
        return message

    def _inflate_on(self, inflater: Any, message: bytes) -> tuple[bytes, Any]:
        """Refuse what is too large; go on behind a final block, which a server may send (RFC 7692 §7.2.3.4)."""
        while len(message) <= self._max_bytes and inflater.eof:
            rest = inflater.unused_data if inflater.unused_data != _TAIL else b""
            # Subtle: zlib ends with a final block; its window, as far as this message filled it, is given to the next.
            inflater = zlib.decompressobj(-self._terms.server_bits, zdict=message[-_WINDOW_BYTES:])
            message += inflater.decompress(rest, self._max_bytes + 1 - len(message))
        if len(message) > self._max_bytes:
            raise Breach(MESSAGE_TOO_BIG, f"a message that inflates to more than {self._max_bytes} bytes")
        return message, inflater

    def deflate(self, data: bytes) -> bytes | None:
        """Return ``data`` deflated, or None where it has to go as it is."""
        terms = self._terms
        if not data or terms.client_bits < _MIN_ZLIB_BITS:
            return None
        deflater = self._deflater
        if deflater is None:
            bits = min(terms.client_bits, _DEFLATE_BITS)
            deflater = zlib.compressobj(wbits=-bits, memLevel=_MEMORY_LEVEL)
            if terms.client_keeps_context:
                self._deflater = deflater
        deflated: bytes = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return deflated[: -len(_TAIL)]
