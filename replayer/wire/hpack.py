"""HPACK: writing fields that leave no trace in the peer's table, and reading what a peer may write. Pure.

Writing happens when templates are linked: literal fields without indexing, so that a block means the same on every
connection. Reading knows everything (``Decoder``), because a peer may use its dynamic table until it has acknowledged
that ours has no room (``SETTINGS_HEADER_TABLE_SIZE`` 0). From then on a block speaks for itself: ``scan`` steps over
its fields and decodes only those that are asked for. A peer that never fills its table may leave out the size update
which RFC 7541 §4.2 asks for then; it refers to nothing that is gone, and nothing is lost by not insisting.

Source: RFC 7541; sections are named where they matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import lru_cache

from replayer.wire.hpack_huffman import HuffmanError, decode_huffman

Field = tuple[bytes, bytes]

DEFAULT_TABLE_BYTES = 4096
"""RFC 9113 §6.5.2: what a dynamic table may hold before anybody says otherwise."""
FIELD_OVERHEAD_BYTES = 32
"""RFC 7541 §4.1, RFC 9113 §6.5.2: what a field counts besides its name and value."""
EMPTY_TABLE = b"\x20"
"""A dynamic table size update to 0 (RFC 7541 §6.3)."""

_INTEGER_BITS = 28
"""Integers above this are refused (RFC 7541 §5.1 leaves the limit to us): nothing here is so long."""

# RFC 7541 Appendix A, index 1 first.
_NAMES = (
    "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow"
    " authorization cache-control content-disposition content-encoding content-language content-length"
    " content-location content-range content-type cookie date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards"
    " proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie"
    " strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
STATIC: tuple[Field, ...] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    *((b":status", status) for status in (b"200", b"204", b"206", b"304", b"400", b"404", b"500")),
    *((name, b"gzip, deflate" if name == b"accept-encoding" else b"") for name in _NAMES.encode().split()),
)
_STATIC_FIELDS = {field: number for number, field in enumerate(STATIC, 1)}
_STATIC_NAMES = {name: number for number, (name, _) in reversed(list(enumerate(STATIC, 1)))}
_BY_INDEX: tuple[Field, ...] = ((b"", b""), *STATIC)
_N_STATIC = len(STATIC)
_SECRET_NAMES = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


class HpackError(Exception):
    """This is no header block: a connection error (RFC 9113 §4.3)."""


class HeadersTooLarge(HpackError):
    """The fields are larger than we said we would take."""


# Writing.


def encode_integer(value: int, prefix_bits: int, flags: int = 0) -> bytes:
    """Return an integer behind ``flags`` in its first byte (RFC 7541 §5.1).

    Worked values of its appendix: 10 with 5 bits is ``0a``, 1337 with 5 bits is ``1f 9a 0a``.
    """
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((flags | value,))
    out = bytearray((flags | limit,))
    value -= limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_name(name: bytes) -> bytes:
    """Return the beginning of a literal field: its representation and its name; a value's length and text follow.

    Credentials are never-indexed literals (§6.2.3), so that no intermediary keeps them either; others are literals
    without indexing (§6.2.2).
    """
    flags = 0x10 if name in _SECRET_NAMES else 0
    index = _STATIC_NAMES.get(name, 0)
    start = encode_integer(index, 4, flags)
    return start if index else start + encode_integer(len(name), 7) + name


def encode_field(name: bytes, value: bytes) -> bytes:
    """Return a whole field: one byte where the static table has it, else a literal."""
    index = _STATIC_FIELDS.get((name, value))
    if index is not None:
        return encode_integer(index, 7, 0x80)
    return encode_name(name) + encode_integer(len(value), 7) + value


# Reading.


_SHORT_BYTES = 64
_decode_short = lru_cache(4096)(decode_huffman)
"""Names, media types, lengths: the same few again and again."""


def _integer(block: bytes, at: int, prefix_bits: int) -> tuple[int, int]:
    """Return the integer at ``at`` and where it ends."""
    limit = (1 << prefix_bits) - 1
    value = block[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _INTEGER_BITS:
            raise HpackError("an integer is too long")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    is_huffman = block[at] & 0x80
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise HpackError("a string ends behind its block")
    text = block[at:end]
    if not is_huffman:
        return text, end
    return (_decode_short(text) if length <= _SHORT_BYTES else decode_huffman(text)), end


class Decoder:
    """Reads the header blocks of one direction of one connection, in order.

    Args:
        max_list_bytes: fields of a block may count so many bytes, 32 a field on top; a bound against bombs.
    """

    __slots__ = ("_entries", "_max_list_bytes", "_size_bytes", "_table_bytes")

    def __init__(self, *, max_list_bytes: int) -> None:
        self._max_list_bytes = max_list_bytes
        self._entries: deque[Field] = deque()
        self._size_bytes = 0
        self._table_bytes = DEFAULT_TABLE_BYTES

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of one block.

        Raises:
            HeadersTooLarge: they count more than ``max_list_bytes``.
            HpackError: it is no block, or refers to what is not in a table.
        """
        try:
            return self._decode(block)
        except IndexError as exc:
            raise HpackError("a block ends inside a field") from exc
        except HuffmanError as exc:
            raise HpackError(str(exc)) from exc

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, end, n_bytes = 0, len(block), 0
        while at < end:
            byte = block[at]
            if byte & 0x80:
                index, at = _integer(block, at, 7)
                field = self._field(index)
            elif byte & 0xE0 == 0x20:
                at = self._update(block, at, is_first=not fields)
                continue
            else:
                is_added = byte & 0x40
                index, at = _integer(block, at, 6 if is_added else 4)
                if index:
                    name = self._field(index)[0]
                else:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                field = (name, value)
                if is_added:
                    self._add(field)
            n_bytes += len(field[0]) + len(field[1]) + FIELD_OVERHEAD_BYTES
            if n_bytes > self._max_list_bytes:
                raise HeadersTooLarge(f"the fields count more than {self._max_list_bytes} bytes")
            fields.append(field)
        return fields

    def _field(self, index: int) -> Field:
        if 0 < index <= _N_STATIC:
            return _BY_INDEX[index]
        if index == 0 or index > _N_STATIC + len(self._entries):
            raise HpackError(f"there is no field {index}")
        return self._entries[index - _N_STATIC - 1]

    def _update(self, block: bytes, at: int, *, is_first: bool) -> int:
        table_bytes, at = _integer(block, at, 5)
        if not is_first:
            raise HpackError("a table changes its size inside a block")  # §4.2
        if table_bytes > DEFAULT_TABLE_BYTES:
            raise HpackError(f"a table of {table_bytes} bytes is larger than {DEFAULT_TABLE_BYTES}")
        self._table_bytes = table_bytes
        self._evict()
        return at

    def _add(self, field: Field) -> None:
        self._entries.appendleft(field)
        self._size_bytes += len(field[0]) + len(field[1]) + FIELD_OVERHEAD_BYTES
        self._evict()

    def _evict(self) -> None:
        """§4.3, §4.4: the oldest go first; a field larger than the table leaves it empty."""
        while self._size_bytes > self._table_bytes:
            name, value = self._entries.pop()
            self._size_bytes -= len(name) + len(value) + FIELD_OVERHEAD_BYTES


