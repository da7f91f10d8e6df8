"""Tells the CI system that a run happens in what came of it, in the ways that each of them shows to people.

GitHub Actions (``GITHUB_ACTIONS=true``): annotations, and ``summary.md`` behind the step's summary. GitLab CI
(``GITLAB_CI=true``): ``junit.xml`` is written unasked, for ``artifacts: reports: junit``. Elsewhere nothing happens.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.report.annotations import annotation_lines
from analysis.report.formats import Format
from analysis.report.markdown import render_markdown

if TYPE_CHECKING:
    from rich.console import Console

STEP_SUMMARY_LIMIT_BYTES = 1 << 20
"""GitHub drops a step's summary that is larger, all of it."""

_log = logging.getLogger(__name__)


def is_github(environ: Mapping[str, str]) -> bool:
    """Tell whether GitHub Actions runs this."""
    return environ.get("GITHUB_ACTIONS") == "true"


def formats_for(environ: Mapping[str, str], wanted: Collection[Format]) -> tuple[Format, ...]:
    """Return the outputs to be written: those asked for, and what the CI system takes."""
    found = set(wanted) | ({Format.JUNIT} if environ.get("GITLAB_CI") == "true" else set())
    return tuple(each for each in Format if each in found)


def tell_ci(summary: dict[str, Any], environ: Mapping[str, str], console: Console) -> None:
    """Print annotations and extend the step's summary where GitHub Actions runs this."""
    if not is_github(environ):
        return
    for line in annotation_lines(summary):
        console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        _extend(Path(path), render_markdown(summary) + "\n")


def _extend(path: Path, text: str) -> None:
    try:
        used_bytes = path.stat().st_size if path.exists() else 0
        if used_bytes + len(text.encode()) > STEP_SUMMARY_LIMIT_BYTES:
            _log.warning("the step's summary has no room left; summary.md holds it (--format markdown)")
            return
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        _log.warning("the step's summary could not be written: %s: %s", path, exc.strerror)
