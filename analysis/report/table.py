"""Sortable tables and their cells. Without a script they stand in the order they were made in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.report.markup import Html, tag
from analysis.report.plot import path_of
from analysis.report.text import format_count, format_ms

_SPARK_WIDTH, _SPARK_HEIGHT = 96, 22
_FEWEST = 3
"""Values from which on a line over time says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; ``is_plain`` cannot be sorted by, ``hint`` explains its head."""

    name: str
    is_number: bool = True
    is_plain: bool = False
    hint: str = ""


def sortable_table(columns: Sequence[Column], rows: Sequence[Html], *, n_left_out: int = 0) -> Html:
    """Return a table whose heads sort it."""
    heads = [
        tag(
            "th",
            column.name if column.is_plain else tag("button", column.name, type="button"),
            scope="col",
            class_="n" if column.is_number else None,
            title=column.hint or None,
        )
        for column in columns
    ]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable")
    note = tag("p", f"and {format_count(n_left_out)} more in summary.json", class_="muted") if n_left_out > 0 else None
    return tag("div", table, note, class_="scroll")


def number_cell(shown: str, value: float) -> Html:
    """Return a number and what it is sorted by."""
    return tag("td", shown, class_="n" if value else "n zero", data_value=f"{value:g}")


def count_cell(n: int, total: int) -> Html:
    """Return a number of bad things, with their share."""
    share = tag("small", f"{n / total:.1%}") if n and total else None
    return tag("td", share, " " if share else None, format_count(n), class_="n bad" if n else "n zero", data_value=n)


def time_cell(us: float | None, class_: str = "n") -> Html:
    """Return a time given in µs."""
    value = -1.0 if us is None else us
    return tag("td", format_ms(None if us is None else us / 1000), class_=class_, data_value=f"{value:g}")


def sparkline(points: Sequence[float | None], what: str) -> Html | None:
    """Return a line over time from 0 to the largest value; None where there are too few."""
    known = [point for point in points if point is not None]
    if len(known) < _FEWEST:
        return None
    top = max(known)
    step = _SPARK_WIDTH / max(1, len(points) - 1)
    room = _SPARK_HEIGHT - 2
    places = [
        f"{index * step:.1f} {1 + room * (1 - point / top):.1f}"
        for index, point in enumerate(points)
        if point is not None
    ]
    path = "L".join(places)
    first, last = places[0].split(" ")[0], places[-1].split(" ")[0]
    under = path_of("under", f"M{path}L{last} {_SPARK_HEIGHT}L{first} {_SPARK_HEIGHT}z")
    title = tag("title", f"{what}, at most {format_ms(top)}")
    return tag(
        "svg",
        title,
        under,
        path_of("over", f"M{path}"),
        viewBox=f"0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}",
        width=_SPARK_WIDTH,
        height=_SPARK_HEIGHT,
        role="img",
    )
