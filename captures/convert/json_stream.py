"""Reads one JSON document of any size, piece by piece: the caller walks objects and arrays and takes what it wants.

Theory of operation. The text is decoded in windows. A value that fits in memory (``whole``) is tried with Python's own
scanner where it stands; that fails at the window's end, and is tried again with twice as much. So the scanner in C does
all the work, and no character is looked at by a loop of ours. What is larger is walked (``members``, ``elements``),
taken in pieces (``text_pieces``) or passed over (``skip``), in the memory of one window; only brackets and quotes count
there, and no recursion.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from captures.convert.inputs import Input
from captures.errors import CaptureError

WINDOW_BYTES = 1 << 20
WHOLE_CHARS = 4 << 20
"""What ``whole`` takes at most, in characters."""

_KEY_CHARS = 1 << 16
# An error this near to the end of the window may only be the end of the window.
_EDGE_CHARS = 16
_ESCAPE_CHARS = 6
_DELIMITERS = " \t\r\n,]}"
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_SPACE = re.compile(r"[ \t\r\n]*")
_RUN = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_MARK = re.compile(rf"{_STRING.pattern}|[{{}}\[\]]", re.DOTALL)
_OPENING, _CLOSING = ("{", "["), ("}", "]")
_SCALAR = re.compile(r"[^\s,\]}]*")
_decode = json.JSONDecoder(strict=False).raw_decode


class Left(Enum):
    """Why ``whole`` left a value where it stands."""

    TOO_LARGE = "larger than the limit"
    TOO_DEEP = "nested too deeply"
    BAD_NUMBER = "a number that is too long"


class JsonReader:
    """A JSON document on its way.

    Args:
        source: UTF-8, with or without a byte order mark, or UTF-16 with one. Bytes that are not UTF-8 become lone
            surrogates (PEP 383).
        name: what the document should be, for errors: ``a HAR``.
    """

    def __init__(self, source: Input, name: str) -> None:
        self._source = source
        self._name = name
        first = source.read(WINDOW_BYTES)
        is_wide = first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self._encoding = "utf-16" if is_wide else "utf-8"
        self._decoder = codecs.getincrementaldecoder(self._encoding)("replace" if is_wide else "surrogateescape")
        self._passed_bytes = 0 if is_wide else 3 * first.startswith(codecs.BOM_UTF8)
        self._text = self._decoder.decode(first.removeprefix(codecs.BOM_UTF8) if not is_wide else first)
        self._at = 0
        self._has_ended = not first

    def peek(self) -> str:
        """The first character of what comes next, blanks passed over; empty at the end."""
        if self._at < len(self._text) and (first := self._text[self._at]) > " ":
            return first
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(WINDOW_BYTES):
                return ""

    def whole(self, limit_chars: int = WHOLE_CHARS) -> Any:
        """The next value; or a ``Left``, with the value still to come.

        Raises:
            CaptureError: it is not JSON, or the file ends within it.
        """
        self.peek()
        more_bytes = WINDOW_BYTES
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as exc:
                if self._is_certain(exc):
                    raise self._wrong(exc) from exc
            except RecursionError:
                return Left.TOO_DEEP
            except ValueError:
                return Left.BAD_NUMBER
            else:
                if isinstance(value, (dict, list, str)) or self._has_ended or self._is_delimited(end):
                    self._at = end
                    return value
            if len(self._text) - self._at >= limit_chars:
                return Left.TOO_LARGE
            self._fill(more_bytes)
            more_bytes *= 2

    def members(self) -> Iterator[str]:
        """Walk an object: yield each key, with its value to come; the caller takes or skips it."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            key = self.whole(_KEY_CHARS) if self.peek() == '"' else None
            if not isinstance(key, str):
                raise self.error("is not valid JSON: a key should stand here")
            self._expect(":")
            yield key
            if self._ends_with("}"):
                return

    def elements(self) -> Iterator[None]:
        """Walk an array: yield once for each element to come; the caller takes or skips it."""
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._ends_with("]"):
                return

    def skip(self) -> None:
        """Pass over the next value, whatever its size and nesting."""
        first = self.peek()
        if first == '"':
            for _ in self.text_pieces():
                pass
        elif first and first in "{[":
            self._skip_container()
        elif not first:
            raise self._cut()
        else:
            while (match := _SCALAR.match(self._text, self._at)) is not None:
                self._at = match.end()
                if self._at < len(self._text) or not self._fill(WINDOW_BYTES):
                    return

    def text_pieces(self) -> Iterator[str]:
        """Yield the string that comes next, in pieces that never part a character."""
        self._expect('"')
        high = ""
        while True:
            match = _RUN.match(self._text, self._at)
            end = match.end() if match else self._at
            is_last = end < len(self._text) and self._text[end] == '"'
            cut = end if is_last else self._before_escape(end)
            piece = high + self._unescaped(cut)
            self._at = cut
            high = ""
            if piece and not is_last and "\ud800" <= piece[-1] <= "\udbff":
                piece, high = piece[:-1], piece[-1]
            if piece:
                yield _joined(piece)
            if is_last:
                self._at += 1
                return
            if not self._fill(WINDOW_BYTES):
                raise self._cut()

    def error(self, problem: str, hint: str = "") -> CaptureError:
        """A ``CaptureError`` for this place."""
        return CaptureError(self._source.path, problem, self.offset, hint)

    @property
    def offset(self) -> int:
        """Bytes before this place."""
        return self._passed_bytes + self._n_bytes(self._text[: self._at])

    def _n_bytes(self, text: str) -> int:
        if self._encoding == "utf-8":
            return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
        return len(text.encode("utf-16-le", "surrogatepass"))

    def _fill(self, n_bytes: int) -> bool:
        """Read on; False where there is nothing left."""
        if self._has_ended:
            return False
        data = self._source.read(n_bytes)
        self._has_ended = not data
        self._passed_bytes += self._n_bytes(self._text[: self._at])
        self._text = self._text[self._at :] + self._decoder.decode(data, final=not data)
        self._at = 0
        return bool(data)

    def _is_delimited(self, end: int) -> bool:
        """Whether a number ends there: in the next window it may go on, as in ``1`` and ``.5e3``."""
        return end < len(self._text) and (self._text[end] in _DELIMITERS or end < len(self._text) - _EDGE_CHARS)

    def _is_certain(self, exc: json.JSONDecodeError) -> bool:
        if self._has_ended:
            return True
        return exc.pos < len(self._text) - _EDGE_CHARS and not exc.msg.startswith("Unterminated string")

    def _wrong(self, exc: json.JSONDecodeError) -> CaptureError:
        rest = self._text[exc.pos : exc.pos + _EDGE_CHARS].strip()
        if any(literal.startswith(rest) for literal in _LITERALS) or exc.msg.startswith("Unterminated string"):
            return self._cut()
        self._at = exc.pos
        return self.error(f"is not valid JSON: {exc.msg[:1].lower()}{exc.msg[1:]}", "export it again")

    def _cut(self) -> CaptureError:
        self._at = len(self._text)
        why = self._source.damage or f"it ends in the middle of {self._name}"
        return self.error(f"is cut short, {why}", "export it again")

    def _expect(self, character: str) -> None:
        found = self.peek()
        if not found:
            raise self._cut()
        if found != character:
            raise self.error(f"is not valid JSON: {character!r} should stand here", "export it again")
        self._at += 1

    def _ends_with(self, end: str) -> bool:
        found = self.peek()
        if not found:
            raise self._cut()
        if found not in (",", end):
            raise self.error(f"is not valid JSON: ',' or {end!r} should stand here", "export it again")
        self._at += 1
        return found == end

    def _skip_container(self) -> None:
        """Count brackets outside of strings, a window at a time where that cannot be the end."""
        depth = 0
        while True:
            bare = _STRING.sub("", self._text[self._at :])
            n_good = bare.find('"')
            # A string that does not end in this window is the last thing in it.
            end = len(self._text) - (len(bare) - n_good if n_good >= 0 else 0)
            n_open, n_closed = _brackets(bare[:n_good] if n_good >= 0 else bare)
            if depth and n_closed < depth:
                depth += n_open - n_closed
                self._at = end
            else:
                for match in _MARK.finditer(self._text, self._at, end):
                    mark = match.group()
                    depth += 1 if mark in _OPENING else -1 if mark in _CLOSING else 0
                    if depth == 0:
                        self._at = match.end()
                        return
                self._at = end
            if n_good >= 0:
                for _ in self.text_pieces():
                    pass
            elif not self._fill(WINDOW_BYTES):
                raise self._cut()

    def _before_escape(self, end: int) -> int:
        r"""Where to cut a string that goes on in the next window: not within ``\u00e9``."""
        start = self._text.rfind("\\", max(self._at, end - _ESCAPE_CHARS + 1), end)
        if start < 0 or self._text[start + 1 : start + 2] != "u":
            return end
        before = self._text[self._at : start + 1]
        is_escape = (len(before) - len(before.rstrip("\\"))) % 2
        return start if is_escape else end

    def _unescaped(self, end: int) -> str:
        raw = self._text[self._at : end]
        if "\\" not in raw:
            return raw
        try:
            return str(_decode(f'"{raw}"')[0])
        except json.JSONDecodeError as exc:
            self._at += max(0, exc.pos - 1)
            raise self.error("is not valid JSON: a string with a wrong escape", "export it again") from exc


def _joined(piece: str) -> str:
    """Make one character of a pair of surrogates that stood in two windows."""
    if "\ud800" <= piece[0] <= "\udbff" and len(piece) > 1 and "\udc00" <= piece[1] <= "\udfff":
        return chr(0x10000 + ((ord(piece[0]) - 0xD800) << 10) + ord(piece[1]) - 0xDC00) + piece[2:]
    return piece


def _brackets(text: str) -> tuple[int, int]:
    n_open, n_closed = (sum(text.count(mark) for mark in marks) for marks in (_OPENING, _CLOSING))
    return n_open, n_closed
