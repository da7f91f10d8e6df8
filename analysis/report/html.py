"""``report.html``: one page with everything in it, opened from a file, with no network. Pure but for its package data.

The page carries a content security policy that lets it load nothing. Tables are plain HTML and charts are SVG made
here, so it is whole without a script; ``page.js`` adds a cursor through the charts and sorts tables. Everything that
came from outside is escaped (``markup``, ``text.json_for_script``).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Any

from analysis.report.columns import columns_of
from analysis.report.endpoints import endpoint_table
from analysis.report.facts import method, story, tiles, what_ran
from analysis.report.failures import failures_section
from analysis.report.markup import Html, escape, join, tag
from analysis.report.percentiles import render_percentiles
from analysis.report.populations import populations_section
from analysis.report.sockets import sockets_section
from analysis.report.stack import render_stack
from analysis.report.storms import storms_section
from analysis.report.text import format_instant, json_for_script
from analysis.report.verdicts import WORDS, baseline_section, thresholds_table, verdict_strip
from analysis.report.waterfalls import waterfalls_section
from analysis.run import Run

_Section = tuple[str, str, str, Html | None]


def render_html(run: Run, summary: dict[str, Any]) -> str:
    """Return the whole page.

    Args:
        summary: what ``summarise`` returned for the run.
    """
    columns = columns_of(run)
    stack, over_time = render_stack(run, summary, columns)
    curves, by_percentile = render_percentiles(run, summary)
    populations = populations_section(summary["populations"], summary["pacing"])
    baseline = summary["baseline"]
    sections: list[_Section] = [
        ("what", "What ran", "", join(story(summary), what_ran(summary), populations)),
        ("time", "Over time", "one time axis; point at a chart to read all of them", stack),
        ("percentiles", "Percentiles", "the share of answers that were at least this fast", curves),
        ("baseline", "Against the baseline", "", baseline_section(baseline)),
        ("endpoints", "Endpoints", "", endpoint_table(run, baseline)),
        ("sockets", "WebSocket", "", sockets_section(run, columns, summary["pushes"])),
        ("storms", "Reconnect storms", "", storms_section(summary["storms"])),
        ("sessions", "Sessions", "recorded against replayed, step by step", waterfalls_section(run)),
        ("failures", "Failures and wrong answers", "", failures_section(summary["failures"])),
        ("method", "Method and caveats", "", method(run, summary)),
    ]
    return Template(_asset("page.html")).substitute(
        title=escape(f"{WORDS[summary['verdict']]} · {summary['target']}"),
        word=escape(summary["verdict"]),
        short=escape(WORDS[summary["verdict"]]),
        style=_asset("page.css"),
        started=escape(format_instant(summary["started_at"])),
        target=escape(summary["target"]),
        version=escape(summary["environment"].get("rushhour", "")),
        contents=_contents(sections),
        verdict=join(verdict_strip(summary), thresholds_table(summary["thresholds"], baseline)),
        tiles=tiles(run, summary),
        sections=join(*(_section(*section) for section in sections)),
        data=json_for_script({"time": over_time, "curves": by_percentile}),
        script=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return files(__package__ or "analysis.report").joinpath(name).read_text(encoding="utf-8")


def _contents(sections: Iterable[_Section]) -> Html:
    links = [tag("a", title, href=f"#{anchor}") for anchor, title, _, body in sections if body is not None]
    return tag("nav", *links, aria_label="sections")


def _section(anchor: str, title: str, lead: str, body: Html | None) -> Html | None:
    if body is None:
        return None
    head = tag("div", tag("h2", title), tag("p", lead, class_="caption") if lead else None, class_="head")
    return tag("section", head, body, id=anchor)
