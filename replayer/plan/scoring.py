"""How likely it is that a value was minted by the server for this one user: integer terms, all of them kept. Pure.

Source: the terms are those of recording.md §3.3, step 4, sharpened where two recordings of one page showed them wrong:
positions in lists and words of a language count against a value, following a created resource or a redirect counts for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

ACCEPTED = 5
"""Values with this score or more become slots."""
SUGGESTED = 2
"""From here on a literal is worth a line of explanation."""

_LEXICON = (
    "code",
    "continuation",
    "csrf",
    "cursor",
    "etag",
    "ifmatch",
    "key",
    "nonce",
    "otp",
    "session",
    "sid",
    "state",
    "ticket",
    "token",
    "uuid",
    "version",
    "xsrf",
)
_ID_KEYS = frozenset(
    {
        "ack",
        "ackid",
        "callid",
        "cid",
        "correlationid",
        "guid",
        "id",
        "ids",
        "inreplyto",
        "invocationid",
        "messageid",
        "msgid",
        "no",
        "nonce",
        "number",
        "ref",
        "replyto",
        "reqid",
        "requestid",
        "rid",
        "seq",
        "sub",
        "txid",
        "uid",
        "uuid",
    }
)
_VERSION_KEYS = frozenset({"etag", "ifmatch", "lockversion", "rev", "revision", "rowversion", "version"})
# What programs do to things: in POST /orders/create the thing is the order.
_VERBS = frozenset(
    "add all begin bulk create draft find insert list make me new open place put register save search start submit"
    " update upsert".split()
)
_ID_ENDS = ("_no", "No", "_ref", "Ref", "_ids", "Ids")
_CREDENTIALS = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|pin|otp|totp|mfacode|user(?:name)?|login|loginid|email|e?mailaddress"
    r"|account(?:name)?|clientsecret|apikey"
)
_TOKEN_CHARS = re.compile(rb"[A-Za-z0-9_\-+/=.~%:|@!$,;&?#\"\x80-\xff ]+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NUMBERED = re.compile(r"\d{2}")
_NOT_ALNUM = re.compile(r"[^a-z0-9]")

_UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_ULID = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_HEX = re.compile(rb"[0-9a-f]{16,}|[0-9A-F]{16,}")
_DIGITS = re.compile(rb"\d+")
_FIXED = re.compile(
    rb"(?i:true|false|null|undefined|none|nan|yes|no|on|off)"
    rb"|\d{4}-\d\d-\d\d|[a-z]{2}(?:[-_][A-Z]{2})|v?\d+(?:\.\d+){1,3}|[a-z]+/[a-z0-9.+-]+|#[0-9a-fA-F]{3,8}"
)
# English words of 16 letters and more have 2.8 to 3.5 bits per letter, random letters of that number 3.6 to 4.3.
_RANDOM_BITS = 3.6
_WORDS = re.compile(rb"[A-Za-z]+(?:[ ,.:;'&_-]+[A-Za-z]+)*[.!?]?|.*[ \t\n\x80-\xff].*", re.DOTALL)


class ValueClass:
    """Names of the shapes of values."""

    UUID = "uuid"
    JWT = "jwt"
    ULID = "ulid"
    HEX = "hex"
    DIGITS = "digits"
    FIXED = "fixed"
    WORDS = "words"
    BINARY = "binary"
    OTHER = "other"


TOKEN_CLASSES = frozenset({ValueClass.UUID, ValueClass.JWT, ValueClass.ULID, ValueClass.HEX, ValueClass.BINARY})
PLAIN_CLASSES = frozenset({ValueClass.UUID, ValueClass.ULID, ValueClass.HEX, ValueClass.DIGITS, ValueClass.JWT})
"""Shapes whose values look the same in every coding."""

_CLASSES = (
    (ValueClass.UUID, _UUID),
    (ValueClass.JWT, _JWT),
    (ValueClass.ULID, _ULID),
    (ValueClass.DIGITS, _DIGITS),
    (ValueClass.HEX, _HEX),
    (ValueClass.FIXED, _FIXED),
    (ValueClass.WORDS, _WORDS),
)


@lru_cache(maxsize=65536)
def value_class(value: bytes) -> str:
    """Return the shape of a value, one of ``ValueClass``."""
    if not value.isascii() and not _is_utf8(value):
        return ValueClass.BINARY
    found = next((name for name, pattern in _CLASSES if pattern.fullmatch(value)), ValueClass.OTHER)
    if found == ValueClass.WORDS and len(value) >= 16 and value.isalpha() and entropy_bits(value) >= _RANDOM_BITS:
        return ValueClass.OTHER
    return found


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=65536)
def entropy_bits(value: bytes) -> float:
    """Return Shannon's entropy in bits per byte, H = −Σ p·log2 p; ``abab`` has 1.0.

    Source: C. E. Shannon, A Mathematical Theory of Communication, 1948, §6.
    """
    n = len(value)
    return sum(-count / n * math.log2(count / n) for _, count in sorted(Counter(value).items()))


@lru_cache(maxsize=65536)
def plain_key(key: str) -> str:
    """Return a name as it is compared: lower case, letters and digits only, without a leading ``x``-prefix."""
    lowered = key.lower()
    return _NOT_ALNUM.sub("", lowered.removeprefix("x-"))


@lru_cache(maxsize=65536)
def is_id_key(key: str) -> bool:
    """Tell whether a name says that its value identifies something."""
    plain = plain_key(key)
    return plain in _ID_KEYS or plain.endswith(("id", "uuid")) or key.endswith(_ID_ENDS)


@lru_cache(maxsize=65536)
def is_call_key(key: str) -> bool:
    """Tell whether a name is one that protocols give to the ids of messages and calls."""
    return plain_key(key) in _ID_KEYS


@lru_cache(maxsize=65536)
def is_version_key(key: str) -> bool:
    """Tell whether a name is one of what guards a write against another in between."""
    return plain_key(key) in _VERSION_KEYS


@lru_cache(maxsize=65536)
def is_telling_key(key: str) -> bool:
    """Tell whether a name is one that applications give to minted values."""
    plain = plain_key(key)
    return is_id_key(key) or any(word in plain for word in _LEXICON)


@lru_cache(maxsize=65536)
def is_credential_key(key: str) -> bool:
    """Tell whether a name is one that login forms give to what a person types."""
    return _CREDENTIALS.fullmatch(plain_key(key)) is not None


@lru_cache(maxsize=65536)
def is_same_key(used: str, shown: str) -> bool:
    """Tell whether two names mean one thing: ``X-CSRF-Token`` and ``csrf``, ``orders`` and ``orderId``."""
    a, b = plain_key(used), plain_key(shown)
    if not a or not b:
        return False
    if a == b or singular(a) == singular(b):
        return True
    if min(len(a), len(b)) >= 4 and (a.endswith(b) or b.endswith(a) or a.startswith(b) or b.startswith(a)):
        return True
    return b in (singular(a) + "id", a + "id") or a in (singular(b) + "id", b + "id")


@lru_cache(maxsize=65536)
def is_named_after(used: str, parent: str, shown: str) -> bool:
    """Tell whether a name speaks of the thing whose id was shown: ``orders`` or ``orderId`` of ``order.id``.

    Args:
        used: name at the consumer; of a path segment, the segment before.
        parent: key of the object or list that the id was shown in.
        shown: key of the id in there.
    """
    name = plain_key(used)
    if not name or not is_id_key(shown):
        return False
    tails = _tails(used)
    return any(
        singular(name) == thing
        or not tails.isdisjoint((thing + plain_key(shown), thing + "id", thing + "ids", plural + "id"))
        for thing, plural in _things(parent)
    )


@lru_cache(maxsize=65536)
def _tails(name: str) -> frozenset[str]:
    """Return a name without its first words: ``lastEventId`` ends in ``eventId``."""
    words = [word.lower() for word in _WORD.findall(name)]
    return frozenset("".join(words[at:]) for at in range(len(words)))


@lru_cache(maxsize=65536)
def _things(name: str) -> tuple[tuple[str, str], ...]:
    """Return what a name may speak of, singular and as written: ``createOrderLine`` of an order line and of a line."""
    words = [word.lower() for word in _WORD.findall(name)]
    tails = ["".join(words[at:]) for at in range(len(words))]
    return tuple((singular(tail), tail) for tail in tails if tail not in _VERBS)


def thing_of(path: str) -> str:
    """Return the name of what a request asks for: the last word of its path that is no id and no verb.

    Worked: ``/api/orders/17/lines`` is about ``lines``, ``/orders/create`` about ``orders``.
    """
    words = [word for word in path.split("/") if word[:1].isalpha() and not _NUMBERED.search(word)]
    nouns = [word for word in words if word.lower() not in _VERBS]
    return (nouns or words or [""])[-1]


def singular(word: str) -> str:
    """Return the singular of an English noun, as far as URLs need it."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


