"""The outputs of a run besides ``summary.json`` and ``report.html``: which there are, and how each is made. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.run import Run


class Format(Enum):
    """An output that is written on demand; the value is how people ask for it."""

    JUNIT = "junit"
    MARKDOWN = "markdown"
    CSV = "csv"

    @property
    def file_name(self) -> str:
        """Where it lies in the run directory."""
        return _FILES[self]


_FILES = {Format.JUNIT: "junit.xml", Format.MARKDOWN: "summary.md", Format.CSV: "series.csv"}
FORMAT_NAMES = tuple(each.value for each in Format)


def render(wanted: Format, run: Run, summary: dict[str, Any]) -> str:
    """Return the whole file.

    Args:
        summary: what ``summarise`` returned for the run.
    """
    if wanted is Format.CSV:
        from analysis.report.csv import render_csv

        return render_csv(run)
    if wanted is Format.JUNIT:
        from analysis.report.junit import render_junit

        return render_junit(summary)
    from analysis.report.markdown import render_markdown

    return render_markdown(summary)
