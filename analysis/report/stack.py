"""The run over time: charts one above the other on one time axis, with one cursor through all of them. Pure.

Each legend shows figures of the whole run; ``page.js`` puts those under the cursor in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log10
from typing import Any

from analysis.attendance import planned_of
from analysis.report.columns import HEATS, Columns, Heat
from analysis.report.markup import Html, tag
from analysis.report.moments import Moment, marks_of, moments_of
from analysis.report.plot import (
    COLUMN,
    Key,
    Mark,
    Plot,
    Rule,
    area,
    cells,
    columns_of,
    haloed,
    line,
    render_chart,
    render_plot,
)
from analysis.report.scale import Scale, clock, counting_scale, time_ticks
from analysis.report.text import format_count, format_ms
from analysis.run import Run
from analysis.series import latency_of

N_LEVELS = 6
_LINES = {"p50": "p50", "p95": "p95", "p99": "p99"}
_ERROR_COLOURS = ("red", "orange", "purple", "sky", "green", "yellow", "blue", "brown", "grey")


@dataclass(slots=True)
class Stack:
    """Charts as they are added, and the values that ``page.js`` shows under the cursor."""

    run: Run
    summary: dict[str, Any]
    columns: Columns
    marks: Sequence[Mark]
    series: dict[str, Sequence[float | None]] = field(default_factory=dict)
    charts: list[Html] = field(default_factory=list)

    def add(
        self,
        title: str,
        keys: Iterable[Key],
        shapes: Sequence[Html],
        y_labels: Sequence[tuple[float, str]],
        *,
        rules: Sequence[Rule] = (),
        height_px: int = 110,
        note: str = "",
    ) -> None:
        """Add a chart under the others."""
        plot = Plot(
            shapes=shapes,
            width=COLUMN * len(self.columns),
            y_labels=y_labels,
            x_labels=time_labels(self.columns),
            rules=rules,
            marks=self.marks,
            height_px=height_px,
            describes=f"{title} over time",
        )
        self.charts.append(render_chart(title, keys, render_plot(plot), note=note))

    def key(self, name: str, colour: str, value: str, values: Sequence[float | None], unit: str = "") -> Key:
        """Return a legend entry whose values the cursor shows."""
        series = f"s{len(self.series)}"
        self.series[series] = values
        return Key(name=name, colour=colour, value=value, series=series, unit=unit)


def render_stack(run: Run, summary: dict[str, Any], columns: Columns) -> tuple[Html, dict[str, Any]]:
    """Return the charts, and the data of the cursor."""
    moments = moments_of(summary, columns)
    stack = Stack(run, summary, columns, marks_of(moments, columns))
    _users(stack)
    _throughput(stack)
    for name, title in HEATS.items():
        heat = columns.heat(name, [each["limit"] for each in limits_of(summary["thresholds"], name)])
        if heat is not None:
            _heat(stack, name, title, heat)
    _errors(stack)
    _lag(stack)
    body = tag("div", _legend_of(moments), *stack.charts, class_="stack", tabindex=0, data_n=len(columns))
    return body, {"width": columns.width_s, "n": len(columns), "end": columns.end_s, "series": stack.series}


def time_labels(columns: Columns) -> list[tuple[float, str]]:
    """Return the labels of the time axis."""
    return [(columns.place(at_s), clock(at_s, columns.end_s)) for at_s in time_ticks(columns.end_s)]


def count_labels(scale: Scale) -> list[tuple[float, str]]:
    """Return the labels of an axis of numbers."""
    return [(scale.place(value), f"{value:,.6g}") for value in scale.ticks()]


def ms_labels(scale: Scale, most: int = 7) -> list[tuple[float, str]]:
    """Return the labels of an axis of times."""
    return [(scale.place(value), format_ms(float(f"{value:.6g}"))) for value in scale.ticks(most)]


def _legend_of(moments: Sequence[Moment]) -> Html | None:
    if not moments:
        return None
    shown = [tag("li", tag("i", class_=f"mark {each.kind}"), each.name) for each in moments if each.kind != "doubt"]
    doubts = [each for each in moments if each.kind == "doubt"]
    if doubts:
        said = doubts[0].name if len(doubts) == 1 else f"{len(doubts)} stretches"
        shown.append(tag("li", tag("i", class_="mark doubt"), f"this machine was late: {said}"))
    return tag("ul", *shown, class_="keys moments")


def _users(stack: Stack) -> None:
    gauges = (
        ("users", "users_active", "blue"),
        ("connections", "connections_open", "grey"),
        ("sockets", "sockets_open", "green"),
    )
    rows = [(name, colour, stack.columns.gauge(gauge)) for name, gauge, colour in gauges]
    rows = [row for row in rows if row[0] == "users" or any(row[2])]
    planned = planned_of(stack.run, "users")
    if planned:
        rows.insert(1, ("users planned", "ink dashed", stack.columns.by_second(planned)))
    scale = counting_scale([value for _, _, values in rows for value in values])
    keys = [stack.key(name, colour, f"{max(values):,.0f} at most", values) for name, colour, values in rows]
    shapes = [line(columns_of(values, scale), colour) for _, colour, values in reversed(rows)]
    stack.add("Users", keys, shapes, count_labels(scale))


def _throughput(stack: Stack) -> None:
    offered = stack.columns.offered_per_s()
    good, bad = stack.columns.answered_per_s()
    both = [ok + wrong for ok, wrong in zip(good, bad, strict=True)]
    scale = counting_scale([*offered, *both])
    keys = [
        stack.key("offered", "ink dashed", _per_s(offered), offered, "/s"),
        stack.key("answered", "blue fill", _per_s(good), good, "/s"),
        stack.key("failed or wrong", "red fill", _per_s(bad), bad, "/s"),
    ]
    shapes = [
        area(good, [0.0] * len(good), scale, "blue"),
        area(both, good, scale, "red"),
        line(columns_of(offered, scale), "ink dashed"),
    ]
    stack.add("Steps per second", keys, shapes, count_labels(scale))


def _per_s(values: Sequence[float]) -> str:
    return f"{max(values, default=0.0):,.4g}/s at most"


def _heat(stack: Stack, name: str, title: str, heat: Heat) -> None:
    scale = Scale(low=heat.edges[0], high=heat.edges[-1], is_log=True)
    whole = latency_of(stack.run.measure(name)).quantiles_us((0.5, 0.95, 0.99))
    keys = [
        stack.key(
            quantile, f"{colour} over", format_ms(None if us is None else us / 1000), heat.quantiles[quantile], "ms"
        )
        for (quantile, colour), us in zip(_LINES.items(), whole, strict=True)
    ]
    lines = [haloed(columns_of(heat.quantiles[each], scale), colour) for each, colour in _LINES.items()]
    rules = [
        Rule(at=scale.place(each["limit"]), label=f"limit {each['stat']} {format_ms(each['limit'])}")
        for each in limits_of(stack.summary["thresholds"], name)
        if heat.edges[0] <= each["limit"] <= heat.edges[-1]
    ]
    shapes = [*cells(_levels(heat.counts), N_LEVELS), *lines]
    note = "every answer, darker where there were more"
    stack.add(title, keys, shapes, ms_labels(scale), rules=rules, height_px=230 if name == "http" else 150, note=note)


def _levels(counts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the level of every cell: logarithmic, so that a lone outlier is seen beside a thousand answers."""
    top = log10(max(max(row) for row in counts) + 1)
    return [[0 if not n else min(N_LEVELS, 1 + int(log10(n) / top * N_LEVELS)) for n in row] for row in counts]


