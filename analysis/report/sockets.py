"""WebSockets and event streams: handshakes, replies and by which rule they were told, pushes, gaps. Pure.

One row per series that the plan or the run has, under it one per route and message where there are several. What is
only counted has no times. A small histogram shows the shape that percentiles hide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from analysis.report.columns import Columns
from analysis.report.markup import Html, join, tag
from analysis.report.plot import COLUMN, Key, Plot, columns_of, line, path_of, render_chart, render_plot
from analysis.report.pushes import pushes_table
from analysis.report.scale import counting_scale
from analysis.report.stack import count_labels, time_labels
from analysis.report.table import Column, count_cell, number_cell, sortable_table, time_cell
from analysis.report.text import format_count, format_ms, plural
from analysis.run import Run
from analysis.series import METRICS, Labels, histogram_mid, latency_of, n_errors, n_mismatched, n_outcomes
from analysis.slots import Buckets, Measure

_FIRST = ("ws.connect", "ws.ready", "ws.reply", "ws.push_lag", "ws.gap", "ws.stall", "sse.connect")
_OF_PUSHES = ("ws.completeness",)
"""Told per kind of message, in a table of its own."""
_COLUMNS = (
    Column(name="Series", is_number=False),
    Column(name="Planned"),
    Column(name="Ended"),
    Column(name="Errors", hint="failures and wrong answers"),
    Column(name="p50"),
    Column(name="p95"),
    Column(name="p99"),
    Column(name="Max"),
)
_RECORDED = Column(name="Recorded p50")
_SHAPE = Column(name="Distribution", is_number=False, is_plain=True)
_MOST_UNDER = 40
_BARS_PER_DECADE = 8
_BARS_HEIGHT = 20


def sockets_section(run: Run, columns: Columns, pushes: Sequence[Mapping[str, Any]]) -> Html | None:
    """Return the panel, None where the run has neither sockets nor streams.

    Args:
        pushes: of the summary.
    """
    names = socket_names(run)
    if not names:
        return None
    rows: list[Html] = []
    for name in names:
        rows.append(_row(run, name, (), run.measure(name)))
        keys = sorted(key for key in run.by_route if key[0] == name and key[1])
        if len(keys) > 1:
            keys.sort(key=lambda key: -n_outcomes(run.by_route[key]))
            rows += [_row(run, name, key[1], run.by_route[key]) for key in keys[:_MOST_UNDER]]
    heads = [*_COLUMNS, *([_RECORDED] if run.recorded.times else []), _SHAPE]
    return join(sortable_table(heads, rows), pushes_table(pushes), _messages(columns), _pairings(run))


def socket_names(run: Run) -> list[str]:
    """Return the WebSocket and event stream series that the plan or the run has, the well-known ones first."""
    known = [name for name in _FIRST if n_planned(run, name)]
    others = {name for name, _ in run.whole.measures if name.startswith(("ws.", "sse."))} - {*_FIRST, *_OF_PUSHES}
    return known + sorted(others)


def n_planned(run: Run, name: str) -> int:
    """Return how many steps of a series were planned or ended."""
    measure = run.measure(name)
    return run.facts.planned.get(name, 0) + measure.planned + n_outcomes(measure)


def _row(run: Run, name: str, labels: Labels, measure: Measure) -> Html:
    quantiles = latency_of(measure).quantiles_us((0.5, 0.95, 0.99))
    n, is_timed = n_outcomes(measure), quantiles[0] is not None
    metric = METRICS.get(name)
    shown = tag("code", " ".join(value for _, value in labels) if labels else name, class_="under" if labels else None)
    meaning = tag("span", metric.meaning, class_="note") if metric is not None and not labels else None
    then_us = run.recorded.distribution(name, labels).quantile_us(0.5)
    recorded = [time_cell(then_us, "n muted")] if run.recorded.times else []
    return tag(
        "tr",
        tag("td", shown, meaning, data_value=f"{name} {' '.join(value for _, value in labels)}"),
        number_cell(format_count(measure.planned), measure.planned),
        number_cell(format_count(n), n),
        count_cell(n_errors(measure) + n_mismatched(measure), n),
        *(time_cell(us) for us in quantiles),
        time_cell(measure.latency_max_us if is_timed else None),
        *recorded,
        tag("td", _shape(measure.latency), class_="spark"),
        class_="sub" if labels else None,
    )


def _shape(latency: Buckets) -> Html | None:
    """Return the histogram of a series on a logarithmic axis, a bar per eighth of a decade."""
    if len(latency) < 2:
        return None
    bars: dict[int, int] = {}
    for bucket, count in latency.items():
        place = floor(log10(max(1, histogram_mid(bucket))) * _BARS_PER_DECADE)
        bars[place] = bars.get(place, 0) + count
    low, top = min(bars), max(bars.values())
    width = max(bars) - low + 1
    path = "".join(
        f"M{place - low} {_BARS_HEIGHT}v-{max(1.0, _BARS_HEIGHT * count / top):.1f}h1V{_BARS_HEIGHT}z"
        for place, count in sorted(bars.items())
    )
    edges = (format_ms(10 ** (place / _BARS_PER_DECADE) / 1000) for place in (low, max(bars) + 1))
    title = tag("title", " to ".join(edges))
    drawn = path_of("bars", path)
    return tag(
        "svg",
        title,
        drawn,
        viewBox=f"0 0 {width} {_BARS_HEIGHT}",
        width=96,
        height=_BARS_HEIGHT,
        preserveAspectRatio="none",
        role="img",
    )


def _messages(columns: Columns) -> Html | None:
    received, sent = columns.counted_per_s("messages_in"), columns.counted_per_s("messages_out")
    if not any(received) and not any(sent):
        return None
    scale = counting_scale([*received, *sent])
    plot = Plot(
        shapes=[line(columns_of(received, scale), "blue"), line(columns_of(sent, scale), "orange")],
        width=COLUMN * len(columns),
        y_labels=count_labels(scale),
        x_labels=time_labels(columns),
        describes="messages per second over time",
    )
    keys = [
        Key(name=name, colour=colour, value=f"{max(values):,.4g}/s at most")
        for name, colour, values in (("received", "blue", received), ("sent", "orange", sent))
    ]
    return tag("div", render_chart("Messages per second", keys, render_plot(plot)), class_="card")


def _pairings(run: Run) -> Html | None:
    rules: Sequence[Html] = [
        tag(
            "li",
            tag("code", each.sent),
            " → ",
            tag("code", each.reply),
            tag("span", f" {each.rule or 'by order'}, {plural(each.support, 'recorded case')}", class_="muted"),
        )
        for each in run.recorded.pairings[:_MOST_UNDER]
    ]
    if not rules:
        return None
    return tag("div", tag("h3", "Which message answers which"), tag("ul", *rules, class_="pairings"), class_="card pad")
