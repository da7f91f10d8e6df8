"""Which names speak for a leaf of a document, and how a value is put back in its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from captures.leaves import Coding, JsonPath, Leaf, form_leaves
from captures.redact.inputs import column_of, is_placeholder, placeholder
from captures.redact.policy import Need, plain_key
from captures.redact.writing import packed, written

_FORM = re.compile(rb"[\w.\[\]%+-]{1,200}=[^\s{}<>\"'&]*+(?:&[\w.\[\]%+-]{1,200}=[^\s{}<>\"'&]*+)*\s*")
_NAMES, _VALUES = ("name", "key", "field", "id", "header"), ("value", "content", "val")
_CONTAINERS = frozenset({"value", "id", "raw", "data", "content", "text", "string", "key", "current"})


def is_form(text: bytes) -> bool:
    """Tell whether a text without a type is a form."""
    return b"=" in text[:200] and len(text) < 1 << 20 and _FORM.fullmatch(text) is not None


def query_leaves(text: bytes) -> list[Leaf]:
    """Return the fields of a query or fragment."""
    return form_leaves(text, 0, Coding.PERCENT) if b"=" in text else []


def last_key(path: JsonPath) -> str:
    """Return the nearest name above a leaf."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def keys_of(path: JsonPath, names: dict[JsonPath, str]) -> Iterator[tuple[str, Need | None]]:
    """Yield the names that speak for a leaf, the nearest first, each with what its value must look like besides."""
    keys = [step for step in path if isinstance(step, str)]
    if not keys:
        return
    yield keys[-1], None
    if path in names:
        yield names[path], None
    if path[:-1] in names and keys[-1] in _VALUES:
        yield names[path[:-1]], None
    elif len(keys) > 1:
        is_container = plain_key(keys[-1]) in _CONTAINERS
        yield keys[-2], Need.NO_WORD if is_container else Need.TOKEN


def names_beside(leaves: Iterable[Leaf]) -> dict[JsonPath, str]:
    """Return, by the path of an object, the name that it holds for its own value: ``{"name": "csrf", "value": …}``."""
    return {
        leaf.path[:-1]: leaf.value.decode("utf-8", "replace")
        for leaf in leaves
        if leaf.is_text and leaf.path and leaf.path[-1] in _NAMES and len(leaf.value) <= 100
    }


def in_place(new: bytes, leaf: Leaf, raw: bytes) -> bytes:
    """Write a replacement over a leaf."""
    if leaf.coding is Coding.MSGPACK_INT:
        if not new.isdigit():
            return packed(placeholder(column_of(new[8:-2].decode()), "number") if is_placeholder(new) else new)
        return packed(int(new))
    if leaf.is_text or new.isdigit():
        # A document in a string is escaped twice; stand-ins need no escape there.
        return written(new, leaf.coding, raw)
    if is_placeholder(new):
        new = placeholder(column_of(new[8:-2].decode()), "number")
    return b'\\"%s\\"' % new if leaf.is_nested else b'"%s"' % new
