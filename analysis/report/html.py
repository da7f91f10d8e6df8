"""``report.html``: one page with everything in it, opened from a file, with no network. Pure but for its package data.

The page carries a content security policy that lets it load nothing; tables are plain HTML, charts are drawn by plotly
from the JSON that ``charts`` made. Everything that came from outside is escaped (``markup``, ``text.json_for_script``).
"""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from analysis.report.charts import chart_data
from analysis.report.markup import Html, escape, join, tag
from analysis.report.populations import populations_section
from analysis.report.sections import WORDS, method, thresholds_table, tiles, verdict_strip, what_ran
from analysis.report.storms import storms_section
from analysis.report.tables import endpoint_table, failures, socket_table
from analysis.report.text import format_instant, json_for_script
from analysis.run import Run


def render_html(run: Run, summary: dict[str, Any]) -> str:
    """Return the whole page.

    Args:
        summary: what ``summarise`` returned for the run.
    """
    data = chart_data(run, summary)
    return Template(_asset("page.html")).substitute(
        title=escape(f"{WORDS[summary['verdict']]} · {summary['target']}"),
        word=escape(summary["verdict"]),
        style=_asset("page.css"),
        started=escape(format_instant(summary["started_at"])),
        target=escape(summary["target"]),
        version=escape(summary["environment"].get("rushhour", "")),
        verdict=verdict_strip(summary),
        thresholds=thresholds_table(summary["thresholds"]),
        tiles=tiles(summary),
        facts=what_ran(summary),
        time_charts=_time_charts(data),
        distribution=_distribution(data),
        endpoints=join(
            _section(
                "Users and sessions", "populations", populations_section(summary["populations"], summary["pacing"])
            ),
            _section("Endpoints", "endpoints", endpoint_table(run)),
        ),
        sockets=join(_sockets(run, data), _section("Reconnect storms", "storms", storms_section(summary["storms"]))),
        failures=_section("Failures and wrong answers", "failures", failures(run)),
        method=method(summary),
        data=json_for_script(data),
        plotly=get_plotlyjs(),
        script=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return files(__package__ or "analysis.report").joinpath(name).read_text(encoding="utf-8")


def _section(title: str, anchor: str, body: Html | None) -> Html:
    return tag("section", tag("h2", title), body, id=anchor) if body is not None else Html("")


def _chart(name: str, title: str, caption: str, *, is_wide: bool = False, controls: Html | None = None) -> Html:
    head = tag("figcaption", tag("h3", title), tag("p", caption), controls)
    plot = tag("div", class_="plot", id=f"chart-{name}", role="img", aria_label=f"{title}: {caption}")
    return tag("figure", head, plot, class_="wide" if is_wide else None)


def _time_charts(data: dict[str, Any]) -> Html:
    charts = [
        _chart("throughput", "Throughput", "steps per second: offered by the plan, and what came of them"),
        _chart("users", "Users and connections", "active at the same time"),
    ]
    if data["heat"]:
        names = [tag("option", name, value=name) for name in data["heat"]]
        choice = tag("select", *names, id="heat-series", aria_label="series of the heatmap") if len(names) > 1 else None
        caption = "every answer, stronger where there were more; the lines are p50, p95 and p99"
        charts.append(_chart("heat", "Latency over time", caption, is_wide=True, controls=choice))
    if data["errors"]:
        charts.append(_chart("errors", "Failures by class", "per column of the time axis, wrong answers among them"))
    caption = "how late sends left (band p50 to p99) and event loops woke up"
    charts.append(_chart("lag", "Generator lag", caption, is_wide=not data["errors"]))
    return tag("div", *charts, class_="charts")


def _distribution(data: dict[str, Any]) -> Html:
    if not data["percentiles"]:
        return Html("")
    caption = "the share of answers that were at least this fast; the gap to service time is waiting before the send"
    return tag("div", _chart("percentiles", "Percentiles", caption, is_wide=True), class_="charts")


def _sockets(run: Run, data: dict[str, Any]) -> Html:
    table = socket_table(run)
    if table is None:
        return Html("")
    plot = _chart("messages", "Messages", "per second, in both directions", is_wide=True) if data["messages"] else None
    body = tag("div", table, tag("div", plot, class_="charts") if plot else None, class_="sockets")
    return _section("WebSocket", "sockets", body)
