"""The table of endpoints: what each route did, against its recording and its baseline, over time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.report.columns import windows_p95_ms
from analysis.report.markup import Html, tag
from analysis.report.table import Column, count_cell, number_cell, sortable_table, sparkline, time_cell
from analysis.report.text import format_count, format_ms
from analysis.report.verdicts import change_text
from analysis.run import Run
from analysis.series import format_series, latency_of, n_errors, n_mismatched, n_outcomes, service_of
from analysis.slots import SeriesKey

_MOST_ROUTES = 300
_LEAST_WINDOWS = 3
_SLOW_RATIO, _SLOW_US = 1.5, 5_000
"""What is at least so much slower than its recording, in ratio and in µs, is told by colour."""
_STATES = {"regressed": "fail", "improved": "pass", "inconclusive": "inconclusive"}
_COLUMNS = (
    Column(name="Endpoint", is_number=False),
    Column(name="Count"),
    Column(name="Per second"),
    Column(name="Errors"),
    Column(name="Wrong", hint="answers unlike the recorded ones"),
    Column(name="p50"),
    Column(name="p95"),
    Column(name="p99"),
)
_RECORDED = Column(name="× recorded", hint="median service time over the median of the recording")
_BASELINE = Column(name="Baseline p95", hint="change of p95 against the baseline")
_OVER_TIME = Column(name="p95 over time", is_number=False, is_plain=True)


def endpoint_table(run: Run, baseline: Mapping[str, Any]) -> Html | None:
    """Return one row per route and kind of request, the busiest first; None where nothing was requested."""
    keys = [key for key in run.by_route if key[0] == "http"]
    if not keys:
        return None
    keys.sort(key=lambda key: (-n_outcomes(run.by_route[key]), key))
    compared = {each["subject"]: each for each in baseline["comparisons"]}
    columns = [*_COLUMNS]
    has_recorded, has_time = bool(run.recorded.times), len(run.windows) >= _LEAST_WINDOWS
    columns += [_RECORDED] if has_recorded else []
    columns += [_BASELINE] if compared else []
    columns += [_OVER_TIME] if has_time else []
    rows = []
    for key in keys[:_MOST_ROUTES]:
        cells = _cells(run, key)
        cells += [_recorded_cell(run, key)] if has_recorded else []
        cells += [_baseline_cell(compared.get(_subject(key)))] if compared else []
        cells += [_spark_cell(run, key)] if has_time else []
        rows.append(tag("tr", *cells))
    return sortable_table(columns, rows, n_left_out=len(keys) - len(rows))


def _cells(run: Run, key: SeriesKey) -> list[Html]:
    measure, labels = run.by_route[key], dict(key[1])
    n = n_outcomes(measure)
    rate = n / run.judged_s if run.judged_s else 0.0
    name = labels.get("route", key[0])
    kind = tag("span", labels["kind"], class_="kind") if labels.get("kind", "api") != "api" else None
    origin = tag("span", labels["origin"], class_="note") if "origin" in labels else None
    return [
        tag("td", tag("code", name), kind, origin, data_value=name),
        number_cell(format_count(n), n),
        number_cell(f"{rate:.1f}", rate),
        count_cell(n_errors(measure), n),
        count_cell(n_mismatched(measure), n),
        *(time_cell(us) for us in latency_of(measure).quantiles_us((0.5, 0.95, 0.99))),
    ]


def _recorded_cell(run: Run, key: SeriesKey) -> Html:
    now_us = service_of(run.by_route[key]).quantile_us(0.5)
    then_us = run.recorded.distribution(key[0], key[1]).quantile_us(0.5)
    if now_us is None or not then_us:
        return tag("td", "", class_="n", data_value=-1)
    ratio = now_us / then_us
    state = "n slow" if ratio > _SLOW_RATIO and now_us - then_us > _SLOW_US else "n"
    hint = f"median service time {format_ms(now_us / 1000)}, recorded {format_ms(then_us / 1000)}"
    return tag(
        "td", f"{ratio:.2g}×" if ratio < 100 else f"{ratio:.0f}×", class_=state, data_value=f"{ratio:g}", title=hint
    )


def _subject(key: SeriesKey) -> str:
    route = dict(key[1]).get("route", "")
    return f"{format_series('http', (('route', route),))} p95"


def _baseline_cell(compared: Mapping[str, Any] | None) -> Html:
    if compared is None or compared["change"] is None:
        return tag("td", "", class_="n", data_value=-1e9)
    state = _STATES.get(compared["outcome"], "")
    return tag(
        "td",
        change_text(compared),
        class_=f"n delta {state}",
        data_value=compared["change"],
        title=compared["sentence"],
    )


def _spark_cell(run: Run, key: SeriesKey) -> Html:
    return tag("td", sparkline(windows_p95_ms(run.windows, key), "p95 per 10 s"), class_="spark")
