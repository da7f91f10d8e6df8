"""What a value says of itself: whether it looks like a token, and where a text holds something that does. Pure."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from captures.redact.policy import Class, Need
from captures.redact.pseudonyms import Form
from captures.redact.rules import AUTH_SCHEMES, TOKENS
from captures.redact.shapes import luhn_digit, mod_97


class Hit(NamedTuple):
    """A value in a text that is secret by its looks."""

    start: int
    end: int
    klass: Class
    form: Form
    name: str


_FIXED = re.compile(
    rb"(?i:true|false|null|undefined|none|nan|yes|no|on|off|bearer|basic|\*+|x+|redacted|\[?(?:redacted|filtered)\]?)"
    rb"|\d{4}-\d\d-\d\d.*|1[0-9]{9}|1[0-9]{12}|1[0-9]{18}|\d{1,5}|[+-]?\d+\.\d+"
)
_NOTHING = frozenset({b"", b"true", b"false", b"null", b"undefined", b"none", b"0", b"1", b"yes", b"no"})
_WORD = re.compile(rb"[A-Za-z]+(?:[_.-][A-Za-z]+)*")
_RUN = re.compile(rb"[A-Za-z0-9_\-+/=.~%:|!$*]+")
_SURE = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{16,}|[0-9A-F]{16,}|eyJ[A-Za-z0-9_.-]{20,}"
)
_MAX_CACHED_BYTES = 256
_WORD_LIMIT = 20
_RANDOM_BITS = 3.0
_WORDLIKE_BITS = 3.6
_LOCAL = rb"[A-Za-z0-9_.+-]{1,64}"
_DOMAIN = rb"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}"
_EMAIL = re.compile(_LOCAL + rb"(?:@|%40)" + _DOMAIN)
_AT, _LOCAL_END, _AFTER_AT = re.compile(rb"@|%40"), re.compile(_LOCAL), re.compile(_DOMAIN)
_CARD = re.compile(rb"[2-6]\d(?:[ -]?\d){11,17}")
_IBAN = re.compile(rb"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?")
_SHAPES = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x41 if 0x41 <= byte <= 0x5A else 0x2E for byte in range(256))
"""A text's shape: ``0`` for digits, ``A`` for capitals, ``.`` for the rest."""
_BASIC = re.compile(rb"[Bb]asic(?: |%20|\+)+(?P<value>[A-Za-z0-9+/]{4,1024}={0,2})(?![A-Za-z0-9+/=])")
_CARD_SHAPE, _IBAN_SHAPE = b"0" * 13, b"AA00"
_PHONE = re.compile(rb"(?:\+|%2B)[1-9]\d{1,2}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}")
_IP = re.compile(rb"(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}")
_LOOPBACK = re.compile(rb"127\..*|0\.0\.0\.0|::1?|169\.254\..*|(?i:fe80:).*")
# Issuers' ranges and the lengths that they give out. Source: ISO/IEC 7812-1 and the issuers' own pages.
_CARD_IIN = re.compile(
    rb"(?=4\d*\Z)(?:\d{13}|\d{16}|\d{19})|(?=5[1-5]|2[2-7])\d{16}|(?=3[47])\d{15}|(?=6011|65|64[4-9]|62)\d{16,19}"
    rb"|(?=30[0-5]|36|38)\d{14}|(?=35)\d{16}"
)
_GLUE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


def meets(value: bytes, need: Need) -> bool:
    """Tell whether a value is what a rule needs."""
    return _meets_again(value, need) if len(value) <= _MAX_CACHED_BYTES else _meets(value, need)


@lru_cache(maxsize=16384)
def _meets_again(value: bytes, need: Need) -> bool:
    return _meets(value, need)


def _meets(value: bytes, need: Need) -> bool:
    if need is Need.ANY:
        return len(value) >= 4 and not _is_fixed(value)
    if need is Need.TYPED:
        return value.lower() not in _NOTHING
    if need is Need.NO_WORD:
        return len(value) >= 4 and not _is_fixed(value) and not _is_word(value) and not _is_prose(value)
    if need is Need.TOKEN:
        return is_random(value)
    if need is Need.CODE:
        return value.isdigit() and 3 <= len(value) <= 10
    if need is Need.DIGITS:
        return sum(byte in b"0123456789" for byte in value) >= 5 and len(value) <= 64
    if need is Need.MAIL:
        return b"@" in value[1:-1] and len(value) <= 320
    return is_foreign_address(value)


def _is_fixed(value: bytes) -> bool:
    # A script puts a header together: ``"Bearer " + token``.
    return _FIXED.fullmatch(value) is not None or value.strip(b" :").lower() in AUTH_SCHEMES


def _is_word(value: bytes) -> bool:
    return len(value) < _WORD_LIMIT and _WORD.fullmatch(value) is not None and not _is_mixed(value)


def _is_mixed(value: bytes) -> bool:
    """Capitals inside, in no pattern of words: ``aQzKbT``, not ``camelCase`` or ``CONSTANT``."""
    changes = sum(
        a.isupper() != b.isupper() for a, b in zip(value.decode("latin-1"), value.decode("latin-1")[1:], strict=False)
    )
    return changes * 3 > len(value)


def _is_prose(value: bytes) -> bool:
    return b" " in value.strip() or b"://" in value or value[:1] == b"/" or value[:1] in (b"{", b"<")


