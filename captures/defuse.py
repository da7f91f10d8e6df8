"""Keeps text of captures, targets and users from being taken for a command by a machine that reads a log. Pure.

GitHub Actions obeys lines that begin with ``::name`` (after blanks) and what follows ``##[`` anywhere in a line, Azure
Pipelines what follows ``##vso[``, TeamCity lines that begin with ``##teamcity[``.

Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions; actions/runner,
src/Runner.Common/ActionCommand.cs (``TryParseV2`` trims the line, ``TryParse`` looks for ``##[`` in all of it).
"""

from __future__ import annotations

import re

_LINE = re.compile(r"^(\s*):(?=:[A-Za-z-]+(?:\s|::))", re.MULTILINE)
_ANYWHERE = re.compile(r"##(?=[A-Za-z]*\[)")


def defused(text: str) -> str:
    """Return the text with ``\\x3a`` or ``\\x23`` for the one character that would make a command of it."""
    return _ANYWHERE.sub(r"#\\x23", _LINE.sub(r"\1\\x3a", text))


def harmless(text: str) -> str:
    """Return the text, several lines perhaps, in which nothing commands a terminal or a machine that reads a log."""
    shown = (c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
    return defused("".join(shown))
