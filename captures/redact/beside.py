"""Passwords, and who they are of: what stands beside one becomes an input too. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from captures.leaves import Coding, JsonPath, Leaf, unescape
from captures.redact.censor import Censor, Edit
from captures.redact.detect import meets
from captures.redact.inputs import is_placeholder
from captures.redact.naming import in_place, last_key
from captures.redact.policy import Class, Need, plain_key
from captures.redact.rules import USER_KEYS
from captures.redact.writing import written

_PASSWORD_INPUT = re.compile(rb"<input\b[^<>]{0,2048}type\s*=\s*[\"']?password\b[^<>]{0,2048}>", re.IGNORECASE)
_VALUE = re.compile(rb"\bvalue\s*=\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s\"'>]+))", re.IGNORECASE)
_NO_USER = re.compile(r".*(?:type|kind|event|action|method|operation|operationname|command|cmd|op|ref|seq|mode|scope)")
"""What a message calls itself."""


def beside_passwords(censor: Censor, leaves: list[Leaf], text: bytes) -> Iterator[Edit]:
    """Yield what becomes of the names that stand with a password in one object, form or query."""
    groups: dict[JsonPath, list[Leaf]] = {}
    for leaf in leaves:
        groups.setdefault(leaf.path[:-1] if len(leaf.path) > 1 else (), []).append(leaf)
    for group in groups.values():
        typed = [leaf for leaf in group if _is_password(censor, leaf)]
        others = [leaf for leaf in group if leaf.is_text and leaf.value and leaf not in typed]
        users = [leaf for leaf in others if USER_KEYS.fullmatch(plain_key(last_key(leaf.path)))]
        others = [leaf for leaf in others if _may_be_user(censor, last_key(leaf.path))]
        for leaf in (users or (others if len(others) == 1 else ())) if typed else ():
            yield from _user_edit(censor, leaf, text[leaf.start : leaf.end])


def _may_be_user(censor: Censor, key: str) -> bool:
    """A token beside a password is a token: one against forged requests, say."""
    return censor.policy.of_key(key).klass is not Class.SECRET and not _NO_USER.fullmatch(plain_key(key))


def _is_password(censor: Censor, leaf: Leaf) -> bool:
    rule = censor.policy.of_key(last_key(leaf.path))
    if not leaf.is_text and not leaf.value.isdigit():
        return False
    return rule.klass is Class.CRED and rule.need is Need.TYPED and meets(leaf.value, Need.TYPED)


def _user_edit(censor: Censor, leaf: Leaf, raw: bytes) -> Iterator[Edit]:
    key = last_key(leaf.path)
    if is_placeholder(leaf.value) or leaf.coding is Coding.HTML:
        return
    new = censor.replaced(leaf.value, Class.CRED, f"beside a password, {key}", key=key)
    # Where there is none, the password is a stand-in of another redaction: who it is of is none yet, or is one too.
    if new is not None:
        yield leaf.start, leaf.end, in_place(new, leaf, raw)


def password_inputs(censor: Censor, text: bytes) -> Iterator[Edit]:
    """Yield what becomes of the values that a page puts into password fields."""
    for tag in _PASSWORD_INPUT.finditer(text):
        value = _VALUE.search(text, *tag.span())
        if value is not None:
            start, end = value.span(value.lastindex or 0)
            new = censor.replaced(unescape(text[start:end]), Class.CRED, "html password input")
            if new is not None:
                yield start, end, written(new, Coding.HTML, text[start:end])
