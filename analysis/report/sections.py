"""The parts of the page that say what happened: verdict, key figures, what ran, how it was measured. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.report.markup import Html, join, tag
from analysis.report.text import (
    format_bytes,
    format_count,
    format_instant,
    format_ms,
    format_percent,
    format_seconds,
    format_value,
    plural,
    printable,
)
from analysis.series import METRICS

WORDS = {
    "pass": "Pass",
    "fail": "Fail",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
    "unreachable": "Unreachable",
    "aborted": "Aborted",
    "interrupted": "Interrupted",
}
_MARKS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not_applicable": "–"}
_OUTCOMES = {"pass": "pass", "fail": "fail", "inconclusive": "open", "not_applicable": "n/a"}


def verdict_strip(summary: dict[str, Any]) -> Html:
    """Return the verdict with its reasons."""
    word = summary["verdict"]
    first, *others = summary["reasons"]
    more = tag("ul", *(tag("li", reason) for reason in others[:6])) if others else None
    left_out = tag("p", f"and {len(others) - 6} more below", class_="muted") if len(others) > 6 else None
    warnings = [tag("p", f"⚠ {warning}", class_="warning") for warning in summary["warnings"][:6]]
    return tag(
        "section",
        tag(
            "div",
            tag("span", WORDS[word], class_="word"),
            tag("span", f"exit code {summary['exit_code']}", class_="exit"),
        ),
        tag("div", tag("p", _capital(first), class_="headline"), more, left_out, *warnings, class_="why"),
        class_=f"verdict {word}",
    )


def _capital(text: str) -> str:
    """Return a sentence with a capital, unless it begins with a threshold."""
    return text if re.split(r"[{ ]", text, maxsplit=1)[0] in METRICS else text[:1].upper() + text[1:]


def thresholds_table(rows: Iterable[dict[str, Any]]) -> Html:
    """Return every threshold with its value, a bar against its limit, interval and samples."""
    columns = ("", "Threshold", "Measured", "Against the limit", "95 % interval", "Samples")
    heads = [tag("th", name, scope="col", class_="n" if index > 3 else None) for index, name in enumerate(columns)]
    body = [_threshold_row(row) for row in rows]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="thresholds")
    return tag("div", table, class_="scroll")


def _threshold_row(row: dict[str, Any]) -> Html:
    outcome = row["outcome"]
    is_off = outcome == "not_applicable"
    value = "–" if is_off else format_value(row["value"], row["unit"])
    origin = tag("span", row["origin"], class_="origin") if row["origin"] != "default" else None
    note = tag("span", row["note"], class_="note") if row["note"] else None
    mark = tag("span", _MARKS[outcome], class_="mark", aria_hidden="true")
    return tag(
        "tr",
        tag("td", tag("span", mark, _OUTCOMES[outcome], class_=f"badge {outcome}"), class_="outcome"),
        tag("td", tag("code", row["expr"]), origin, note, class_="expr"),
        tag("td", value, class_="n value"),
        tag("td", None if is_off else _bar(row), class_="barcell"),
        tag("td", _interval(row), class_="n muted extra"),
        tag("td", format_count(row["n"]) if row["n"] else "", class_="n muted extra"),
        class_=outcome,
    )


def _bar(row: dict[str, Any]) -> Html | None:
    ratio = _badness(row)
    if ratio is None:
        return None
    filled = tag("i", style=f"width:{min(100.0, ratio * 50):.1f}%")
    return tag("span", filled, tag("b"), class_=f"bar {row['outcome']}", title=f"{ratio:.0%} of the limit")


def _badness(row: dict[str, Any]) -> float | None:
    """Return how much of what the limit allows was used; above 1 it is broken."""
    value, limit = row["value"], row["limit"]
    if value is None or limit is None:
        return None
    if row["op"] in (">", ">="):
        if row["unit"] != "%":
            return float(limit / value) if value else 2.0
        value, limit = 100 - value, 100 - limit
    if limit <= 0:
        return 0.0 if value <= 0 else 2.0
    return float(value / limit)


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return ""
    high = "…" if row["high"] is None else format_value(row["high"], row["unit"])
    return f"{format_value(row['low'], row['unit'])} to {high}"


def tiles(summary: dict[str, Any]) -> Html:
    """Return the key figures."""
    series = {entry["name"]: entry for entry in summary["series"] if not entry["labels"]}
    sessions, generator = summary["sessions"], summary["generator"]
    figures = []
    for name, quantile, title in (("http", "p95", "HTTP p95"), ("ws.reply", "p99", "WebSocket reply p99")):
        if name in series:
            entry = series[name]
            p50 = format_ms(entry["latency_ms"]["p50"])
            figures.append((title, format_ms(entry["latency_ms"][quantile]), f"median {p50}"))
    if "http" in series:
        entry = series["http"]
        n_errors = sum(entry["errors"].values())
        share = n_errors / entry["count"] if entry["count"] else 0.0
        figures.append(("Requests", f"{entry['rate_per_s']:.4g}/s", f"{format_count(entry['count'])} in all"))
        figures.append(("HTTP errors", format_percent(100 * share), f"{plural(n_errors, 'request')} failed"))
    figures.append(
        (
            "Sessions complete",
            f"{format_count(sessions['completed'])}",
            f"of {format_count(sessions['started'])} started",
        )
    )
    figures.append(
        ("Generator lag p99", format_ms(generator["lag_ms"]["p99"]), f"{format_ms(generator['limit_ms'])} allowed")
    )
    cells = [
        tag("div", tag("dt", title), tag("dd", value), tag("dd", note, class_="muted"))
        for title, value, note in figures
    ]
    return tag("dl", *cells, class_="tiles")


def what_ran(summary: dict[str, Any]) -> Html:
    """Return the facts of the run."""
    capture, users, totals = summary["capture"], summary["users"], summary["totals"]
    rows: list[tuple[str, object]] = [
        ("Target", tag("code", summary["target"])),
        ("Capture", join(tag("code", capture["path"]), f" · {plural(capture['sessions'], 'session')}")),
        ("Fingerprints", tag("code", f"capture {capture['sha256'][:12]} · plan {summary['plan']['sha256'][:12]}")),
        ("Started", format_instant(summary["started_at"])),
        ("Ran for", f"{format_seconds(summary['duration_s'])}, {summary['ended']}"),
        ("Users", _pairs({name: users[name] for name in ("planned", "started", "completed", "failed", "dropped")})),
        ("Sessions", _pairs(summary["sessions"])),
        ("Steps", _pairs({name: totals[name] for name in ("planned", "ok", "failed", "mismatched")})),
        ("Not sent", _pairs(totals["not_sent"]) if totals["not_sent"] else None),
        ("Received", format_bytes(totals["bytes_in"])),
        ("Options", _chips(summary["options"])),
        ("Machine", _chips({"workers": summary["workers"], **summary["environment"]})),
        ("Left out", _pairs(summary["dropped_origins"]) if summary["dropped_origins"] else None),
    ]
    cells = [join(tag("dt", name), tag("dd", value)) for name, value in rows if value is not None]
    return tag("dl", *cells, class_="facts")


def _pairs(numbers: Mapping[str, int]) -> str:
    return " · ".join(f"{format_count(n)} {printable(name, 80)}" for name, n in numbers.items())


def _chips(values: Mapping[str, object]) -> Html:
    shown = [
        tag("span", tag("b", name), f" {_plain(value)}", class_="chip")
        for name, value in values.items()
        if value not in (None, "", [], {}, False)
    ]
    return join(*shown) if shown else Html("–")


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


def method(summary: dict[str, Any]) -> Html:
    """Return how the figures came about and what they do not say."""
    generator, checked = summary["generator"], summary["verification"]
    lag, loop = generator["lag_ms"], generator["loop_ms"]
    lateness = (
        f"This machine sent {format_ms(lag['p99'])} late at p99 (at most {format_ms(lag['max'])}), its event loops "
        f"woke up {format_ms(loop['p99'])} late at p99; above {format_ms(generator['limit_ms'])} the run is invalid. "
        f"Workers used {generator['cpu_ratio']:.0%} of a core each."
    )
    comparison = (
        "Status, media type and size of every answer are compared with the recording, the inside of "
        f"{format_count(checked['checked'])} of {format_count(checked['eligible'])} documents was; "
        f"{plural(checked['mismatched'], 'answer')} differed. The worst share of these counts as verify mismatch."
    )
    items: list[object] = [*_METHOD, lateness, comparison]
    paced = summary["pacing"]["server_paced_ratio"]
    if paced and summary["options"].get("speed", 1.0) != 1.0:
        items.append(
            f"Users waited {paced:.0%} of their time for messages that the server sends at its own pace: no speed "
            "shortens that, nor storms, heartbeats and the lives of tokens."
        )
    if str(summary["options"].get("pacing", "")) == "asap":
        items.insert(0, tag("b", "Closed model (asap): latencies are not comparable with those of other pacings."))
    items += summary["notes"]
    return tag("ul", *(tag("li", item) for item in (_long(item) for item in items)), class_="method")


def _long(item: object) -> Html:
    """Let a sentence of ours be longer than a value from outside may be."""
    return item if isinstance(item, Html) else Html(html.escape(printable(" ".join(str(item).split()), 2000)))
