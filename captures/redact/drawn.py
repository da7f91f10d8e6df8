"""Values that a machine has drawn: told by their looks alone, whatever they are called. Pure.

A random text changes between capitals, small letters and digits far more often than what somebody wrote: two letters of
base 62 belong to different kinds in 62 % of the cases, two of base 36 in 40 %, two of hexadecimal in 47 %; names of
machines, versions and files stay below 20 %. Ids (UUID, ULID, short hexadecimal) are none of these: they open nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

MIN_BYTES, MAX_BYTES = 20, 512
"""Lengths of what is looked at: 20 letters of base 62 are 119 bits."""
MIN_HEX_BYTES = 32
MIXED_RATIO, PLAIN_RATIO = 0.35, 0.25
"""Changes of kind per letter: of three kinds, and of digits among letters of one case."""

_ALPHABET = rb"A-Za-z0-9_\-+/=~."
_QUOTED = re.compile(rb"(?P<quote>\\{0,8}\")(?P<value>[%s]{%d,%d}+)(?P=quote)" % (_ALPHABET, MIN_BYTES, MAX_BYTES))
_KEY_BEFORE = re.compile(rb"\"([^\"\\]{1,64})\\*\"\s{0,8}:\s{0,8}\Z")
_KEY_BYTES = 96
_RUN = b"a" * MIN_BYTES
_TO_RUN = bytes(
    0x61 if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"_-+/=~.") else 0x20 for byte in range(256)
)
_VALUE = re.compile(rb"[%s]{%d,%d}" % (_ALPHABET, MIN_BYTES, MAX_BYTES))
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
_IDS = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-fA-F]{1,31}|[\d.+-]+"
    rb"|\d{4}-\d\d-\d\d.*|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
)
_FILE = re.compile(rb"(?:.*/.*|[\w.-]+)\.[A-Za-z][A-Za-z0-9]{0,4}|[./].*")
_PIECE = re.compile(rb"[A-Za-z0-9]+")
_MIN_PIECE_BYTES = 8
_MIN_DIGITS = 4
# Kinds of letters: digits, capitals, small letters.
_KINDS = bytes(
    0x30 if 0x30 <= byte <= 0x39 else 0x41 if 0x41 <= byte <= 0x5A else 0x61 if 0x61 <= byte <= 0x7A else 0x2E
    for byte in range(256)
)
_CHANGE = re.compile(rb"(?=0[Aa]|A[0a]|a[0A])")


def may_hold_drawn(text: bytes) -> bool:
    """Tell whether a text has a run of letters that is long enough: a hundred times as fast as to look for one."""
    return _RUN in text.translate(_TO_RUN)


def drawn_strings(text: bytes) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield the strings of a JSON text that were drawn: start, end, and the name before it, None in an array."""
    if not may_hold_drawn(text):
        return
    for match in _QUOTED.finditer(text):
        if is_drawn(match["value"]):
            key = _KEY_BEFORE.search(text, max(0, match.start() - _KEY_BYTES), match.start())
            yield *match.span("value"), key[1] if key else None


@lru_cache(maxsize=16384)
def is_drawn(value: bytes) -> bool:
    """Tell whether a value looks drawn by a machine, and is no id, number, time or name of a file."""
    if _VALUE.fullmatch(value) is None or _IDS.fullmatch(value) or _FILE.fullmatch(value):
        return False
    if _HEX.fullmatch(value):
        return len(value) >= MIN_HEX_BYTES
    if max(map(len, _PIECE.findall(value)), default=0) < _MIN_PIECE_BYTES:
        return False
    kinds = value.translate(_KINDS)
    n_digits = kinds.count(b"0")
    ratio = len(_CHANGE.findall(kinds)) / (len(value) - kinds.count(b"."))
    if b"A" in kinds and b"a" in kinds:
        return n_digits > 0 and ratio >= MIXED_RATIO
    return n_digits >= _MIN_DIGITS and ratio >= PLAIN_RATIO
