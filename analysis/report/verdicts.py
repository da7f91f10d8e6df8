"""The first thing that is seen: the verdict, why, every threshold, and what changed against the baseline. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.comparison import Drawn
from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_value, plural
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
MEANINGS = {
    "pass": "every limit was met",
    "fail": "a limit was not met",
    "inconclusive": "the samples do not tell",
    "invalid": "this measurement cannot be trusted",
    "unreachable": "the target did not accept connections",
    "aborted": "the run was ended early",
    "interrupted": "the run was stopped by hand",
}
_ORDER = ("fail", "inconclusive", "pass", "not_applicable")
_MARKS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not_applicable": "–"}
_OUTCOMES = {"pass": "pass", "fail": "fail", "inconclusive": "open", "not_applicable": "n/a"}
_CHANGES = {"regressed": "fail", "ok": "pass", "improved": "pass", "inconclusive": "inconclusive", "shown": ""}
_MOST_REASONS = 8
_MOST_COMPARED = 24


def verdict_strip(summary: dict[str, Any]) -> Html:
    """Return the verdict with its reasons."""
    word = summary["verdict"]
    first, *others = summary["reasons"]
    more = tag("ul", *(tag("li", reason) for reason in others[: _MOST_REASONS - 1])) if others else None
    n_more = len(others) - _MOST_REASONS + 1
    left_out = tag("p", f"and {n_more} more in summary.json", class_="muted") if n_more > 0 else None
    warnings = [tag("p", warning, class_="warning") for warning in summary["warnings"][:_MOST_REASONS]]
    sign = tag(
        "div",
        tag("span", WORDS[word], class_="word"),
        tag("span", f"exit code {summary['exit_code']} · {MEANINGS[word]}", class_="exit"),
        class_="sign",
    )
    why = tag("div", tag("p", capital(first), class_="headline"), more, left_out, *warnings, class_="why")
    return tag("div", sign, why, class_="verdict")


def capital(text: str) -> str:
    """Return a sentence with a capital, unless it begins with a threshold."""
    return text if re.split(r"[{ ]", text, maxsplit=1)[0] in METRICS else text[:1].upper() + text[1:]


def thresholds_table(rows: Iterable[dict[str, Any]], baseline: Mapping[str, Any]) -> Html:
    """Return every threshold with its value, a bar against its limit, interval, baseline and samples."""
    deltas = {each["subject"]: each for each in baseline["comparisons"]}
    columns = ["", "Threshold", "Measured", "Against the limit", "95 % interval"]
    columns += [*(["Against the baseline"] if deltas else []), "Samples"]
    heads = [tag("th", name, scope="col", class_="n" if index > 3 else None) for index, name in enumerate(columns)]
    body = [_threshold_row(row, deltas) for row in sorted(rows, key=lambda row: _ORDER.index(row["outcome"]))]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="thresholds")


def _threshold_row(row: dict[str, Any], deltas: Mapping[str, dict[str, Any]]) -> Html:
    outcome = row["outcome"]
    is_off = outcome == "not_applicable"
    value = "–" if is_off else format_value(row["value"], row["unit"])
    origin = tag("span", row["origin"], class_="origin") if row["origin"] != "default" else None
    notes = [row["note"], "not calibrated on this target" if row["calibrated"] is False and not is_off else ""]
    note = tag("span", "; ".join(filter(None, notes)), class_="note") if any(notes) else None
    mark = tag("span", _MARKS[outcome], class_="mark", aria_hidden="true")
    delta = tag("td", _delta(deltas.get(_subject(row["expr"]))), class_="n extra") if deltas else None
    return tag(
        "tr",
        tag("td", tag("span", mark, _OUTCOMES[outcome], class_=f"badge {outcome}"), class_="outcome"),
        tag("td", tag("code", row["expr"]), origin, note, class_="expr"),
        tag("td", value, class_="value"),
        tag("td", None if is_off else _bar(row), class_="barcell"),
        tag("td", _interval(row), class_="n muted extra"),
        delta,
        tag("td", format_count(row["n"]) if row["n"] else "", class_="n muted extra"),
        class_=outcome,
    )


def _subject(expr: str) -> str:
    """Return what a threshold is on: ``http p95`` of ``http p95 < 200ms``."""
    return re.split(r"\s*(?:<=|>=|==|<|>)", expr, maxsplit=1)[0].strip()


def _delta(compared: dict[str, Any] | None) -> Html | None:
    if compared is None or compared["change"] is None:
        return None
    return tag(
        "span", change_text(compared), class_=f"delta {_CHANGES[compared['outcome']]}", title=compared["sentence"]
    )


def change_text(compared: Mapping[str, Any]) -> str:
    """Write a change: ``+12 %``, of a share ``+0.4 points``."""
    change = compared["change"]
    return f"{change:+.2g} points" if compared["unit"] == "%" else f"{100 * change:+.0f} %"


def _bar(row: dict[str, Any]) -> Html | None:
    ratio = _used(row, row["value"])
    if ratio is None:
        return None
    filled = tag("i", style=f"width:{_width(ratio)}")
    low, high = _used(row, row["low"]), _used(row, row["high"])
    whisker = None
    if low is not None and high is not None:
        left, right = sorted((min(2.0, low), min(2.0, high)))
        whisker = tag("s", style=f"left:{_width(left)};width:{_width(right - left)}")
    return tag("span", filled, whisker, tag("b"), class_=f"bar {row['outcome']}", title=f"{ratio:.0%} of the limit")


def _width(ratio: float) -> str:
    """Return how far into the bar a share of the limit is; the limit stands in the middle."""
    return f"{min(100.0, ratio * 50):.1f}%"


def _used(row: dict[str, Any], value: float | None) -> float | None:
    """Return how much of what the limit allows was used; above 1 it is broken."""
    limit = row["limit"]
    if value is None or limit is None:
        return None
    if row["op"] in (">", ">="):
        if row["unit"] != "%":
            return float(limit / value) if value else 2.0
        value, limit = 100 - value, 100 - limit
    if limit <= 0:
        return 0.0 if value <= 0 else 2.0
    return max(0.0, float(value / limit))


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return ""
    high = "…" if row["high"] is None else format_value(row["high"], row["unit"])
    return f"{format_value(row['low'], row['unit'])} to {high}"


def baseline_section(baseline: Mapping[str, Any]) -> Html | None:
    """Return what changed against the baseline, as intervals around no change; None without one."""
    compared = [each for each in baseline["comparisons"] if each["change"] is not None]
    if not compared:
        return None
    gated = [each for each in compared if each["is_gated"]]
    others = [each for each in compared if not each["is_gated"]]
    others.sort(key=lambda each: (each["outcome"] in ("ok", "shown"), each["subject"]))
    shown = [*gated, *others[: max(0, _MOST_COMPARED - len(gated))]]
    times = [each for each in shown if each["unit"] != "%"]
    reach = max([0.25, *(abs(each[side]) for each in times for side in ("change", "low", "high") if each[side])])
    reach = min(reach, 2.0)
    heads = ("", "Statistic", "This run", "Baseline", "Change", "95 % interval, shaded is allowed")
    head = tag(
        "tr", *(tag("th", name, scope="col", class_="n" if 1 < index < 5 else None) for index, name in enumerate(heads))
    )
    body = [_compared_row(each, reach) for each in shown]
    n_more = len(compared) - len(shown)
    note = (
        tag("p", f"{n_more} more were compared and decide nothing; summary.json has them", class_="muted")
        if n_more
        else None
    )
    is_recording = any(each["drawn"] == Drawn.RECORDED.value for each in compared)
    of_runs = f"Against {plural(len(baseline['runs']), 'run')} of the baseline."
    of_recording = (
        "Against the recording: medians of one browser, with what the recorder's proxy added. They decide nothing."
    )
    said = tag("p", of_recording if is_recording else of_runs, class_="lead")
    return tag("div", said, tag("div", tag("table", tag("thead", head), tag("tbody", *body)), note, class_="scroll"))


def _compared_row(each: Mapping[str, Any], reach: float) -> Html:
    state = _CHANGES[each["outcome"]] if each["is_gated"] else ""
    word = each["outcome"] if each["outcome"] != "shown" else ""
    return tag(
        "tr",
        tag("td", tag("span", word, class_=f"badge {state}")),
        tag("td", tag("code", each["subject"])),
        tag("td", format_value(each["run_value"], each["unit"]), class_="n"),
        tag("td", format_value(each["base_value"], each["unit"]), class_="n"),
        tag("td", change_text(each), class_=f"n delta {state}"),
        tag("td", _forest(each, reach) if each["unit"] != "%" else None, class_="forestcell"),
        title=each["sentence"],
    )


def _forest(each: Mapping[str, Any], reach: float) -> Html | None:
    if each["low"] is None or each["high"] is None:
        return None
    allowed = tag("u", style=f"left:50%;width:{50 * min(1.0, each['tolerance'] / reach):.1f}%")
    low, high, at = (_placed(each[side], reach) for side in ("low", "high", "change"))
    whisker = tag("s", style=f"left:{low:.1f}%;width:{max(0.4, high - low):.1f}%")
    return tag(
        "span", allowed, tag("b"), whisker, tag("i", style=f"left:{at:.1f}%"), class_=f"forest {each['outcome']}"
    )


def _placed(change: float, reach: float) -> float:
    return 50 * (1 + min(1.0, max(-1.0, change / reach)))
