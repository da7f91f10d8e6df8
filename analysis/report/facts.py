"""What ran, in a sentence, in key figures and in full; and how the figures came about. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.report.markup import Html, join, tag
from analysis.report.text import (
    busiest,
    format_bytes,
    format_count,
    format_instant,
    format_ms,
    format_percent,
    format_seconds,
    plural,
    printable,
)
from analysis.run import Run

_SHAPES = {
    "recorded": "arriving as recorded",
    "ramp": "arriving evenly over {at}",
    "burst": "all starting at {at}",
    "align": "everybody's busiest second at {at}",
    "rate": "arriving at {at}",
    "stages": "in the stages {at}",
}


def story(summary: dict[str, Any]) -> Html:
    """Say in a sentence or two what ran."""
    users, capture, options = summary["users"], summary["capture"], summary["options"]
    populations = summary["populations"]
    parts: list[object] = [
        plural(users["started"], "virtual user"),
        " replayed " if not populations else f" of {plural(len(populations), 'population')} replayed ",
        plural(capture["sessions"], "recorded session"),
        " of ",
        tag("code", capture["path"].rpartition("/")[2] or capture["path"]),
        *_manner(options, has_populations=bool(populations)),
        " against ",
        tag("code", summary["target"]),
        f", for {format_seconds(summary['duration_s'])} on {plural(summary['workers'], 'worker')}.",
    ]
    return tag("p", *parts, class_="lead")


def _manner(options: Mapping[str, Any], *, has_populations: bool) -> list[str]:
    """Return how they did so; what is unknown is left out."""
    said = []
    speed = options.get("speed")
    if isinstance(speed, int | float) and speed != 1:
        said.append(f" at {speed:g} times the recorded speed")
    kind, _, at = str(options.get("shape", "")).partition(":")
    if kind in _SHAPES and not has_populations:
        said.append(", " + _SHAPES[kind].format(at=at or "once"))
    return said


def tiles(run: Run, summary: dict[str, Any]) -> Html:
    """Return the key figures."""
    series = {entry["name"]: entry for entry in summary["series"] if not entry["labels"]}
    sessions, generator = summary["sessions"], summary["generator"]
    figures = []
    for name, quantile, title in (("http", "p95", "HTTP p95"), ("ws.reply", "p99", "WebSocket reply p99")):
        if name in series and series[name]["latency_ms"]["p50"] is not None:
            figures.append((title, format_ms(series[name]["latency_ms"][quantile]), _beside(run, name, series[name])))
    if "http" in series and series["http"]["count"]:
        entry = series["http"]
        n_errors = sum(entry["errors"].values())
        share = n_errors / entry["count"]
        figures.append(("Requests", f"{entry['rate_per_s']:.4g}/s", f"{format_count(entry['count'])} in all"))
        figures.append(("HTTP errors", format_percent(100 * share), f"{plural(n_errors, 'request')} failed"))
    started, completed = sessions["started"], sessions["completed"]
    figures.append(("Sessions complete", format_count(completed), f"of {format_count(started)} started"))
    lag = format_ms(generator["lag_ms"]["p99"])
    figures.append(("Lag of this machine, p99", lag, f"{format_ms(generator['limit_ms'])} allowed"))
    cells = [
        tag("div", tag("dt", title), tag("dd", value), tag("dd", note, class_="muted"))
        for title, value, note in figures
    ]
    return tag("dl", *cells, class_="tiles")


def _beside(run: Run, name: str, entry: dict[str, Any]) -> str:
    said = f"median {format_ms(entry['latency_ms']['p50'])}"
    recorded_us = run.recorded.distribution(name).quantile_us(0.5)
    return said if recorded_us is None else f"{said}, recorded {format_ms(recorded_us / 1000)}"


def what_ran(summary: dict[str, Any]) -> Html:
    """Return the facts of the run."""
    capture, users, totals = summary["capture"], summary["users"], summary["totals"]
    named = {name: users[name] for name in ("planned", "started", "completed", "failed", "dropped")}
    steps = {name: totals[name] for name in ("planned", "ok", "failed", "mismatched")}
    short: list[tuple[str, object]] = [
        ("Capture", tag("code", capture["path"])),
        ("Started", f"{format_instant(summary['started_at'])}, {summary['ended']}"),
        ("Users", _pairs(named)),
        ("Sessions", _pairs(summary["sessions"])),
        ("Steps", _pairs(steps)),
        ("Received", format_bytes(totals["bytes_in"])),
        ("Not sent", _pairs(totals["not_sent"]) if totals["not_sent"] else None),
        ("Left out", _pairs(summary["dropped_origins"]) if summary["dropped_origins"] else None),
    ]
    long: list[tuple[str, object]] = [
        ("Options", _chips(summary["options"])),
        ("Machine", _chips({"workers": summary["workers"], **summary["environment"]})),
        ("Fingerprints", tag("code", f"capture {capture['sha256'][:12]} · plan {summary['plan']['sha256'][:12]}")),
    ]
    more = tag("details", tag("summary", "Options, machine and fingerprints"), _list(long))
    return tag("div", _list(short), more, class_="facts")


def _list(rows: Iterable[tuple[str, object]]) -> Html:
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in rows if value is not None))


def _pairs(numbers: Mapping[str, int]) -> str:
    shown = {name: n for name, n in numbers.items() if n} or dict(list(numbers.items())[:1])
    return " · ".join(f"{format_count(n)} {printable(name, 80)}" for name, n in shown.items())


def _chips(values: Mapping[str, object]) -> Html:
    shown = [
        tag("span", tag("b", name), f" {_plain(value)}", class_="chip")
        for name, value in values.items()
        if value not in (None, "", [], {}, False) and not _is_nested(value)
    ]
    return join(*shown) if shown else Html("–")


def _is_nested(value: object) -> bool:
    """Return whether a value is a table of its own: populations have theirs on the page."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


