"""GitHub's annotations: what a run comes to, beside the job instead of somewhere in its log. Pure.

GitHub shows ten errors and ten warnings of a step and drops the others; the first here are the gravest.
Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analysis.report.text import printable

MOST_OF_A_KIND = 10
_NO_FAILURE = {"pass"}
_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}


def annotation_lines(summary: dict[str, Any]) -> list[str]:
    """Return the lines to be printed, none longer than a few hundred characters.

    Args:
        summary: what ``summarise`` returned.
    """
    word = summary["verdict"]
    title = f"Rushhour: {word.upper()}"
    if word in _NO_FAILURE:
        lines = [annotation("notice", title, summary["reasons"][0])]
    else:
        level = "error" if summary["exit_code"] else "warning"
        lines = [annotation(level, title, reason) for reason in summary["reasons"]]
    lines = lines[:MOST_OF_A_KIND]
    n_warnings = sum(line.startswith("::warning") for line in lines)
    return [*lines, *list(_warnings(summary))[: MOST_OF_A_KIND - n_warnings]]


def annotation(level: str, title: str, message: object) -> str:
    """Return one workflow command; nothing in title or message can end it or begin another.

    Args:
        level: ``error``, ``warning`` or ``notice``.
    """
    return f"::{level} title={_escaped(title, _PROPERTY)}::{_escaped(message, _MESSAGE)}"


def _warnings(summary: dict[str, Any]) -> Iterator[str]:
    for sentence in summary["warnings"]:
        yield annotation("warning", "Rushhour", sentence)


def _escaped(text: object, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in printable(text))