Terms = list[tuple[str, int]]


def shape_terms(value: bytes) -> Terms:
    """Return what the value alone says."""
    terms: Terms = []
    kind = value_class(value)
    n = len(value)
    if n >= 16:
        terms.append(("16 characters or more", 3))
    elif n >= 8:
        terms.append(("8 characters or more", 2))
    elif n < 4:
        terms.append(("under 4 characters", -3))
    if kind in TOKEN_CLASSES:
        terms.append((f"looks like {kind}", 3))
    if kind != ValueClass.BINARY and not _TOKEN_CHARS.fullmatch(value):
        terms.append(("characters that tokens do not have", -4))
    if kind == ValueClass.FIXED:
        terms.append(("a constant of the protocol, a date, a version", -5))
    elif kind == ValueClass.WORDS:
        terms.append(("words", -3))
    elif n >= 8 and entropy_bits(value) >= 3.0:
        terms.append(("3 bits of entropy per character", 2))
    return terms


def name_terms(used: str, shown: str) -> Terms:
    """Return what the names at both ends say."""
    terms: Terms = []
    if is_same_key(used, shown):
        terms.append((f"the same name, {used} and {shown}", 3))
    if is_telling_key(shown) or is_telling_key(used):
        terms.append(("a name given to minted values", 2))
    return terms


def total(terms: Terms) -> int:
    """Return the score."""
    return sum(points for _, points in terms)
