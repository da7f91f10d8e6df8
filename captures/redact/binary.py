"""Redacts what is no plain text: compressed without saying so, UTF-16, MessagePack, kernel messages, bytes with text.

What could be taken apart is put together again the same way. Among other bytes a stand-in has the length of what it
stands for, for a length that is not known here may stand before it. Pure.
"""

from __future__ import annotations

import codecs
import gzip
import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import zstandard

from captures.bodies import BodyError, decoded_body
from captures.envelopes import jupyter_framed, jupyter_parts
from captures.leaves import json_leaves
from captures.msgpack_leaves import msgpack_leaves
from captures.redact.held import is_text
from captures.redact.prose import Prose
from captures.redact.structure import Structure

UNPACKED_LIMIT_BYTES = 64 << 20
_MAX_DOCUMENT_BYTES = 4 << 20
"""A document in MessagePack is taken apart up to this size."""


class _Packing(NamedTuple):
    """A compression that applications use by themselves: how it begins, its name, how it is made."""

    magic: bytes
    name: bytes
    pack: Callable[[bytes], bytes]


_PACKINGS = (
    _Packing(b"\x1f\x8b\x08", b"gzip", lambda data: gzip.compress(data, mtime=0)),
    _Packing(b"\x28\xb5\x2f\xfd", b"zstd", lambda data: zstandard.ZstdCompressor().compress(data)),
    *(_Packing(bytes((0x78, flags)), b"deflate", zlib.compress) for flags in (0x01, 0x5E, 0x9C, 0xDA)),
)
_MAGICS = (*(packing.magic for packing in _PACKINGS), codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_JSON_BEGINS = re.compile(rb"\{\s*\"|\[\s*[\[{\"]")
_MAX_PREFIX_BYTES = 66
_MAPS_AND_ARRAYS = frozenset((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))


def is_packed(data: bytes) -> bool:
    """Tell whether a body is something else than the text that its type promises."""
    return data.startswith(_MAGICS) or _is_messagepack(data)


def _is_messagepack(data: bytes) -> bool:
    """No text in UTF-8 begins like most of its documents; the rest is told by whether it can be read."""
    if not data or data[0] not in _MAPS_AND_ARRAYS or len(data) > _MAX_DOCUMENT_BYTES:
        return False
    try:
        msgpack_leaves(data)
    except (ValueError, RecursionError):
        return False
    return True


class BinaryRedactor:
    """Redacts bodies and messages that are no text."""

    def __init__(self, prose: Prose, structure: Structure) -> None:
        self._prose = prose
        self._structure = structure

    def redacted(self, data: bytes, content_type: bytes = b"") -> bytes:
        """Return bytes without their secrets."""
        for packing in _PACKINGS:
            if data.startswith(packing.magic) and (plain := _unpacked(packing, data)) is not None:
                new = self._plain(plain, content_type)
                return data if new == plain else packing.pack(new)
        for mark, name in _UTF_16:
            if data.startswith(mark):
                return mark + self._wide(data[len(mark) :], name, content_type)
        return self._prose.binary(self._document(data))

    def _plain(self, plain: bytes, content_type: bytes) -> bytes:
        if is_text(b"", plain):
            return self._structure.body(content_type, plain)
        return self._prose.binary(self._document(plain))

    def _wide(self, data: bytes, name: str, content_type: bytes) -> bytes:
        try:
            plain = data.decode(name).encode()
        except UnicodeDecodeError:
            return self._prose.binary(data)
        new = self._structure.body(content_type, plain)
        return data if new == plain else new.decode("utf-8", "replace").encode(name)

    def _document(self, data: bytes) -> bytes:
        if not data or len(data) > _MAX_DOCUMENT_BYTES:
            return data
        if _is_messagepack(data):
            return self._structure.document(msgpack_leaves(data), data)
        try:
            parts = [data[start:end] for start, end in jupyter_parts(data)]
        except ValueError:
            return self._prefixed(data)
        new = [self._structure.message(part) if is_text(b"", part) else part for part in parts]
        return data if new == parts else jupyter_framed(new)

    def _prefixed(self, data: bytes) -> bytes:
        """JSON behind a few bytes of an application's own: a length among them follows the document's."""
        match = _JSON_BEGINS.search(data, 0, _MAX_PREFIX_BYTES)
        if match is None:
            return data
        start = match.start()
        document = data[start:]
        try:
            json_leaves(document)
        except (ValueError, RecursionError):
            return data
        new = self._structure.message(document)
        return data if new == document else _with_length(data[:start], len(document), len(new)) + new


def _with_length(prefix: bytes, before: int, after: int) -> bytes:
    """Return a prefix that holds the length of what follows it, or of both, with another length."""
    for form in (">I", "<I", ">H", "<H"):
        size = struct.calcsize(form)
        for extra in (0, len(prefix)):
            if before + extra < 256**size and after + extra < 256**size:
                at = prefix.find(struct.pack(form, before + extra))
                if at >= 0:
                    return prefix[:at] + struct.pack(form, after + extra) + prefix[at + size :]
    return prefix


def _unpacked(packing: _Packing, data: bytes) -> bytes | None:
    """Return what is packed, None where it only looks so."""
    try:
        plain = decoded_body(((b"content-encoding", packing.name),), data, UNPACKED_LIMIT_BYTES)
    except BodyError:
        return None
    return plain or None
