"""msgpack values under limits: what came out of a file is decoded here, and checked before it is believed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgpack

from captures.format.container import Flaw

DEPTH_LIMIT = 32


class BlobRef(bytes):
    """Stands for a value in a blob frame: the blake2b-128 of its bytes. In msgpack: extension type 1 of 16 bytes."""

    __slots__ = ()


BLOB_EXT = 1


class ValuePacker:
    """Packs values; belongs to one thread."""

    def __init__(self) -> None:
        self._pack = msgpack.Packer(unicode_errors="surrogateescape").pack

    def pack(self, value: object) -> bytes:
        """One msgpack value."""
        try:
            return cast("bytes", self._pack(value))
        except UnicodeEncodeError:
            # Subtle: surrogateescape covers bytes that were not UTF-8; other lone surrogates are written as in CESU-8.
            return cast("bytes", msgpack.packb(value, unicode_errors="surrogatepass"))


def unpack(data: bytes, limit_bytes: int) -> Any:
    """Decode one msgpack value; arrays become tuples.

    A fresh decoder for each value: after an error a msgpack ``Unpacker`` is in no defined state.

    Raises:
        Flaw: larger than the limit, not msgpack, or nested too deeply for the decoder.
    """
    if len(data) > limit_bytes:
        raise Flaw("value over the size limit")
    try:
        return msgpack.unpackb(
            data, use_list=False, raw=False, strict_map_key=True, unicode_errors="surrogateescape", ext_hook=_extension
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as exc:
        raise Flaw(f"not decodable: {type(exc).__name__}") from exc


def _extension(code: int, data: bytes) -> object:
    return BlobRef(data) if code == BLOB_EXT and len(data) == 16 else msgpack.ExtType(code, data)


_PLAIN = (type(None), bool, int, float, str, bytes)


def check_plain(value: Any, depth: int = 0) -> Any:
    """Return a free-form value (a fact, a note) with lists for tuples, checked for types and depth.

    Raises:
        TypeError: a type that captures do not hold, or a map key that is not text.
        ValueError: nested deeper than ``DEPTH_LIMIT``.
    """
    if isinstance(value, _PLAIN) and not isinstance(value, BlobRef):
        return value
    if depth >= DEPTH_LIMIT:
        raise ValueError(f"nested deeper than {DEPTH_LIMIT}")
    if isinstance(value, Mapping):
        if not all(type(key) is str for key in value):
            raise TypeError("a map in a capture has text keys")
        return {key: check_plain(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [check_plain(item, depth + 1) for item in value]
    raise TypeError(f"a capture holds no {type(value).__name__}")
