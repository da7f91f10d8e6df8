"""Shapes of pseudonyms: a stand-in looks like the value it stands for, and can be told from a real one. Pure.

A stand-in is drawn from a stream of bytes that depends on key and value. Its last few characters are a mark: a hash,
without a key, of the characters before them. So ``is_marked`` knows a stand-in without any table, in whatever file, and
takes a real value for one in 1 of 36^4 (long tokens), 16^4 (long hex) to 10 (4 digits) cases. Letters stay letters of
their case, digits digits, characters beyond ASCII become ones of as many bytes from scripts that hardly anybody writes
in; everything else stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b

_HEX = re.compile(rb"[0-9a-f]{8,}|[0-9A-F]{8,}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ULID = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_EMAIL = re.compile(rb"u([a-z0-9]{8,48})@redacted\.invalid")
_IP = re.compile(rb"198\.1[89]\.\d{1,3}\.\d{1,3}|2001:db8::[0-9a-f]{1,4}:[0-9a-f]{1,4}")
_CARD = re.compile(rb"4(?:[ -]?0){5}(?:[ -]?\d){7,13}")
_IBAN = re.compile(rb"ZZ\d\d[A-Z0-9 ]{8,40}")
_LOWER, _UPPER, _DIGIT = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789"
_LOWER_HEX, _UPPER_HEX, _CROCKFORD = b"0123456789abcdef", b"0123456789ABCDEF", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MARK = b"rushhour stand-in"
TEST_IIN = b"400000"
"""First digits of stand-ins for card numbers, a range that issuers keep for tests."""

Alphabet = Callable[[int], bytes]


class Stream:
    """An endless stream of bytes out of one keyed digest: block n is BLAKE2b-512(key, n + value)."""

    __slots__ = ("_key", "_made", "_n", "_value")

    def __init__(self, key: bytes, value: bytes, salt: int = 0) -> None:
        self._key, self._value = key, salt.to_bytes(4, "big") + value
        self._made = b""
        self._n = 0

    def below(self, n: int) -> int:
        """The next number from 0 to n − 1, n at most 256; the bias of 2^-24 does not matter here."""
        if len(self._made) < 4:
            self._made += blake2b(self._n.to_bytes(4, "big") + self._value, key=self._key).digest()
            self._n += 1
        number, self._made = int.from_bytes(self._made[:4], "big") % n, self._made[4:]
        return number


def stand_in(value: bytes, stream: Stream) -> bytes:
    """Return a stand-in of the same shape and length, marked; a rare one is not known again (``is_marked``)."""
    return _marked(_foreign(bytes(_draw(value, stream)), stream), value)


def is_marked(value: bytes) -> bool:
    """Tell whether a value is a stand-in. Values of less than 4 letters and digits are never known as one."""
    if _EMAIL.fullmatch(value) or _IP.fullmatch(value):
        return True
    if _CARD.fullmatch(value):
        digits = value.translate(None, b" -")
        return luhn_digit(digits[:-1]) == digits[-1:]
    if _IBAN.fullmatch(value):
        plain = value.replace(b" ", b"")
        return mod_97(plain[4:] + plain[:4]) == 1
    if not value.isascii() and not _is_foreign(value):
        return False
    return _marked(value, value) == value if _n_mark(value) else not value.isascii()


def _alphabet_of(value: bytes) -> Alphabet:
    """Return what may stand at a place of a value of this shape."""
    if value.isdigit():
        return lambda _: _DIGIT
    if _UUID.fullmatch(value) or _HEX.fullmatch(value):
        hexadecimal = _UPPER_HEX if value.upper() == value else _LOWER_HEX
        return lambda byte: hexadecimal if byte != 0x2D else b""
    if _ULID.fullmatch(value):
        return lambda _: _CROCKFORD
    return lambda byte: _CLASS.get(byte, b"")


_CLASS = {**dict.fromkeys(_LOWER, _LOWER), **dict.fromkeys(_UPPER, _UPPER), **dict.fromkeys(_DIGIT, _DIGIT)}


def _draw(value: bytes, stream: Stream) -> Iterator[int]:
    if value.isdigit():
        yield from _draw_digits(value, stream)
        return
    alphabet = _alphabet_of(value)
    is_uuid, is_ulid = _UUID.fullmatch(value), _ULID.fullmatch(value)
    for place, byte in enumerate(value):
        letters = alphabet(byte)
        # What an id says of itself stays: version and variant of a uuid (RFC 9562 §4), the size of a ULID's time.
        is_kept = not letters or (is_uuid and place in (14, 19)) or (is_ulid and place == 0)
        yield byte if is_kept else letters[stream.below(len(letters))]


def _draw_digits(value: bytes, stream: Stream) -> Iterator[int]:
    """A number keeps its length, so its first digit is no zero unless it was one."""
    for place, byte in enumerate(value):
        if place == 0:
            yield byte if byte == 0x30 else _DIGIT[1 + stream.below(9)]
        else:
            yield _DIGIT[stream.below(10)]


def _n_mark(value: bytes) -> int:
    n = sum(byte in _CLASS for byte in value)
    return 0 if n < 4 else max(1, min(4, n // 4))


def _marked(drawn: bytes, value: bytes) -> bytes:
    """Write the mark over the last letters and digits of a stand-in for ``value``."""
    alphabet = _alphabet_of(value)
    places = [place for place, byte in enumerate(value) if byte in _CLASS][-_n_mark(value) :] if _n_mark(value) else []
    marked = bytearray(drawn)
    body = bytes(byte for place, byte in enumerate(drawn) if place not in places)
    digest = blake2b(body, digest_size=4 * max(1, len(places)), person=_MARK[:16]).digest()
    for number, place in enumerate(places):
        letters = alphabet(value[place])
        marked[place] = letters[int.from_bytes(digest[4 * number : 4 * number + 4], "big") % len(letters)]
    return bytes(marked)


# Beyond ASCII: by number of bytes in UTF-8, where a block of 96 characters begins (IPA, Vai, Cuneiform).
_BLOCKS = {2: 0x250, 3: 0xA500, 4: 0x12000}
_BLOCK_LENGTH = 96


def _foreign(value: bytes, stream: Stream) -> bytes:
    if value.isascii():
        return value
    text = value.decode("utf-8", "surrogateescape")
    return "".join(_foreign_letter(letter, stream) for letter in text).encode("utf-8", "surrogateescape")


def _foreign_letter(letter: str, stream: Stream) -> str:
    block = _BLOCKS.get(len(letter.encode("utf-8", "surrogateescape")))
    return letter if block is None else chr(block + stream.below(_BLOCK_LENGTH))


def _is_foreign(value: bytes) -> bool:
    letters = [ord(letter) for letter in value.decode("utf-8", "replace") if letter > "\x7f"]
    return all(any(block <= letter < block + _BLOCK_LENGTH for block in _BLOCKS.values()) for letter in letters)


# Shapes with rules of their own.


def email_stand_in(value: bytes, stream: Stream) -> bytes:
    """Return an address at ``redacted.invalid`` (RFC 2606), as long as the value where that has 26 bytes or more."""
    n = min(48, max(8, len(value) - len(b"u@redacted.invalid")))
    name = bytes((_LOWER + _DIGIT)[stream.below(36)] for _ in range(n))
    return b"u" + name + b"@redacted.invalid"


def card_stand_in(value: bytes, stream: Stream) -> bytes:
    """Return a card number of the test range with a right check digit; spaces and dashes stay in place."""
    n = sum(byte in _DIGIT for byte in value)
    digits = TEST_IIN + bytes(_DIGIT[stream.below(10)] for _ in range(n - len(TEST_IIN) - 1))
    numbers = iter(digits + luhn_digit(digits))
    return bytes(next(numbers) if byte in _DIGIT else byte for byte in value)


def luhn_digit(digits: bytes) -> bytes:
    """Return the check digit that follows these digits. Source: ISO/IEC 7812-1, annex B; ``7992739871`` has 3."""
    total = 0
    for place, byte in enumerate(reversed(digits)):
        doubled = (byte - 0x30) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return b"%d" % (-total % 10)


def ip_stand_in(value: bytes, stream: Stream) -> bytes:
    """Return an address of a range that no host has: 198.18.0.0/15 (RFC 2544), 2001:db8::/32 (RFC 3849)."""
    a, b = stream.below(256), stream.below(256)
    if b":" in value:
        return b"2001:db8::%x:%x" % (a * 256 + b + 1, stream.below(256) * 256 + stream.below(256) + 1)
    return b"198.%d.%d.%d" % (18 + a % 2, b, stream.below(256))


def iban_stand_in(value: bytes, stream: Stream) -> bytes:
    """Return an account number of the country ``ZZ``, which is none, with right check digits; spaces stay."""
    plain = value.replace(b" ", b"")
    account = bytes(_CLASS[byte][stream.below(len(_CLASS[byte]))] for byte in plain[4:])
    check = 98 - mod_97(account + b"ZZ00")
    letters = iter(b"ZZ%02d" % check + account)
    return bytes(byte if byte == 0x20 else next(letters) for byte in value)


def mod_97(text: bytes) -> int:
    """Return the remainder of an IBAN's letters and digits, its country moved to the end. Source: ISO 13616-1."""
    return int("".join(str(int(chr(byte), 36)) for byte in text)) % 97