_METHOD = (
    """Latency runs from the moment the plan wanted a step to start until its last byte, so waiting for a connection or
    for this machine counts. Service time runs from the moment it was really sent.""",
    """The intended start of a step is its place on the recorded timeline or, where it needs earlier answers, the end of
    the last of them plus the recorded think time, divided by the speed.""",
    """Latency series hold successes, and timeouts at their limit. Other failures and wrong answers are counted and keep
    histograms of their own: a fast refusal cannot improve a percentile.""",
    "The headline http leaves assets out; the table of endpoints shows them.",
    """Percentiles are the upper edge of a histogram bucket, at most 0.8 % above the true value. Intervals assume
    independent samples and are therefore the narrowest possible.""",
)
_OF_RECORDING = """Recorded times are what one browser saw with the recorder on its way, of a few samples per route: a
    reference, no baseline. Compare them with service times, since nobody waited to be sent then."""


def method(run: Run, summary: dict[str, Any]) -> Html:
    """Return how the figures came about and what they do not say."""
    generator, checked = summary["generator"], summary["verification"]
    lag, loop = generator["lag_ms"], generator["loop_ms"]
    lateness = (
        f"This machine sent {format_ms(lag['p99'])} late at p99 (at most {format_ms(lag['max'])}), its event loops "
        f"woke up {format_ms(loop['p99'])} late at p99; above {format_ms(generator['limit_ms'])} the run is invalid. "
        f"Workers used {generator['cpu_ratio']:.0%} of a core each{busiest(generator)}."
    )
    comparison = (
        "Status, media type and size of every answer are compared with the recording, the inside of "
        f"{format_count(checked['checked'])} of {format_count(checked['eligible'])} documents was; "
        f"{plural(checked['mismatched'], 'answer')} differed. The worst share of these counts as verify mismatch."
    )
    items: list[object] = [*_METHOD, *([_OF_RECORDING] if run.recorded.times else []), lateness, comparison]
    items += _caveats(summary)
    return tag("ul", *(tag("li", item) for item in (_long(item) for item in items)), class_="method")


def _caveats(summary: dict[str, Any]) -> Iterable[object]:
    if str(summary["options"].get("pacing", "")) == "asap":
        yield tag("b", "Closed model (asap): latencies are not comparable with those of other pacings.")
    paced = summary["pacing"]["server_paced_ratio"]
    if paced and summary["options"].get("speed", 1.0) != 1.0:
        yield (
            f"Users waited {paced:.0%} of their time for messages that the server sends at its own pace: no speed "
            "shortens that, nor storms, heartbeats and the lives of tokens."
        )
    yield from summary["notes"]


def _long(item: object) -> Html:
    """Let a sentence of ours be longer than a value from outside may be."""
    return item if isinstance(item, Html) else Html(html.escape(printable(" ".join(str(item).split()), 2000)))
