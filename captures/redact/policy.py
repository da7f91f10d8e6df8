"""What is secret: rules by header and by key, and the user's own from a policy file.

The user's own come from a policy file (``policy_file``).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b

from captures.redact.rules import KEY_RULES, SECRET_HEADERS, VERSION

_NOT_ALNUM = re.compile(r"[^\w*]+|_+")


class Class(Enum):
    """How secret a value is."""

    SECRET = "secret"
    """Opens something: sessions, tokens, keys. Becomes a stand-in."""
    CRED = "credential"
    """What a person types: passwords, codes. Becomes an input column."""
    PII = "personal"
    """Points to a person. Becomes a stand-in."""
    KEEP = "keep"
    """Nothing to hide."""


class Need(Enum):
    """What a value must look like for its name to make it secret."""

    ANY = "any"
    TYPED = "typed"
    """Not empty, and no yes or no."""
    NO_WORD = "no word"
    """At least 4 characters, and no word, constant or time."""
    TOKEN = "token"
    """Long and random."""
    CODE = "code"
    """3 to 10 digits."""
    DIGITS = "digits"
    """At least 5 digits in it."""
    MAIL = "mail"
    """An ``@`` in it."""
    IP = "ip"
    """An IP address of another machine."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a name says of its values; where it ``is_silent``, no rule knows the name, and only their looks speak."""

    klass: Class
    need: Need = Need.ANY
    is_silent: bool = False


KEPT = Rule(Class.KEEP)
_SILENT = Rule(Class.KEEP, is_silent=True)
_RULES = {name: Rule(Class(klass), Need(need)) for name, (klass, need, _) in KEY_RULES.items()}
_PATTERNS = [(re.compile(pattern), _RULES[name]) for name, (_, _, pattern) in KEY_RULES.items()]


@dataclass(slots=True, kw_only=True)
class Policy:
    """The rules of one recording.

    Attributes:
        name: told in the capture.
        values: patterns of the user's, searched in every text.
        digest: of everything that the policy says, in hex.
    """

    name: str = "default"
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: tuple[re.Pattern[bytes], ...] = ()
    _keys: dict[str, Rule] = field(default_factory=dict)
    _headers: dict[bytes, Rule] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names what the policy says, so that captures can be compared."""
        said = repr((VERSION, *(sorted(rules.items()) for rules in (self.added, self.kept, self.dropped))))
        return blake2b(said.encode(), digest_size=8).hexdigest()

    def of_key(self, key: str) -> Rule:
        """Return what a key says; names are compared without case and punctuation."""
        rule = self._keys.get(key)
        if rule is None:
            if len(self._keys) > 100_000:
                self._keys.clear()
            rule = self._keys[key] = self._find_key(plain_key(key))
        return rule

    def of_header(self, name: bytes) -> Rule:
        """Return what a header's name, in lower case, says."""
        rule = self._headers.get(name)
        if rule is None:
            if len(self._headers) > 10_000:
                self._headers.clear()
            rule = self._headers[name] = self._find_header(name.decode("latin-1"))
        return rule

    def drops(self, name: bytes) -> bool:
        """Tell whether a header, by its name in lower case, is taken out."""
        return _is_in(name.decode("latin-1"), self.dropped.get("headers", ()))

    def _find_key(self, plain: str) -> Rule:
        if _is_in(plain, self.kept.get("keys", ())):
            return KEPT
        if _is_in(plain, self.added.get("credentials", ())):
            return Rule(Class.CRED, Need.TYPED)
        if _is_in(plain, self.added.get("keys", ())):
            return Rule(Class.SECRET)
        return next((rule for pattern, rule in _PATTERNS if pattern.fullmatch(plain)), _SILENT)

    def _find_header(self, name: str) -> Rule:
        if _is_in(name, self.kept.get("headers", ())):
            return KEPT
        if _is_in(name, self.added.get("headers", ())):
            return Rule(Class.SECRET)
        found = next((Rule(Class(klass)) for pattern, klass in SECRET_HEADERS if pattern.fullmatch(name)), None)
        return found or self.of_key(name.removeprefix("x-"))


def plain_key(key: str) -> str:
    """Return a name as it is compared: lower case, letters and digits; ``*`` stays for patterns."""
    return _NOT_ALNUM.sub("", key.lower())


def _is_in(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
