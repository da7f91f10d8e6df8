"""Populations and pacing for people: who was there, and how sessions went against the recorded timeline. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, printable

if TYPE_CHECKING:
    from rich.console import Console

Report = Mapping[str, Any]


def rows_of(report: Report) -> dict[str, str]:
    """Return one population as text by column."""
    users, sessions = report["users"], report["sessions"]
    at_once = format_count(users["concurrent"])
    if users["concurrent_planned"] is not None:
        at_once = f"{at_once} of {format_count(users['concurrent_planned'])}"
    return {
        "population": printable(report["name"], 40),
        "users": f"{format_count(users['started'])} of {format_count(users['planned'])}",
        "at once": at_once,
        "sessions": f"{format_count(sessions['completed'])} of {format_count(sessions['started'])}",
        "failed": format_count(sessions["failed"]),
        "along": printable(", ".join(report["along"]), 120) or "–",
    }


def populations_table(reports: Sequence[Report], console: Console, *, is_narrow: bool) -> None:
    """Print how many of each population came, and stayed at once; nothing where the run has no populations."""
    from rich.table import Table
    from rich.text import Text

    if not reports:
        return
    left_out = {"along", "failed"} if is_narrow else {"along"}
    columns = [column for column in rows_of(reports[0]) if column not in left_out]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="left" if column == "population" else "right", no_wrap=True)
    for report in reports:
        row = rows_of(report)
        table.add_row(*(Text(row[column]) for column in columns))
    console.print()
    console.print(table)


def populations_section(reports: Sequence[Report], pacing: Mapping[str, Any]) -> Html | None:
    """Return the body of the report's section; None where the run has no populations and no session was over."""
    said = tag("p", sentence) if (sentence := pacing_sentence(pacing)) else None
    if not reports:
        return said
    columns = list(rows_of(reports[0]))
    head = tag("tr", *(tag("th", column) for column in columns), tag("th", "shape"))
    rows = [
        tag("tr", *(tag("td", text) for text in rows_of(report).values()), tag("td", tag("code", report["shape"])))
        for report in reports
    ]
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll")
    return Html(f"{table}{said or ''}")


def pacing_sentence(pacing: Mapping[str, Any]) -> str:
    """Say what slow steps cost whole sessions; empty where no session was over, or none is paced."""
    if not pacing["sessions"]:
        return ""
    slip, stretch = pacing["slip_ms"]["p95"], pacing["stretch_ratio"]["p95"]
    return (
        f"{format_count(pacing['sessions'])} sessions: behind the recorded timeline by {format_ms(slip)} at p95,"
        f" {stretch:.2f} times as long as on time"
    )
