"""Reads tnetstrings, the encoding of mitmproxy's files, forward only and under limits.

``SIZE:PAYLOAD TYPE`` with types ``,`` bytes, ``;`` text, ``#`` int, ``^`` float, ``!`` bool, ``~`` null, ``]`` list,
``}`` dict. Source: https://tnetstrings.info, and ``;`` as mitmproxy adds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from captures.convert.inputs import Input
from captures.convert.tape import KEPT_BYTES

MAX_DEPTH = 40
_MAX_DIGITS = 12
_MAX_SCALAR_BYTES = 64
_BUFFER_BYTES = 1 << 20
# What is large in a flow and no text.
_LARGE = {"request": b"}", "response": b"}", "websocket": b"}", "messages": b"]"}
# Messages are lists in a list in a flow, or in the websocket of a flow.
_MESSAGE_DEPTH = 3


class CutBytes(bytes):
    """The first bytes of a value that is larger than what is kept; ``size_bytes`` is the size of the whole."""

    size_bytes: int


class Broken(Exception):
    """``Broken(offset, problem)``: what stands at ``offset`` is no tnetstring."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(offset, problem)
        self.offset = offset
        self.problem = problem


class TnetReader:
    """Reads values one after the other."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._data = b""
        self._at = 0
        self._passed_bytes = 0

    @property
    def offset(self) -> int:
        """Bytes read."""
        return self._passed_bytes + self._at

    def values(self) -> Iterator[Any]:
        """Yield every value up to the end of the file.

        Raises:
            Broken: what comes is cut short or something else.
        """
        while self._available(1):
            start = self.offset
            try:
                yield self._value(None, 0, b"}")
            except Broken as exc:
                raise Broken(start, exc.problem) from exc

    def _available(self, n_bytes: int) -> bool:
        while len(self._data) - self._at < n_bytes:
            data = self._source.read(max(_BUFFER_BYTES, n_bytes))
            if not data:
                return False
            self._passed_bytes += self._at
            self._data, self._at = self._data[self._at :] + data, 0
        return True

    def _take(self, n_bytes: int) -> bytes:
        if not self._available(n_bytes):
            raise Broken(self.offset, "it is cut short")
        data = self._data[self._at : self._at + n_bytes]
        self._at += n_bytes
        return data

    def _value(self, end: int | None, depth: int, large: bytes) -> Any:
        """The value that comes next, which ends before ``end``; ``large``: its type if it is large."""
        size_bytes = self._size(end)
        start = self.offset
        kind = self._kind(size_bytes, large)
        if kind not in (b"]", b"}"):
            raw = self._bytes(size_bytes)
            return _scalar(self._take(1), raw, start)
        if depth >= MAX_DEPTH:
            raise Broken(start, f"it is nested deeper than {MAX_DEPTH}")
        value: Any = (self._list if kind == b"]" else self._dict)(start + size_bytes, depth, large)
        if self.offset != start + size_bytes or self._take(1) != kind:
            raise Broken(start, "a list or dict does not end where it should")
        return value

    def _size(self, end: int | None) -> int:
        start = self.offset
        self._available(_MAX_DIGITS + 1)
        colon = self._data.find(b":", self._at, self._at + _MAX_DIGITS + 1)
        digits = self._data[self._at : colon] if colon >= 0 else b""
        if not digits.isdigit():
            raise Broken(start, "no size stands where one should")
        self._at = colon + 1
        size_bytes = int(digits)
        if end is not None and self.offset + size_bytes + 1 > end:
            raise Broken(start, "a value is longer than what it stands in")
        return size_bytes

    def _kind(self, size_bytes: int, large: bytes) -> bytes:
        """The type of the value that comes next.

        Subtle: the type stands behind the payload. What is too large to be looked at whole is known by its place.
        """
        if size_bytes > _BUFFER_BYTES:
            return large
        if not self._available(size_bytes + 1):
            raise Broken(self.offset, "it is cut short")
        return self._data[self._at + size_bytes : self._at + size_bytes + 1]

    def _bytes(self, size_bytes: int) -> bytes:
        if size_bytes <= KEPT_BYTES:
            return self._take(size_bytes)
        cut = CutBytes(self._take(KEPT_BYTES))
        cut.size_bytes = size_bytes
        left = size_bytes - KEPT_BYTES
        while left:
            left -= len(self._take(min(left, _BUFFER_BYTES)))
        return cut

    def _list(self, end: int, depth: int, large: bytes) -> list[Any]:
        items = []
        while self.offset < end:
            items.append(self._value(end, depth + 1, b"]" if large == b"]" and depth < _MESSAGE_DEPTH else b","))
        return items

    def _dict(self, end: int, depth: int, _: bytes) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while self.offset < end:
            key = self._value(end, depth + 1, b",")
            if not isinstance(key, (str, bytes)):
                raise Broken(self.offset, "a key is no text")
            # Files of mitmproxy 0.x, written by Python 2, have keys of bytes.
            name = key if isinstance(key, str) else key.decode("utf-8", "replace")
            items[name] = self._value(end, depth + 1, _LARGE.get(name, b","))
        return items


def _scalar(kind: bytes, raw: bytes, offset: int) -> Any:
    if kind == b",":
        return raw
    if kind == b";":
        return raw.decode("utf-8", "surrogateescape")
    if kind == b"~" and not raw:
        return None
    if kind == b"!" and raw in (b"true", b"false"):
        return raw == b"true"
    if kind in (b"#", b"^") and len(raw) <= _MAX_SCALAR_BYTES:
        try:
            return int(raw) if kind == b"#" else float(raw)
        except ValueError:
            pass
    raise Broken(offset, f"a value of type {kind!r} does not hold what it should")
