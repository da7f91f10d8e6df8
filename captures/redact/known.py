"""Values that are known as secret, found wherever they stand: raw, escaped, in base64, glued to others.

Theory of operation. Looking for thousands of values in every text must not cost more with every value. A text falls
into words (letters and digits, 4 at least; an escape separates). Each needle is filed under one word of its own, its
most telling: a set tells at once whether a text has any of them, and only then places are looked at. A needle whose
word reaches one of its ends may be glued to other letters; long words of the text are therefore searched for the first
letters of such words too.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

MIN_BYTES = 6
MAX_VALUES = 20_000
MAX_LOOSE = 8_000
"""Values looked for, and those among them that go first; of each, the oldest: about 40 MiB."""
GLUED_BYTES = 8
"""Words of texts from this length on are searched inside."""

_WORD = re.compile(rb"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|.)|[A-Za-z0-9]{4,}", re.DOTALL)
_WORD_BYTES = 4
_BLANKED = bytes(byte if chr(byte).isalnum() and byte < 128 else 0x20 for byte in range(256))
_GRAM = 6
_MAX_REMEMBERED_BYTES = 64
_MAX_SEEN = 400_000
"""Words noted, about 40 MiB; beyond that, whatever becomes known may have gone by."""
_MAX_CLEAN = 50_000


class _Needle(NamedTuple):
    text: bytes
    replacement: bytes
    offset: int
    """Where its word begins in it."""


class Known:
    """The values known as secret.

    Attributes:
        n_late: values that stood, or may have stood, in a text which had been passed on before they were known.
        generation: grows with every value learned; what was found clean before may not be any more.
    """

    def __init__(self) -> None:
        self.n_late = 0
        self.generation = 0
        self._values: dict[bytes, list[tuple[bytes, _Needle]]] = {}
        self._replacements: dict[bytes, bytes] = {}
        self._by_word: dict[bytes, list[_Needle]] = {}
        self._by_gram: dict[bytes, list[_Needle]] = {}
        self._clean: set[bytes] = set()
        self._seen: set[int] = set()
        self._loose: dict[bytes, None] = {}
        self._last: tuple[bytes, set[bytes] | None] = (b"", None)

    def learn(self, value: bytes, replacement: bytes, *, is_loose: bool = False) -> None:
        """Look for a value from here on, in every coding, if it has a word of 4 letters or digits.

        Args:
            is_loose: only its looks speak against it: the first to be forgotten.
        """
        if value == replacement or len(value) < MIN_BYTES or self._replacements.get(value) == replacement:
            return
        if value in self._values:
            self._forget(value)
        words = self._values[value] = []
        if is_loose:
            self._loose[value] = None
        self._replacements[value] = replacement
        self.generation += 1
        for text, stand_in in _variants(value, replacement).items():
            found = _telling_word(text)
            if found is None:
                continue
            needle = _Needle(text, stand_in, found[0])
            words.append((found[1], needle))
            self._by_word.setdefault(found[1], []).append(needle)
            if len(found[1]) >= _GRAM:
                self._by_gram.setdefault(found[1][:_GRAM], []).append(needle)
            self._check_late(found[1])
        self._clean.clear()
        if len(self._values) > MAX_VALUES or len(self._loose) > MAX_LOOSE:
            self._forget_oldest()

    def replacement(self, value: bytes) -> bytes | None:
        """Return what a value is replaced by, None where it is not known."""
        return self._replacements.get(value)

    def places(self, text: bytes) -> list[tuple[int, int, bytes]]:
        """Return where known values stand (start, end, what to put there), in order and without overlap."""
        words = set(_words_of(text)) - self._clean
        telling = [(word, 0, needles) for word in words if (needles := self._by_word.get(word))]
        telling += self._glued(words)
        self._last = (text, None if telling else words)
        if not telling:
            return []
        found = sorted(set(_matches(text, telling)), key=lambda place: (place[0], -place[1]))
        kept: list[tuple[int, int, bytes]] = []
        for place in found:
            if not kept or place[0] >= kept[-1][1]:
                kept.append(place)
        return kept

    def pass_on(self, text: bytes) -> None:
        """Note what goes to the disk: a word of it that becomes known later was known too late."""
        before, words = self._last
        if text is before and words is not None:
            self._note(words)
            if len(self._clean) > _MAX_CLEAN:
                self._clean.clear()
            # Most of a message's words stood in those before.
            self._clean.update([word for word in words if len(word) <= _MAX_REMEMBERED_BYTES])
        else:
            self._note(set(_words_of(text)) - self._clean)

    def forget(self) -> None:
        """Forget everything but how much was known too late."""
        n_late = self.n_late
        self.__init__()  # type: ignore[misc]
        self.n_late = n_late

    def _check_late(self, word: bytes) -> None:
        if hash(word) in self._seen or len(self._seen) >= _MAX_SEEN:
            self.n_late += 1
            self._seen.discard(hash(word))

    def _note(self, words: set[bytes]) -> None:
        """Note words, but for those of a language and short numbers: these may stand anywhere."""
        if len(self._seen) < _MAX_SEEN:
            self._seen.update(
                [
                    hash(word)
                    for word in words
                    if (len(word) >= GLUED_BYTES or not (word.isdigit() or len(word) < _WORD_BYTES))
                    and not (word.isalpha() and (word.islower() or word.istitle() or word.isupper()))
                    and word not in self._by_word
                ]
            )

    def _glued(self, words: set[bytes]) -> list[tuple[bytes, int, list[_Needle]]]:
        """Return the long words in which the word of a needle may begin, with its place in them."""
        grams = self._by_gram
        if not grams:
            return []
        return [
            (word, at, needles)
            for word in words
            if len(word) >= GLUED_BYTES
            for at in range(len(word) - _GRAM + 1)
            if (needles := grams.get(word[at : at + _GRAM]))
        ]

    def _forget_oldest(self) -> None:
        n_loose, n = MAX_LOOSE // 10, MAX_VALUES // 10
        for value in list(self._loose)[:n_loose] or list(self._values)[:n]:
            self._forget(value)

    def _forget(self, value: bytes) -> None:
        del self._replacements[value]
        self._loose.pop(value, None)
        for word, needle in self._values.pop(value):
            for key, index in ((word, self._by_word), (word[:_GRAM], self._by_gram)):
                if needle in (needles := index.get(key, [])):
                    needles.remove(needle)
                    if not needles:
                        del index[key]


def _words_of(text: bytes) -> list[bytes]:
    """The words of a text, escapes and short ones among them; where it has no escape, there is a faster way."""
    return _WORD.findall(text) if b"%" in text or b"\\" in text else text.translate(_BLANKED).split()


def _telling_word(text: bytes) -> tuple[int, bytes] | None:
    """Return the place and text of the word that a needle is filed under.

    The longest, but rather one inside than at an end: nothing can be glued to it.
    """
    words = list(_words(text))
    inside = [(at, word) for at, word in words if at and at + len(word) < len(text) and len(word) >= _GRAM]
    return max(inside or words, key=lambda pair: len(pair[1]), default=None)


def _words(text: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _WORD.finditer(text):
        if text[match.start()] not in b"%\\":
            yield match.start(), match.group()


def _matches(text: bytes, telling: list[tuple[bytes, int, list[_Needle]]]) -> Iterator[tuple[int, int, bytes]]:
    """Yield where needles stand whole, around every place of the words that tell of them."""
    for word, at, needles in telling:
        place = text.find(word)
        while place >= 0:
            yield from _at(text, place + at, needles)
            place = text.find(word, place + 1)


def _at(text: bytes, place: int, needles: list[_Needle]) -> Iterator[tuple[int, int, bytes]]:
    for needle in needles:
        start = place - needle.offset
        if start >= 0 and text.startswith(needle.text, start):
            yield start, start + len(needle.text), needle.replacement


def _variants(value: bytes, replacement: bytes) -> dict[bytes, bytes]:
    """Return the ways to write a value, each with its replacement written the same way."""
    variants: dict[bytes, bytes] = {}
    for write in _WRITERS:
        written = write(value)
        if len(written) >= MIN_BYTES:
            variants.setdefault(written, write(replacement))
    return variants


def _percent(value: bytes) -> bytes:
    return quote(value, safe="").encode()


def _lower_percent(value: bytes) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda match: match.group().lower(), _percent(value))


def _html(value: bytes) -> bytes:
    return html.escape(value.decode("latin-1")).encode("latin-1")


def _json(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "surrogateescape")).encode()[1:-1]


def _json_as_is(value: bytes) -> bytes:
    text = json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")[1:-1]


_WRITERS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    _percent,
    _lower_percent,
    lambda value: _percent(value).replace(b"%2F", b"/"),
    lambda value: _percent(value).replace(b"%20", b"+"),
    lambda value: _percent(_percent(value)),
    _html,
    lambda value: _html(value).replace(b"&#x27;", b"&#39;"),
    _json,
    _json_as_is,
    lambda value: _json(value).replace(b"/", b"\\/"),
    lambda value: _json(_json(value)),
    base64.b64encode,
    lambda value: base64.b64encode(value).rstrip(b"="),
    base64.urlsafe_b64encode,
    lambda value: base64.urlsafe_b64encode(value).rstrip(b"="),
    lambda value: _percent(base64.b64encode(value)),
    lambda value: value.hex().encode(),
    lambda value: value.hex().upper().encode(),
)
