"""A verification for people and as one document; everything shown went through the redaction before."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from captures.view.terminal import printable
from replayer.verify.records import Aspect, Difference, StepReport
from replayer.verify.reporting import Report

_MAX_EXPLAINED = 12
_ADVICE = (
    "the first of them usually explains the others; rushhour plan FILE shows where each value comes from, and"
    " --rules-out FILE writes what can be changed: a value that must be unique or typed anew becomes a column there"
)


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as one JSON document."""
    return {
        "target": report.target,
        "session": report.session,
        "unexplained": report.n_unexplained,
        "explained": report.n_explained,
        "steps": [_step_document(step) for step in report.steps],
        "messages": [
            {
                "route": each.route,
                "message": each.name,
                "recorded": each.n_recorded,
                "live": each.n_live,
                "differences": [_difference_document(difference) for difference in each.differences],
            }
            for each in report.messages
        ],
        "lost_sockets": list(report.lost),
    }


def _step_document(step: StepReport) -> dict[str, Any]:
    return {
        "step": step.step,
        "what": step.what,
        "kind": step.kind,
        "outcome": step.outcome,
        "status": {"recorded": step.recorded_status, "live": step.live_status},
        "content_type": step.content_type,
        "extractors": {"wanted": step.n_wanted, "found": step.n_found, "differ_from_recorded": step.n_fresh},
        "differences": [_difference_document(difference) for difference in step.differences],
    }


def _difference_document(difference: Difference) -> dict[str, Any]:
    return {
        "aspect": difference.aspect.value,
        "place": difference.place,
        "recorded": difference.recorded,
        "live": difference.live,
        "explained": difference.is_explained,
        "reason": difference.reason,
    }


def render(report: Report, console: Console) -> None:
    """Print a report: what every step gave, then what nothing explains, then what explains the rest."""
    console.print(_steps(report))
    if report.messages:
        console.print()
        console.print(_messages(report))
    unexplained = list(_unexplained(report))
    console.print()
    if unexplained:
        console.print(Text("not explained", style="bold"))
        for line in unexplained:
            console.print(Text(f"  {line}"), soft_wrap=True)
        console.print(Text(f"  {_ADVICE}"), soft_wrap=True)
    _render_reasons(report, console)
    console.print(Text(conclusion(report), style="red" if report.n_unexplained else "green"))


_COLUMNS = (("step", 4), ("what", 20), ("recorded", 8), ("live", 8), ("values", 6), ("new", 3), ("same", 4))
"""With the least width of each; ``values`` are extractors that found something, ``new`` those unlike the recorded."""


def _steps(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, least in _COLUMNS:
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=least)
    table.add_column("explained", no_wrap=True, justify="right", min_width=9)
    n_assets = 0
    for step in report.steps:
        if step.kind == "asset" and not step.differences:
            n_assets += 1
        else:
            table.add_row(str(step.step), printable(step.what), *_cells(step))
    if n_assets:
        table.add_row("", f"{n_assets} images, scripts and styles", "", "", "", "", "yes", "")
    return table


def _cells(step: StepReport) -> tuple[str, ...]:
    recorded, live = (str(status) if status else "" for status in (step.recorded_status, step.live_status))
    if step.outcome != "ok":
        live = "not sent" if step.outcome.startswith("not_sent") else step.outcome or "not begun"
    found = f"{step.n_found}/{step.n_wanted}" if step.n_wanted else ""
    n_explained = len(step.differences) - step.n_unexplained
    return (
        recorded,
        live,
        found,
        str(step.n_fresh) if step.n_wanted else "",
        "NO" if step.n_unexplained else "yes",
        str(n_explained) if n_explained else "",
    )


def _messages(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("messages", "route", "recorded", "live", "same"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for each in report.messages:
        is_same = all(difference.is_explained for difference in each.differences)
        table.add_row(
            printable(each.name),
            printable(each.route),
            str(each.n_recorded),
            str(each.n_live),
            "yes" if is_same else "NO",
        )
    return table


def _unexplained(report: Report) -> list[str]:
    lines = [
        f"step {step.step}, {printable(step.what)}: {difference_text(difference)}"
        for step in report.steps
        for difference in step.differences
        if not difference.is_explained
    ]
    lines += [
        f"{printable(each.name)} on {printable(each.route)}: {difference_text(difference)}"
        for each in report.messages
        for difference in each.differences
        if not difference.is_explained
    ]
    return [*lines, *map(printable, report.lost)]


def difference_text(difference: Difference) -> str:
    """Say in one clause how an answer or message differs."""
    place = f"{printable(difference.place)} " if difference.place else ""
    recorded, live = printable(difference.recorded), printable(difference.live)
    match difference.aspect:
        case Aspect.MISSING:
            return f"{place}is missing (recorded {recorded})"
        case Aspect.EMPTY:
            return f"{place}came empty"
        case Aspect.EXTRACTOR:
            return f"{place}was not found at {recorded}: the steps that use it cannot be sent"
        case Aspect.OUTCOME:
            return f"recorded {recorded}, live {live}"
        case _:
            told = f"recorded {recorded}, live {live}" if recorded else f"live {live}"
            return f"{difference.aspect.value} {place}{told}"


def _render_reasons(report: Report, console: Console) -> None:
    reasons = Counter(
        difference.reason for step in report.steps for difference in step.differences if difference.is_explained
    )
    if not reasons:
        return
    console.print(Text("explained", style="bold"))
    for why, n in reasons.most_common(_MAX_EXPLAINED):
        console.print(Text(f"  {n} × {printable(why)}"), soft_wrap=True)
    if len(reasons) > _MAX_EXPLAINED:
        console.print(Text(f"  and {len(reasons) - _MAX_EXPLAINED} more reasons; --json lists them all"))


def conclusion(report: Report) -> str:
    """Say in one sentence what a verification came to."""
    n_steps = len(report.steps)
    if report.n_unexplained:
        return f"{report.n_unexplained} of the differences in {n_steps} steps are not explained"
    return f"{n_steps} steps are as recorded; {report.n_explained} differences, all explained"