def scan(block: bytes, wanted: Collection[bytes], *, max_list_bytes: int) -> list[Field]:
    """Return the wanted fields of a block that uses no dynamic table; the others are stepped over unread.

    Args:
        wanted: names in lower case.
        max_list_bytes: bound on the whole list; strings count as long as they are written here.

    Raises:
        HeadersTooLarge, HpackError: as ``Decoder.decode``; strings that are stepped over are not looked at.
    """
    try:
        return _scan(block, wanted, max_list_bytes)
    except IndexError as exc:
        raise HpackError("a block ends inside a field") from exc
    except HuffmanError as exc:
        raise HpackError(str(exc)) from exc


def _scan(block: bytes, wanted: Collection[bytes], max_list_bytes: int) -> list[Field]:
    fields: list[Field] = []
    at, end, n_fields = 0, len(block), 0
    max_fields = (max_list_bytes - end) // FIELD_OVERHEAD_BYTES
    while at < end:
        byte = block[at]
        if byte & 0x80:
            index, at = _integer(block, at, 7)
            field = _static(index)
            if field[0] in wanted:
                fields.append(field)
        elif byte & 0xE0 == 0x20:
            size_bytes, at = _integer(block, at, 5)
            if size_bytes or n_fields:
                raise HpackError("a table that has no room changes its size")
            continue
        else:
            index, at = _integer(block, at, 6 if byte & 0x40 else 4)
            if index:
                name = _static(index)[0]
            else:
                name, at = _string(block, at)
            start = at
            length = block[at] & 0x7F
            at += 1
            if length == 0x7F:
                length, at = _integer(block, start, 7)
            at += length
            if at > end:
                raise HpackError("a string ends behind its block")
            if name in wanted:
                fields.append((name, _string(block, start)[0]))
        n_fields += 1
        if n_fields > max_fields:
            raise HeadersTooLarge(f"the fields count more than {max_list_bytes} bytes")
    return fields


def _static(index: int) -> Field:
    if 0 < index <= _N_STATIC:
        return _BY_INDEX[index]
    raise HpackError(f"there is no field {index}")
