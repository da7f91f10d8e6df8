"""The recovery curve of storms: which share of the lost sockets was back how long after its loss. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.report.markup import Html
from analysis.report.plot import HEIGHT, Key, Plot, Point, Rule, line, render_chart, render_plot
from analysis.report.scale import Scale
from analysis.report.text import format_count, format_ms, format_percent

_WIDTH = 1000
_SOONEST_S = 1e-3
_COLOURS = ("blue", "orange", "green", "purple", "red", "sky", "brown", "ink")
_MOST_NAMED = 12


def recovery_chart(reports: Sequence[Mapping[str, Any]]) -> Html | None:
    """Return the curves of all strikes on one logarithmic axis of time; None where nothing came back."""
    times = [max(point[0], _SOONEST_S) for report in reports for point in report["curve"]]
    if not times:
        return None
    high = max(times) * 1.15
    scale = Scale(low=min(min(times) / 1.5, high / 10), high=high, is_log=True)
    shown = [report for report in reports if report["curve"]]
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(shown))]
    plot = Plot(
        shapes=[line(_points(report["curve"], scale), colour) for report, colour in zip(shown, colours, strict=True)],
        width=_WIDTH,
        y_labels=[(share, format_percent(100 * share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
        x_labels=[(scale.place(at_s), format_ms(float(f"{1000 * at_s:.6g}"))) for at_s in scale.ticks(7)],
        rules=[Rule(at=0.95, label="", kind="faint")],
        height_px=260,
        describes="share of the lost sockets that was ready again, over the time since their loss",
    )
    keys = [
        Key(name=f"storm {report['label']}", colour=colour, value=_share(report))
        for report, colour in list(zip(shown, colours, strict=True))[:_MOST_NAMED]
    ]
    note = "share of the lost sockets that was ready again, by the time since their loss"
    return render_chart("Recovery", keys, render_plot(plot), note=note)


def _share(report: Mapping[str, Any]) -> str:
    return f"{format_count(report['recovered'])} of {format_count(report['lost'])} back"


def _points(curve: Sequence[Sequence[float]], scale: Scale) -> list[Point | None]:
    """Return the steps of a curve: it rises where somebody came back, and is level in between."""
    before = HEIGHT
    points: list[Point | None] = [(0, HEIGHT)]
    for at_s, share in curve:
        x, y = round(_WIDTH * scale.place(at_s), 1), round(HEIGHT * (1 - share))
        points += [(x, before), (x, y)]
        before = y
    return [*points, (_WIDTH, before)]
