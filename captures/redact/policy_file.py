"""Reads policy files, and says on which line one is wrong.

A policy file is TOML; each table is optional::

    name = "shop"

    [add]                          # further secrets
    headers = ["x-partner-*"]
    keys = ["loyalty_no"]          # compared without case, - _ . and spaces; * stands for anything
    credentials = ["door_code"]    # become input columns
    values = ["ACME-[0-9]{10}"]    # regular expressions, searched everywhere

    [keep]                         # never touched by their name (their values still are, where they look like tokens)
    headers = ["x-request-id"]
    keys = ["session"]

    [drop]                         # taken out altogether, whatever they hold
    headers = ["x-debug-user"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from captures.redact.policy import Policy, plain_key

MAX_POLICY_BYTES = 1 << 20
_TABLES: dict[str, tuple[str, ...]] = {
    "add": ("headers", "keys", "credentials", "values"),
    "keep": ("headers", "keys"),
    "drop": ("headers",),
}


def load_policy(path: Path | None) -> Policy:
    """Read a policy file; None is the default policy.

    Raises:
        ConfigError: it cannot be read, or a line of it says nothing that is known.
    """
    if path is None:
        return Policy()
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_POLICY_BYTES).decode("utf-8")
    except OSError as exc:
        raise ConfigError(f"policy {path} cannot be read: {exc.strerror}", "check the path") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"policy {path} is not UTF-8 (byte {exc.start})", "save it as UTF-8") from exc
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"policy {path} is not TOML: {exc}", "see rushhour redact --help for an example") from exc
    return _Reading(path, text).policy(document)


class _Reading:
    """Checks a policy file, and knows on which line a thing stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def policy(self, document: dict[str, Any]) -> Policy:
        name = document.pop("name", self._path.stem)
        if not isinstance(name, str):
            raise self._error("name", "is no text", 'write name = "shop"')
        for table in document:
            if table not in _TABLES:
                raise self._error(table, "is not known", f"known are name, {', '.join(_TABLES)}")
        rules = {table: self._rules(table, document.get(table, {})) for table in _TABLES}
        values = tuple(self._pattern(text) for text in rules["add"].get("values", ()))
        return Policy(name=name, added=rules["add"], kept=rules["keep"], dropped=rules["drop"], values=values)

    def _rules(self, table: str, given: object) -> dict[str, tuple[str, ...]]:
        if not isinstance(given, dict):
            raise self._error(table, "is no table", f"write [{table}] on a line of its own")
        rules: dict[str, tuple[str, ...]] = {}
        for name, texts in given.items():
            if name not in _TABLES[table]:
                raise self._error(name, f"is not known in [{table}]", f"known are {', '.join(_TABLES[table])}", table)
            if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
                raise self._error(name, "is no list of texts", f'write {name} = ["…", "…"]', table)
            rules[name] = tuple(_PLAIN[name](text) for text in texts)
        return rules

    def _pattern(self, text: str) -> re.Pattern[bytes]:
        try:
            pattern = re.compile(text.encode())
        except re.error as exc:
            raise self._error(text, f"is no regular expression: {exc}", "correct it") from exc
        if pattern.search(b""):
            raise self._error(text, "finds nothing everywhere", "let it match at least one character")
        return pattern

    def _error(self, word: str, problem: str, hint: str, table: str = "") -> ConfigError:
        start = (
            next((n for n, line in enumerate(self._lines) if line.strip().startswith(f"[{table}]")), 0) if table else 0
        )
        escaped = word.replace("\\", "\\\\")
        found = (n for n, line in enumerate(self._lines) if n >= start and (word in line or escaped in line))
        return ConfigError(f"policy {self._path}, line {next(found, 0) + 1}: {word!r} {problem}", hint)


_PLAIN: dict[str, Callable[[str], str]] = {
    "headers": str.lower,
    "keys": plain_key,
    "credentials": plain_key,
    "values": str,
}
