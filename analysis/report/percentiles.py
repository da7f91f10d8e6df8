"""Percentile plots: this run, its service time, its baseline and its recording, over shares of answers. Pure.

The x axis is logarithmic in 1/(1−q), so that p50, p90, p99 and p99.9 are equally far apart: the tail is what people
wait for. The band around the run is the 95 % interval of each quantile, by the order statistics of independent samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from typing import Any

from analysis.report.columns import round_ms
from analysis.report.markup import Html, tag
from analysis.report.plot import HEIGHT, Key, Plot, Point, Rule, band, line, render_chart, render_plot
from analysis.report.scale import Scale
from analysis.report.stack import limits_of, ms_labels
from analysis.report.text import format_count, format_ms
from analysis.run import Run
from analysis.series import Distribution, latency_of, service_of
from analysis.slots import Buckets

_SHOWN = {"http": "HTTP requests", "ws.reply": "WebSocket replies", "ws.connect": "WebSocket handshakes"}
_WIDTH = 1000
_MARKS = {"p50": 2, "p90": 10, "p95": 20, "p99": 100, "p99.9": 1000, "p99.99": 10_000, "p99.999": 100_000}
_COLUMNS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
_FIRST = 10 / 9
"""The axis begins at p10."""
_PER_DECADE = 24
_FEWEST = 2
_Z = 1.959964
"""97.5 % of a normal distribution lie below."""

Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    colour: str
    times: Distribution
    explains: str = ""

    @property
    def n(self) -> int:
        return self.times.histogram.n


def render_percentiles(run: Run, summary: dict[str, Any]) -> tuple[Html | None, dict[str, Any]]:
    """Return a plot and a table for each timed series, and the data of their cursors."""
    charts: list[Html] = []
    data: dict[str, Any] = {}
    stored = run.judging.baseline if run.judging is not None else None
    curves = (stored or {}).get("latency", {})
    for name, title in _SHOWN.items():
        rows = _rows(run, name, curves)
        if rows[0].n >= _FEWEST and (name != "ws.connect" or len(charts) < 2):
            chart, shown = _chart(name, title, rows, summary)
            charts.append(chart)
            data[name] = shown
    return (tag("div", *charts, class_="pair") if charts else None), data


def _rows(run: Run, name: str, baseline: Mapping[str, Buckets]) -> list[_Row]:
    measure = run.measure(name)
    rows = [
        _Row(name="this run", colour="blue", times=latency_of(measure)),
        _Row(
            name="service time", colour="sky dashed", times=service_of(measure), explains="without waiting to be sent"
        ),
    ]
    if baseline.get(name):
        rows.append(_Row(name="baseline", colour="orange", times=Distribution.of_buckets(dict(baseline[name]))))
    recorded = run.recorded.distribution(name)
    if recorded.histogram.n >= _FEWEST:
        rows.append(_Row(name="recording", colour="ink dotted", times=recorded, explains="what the browser saw"))
    return rows


def _chart(name: str, title: str, rows: Sequence[_Row], summary: dict[str, Any]) -> tuple[Html, dict[str, Any]]:
    curves = [curve_of(row.times) for row in rows]
    last = max(curve[-1][0] for curve in curves if curve)
    values = [ms for curve in curves for _, ms in curve]
    y = Scale(low=min(values) / 1.1, high=max(values) * 1.25, is_log=True)
    x = Scale(low=_FIRST, high=max(last, 10.0), is_log=True)
    limits = [each for each in limits_of(summary["thresholds"], name) if y.low <= each["limit"] <= y.high]
    plot = Plot(
        shapes=[
            *_band(rows[0].times, curves[0], x, y),
            *(line(_points(curve, x, y), row.colour) for row, curve in reversed(list(zip(rows, curves, strict=True)))),
        ],
        width=_WIDTH,
        y_labels=ms_labels(y),
        x_labels=[(x.place(at), label) for label, at in _MARKS.items() if at <= last and label != "p95"],
        rules=[
            Rule(at=y.place(each["limit"]), label=f"limit {each['stat']} {format_ms(each['limit'])}") for each in limits
        ],
        height_px=260,
        describes=f"{title} by percentile",
    )
    series = {f"{name}.{index}": curve for index, curve in enumerate(curves) if curve}
    keys = [
        Key(name=row.name, colour=row.colour, series=f"{name}.{index}", unit="ms") for index, row in enumerate(rows)
    ]
    chart = render_chart(title, keys, tag("div", render_plot(plot), _table(rows), class_="curves", data_x=x.high))
    return chart, series


def _table(rows: Sequence[_Row]) -> Html:
    heads = [tag("th", name, scope="col", class_="n") for name in (*_COLUMNS, "max")]
    body = []
    for row in rows:
        quantiles = row.times.quantiles_us(tuple(_COLUMNS.values()))
        cells = [
            tag("td", _ms(us) if row.n * (1 - q) >= 1 else "–", class_="n")
            for us, q in zip(quantiles, _COLUMNS.values(), strict=True)
        ]
        samples = tag("span", format_count(row.n), class_="note", title="samples")
        name = tag("th", row.name, samples, scope="row", title=row.explains or None)
        most = tag("td", _ms(row.times.max_us if row.n else None), class_="n")
        body.append(tag("tr", name, *cells, most))
    head = tag("thead", tag("tr", tag("th", "", scope="col"), *heads))
    return tag("div", tag("table", head, tag("tbody", *body)), class_="scroll plain")


def _ms(us: float | None) -> str:
    return format_ms(None if us is None else us / 1000)


def curve_of(times: Distribution) -> Curve:
    """Return the points (1/(1−q), ms) from p10 up to where one value is left beyond."""
    n = times.histogram.n
    if n < _FEWEST:
        return []
    steps = range(1, floor(_PER_DECADE * log10(n / _FIRST)) + 1)
    xs = [_FIRST, *(_FIRST * 10 ** (step / _PER_DECADE) for step in steps), float(n)]
    values = times.quantiles_us(tuple(1 - 1 / x for x in xs))
    return [(round(x, 4), round_ms(value)) for x, value in zip(xs, values, strict=True) if value is not None]


def interval_of(times: Distribution, q: float) -> tuple[float, float]:
    """Return between which quantiles (0–1) the q-quantile lies in 95 of 100 samples as large as this.

    With n values, q ± 1.96·√(q(1−q)/n). Worked: n = 1000 and q = 0.95 is 0.9365 to 0.9635.

    Source: binomial order statistics, Conover, Practical Nonparametric Statistics, §3.2.
    """
    half = _Z * sqrt(q * (1 - q) / times.histogram.n)
    return max(0.0, q - half), min(1.0, q + half)


def _band(times: Distribution, curve: Curve, x: Scale, y: Scale) -> list[Html]:
    if len(curve) < _FEWEST:
        return []
    bounds = [interval_of(times, 1 - 1 / at) for at, _ in curve]
    lows = times.quantiles_us(tuple(low for low, _ in bounds))
    highs = times.quantiles_us(tuple(high for _, high in bounds))
    edges = [
        [(_x(at, x), _y(round_ms(us or 1), y)) for (at, _), us in zip(curve, side, strict=True)]
        for side in (highs, lows)
    ]
    return [band(edges[0], edges[1], "blue faint")]


def _points(curve: Curve, x: Scale, y: Scale) -> list[Point | None]:
    return [(_x(at, x), _y(ms, y)) for at, ms in curve]


def _x(at: float, x: Scale) -> float:
    return round(_WIDTH * x.place(at), 1)


def _y(ms: float, y: Scale) -> int:
    return round(HEIGHT * (1 - y.place(ms)))
