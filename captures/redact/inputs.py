"""Placeholders: what stands in a capture where a person's own credential was. Pure.

Syntax, in plain (decoded) values: ``{{input.COLUMN}}`` or ``{{input.COLUMN|CODING}}``. COLUMN is the name of a column
of the identities: a letter, then lower-case letters, digits and ``_``. CODING says how the column's value is written:

- none: as it is, in the coding of its place (percent, JSON string, …);
- ``base64``: RFC 4648 base64 of the column's value (``Authorization: Basic``, whose column holds ``user:password``);
- ``number``: a JSON number; the placeholder stands in quotes that go with it when it is filled in.

A placeholder is a whole value, or a part of one (``Basic {{input.authorization|base64}}``).
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

PLACEHOLDER = re.compile(rb"\{\{input\.([a-z][a-z0-9_]{0,63})(?:\|(base64|number))?\}\}")
IDENTITIES_SUFFIX = ".identities.csv"
"""Added to the name of a capture: where the names of its columns are written."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Input(NamedTuple):
    """One placeholder in a value."""

    column: str
    coding: str
    start: int
    end: int


def column_of(key: str) -> str:
    """Return the column for a field: ``user[password]`` is ``user_password``, ``newPassword`` is ``new_password``.

    A name without a letter of ASCII becomes a number of its own: ``パスワード`` and ``ユーザー`` are two columns.
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", key) if not unicodedata.combining(letter))
    name = _NOT_IN_NAMES.sub("_", _HUMP.sub("_", plain).lower()).strip("_")[:64]
    if not name and plain:
        return f"input_{crc32(plain.encode('utf-8', 'replace')):08x}"
    return name if name[:1].isalpha() else f"input_{name}".rstrip("_")[:64]


def placeholder(column: str, coding: str = "") -> bytes:
    """Write a placeholder; ``coding`` is ``base64``, ``number`` or empty."""
    return f"{{{{input.{column}|{coding}}}}}".encode() if coding else f"{{{{input.{column}}}}}".encode()


def is_placeholder(value: bytes) -> bool:
    """Tell whether a plain value is a placeholder and nothing else."""
    return value[:8] == b"{{input." and PLACEHOLDER.fullmatch(value) is not None


def inputs_in(value: bytes) -> Iterator[Input]:
    """Yield the placeholders in a plain value, in order."""
    for match in PLACEHOLDER.finditer(value):
        yield Input(match[1].decode(), (match[2] or b"").decode(), match.start(), match.end())


def identities_csv(columns: Iterable[str]) -> str:
    """Return the header line of an identities file: names only."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    return text.getvalue()
