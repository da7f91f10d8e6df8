"""The documentation names only what exists: commands, options, files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import rushhour
from analysis.verification import MISMATCHES
from replayer import failures
from tests.commands import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "captures" / "SPEC.md"])
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_COMMAND_LINE = re.compile(r"^(?:\$ )?(rushhour [a-z].*)$", re.MULTILINE)


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert not [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]


def _typed() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    return [line.partition("  #")[0].strip() for line in _COMMAND_LINE.findall(blocks)]


def test_the_readme_shows_commands() -> None:
    assert len(_typed()) >= 5


@pytest.mark.parametrize("line", _typed())
def test_every_command_in_the_readme_exists_with_its_options(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = rushhour.cli.get_command(click.Context(rushhour.cli), name)
    assert command is not None
    known = {option for param in command.params for option in param.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= known


def test_every_class_of_failure_and_mismatch_is_explained() -> None:
    text = (ROOT / "docs" / "wires.md").read_text(encoding="utf-8")
    assert not [name for name in (*failures.FIXED, *MISMATCHES) if f"`{name}`" not in text]