def is_random(value: bytes) -> bool:
    """Tell whether a value is long and looks drawn, not written: a session id, a hash, a key."""
    if len(value) < 16 or _is_fixed(value) or _RUN.fullmatch(value) is None or b"://" in value or value[:1] == b"/":
        return False
    if _SURE.fullmatch(value):
        return True
    has_digit = any(byte in b"0123456789" for byte in value)
    return entropy_bits(value) >= (_RANDOM_BITS if has_digit else _WORDLIKE_BITS) and (has_digit or _is_mixed(value))


def entropy_bits(value: bytes) -> float:
    """Return Shannon's entropy in bits per byte, H = −Σ p·log2 p; ``abab`` has 1.0."""
    n = len(value)
    return sum(-count / n * math.log2(count / n) for count in Counter(value).values())


def is_foreign_address(value: bytes) -> bool:
    """Tell whether a value is an IP address, and not of this machine."""
    return _IP.fullmatch(value) is not None and _LOOPBACK.fullmatch(value) is None


def form_of(value: bytes) -> Form:
    """Return which rules a stand-in for this value follows."""
    if b"@" in value and _EMAIL.fullmatch(value):
        return Form.EMAIL
    if _CARD.fullmatch(value) and _is_card(value):
        return Form.CARD
    if _IBAN.fullmatch(value) and _is_iban(value):
        return Form.IBAN
    return Form.IP if is_foreign_address(value) else Form.TOKEN


def hits(text: bytes) -> Iterator[Hit]:
    """Yield what looks like a secret whatever its name; hits may overlap."""
    tokens = [*_tokens(text), *(_basic_credentials(text) if b"asic" in text else ())]
    yield from tokens
    if b"@" in text or b"%40" in text:
        for start, end in _emails(text):
            # ``https://user:password@host`` is no address.
            if not any(hit.start <= start < hit.end for hit in tokens):
                yield Hit(start, end, Class.PII, Form.EMAIL, "an email address")
    for match in _CARD.finditer(text) if may_hold_card(text) else ():
        if _is_alone(text, *match.span()) and _is_card(match.group()):
            yield Hit(*match.span(), Class.PII, Form.CARD, "a card number")
    for match in _IBAN.finditer(text) if may_hold_iban(text) else ():
        yield from _iban_hit(text, match)
    if b"+" in text or b"%2B" in text:
        for match in _PHONE.finditer(text):
            if _is_alone(text, *match.span()) and sum(byte in b"0123456789" for byte in match.group()) <= 17:
                yield Hit(*match.span(), Class.PII, Form.TOKEN, "a phone number")


def may_hold_card(text: bytes) -> bool:
    """Tell whether there are digits enough in a row, blanks and hyphens aside: ten times as fast as to look for one."""
    return _CARD_SHAPE in text.translate(_SHAPES, b" -")


def may_hold_iban(text: bytes) -> bool:
    """Tell whether two capitals stand before two digits somewhere."""
    return _IBAN_SHAPE in text.translate(_SHAPES)


def _emails(text: bytes) -> Iterator[tuple[int, int]]:
    """Look from each ``@`` to both sides: long runs of letters cost nothing then."""
    for at in _AT.finditer(text):
        before = _LOCAL_END.match(text[max(0, at.start() - 64) : at.start()][::-1])
        after = _AFTER_AT.match(text, at.end())
        if before and after:
            yield at.start() - before.end(), after.end()


def _tokens(text: bytes) -> Iterator[Hit]:
    for name, hint, pattern in TOKENS:
        if hint in text:
            for match in pattern.finditer(text):
                start, end = match.span("value") if "value" in pattern.groupindex else match.span()
                yield Hit(start, end, Class.SECRET, Form.TOKEN, name)


def _basic_credentials(text: bytes) -> Iterator[Hit]:
    """``Basic`` and base64 of ``user:password`` (RFC 7617): what follows that word is one only where it decodes so."""
    for match in _BASIC.finditer(text):
        try:
            plain = base64.b64decode(match["value"], validate=True)
        except binascii.Error:
            continue
        if b":" in plain and plain.isascii():
            yield Hit(*match.span("value"), Class.SECRET, Form.TOKEN, "basic credentials")


def _iban_hit(text: bytes, match: re.Match[bytes]) -> Iterator[Hit]:
    """An account number is followed by other words: the longest part of the match that checks is taken."""
    start, end = match.span()
    if start and text[start - 1] in _GLUE:
        return
    for stop in range(end, start + 14, -1):
        if text[stop - 1] != 0x20 and not (stop < len(text) and text[stop] in _GLUE) and _is_iban(text[start:stop]):
            yield Hit(start, stop, Class.PII, Form.IBAN, "an IBAN")
            return


def _is_alone(text: bytes, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 2]
    return not (before and (before in _GLUE or before in (b".", b"-"))) and not (
        after[:1] and (after[:1] in _GLUE or (after[:1] in b".-" and after[1:].isdigit()))
    )


def _is_card(value: bytes) -> bool:
    digits = value.translate(None, b" -")
    return _CARD_IIN.fullmatch(digits) is not None and luhn_digit(digits[:-1]) == digits[-1:]


def _is_iban(value: bytes) -> bool:
    plain = value.replace(b" ", b"")
    return 15 <= len(plain) <= 34 and mod_97(plain[4:] + plain[:4]) == 1
