"""What the server pushes of its own accord, by kind of message: did it come, how late, how regularly. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.delivery import MEANINGS
from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, format_percent

_HEADS = ("Pushed message", "Came", "of those due", "Lateness p50", "p99", "estimated by", "Off rhythm p95", "Silences")
_LEFT = frozenset({0, 5})
_ENOUGH = 0.98


def pushes_table(pushes: Sequence[Mapping[str, Any]]) -> Html | None:
    """Return one row per kind of message and way its lateness is estimated; None where nothing is pushed.

    Args:
        pushes: of the summary.
    """
    rows = [row for report in pushes for row in _rows(report)]
    if not rows:
        return None
    heads = [tag("th", name, scope="col", class_=_align(index)) for index, name in enumerate(_HEADS)]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return tag("div", table, class_="scroll under-table")


def _align(index: int) -> str | None:
    return None if index in _LEFT else "n"


def _rows(report: Mapping[str, Any]) -> list[Html]:
    lags = {name: lag for name, lag in report["lag_ms"].items() if lag["p50"] is not None}
    names = sorted(lags, key=lambda name: name != report["gated"]) or [""]
    return [_row(report, name, lags.get(name), is_first=place == 0) for place, name in enumerate(names)]


def _row(report: Mapping[str, Any], name: str, lag: Mapping[str, Any] | None, *, is_first: bool) -> Html:
    how = MEANINGS.get(name, name)
    held = tag("span", " · held to the limit", class_="muted") if name and name == report["gated"] else None
    late = [tag("td", format_ms(lag[each]) if lag else "–", class_="n") for each in ("p50", "p99")]
    cells = [*late, tag("td", how, held)]
    if not is_first:
        blank = tag("td", "")
        return tag("tr", blank, blank, blank, *cells, blank, blank, class_="sub")
    share = report["completeness"]
    state = "n bad" if share is not None and share < _ENOUGH else "n"
    stalls = report["stalls"]
    silences = f"{format_count(stalls)}, longest {format_ms(report['longest_stall_ms'])}" if stalls else "0"
    return tag(
        "tr",
        tag("td", tag("code", report["message"]), tag("span", report["route"], class_="note")),
        tag("td", format_count(report["received"]), class_="n"),
        tag("td", "–" if share is None else format_percent(100 * share), class_=state),
        *cells,
        tag("td", format_ms(report["gap_ms"]["p95"]), class_="n"),
        tag("td", silences, class_="n bad" if stalls else "n zero"),
    )
