"""Storms for people: the table of a terminal, and the section of ``report.html`` with its recovery curves. Pure.

The curves are drawn by ``recovery``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.report.markup import Html, join, tag
from analysis.report.recovery import recovery_chart
from analysis.report.text import format_count, format_ms, format_seconds, printable

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS = 12
"""Strikes a terminal shows; the report shows all."""

Report = Mapping[str, Any]


def rows_of(report: Report) -> dict[str, str]:
    """Return one strike as text by column."""
    amplification, lost = report["amplification"], report["lost"]
    return {
        "storm": f"{report['label']} at {format_seconds(report['at_s'])}",
        "lost": format_count(lost),
        "back": format_count(report["recovered"]),
        "T50": _time(report["t50_s"], lost),
        "T95": _time(report["t95_s"], lost),
        "T99": _time(report["t99_s"], lost),
        "T100": _time(report["t100_s"], lost),
        "tries": "–" if amplification is None else f"{amplification:.2f}×",
        "server p95": format_ms(report["server_ms"]["p95"]),
        "others p95": _others(report["collateral"], "during_p95_ms"),
        "before": _others(report["collateral"], "before_p95_ms"),
        "normal after": "–" if report["time_to_normal_s"] is None else format_seconds(report["time_to_normal_s"]),
    }


def storms_table(reports: Sequence[Report], console: Console, *, is_narrow: bool) -> None:
    """Print what became of the sockets that storms took; nothing where there were no storms."""
    from rich.table import Table
    from rich.text import Text

    if not reports:
        return
    left_out = {"T99", "before", "normal after"}
    if is_narrow:
        left_out |= {"T50", "tries", "server p95", "others p95"}
    columns = [column for column in rows_of(reports[0]) if column not in left_out]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="left" if column == "storm" else "right", no_wrap=True)
    for report in reports[:MOST_ROWS]:
        row = rows_of(report)
        table.add_row(*(Text(row[column]) for column in columns))
    console.print()
    console.print(table)
    if len(reports) > MOST_ROWS:
        console.print(Text(f"and {len(reports) - MOST_ROWS} more in the report", "dim"))
    for sentence in _sentences(reports):
        console.print(Text(sentence, "dim"))


def storms_section(reports: Sequence[Report]) -> Html | None:
    """Return the body of the report's section, None where there were no storms."""
    if not reports:
        return None
    columns = list(rows_of(reports[0]))
    head = tag("tr", *(tag("th", column, class_=_align(column)) for column in columns), tag("th", "errors"))
    rows = []
    for report in reports:
        cells = [tag("td", text, class_=_align(column)) for column, text in rows_of(report).items()]
        rows.append(tag("tr", *cells, tag("td", _errors(report)), class_="bad" if report["unrecovered"] else None))
    specs = dict.fromkeys((str(report["label"]).partition(".")[0], report["spec"]) for report in reports)
    listed = [tag("li", f"storm {label} ", tag("code", printable(spec, 300))) for label, spec in specs]
    said = [tag("p", sentence, class_="lead") for sentence in _sentences(reports)]
    curves = recovery_chart(reports)
    return join(
        tag("ul", *listed, class_="specs"),
        *said,
        tag("div", curves, class_="card") if curves is not None else None,
        tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll"),
    )


def _align(column: str) -> str | None:
    return None if column == "storm" else "n"


def _sentences(reports: Sequence[Report]) -> list[str]:
    n_never = sum(sum(report["unrecovered"].values()) for report in reports)
    found = []
    if n_never:
        found.append(f"{format_count(n_never)} sockets did not come back; they count as infinitely late")
    if any(not report["lost"] for report in reports):
        found.append("a storm that took nothing found no open socket of those it was to hit")
    return found


def _errors(report: Report) -> str:
    mix = [f"{printable(name, 40)} {format_count(n)}" for name, n in report["errors"].items()]
    return " · ".join(mix) or "none"


def _others(collateral: Mapping[str, Any], name: str) -> str:
    found = collateral.get("http") or collateral.get("ws.reply")
    return "–" if not found else format_ms(found[name])


def _time(value_s: float | None, lost: int) -> str:
    if not lost:
        return "–"
    return "never" if value_s is None else f"{value_s:.2f} s" if value_s < 100 else format_seconds(value_s)
