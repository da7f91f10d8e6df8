"""The leaves of a MessagePack document with their places. A span holds a value's header too: another value has another.

Source: MessagePack specification, "Formats". Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from captures.leaves import MAX_NESTING, Coding, JsonPath, Leaf

_SIZES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I"}
_SIZES |= {0xDE: ">H", 0xDF: ">I", 0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_FLOATS = {0xCA: 4, 0xCB: 8}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def msgpack_leaves(data: bytes) -> list[Leaf]:
    """Return the strings, byte strings and integers of a document in order; other values are passed over.

    Raises:
        ValueError: it is no MessagePack document, or nested too deep.
    """
    walker = _Walker(data)
    try:
        leaves = list(walker.value((), 0))
    except (struct.error, IndexError) as exc:
        raise ValueError("the document ends too early") from exc
    if walker.at != len(data):
        raise ValueError("something follows the document")
    return leaves


class _Walker:
    """Reads one value after the other; ``at`` is where the next one begins."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self, path: JsonPath, depth: int) -> Iterator[Leaf]:
        start = self.at
        head = self._data[start]
        self.at += 1
        if head >= 0xE0 or head < 0x80:
            yield self._number(path, start, head - 0x100 if head >= 0xE0 else head)
        elif head < 0x90 or head in (0xDE, 0xDF):
            yield from self._map(path, depth, head & 0x0F if head < 0x90 else self._size(head))
        elif head < 0xA0 or head in (0xDC, 0xDD):
            for number in range(head & 0x0F if head < 0xA0 else self._size(head)):
                yield from self._nested((*path, number), depth)
        elif head < 0xC0 or head in (0xD9, 0xDA, 0xDB):
            text = self._take(head & 0x1F if head < 0xC0 else self._size(head))
            yield Leaf(path, text, start, self.at, Coding.MSGPACK_STRING)
        elif head in (0xC4, 0xC5, 0xC6):
            raw = self._take(self._size(head))
            yield Leaf(path, raw, start, self.at, Coding.MSGPACK_BIN)
        elif head in _NUMBERS:
            yield self._number(path, start, self._unpacked(_NUMBERS[head]))
        else:
            self._pass_over(head)

    def _number(self, path: JsonPath, start: int, number: int) -> Leaf:
        return Leaf(path, b"%d" % number, start, self.at, Coding.MSGPACK_INT, is_text=False)

    def _map(self, path: JsonPath, depth: int, n_pairs: int) -> Iterator[Leaf]:
        for _ in range(n_pairs):
            key = next(self._nested((), depth), None)
            name = key.value.decode("utf-8", "replace") if key is not None else ""
            yield from self._nested((*path, name), depth)

    def _nested(self, path: JsonPath, depth: int) -> Iterator[Leaf]:
        if depth >= MAX_NESTING:
            raise ValueError("nested too deep")
        return self.value(path, depth + 1)

    def _pass_over(self, head: int) -> None:
        if head in (0xC0, 0xC2, 0xC3):
            return
        if head in (0xC7, 0xC8, 0xC9):
            self._take(self._size(head) + 1)
        elif head in _FLOATS:
            self._take(_FLOATS[head])
        elif head in _FIXED_EXTENSIONS:
            self._take(_FIXED_EXTENSIONS[head] + 1)
        else:
            raise ValueError(f"no format begins with 0x{head:02x}")

    def _size(self, head: int) -> int:
        return self._unpacked(_SIZES[head])

    def _unpacked(self, form: str) -> int:
        (number,) = struct.unpack_from(form, self._data, self.at)
        self.at += struct.calcsize(form)
        return int(number)

    def _take(self, n_bytes: int) -> bytes:
        start = self.at
        self.at += n_bytes
        if self.at > len(self._data):
            raise ValueError("the document ends too early")
        return self._data[start : self.at]
