"""Charts as SVG that stretches to the width of the page, with its labels as text beside it. Pure.

The drawing has no text and is stretched; lines keep their width (``vector-effect``), and labels are HTML placed by
shares, so a chart is as legible on a phone as on paper and needs no script. Colours are classes of ``page.css``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.report.markup import Html, join, tag
from analysis.report.scale import Scale

HEIGHT = 1000
"""Units of a drawing from top to bottom."""
COLUMN = 10
"""Units of a drawing per column of time."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An entry of a legend.

    Attributes:
        colour: the class of its line or area.
        value: of the whole run, as text.
        series, unit: where ``page.js`` finds its value under the cursor, and how it is written.
    """

    name: str
    colour: str
    value: str = ""
    series: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened at a place (0–1) of the x axis; with ``until`` it lasted."""

    at: float
    kind: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A horizontal line, as of a limit, at a place (0–1) of the y axis."""

    at: float
    label: str
    kind: str = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One drawing and what stands around it.

    Attributes:
        width: units of the drawing from left to right.
        y_labels, x_labels: (place, text).
        height_px: on the screen.
    """

    shapes: Sequence[Html]
    width: int
    y_labels: Sequence[tuple[float, str]]
    x_labels: Sequence[tuple[float, str]] = ()
    rules: Sequence[Rule] = ()
    marks: Sequence[Mark] = ()
    height_px: int = 120
    describes: str = ""


def render_plot(plot: Plot) -> Html:
    """Return the drawing with its axes."""
    lines = "".join(f"M0 {_y(place)}H{plot.width}" for place, _ in plot.y_labels)
    drawing = tag(
        "svg",
        path_of("grid", lines),
        *plot.shapes,
        *(path_of(f"rule {rule.kind}", f"M0 {_y(rule.at)}H{plot.width}") for rule in plot.rules),
        viewBox=f"0 0 {plot.width} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=plot.describes,
    )
    said = [tag("span", rule.label, class_=f"ruled {rule.kind}", style=f"bottom:{rule.at:.2%}") for rule in plot.rules]
    canvas = tag("div", drawing, *map(_mark, plot.marks), *said, tag("i", class_="cursor"), class_="canvas")
    ys = [tag("span", text, style=f"bottom:{place:.2%}") for place, text in plot.y_labels]
    xs = [tag("span", text, class_=_edge(place), style=f"left:{place:.2%}") for place, text in plot.x_labels]
    return tag(
        "div",
        tag("div", *ys, class_="ys", aria_hidden="true"),
        canvas,
        tag("div", *xs, class_="xs", aria_hidden="true") if xs else None,
        class_="plot",
        style=f"--h:{plot.height_px}px",
    )


def render_chart(title: str, keys: Iterable[Key], plot: Html, *, note: str = "", anchor: str | None = None) -> Html:
    """Return a titled chart with its legend."""
    entries = [_key(key) for key in keys]
    legend = tag("ul", *entries, class_="keys") if entries else None
    said = tag("p", note, class_="caption") if note else None
    return tag("figure", tag("figcaption", tag("h3", title), said, legend), plot, class_="chart", id=anchor)


def _key(key: Key) -> Html:
    value = tag("b", key.value, data_s=key.series or None, data_u=key.unit or None)
    return tag("li", tag("i", class_=key.colour), key.name, " ", value)


def _mark(mark: Mark) -> Html:
    width = "" if mark.until is None else f";width:{mark.until - mark.at:.3%}"
    return tag("i", class_=f"mark {mark.kind}", style=f"left:{mark.at:.3%}{width}")


def _edge(place: float) -> str | None:
    return "first" if place < 0.02 else "last" if place > 0.97 else None


def _y(place: float) -> int:
    return round(HEIGHT * (1 - place))


def columns_of(values: Sequence[float | None], scale: Scale) -> list[Point | None]:
    """Return a point in the middle of every column of time, None where there is no value."""
    return [
        None if value is None else (COLUMN * index + COLUMN / 2, _y(scale.place(value)))
        for index, value in enumerate(values)
    ]


def path_of(kind: str, data: str) -> Html:
    """Return a path of numbers made here, which may be longer than a text from outside."""
    return tag("path", class_=kind, d=Html(data))


def line(points: Sequence[Point | None], kind: str) -> Html:
    """Return a line through points, broken at None; a lone point is a short stroke."""
    return path_of(f"line {kind}", _path(points))


def haloed(points: Sequence[Point | None], kind: str) -> Html:
    """Return a line that stands out from what lies under it."""
    path = _path(points)
    return join(path_of("halo", path), path_of(f"line {kind}", path))


def _path(points: Sequence[Point | None]) -> str:
    parts: list[str] = []
    for index, point in enumerate(points):
        if point is None:
            continue
        before = points[index - 1] if index else None
        after = points[index + 1] if index + 1 < len(points) else None
        if before is not None:
            parts.append(f"L{point[0]:g} {point[1]:g}")
        elif after is not None:
            parts.append(f"M{point[0]:g} {point[1]:g}")
        else:
            parts.append(f"M{point[0] - 4:g} {point[1]:g}h8")
    return "".join(parts)


def area(uppers: Sequence[float], lowers: Sequence[float], scale: Scale, kind: str) -> Html:
    """Return the steps between two rows of values, one column each; nothing where they are equal."""
    parts = []
    for index, (upper, lower) in enumerate(zip(uppers, lowers, strict=True)):
        top, bottom = _y(scale.place(upper)), _y(scale.place(lower))
        if bottom > top:
            parts.append(f"M{COLUMN * index} {top}h{COLUMN}V{bottom}h-{COLUMN}z")
    return path_of(f"area {kind}", "".join(parts))


def band(uppers: Sequence[Point], lowers: Sequence[Point], kind: str) -> Html:
    """Return the space between two lines."""
    places = [*uppers, *reversed(lowers)]
    return path_of(f"area {kind}", "M" + "L".join(f"{x:g} {y:g}" for x, y in places) + "z")


def cells(levels: Sequence[Sequence[int]], n_levels: int) -> list[Html]:
    """Return a heatmap: one path per level, neighbours of a row in one piece.

    Args:
        levels: rows from the bottom, one level (1 to ``n_levels``, 0 for nothing) per column of time.
    """
    height = HEIGHT / max(1, len(levels))
    paths: list[list[str]] = [[] for _ in range(n_levels + 1)]
    for row, line_of in enumerate(levels):
        top = HEIGHT - (row + 1) * height
        start = 0
        for column in range(1, len(line_of) + 1):
            if column == len(line_of) or line_of[column] != line_of[start]:
                if line_of[start]:
                    width = COLUMN * (column - start)
                    paths[line_of[start]].append(f"M{COLUMN * start} {top:.1f}h{width}v{height:.1f}h-{width}z")
                start = column
    return [path_of(f"heat{level}", "".join(path)) for level, path in enumerate(paths) if path]