def limits_of(thresholds: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the latency limits on an unlabelled series: ``stat`` and ``limit`` (ms)."""
    found = []
    for row in thresholds:
        subject, _, rest = row["expr"].partition(" ")
        if subject == name and row["unit"] == "ms" and row["limit"]:
            found.append({"stat": rest.split(" ")[0], "limit": row["limit"]})
    return found


def _errors(stack: Stack) -> None:
    rows = stack.columns.errors()
    if not rows:
        stack.charts.append(tag("p", "No failures, no wrong answers, nothing left unsent.", class_="calm"))
        return
    lower = [0.0] * len(stack.columns)
    shapes, keys = [], []
    totals = [float(sum(values)) for values in zip(*(values for _, values in rows), strict=True)]
    scale = counting_scale(totals)
    for (name, values), colour in zip(rows, _ERROR_COLOURS, strict=False):
        upper = [low + value for low, value in zip(lower, values, strict=True)]
        shapes.append(area(upper, lower, scale, colour))
        keys.append(stack.key(name, f"{colour} fill", format_count(sum(values)), [float(v) for v in values]))
        lower = upper
    note = "per second" if stack.columns.width_s == 1 else f"per {stack.columns.width_s} s"
    stack.add("Failures and wrong answers", keys, shapes, count_labels(scale), note=note)


def _lag(stack: Stack) -> None:
    limit_ms, generator = stack.summary["generator"]["limit_ms"], stack.summary["generator"]
    p50, p99, loop = stack.columns.lag_ms(0.5), stack.columns.lag_ms(0.99), stack.columns.loop_ms(0.99)
    top = max([limit_ms * 1.25, *(value for value in (*p99, *loop) if value is not None)])
    scale = counting_scale([top])
    keys = [
        stack.key("sends p50", "green thin", format_ms(generator["lag_ms"]["p50"]), p50, "ms"),
        stack.key("sends p99", "green", format_ms(generator["lag_ms"]["p99"]), p99, "ms"),
        stack.key("event loop p99", "grey dashed", format_ms(generator["loop_ms"]["p99"]), loop, "ms"),
    ]
    shapes = [
        area([value or 0.0 for value in p99], [value or 0.0 for value in p50], scale, "green"),
        line(columns_of(loop, scale), "grey dashed"),
        line(columns_of(p99, scale), "green"),
        line(columns_of(p50, scale), "green thin"),
    ]
    rule = Rule(at=scale.place(limit_ms), label=f"above {format_ms(limit_ms)} the run is invalid", kind="invalid")
    stack.add("Lag of this machine", keys, shapes, ms_labels(scale, 4), rules=[rule], note="not the target's")
