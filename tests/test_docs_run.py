"""Every command of the documentation runs, and prints what the page shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import ROOT, run_rushhour
from tests.consoles import Command, Terminal, commands_of, difference, files_of, is_excused, plain

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_COMMANDS = [page for page in PAGES if commands_of(page)]
# What pages take for granted: the capture that record.md makes, and who the users are.
GOLDEN = "captures/golden/demo"
PROVIDED = {"market.rush": "captures/golden/demo/market.rush", "users.csv": "captures/golden/demo/users.csv"}
MAKE_THEM_THEMSELVES = {"README.md", "record.md", "walkthrough.md"}
NEED_A_BROWSER = {"record.md"}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


@pytest.mark.process
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.browser] if page.name in NEED_A_BROWSER else [])
        for page in WITH_COMMANDS
    ],
)
def test_every_command_of_a_page_runs_and_prints_what_it_shows(page: Path, terminal: Terminal) -> None:
    if page.name not in MAKE_THEM_THEMSELVES:
        for name, source in PROVIDED.items():
            shutil.copy(ROOT / source, terminal.directory / name)
    for name, text in files_of(page).items():
        (terminal.directory / name).write_text(text)
    for name in ("demo", "docs"):
        (terminal.directory / name).symlink_to(ROOT / name)
    if page.name == "ci.md":
        _provide_short_golden(terminal.directory / GOLDEN)
    else:
        (terminal.directory / "captures").symlink_to(ROOT / "captures")
    was_busy = False
    for command in commands_of(page):
        code, printed = terminal.type(command)
        assert "Traceback" not in printed
        missing = difference(command.shown, printed)
        if missing and (is_excused(command, code) or (was_busy and "runs/" in command.line)):
            was_busy = True  # What is told of such a run later is of another verdict too.
            continue
        assert not missing, f"$ {command.line}\nended with {code} and printed\n{printed}\nbut not\n{missing}"
        assert code in (0, *_codes(command)), f"$ {command.line}\n{printed}"


def _provide_short_golden(directory: Path) -> None:
    """Copy the demo's golden, and keep of its visit the first three seconds: a check plays them at recorded speed."""
    shutil.copytree(ROOT / GOLDEN, directory)
    (directory / "market.rush").unlink()
    whole = str(ROOT / GOLDEN / "market.rush")
    cut = run_rushhour("edit", whole, "-o", str(directory / "market.rush"), "--to", "3s", cwd=directory)
    assert cut.returncode == 0, cut.stderr


def _codes(command: Command) -> set[int]:
    """Return the exit codes that the shown output announces."""
    text = "\n".join(command.shown)
    found = {code for code in (1, 2, 3, 4, 5, 6) if f"exit code {code}" in text}
    found |= {1, 3, 6} if "golden   contract" in text else set()
    found |= {2} if text.startswith("rushhour: ") else set()
    return found | ({0, 1, 5} if "compare" in command.line else set())


def test_pages_tell_of_everything_that_people_do() -> None:
    names = {page.name for page in WITH_COMMANDS}
    assert {"README.md", "walkthrough.md", "record.md", "replay.md", "storms.md", "ci.md", "report.md"} <= names


def test_figures_may_differ_and_nothing_else() -> None:
    assert plain("http p95 < 200ms   4.93 ms*  320") == plain("http p95 < 200ms 118 ms 12")
    assert not difference(("a 1", "…", "c …"), "a 2\nb\nc and more")
    assert difference(("b", "a"), "a\nb") == "a"
    assert difference(("a b",), "a b c") == "a b"


def test_a_command_that_goes_on_in_the_next_line_is_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ one \\\n    two\nout\n…\n$ three\n```\n")
    first, second = commands_of(page)
    assert (first.line.split(), first.shown) == (["one", "two"], ("out", "…"))
    assert (second.line, second.shown) == ("three", ())
