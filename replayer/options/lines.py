"""Where the keys of a TOML document stand: ``tomllib`` tells values, errors need lines. Pure.

A scanner, not a parser: it is run on documents that ``tomllib`` has read, so it may trust their syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys and positions from the root: ``("population", 1, "stages", 0, "for")``."""

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|\n|[\[\]{},=.]|[A-Za-z0-9_+:-]+',
    re.DOTALL,
)


@dataclass(slots=True)
class _Scanner:
    lines: dict[Path, int] = field(default_factory=dict)
    counts: dict[Path, int] = field(default_factory=dict)
    base: Path = ()

    def header(self, keys: list[str], line: int, *, is_element: bool) -> None:
        """Enter ``[keys]`` or ``[[keys]]``; a key that names an array of tables means its last one."""
        path: Path = ()
        for key in keys[:-1]:
            path += (key,)
            self.lines.setdefault(path, line)
            if path in self.counts:
                path += (self.counts[path] - 1,)
        path += (keys[-1],)
        if is_element:
            self.lines.setdefault(path, line)
            self.counts[path] = self.counts.get(path, 0) + 1
            path += (self.counts[path] - 1,)
        elif path in self.counts:
            path += (self.counts[path] - 1,)
        self.base = path
        self.lines.setdefault(path, line)


def lines_of(text: str) -> dict[Path, int]:
    """Return by path the line, from 1, where each key, table and array element of a TOML document begins."""
    scanner = _Scanner()
    tokens = list(_tokens(text))
    at = 0
    while at < len(tokens):
        token, line = tokens[at]
        if token == "[":
            at = _header(scanner, tokens, at, line)
        elif token == "\n":
            at += 1
        else:
            at = _pair(scanner, tokens, at, scanner.base)
    return scanner.lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if not token.startswith("#"):
            yield token, line
        line += token.count("\n")


def _header(scanner: _Scanner, tokens: list[tuple[str, int]], at: int, line: int) -> int:
    is_element = tokens[at + 1][0] == "["
    keys, at = _key(tokens, at + (2 if is_element else 1))
    scanner.header(keys, line, is_element=is_element)
    return at + (2 if is_element else 1)


def _key(tokens: list[tuple[str, int]], at: int) -> tuple[list[str], int]:
    keys = []
    while tokens[at][0] not in ("=", "]"):
        if tokens[at][0] != ".":
            keys.append(tokens[at][0].strip("\"'"))
        at += 1
    return keys, at


def _pair(scanner: _Scanner, tokens: list[tuple[str, int]], at: int, base: Path) -> int:
    line = tokens[at][1]
    keys, at = _key(tokens, at)
    for n in range(1, len(keys) + 1):
        scanner.lines.setdefault((*base, *keys[:n]), line)
    return _value(scanner, tokens, at + 1, (*base, *keys))


def _value(scanner: _Scanner, tokens: list[tuple[str, int]], at: int, path: Path) -> int:
    token = tokens[at][0]
    if token == "[":
        return _array(scanner, tokens, at + 1, path)
    if token == "{":
        at += 1
        while tokens[at][0] != "}":
            at = at + 1 if tokens[at][0] in (",", "\n") else _pair(scanner, tokens, at, path)
        return at + 1
    while at < len(tokens) and tokens[at][0] not in ("\n", ",", "]", "}"):
        at += 1  # A scalar of several tokens: 1.5, a date.
    return at


def _array(scanner: _Scanner, tokens: list[tuple[str, int]], at: int, path: Path) -> int:
    position = 0
    while tokens[at][0] != "]":
        if tokens[at][0] in (",", "\n"):
            at += 1
            continue
        scanner.lines[(*path, position)] = tokens[at][1]
        at = _value(scanner, tokens, at, (*path, position))
        position += 1
    return at + 1
