"""Pseudonyms: the same value gets the same stand-in of the same shape, and nobody without the key can tell which value.

The key is 32 random bytes. It stays in memory and is forgotten with ``forget``, unless a key file (``keys``) links
several captures. Pure, but for the key that it is given.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from hashlib import blake2b

from captures.leaves import claims_of
from captures.redact.inputs import is_placeholder
from captures.redact.shapes import (
    Stream,
    card_stand_in,
    email_stand_in,
    iban_stand_in,
    ip_stand_in,
    is_marked,
    stand_in,
)

KEY_BYTES = 32
MAX_REMEMBERED = 200_000
"""Values remembered; the oldest go first, and would get the same stand-in again but for a collision."""

_ATTEMPTS = 64
_MAX_JWT_BYTES = 16 * 1024
_ROW = re.compile(r"\d{1,6}")
_TELLING = 16
"""A claim of so many characters is a value of its own, and no word of a language."""
_TIMES = frozenset({"exp", "iat", "nbf", "auth_time", "updated_at"})
_SAID = frozenset({"alg", "typ", "token_type", "enc", "zip", "cty"})
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")


class Form(Enum):
    """Shapes that have rules of their own; everything else keeps length and character classes."""

    TOKEN = "token"
    EMAIL = "email"
    CARD = "card"
    IBAN = "iban"
    IP = "ip"
    BYTES = "bytes"
    """Of the same length whatever it is, for places among bytes that are no text."""


class Pseudonyms:
    """Stand-ins under one key.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._given: dict[tuple[bytes, Form], bytes] = {}
        self._owner: dict[bytes, bytes] = {}

    @property
    def key_id(self) -> str:
        """Names the key without telling it: captures with the same one have the same stand-ins."""
        return blake2b(b"key id", key=self._key, digest_size=8).hexdigest()

    def of(self, value: bytes, form: Form = Form.TOKEN) -> bytes:
        """Return the stand-in for a plain value."""
        given = self._given.get((value, form))
        if given is None:
            given = self._new(value, form)
            self._given[value, form] = given
            self._owner[given] = value
            if len(self._given) > MAX_REMEMBERED:
                self._forget_oldest()
        return given

    def is_own(self, value: bytes) -> bool:
        """Tell whether a value is a stand-in that was given here, or a placeholder."""
        return value in self._owner or is_placeholder(value)

    def keyed_hash(self, digest: bytes) -> bytes:
        """Return a hash of a hash that tells nothing about what was hashed; empty stays empty."""
        return blake2b(digest, key=self._key, digest_size=16).digest() if digest else b""

    def forget(self) -> None:
        """Forget the key and every value."""
        self._key = b""
        self._given.clear()
        self._owner.clear()

    def _new(self, value: bytes, form: Form) -> bytes:
        if not self._key:
            raise ValueError("the key has been forgotten")
        if form is Form.TOKEN and len(value) <= _MAX_JWT_BYTES and JWT.fullmatch(value):
            return self._jwt(value)
        return self._drawn(value, value, _MAKERS[form])

    def _drawn(self, value: bytes, seed: bytes, make: Callable[[bytes, Stream], bytes]) -> bytes:
        """Draw until the stand-in is known as one, and stands for nothing else."""
        made = b""
        for salt in range(_ATTEMPTS):
            made = make(value, Stream(self._key, seed, salt))
            if made != value and self._owner.get(made, value) == value and is_marked(made):
                break
        return made

    def _forget_oldest(self) -> None:
        for value in list(self._given)[: MAX_REMEMBERED // 10]:
            self._owner.pop(self._given.pop(value), None)

    # JSON Web Tokens (RFC 7519): three parts, of which the first two keep what is no secret.

    def _jwt(self, value: bytes) -> bytes:
        head, claims, signature = value.split(b".")
        return b".".join((head, self._claims(claims), self._drawn(signature, value, stand_in) if signature else b""))

    def _claims(self, part: bytes) -> bytes:
        try:
            claims = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
        except (ValueError, binascii.Error, RecursionError):
            return self.of(part)
        if not isinstance(claims, dict):
            return self.of(part)
        text = json.dumps({name: self._claim(name, claim) for name, claim in claims.items()}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode("utf-8", "replace")).rstrip(b"=")

    @staticmethod
    def claims_of(token: bytes, stand_in: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the long claims of a token and what stands for them: pages send them by themselves, as who they are."""
        before, after = (claims_of(each.decode("latin-1")) for each in (token, stand_in))
        for name, claim in (before or {}).items():
            made = (after or {}).get(name)
            if isinstance(claim, str) and isinstance(made, str) and len(claim) >= _TELLING and " " not in claim:
                yield claim.encode("utf-8", "surrogatepass"), made.encode("utf-8", "surrogatepass")

    def _claim(self, name: str, claim: object) -> object:
        if name in _TIMES or name in _SAID or isinstance(claim, bool) or claim is None:
            return claim
        if _is_short_id(name, claim):
            return claim
        match claim:
            case str():
                raw = claim.encode("utf-8", "surrogatepass")
                return self.of(raw, Form.EMAIL if b"@" in raw else Form.TOKEN).decode("utf-8", "replace") if raw else ""
            case int():
                return int(self.of(b"%d" % claim)) if claim >= 0 else claim
            case list():
                return [self._claim("", item) for item in claim]
            case dict():
                return {key: self._claim(key, item) for key, item in claim.items()}
        return 0


def _is_short_id(name: str, claim: object) -> bool:
    """Tell whether a claim is the number of a row: it means nothing outside of its application, and goes into paths."""
    is_id = name == "sub" or name.lower().endswith("id")
    return is_id and _ROW.fullmatch(str(claim)) is not None


_MAKERS: dict[Form, Callable[[bytes, Stream], bytes]] = {
    Form.TOKEN: stand_in,
    Form.EMAIL: email_stand_in,
    Form.CARD: card_stand_in,
    Form.IBAN: iban_stand_in,
    Form.IP: ip_stand_in,
    Form.BYTES: stand_in,
}


def is_stand_in(value: bytes) -> bool:
    """Tell whether a plain value is a stand-in of any capture, or a placeholder."""
    if JWT.fullmatch(value):
        signature = value.rpartition(b".")[2]
        return not signature or is_marked(signature)
    return is_placeholder(value) or is_marked(value)
