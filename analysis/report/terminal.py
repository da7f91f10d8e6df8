"""The report for a terminal: verdict first, then why, then the figures. Fits 80 columns, and 40 with fewer of them.

Everything shown that a capture, a target or a user wrote goes through ``printable``, and nothing is markup.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.failures import sentence as told
from analysis.report.baseline import calibration_line, render_comparisons
from analysis.report.following import next_step
from analysis.report.populations import populations_table
from analysis.report.storms import storms_table
from analysis.report.text import (
    busiest,
    format_count,
    format_ms,
    format_seconds,
    format_value,
    plural,
    printable,
    route_name,
)
from analysis.series import STORMS

_STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "not_applicable": "dim",
    "invalid": "bold magenta",
    "unreachable": "bold red",
    "aborted": "bold red",
    "interrupted": "bold yellow",
}
_MARKS = {"pass": "ok", "fail": "FAIL", "inconclusive": "open", "not_applicable": "n/a"}
_NARROW = 64
_MOST_ROWS = 15
_MOST_EXAMPLES = 3
"""Kinds of failures whose first one is shown: what a log of twenty lines has room for."""


def render_terminal(summary: dict[str, Any], console: Console, *, directory: Path | None = None) -> None:
    """Print the report of a run.

    Args:
        summary: what ``summarise`` returned.
        directory: where the run lies, to be named at the end.
    """
    is_narrow = console.width < _NARROW
    _verdict(summary, console)
    _thresholds(summary["thresholds"], console, is_narrow=is_narrow)
    calibration = calibration_line(summary)
    if calibration is not None:
        console.print(calibration)
    render_comparisons(summary["baseline"], console)
    _series(summary["series"], console, is_narrow=is_narrow)
    populations_table(summary["populations"], console, is_narrow=is_narrow)
    storms_table(summary["storms"], console, is_narrow=is_narrow)
    _errors(summary, console)
    _generator(summary["generator"], console)
    for sentence in summary["warnings"]:
        console.print(_line("warning: ", sentence, style="yellow"))
    if directory is not None:
        _end(summary, console, directory)


def _end(summary: dict[str, Any], console: Console, directory: Path) -> None:
    """Say the verdict once more, where a log ends: that is what is looked at first."""
    word = summary["verdict"]
    console.print()
    console.print(Text(f"report   {printable(directory / 'report.html')}"), soft_wrap=True)
    console.print(Text(f"data     {printable(directory / 'summary.json')}"), soft_wrap=True)
    first, *others = summary["reasons"]
    more = f", and {len(others)} more" if others else ""
    told = f", exit code {summary['exit_code']}: {printable(first)}{more}"
    console.print(Text.assemble("verdict  ", (word, _STYLES[word]), told), soft_wrap=True)
    console.print(Text(f"next     {printable(next_step(summary, directory))}"), soft_wrap=True)


def _line(label: str, text: object, *, style: str = "") -> Text:
    return Text.assemble((label, style), printable(text))


def _verdict(summary: dict[str, Any], console: Console) -> None:
    word = summary["verdict"]
    reasons = summary["reasons"]
    console.print(Text.assemble((word.upper(), _STYLES[word]), f"  {printable(reasons[0])}"))
    for reason in reasons[1:4]:
        console.print(Padding(Text(printable(reason)), (0, 0, 0, len(word) + 2), expand=False))
    if len(reasons) > 4:
        console.print(Padding(Text(f"and {len(reasons) - 4} more"), (0, 0, 0, len(word) + 2), expand=False))
    users, sessions = summary["users"], summary["sessions"]
    parts = [
        plural(users["started"], "user"),
        f"{format_count(sessions['completed'])} of {plural(sessions['started'], 'session')} complete",
        f"{plural(summary['workers'], 'worker')}, {format_seconds(summary['duration_s'])}",
    ]
    if summary["warmup_s"]:
        parts.append(f"the first {format_seconds(summary['warmup_s'])} not judged")
    console.print(Text(f"{printable(summary['target'])} · {' · '.join(parts)}", style="dim"))


def _table(*columns: str, numbers_from: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, column in enumerate(columns):
        is_number = position >= numbers_from
        table.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    return table


def _thresholds(rows: list[dict[str, Any]], console: Console, *, is_narrow: bool) -> None:
    console.print()
    table = _table("", "threshold", "value", *([] if is_narrow else ["samples"]), numbers_from=2)
    n_low = 0
    for row in rows:
        is_low = row["confidence"] == "low"
        value = "–" if row["outcome"] == "not_applicable" else format_value(row["value"], row["unit"])
        cells = [
            Text(_MARKS[row["outcome"]], _STYLES[row["outcome"]]),
            Text(_expr(row), "dim" if row["outcome"] == "not_applicable" else ""),
            Text(value + ("*" if is_low else "")),
        ]
        table.add_row(*cells, *([] if is_narrow else [Text(format_count(row["n"]) if row["n"] else "")]))
        n_low += is_low
    console.print(table)
    if n_low:
        console.print(Text("* low confidence: few samples, or the 95% interval reaches over the limit", "dim"))


def _expr(row: dict[str, Any]) -> str:
    """A threshold as it was written; what it was held against stands behind one that leaves that open."""
    gated = f" ({row['gated']})" if row["gated"] else ""
    return printable(row["expr"]) + gated


def _series(series: list[dict[str, Any]], console: Console, *, is_narrow: bool) -> None:
    shown = (entry for entry in series if entry["name"] not in STORMS)
    rows = [entry for entry in shown if not entry["labels"] or entry["name"] == "http"]
    if not rows:
        return
    columns = ["p95", "errors"] if is_narrow else ["n", "/s", "p50", "p95", "p99", "errors"]
    console.print()
    table = _table("series", *columns)
    for entry in rows[:_MOST_ROWS]:
        table.add_row(_name(entry), *(Text(_cell(entry, column)) for column in columns))
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(Text(f"and {len(rows) - _MOST_ROWS} more in the report", "dim"))


def _name(entry: dict[str, Any]) -> Text:
    if not entry["labels"]:
        return Text(printable(entry["name"], 60), "bold")
    return Text(f"  {printable(route_name(entry['labels']) or entry['labels'], 60)}")


def _cell(entry: dict[str, Any], column: str) -> str:
    if column == "n":
        return format_count(entry["count"])
    if column == "/s":
        return f"{entry['rate_per_s']:.1f}"
    if column == "errors":
        n = sum(entry["errors"].values()) + entry["mismatches"]
        return format_count(n)
    return format_ms(entry["latency_ms"][column])


def _errors(summary: dict[str, Any], console: Console) -> None:
    classes = Counter(summary["totals"]["errors"])
    classes.update({f"mismatch {kind}": n for kind, n in summary["verification"]["by_kind"].items()})
    classes.update({f"not sent: {reason}": n for reason, n in summary["totals"]["not_sent"].items()})
    if not classes:
        return
    console.print()
    shown = [f"{printable(name)} {format_count(n)}" for name, n in classes.most_common(8)]
    console.print(Text.assemble(("errors  ", "red"), " · ".join(shown)))
    for group in [group for group in summary["failures"] if group["examples"]][:_MOST_EXAMPLES]:
        where = " ".join(part for part in (group["class"], group["route"] or group["series"]) if part)
        first = told(group["examples"][0])
        console.print(Padding(Text(f"{printable(where, 80)}: {printable(first)}"), (0, 0, 0, 8), expand=False))


def _generator(generator: dict[str, Any], console: Console) -> None:
    lag, loop = generator["lag_ms"]["p99"], generator["loop_ms"]["p99"]
    is_late = max(lag or 0, loop or 0) > generator["limit_ms"]
    word, style = ("is late, which --allow-lag allows", "yellow") if is_late else ("can be trusted", "green")
    if not generator["valid"]:
        word, style = "CANNOT be trusted", "bold magenta"
    console.print()
    console.print(
        Text.assemble(
            "measurement  ",
            (word, style),
            f": sends p99 {format_ms(lag)} late, loop p99 {format_ms(loop)} late ({format_ms(generator['limit_ms'])} "
            f"allowed), CPU {generator['cpu_ratio']:.0%} of a core per worker{busiest(generator)}, waited for one "
            f"{generator['core_wait_ratio']:.0%} of the time",
        )
    )
