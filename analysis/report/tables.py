"""The tables of the page: endpoints, sockets, failures with their first evidence. Readable without JavaScript. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.report.charts import sparkline_points
from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, format_seconds, printable
from analysis.run import Run
from analysis.series import latency_of, n_errors, n_mismatched, n_outcomes, service_of
from analysis.slots import Measure, SeriesKey, StepRecord

_MOST_ROUTES = 300
_MOST_GROUPS = 60
_EXAMPLES = 3
_NOT_SENT = "not_sent_"
"""How the outcome of a step begins that was never sent; a slot counts it as ``not_sent:<reason>``."""
_LEAST_WINDOWS = 3
"""Windows of ten seconds from which on a line over time says anything."""
_COLUMNS = (
    *("Route", "Kind", "Count", "/s", "Errors", "Wrong"),
    *("p50", "p95", "p99", "Max", "Service p95", "p95 over time"),
)
_SOCKET_SERIES = ("ws.connect", "ws.ready", "ws.reply", "ws.push_lag")
_SPARK_WIDTH, _SPARK_HEIGHT = 72, 16


def endpoint_table(run: Run) -> Html:
    """Return one row per route and kind of request, the busiest first."""
    keys = [key for key in run.by_route if key[0] == "http"]
    keys.sort(key=lambda key: (-n_outcomes(run.by_route[key]), key))
    columns = _COLUMNS if len(run.windows) >= _LEAST_WINDOWS else _COLUMNS[:-1]
    rows = [_endpoint_row(run, key) for key in keys[:_MOST_ROUTES]]
    return _sortable(columns, rows, n_left_out=len(keys) - len(rows))


def _endpoint_row(run: Run, key: SeriesKey) -> Html:
    measure, labels = run.by_route[key], dict(key[1])
    n = n_outcomes(measure)
    p50, p95, p99 = latency_of(measure).quantiles_us((0.5, 0.95, 0.99))
    is_any = p50 is not None
    name = labels.get("route", key[0])
    origin = tag("span", labels["origin"], class_="note") if "origin" in labels else None
    return tag(
        "tr",
        tag("td", tag("code", name), origin, data_value=name),
        tag("td", labels.get("kind", ""), class_="muted", data_value=labels.get("kind", "")),
        _number(format_count(n), n),
        _number(f"{n / run.judged_s:.1f}" if run.judged_s else "–", n),
        _count(n_errors(measure), n),
        _count(n_mismatched(measure), n),
        *(_time(value) for value in (p50, p95, p99)),
        _time(measure.latency_max_us if is_any else None),
        _time(service_of(measure).quantile_us(0.95)),
        _sparkline_cell(run, key),
    )


def socket_table(run: Run) -> Html | None:
    """Return one row per WebSocket series, or None where the run has none."""
    names = _socket_names(run)
    if not names:
        return None
    columns = ("Series", "Planned", "Ended", "Errors", "p50", "p95", "p99", "Max")
    rows = []
    for name in names:
        rows.append(_socket_row(tag("code", name), name, run.measure(name)))
        keys = sorted(key for key in run.by_route if key[0] == name and key[1])
        if len(keys) > 1:
            for key in keys:
                label = " ".join(value for _, value in key[1])
                rows.append(_socket_row(tag("code", label, class_="under"), f"{name} {label}", run.by_route[key]))
    return _sortable(columns, rows, n_left_out=0)


def _socket_names(run: Run) -> list[str]:
    """Return the WebSocket and event stream series that the plan or the run has, the well-known ones first."""
    known = [name for name in _SOCKET_SERIES if n_planned(run, name)]
    others = {name for name, _ in run.whole.measures if name.startswith(("ws.", "sse."))} - set(_SOCKET_SERIES)
    return known + sorted(others)


def n_planned(run: Run, name: str) -> int:
    """Return how many steps of a series were planned or ended."""
    measure = run.measure(name)
    return run.facts.planned.get(name, 0) + measure.planned + n_outcomes(measure)


def _socket_row(shown: Html, name: str, measure: Measure) -> Html:
    quantiles = latency_of(measure).quantiles_us((0.5, 0.95, 0.99))
    n = n_outcomes(measure)
    return tag(
        "tr",
        tag("td", shown, data_value=name),
        _number(format_count(measure.planned), measure.planned),
        _number(format_count(n), n),
        _count(n_errors(measure) + n_mismatched(measure), n),
        *(_time(value) for value in quantiles),
        _time(measure.latency_max_us if quantiles[0] is not None else None),
    )


def _sortable(columns: Sequence[str], rows: Sequence[Html], *, n_left_out: int) -> Html:
    numbers_from = 2 if columns[1] == "Kind" else 1
    heads = [
        tag(
            "th",
            tag("button", name, type="button") if name != "p95 over time" else name,
            scope="col",
            class_=_align(index, numbers_from),
        )
        for index, name in enumerate(columns)
    ]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable")
    note = tag("p", f"and {n_left_out} more in summary.json", class_="muted") if n_left_out > 0 else None
    return tag("div", table, note, class_="scroll")


def _align(index: int, numbers_from: int) -> str | None:
    return "n" if index >= numbers_from else None


def _number(shown: str, value: float) -> Html:
    return tag("td", shown, class_="n", data_value=f"{value:g}")


def _count(n: int, total: int) -> Html:
    share = tag("small", f" {n / total:.1%}") if n and total else None
    return tag("td", format_count(n), share, class_="n bad" if n else "n zero", data_value=n)


def _time(us: int | None) -> Html:
    return tag("td", format_ms(None if us is None else us / 1000), class_="n", data_value=-1 if us is None else us)


def _sparkline_cell(run: Run, key: SeriesKey) -> Html | None:
    if len(run.windows) < _LEAST_WINDOWS:
        return None
    return tag("td", _sparkline(sparkline_points(run.windows, key)), class_="spark")


def _sparkline(points: Sequence[float | None]) -> Html | None:
    known = [point for point in points if point is not None]
    if len(known) < _LEAST_WINDOWS:
        return None
    top = max(known)
    step = _SPARK_WIDTH / max(1, len(points) - 1)
    places = " ".join(
        f"{index * step:.1f},{_SPARK_HEIGHT - 1 - (_SPARK_HEIGHT - 2) * point / top:.1f}"
        for index, point in enumerate(points)
        if point is not None
    )
    line = tag("polyline", points=places)
    title = tag("title", f"p95 per 10 s, at most {format_ms(top)}")
    return tag(
        "svg", title, line, viewBox=f"0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}", width=_SPARK_WIDTH, height=_SPARK_HEIGHT
    )


def failures(run: Run) -> Html | None:
    """Return every kind of failure and wrong answer with how often it came and the first that were seen."""
    counts = _failure_counts(run)
    if not counts:
        return None
    evidence: defaultdict[tuple[SeriesKey, str], list[StepRecord]] = defaultdict(list)
    for step in run.whole.steps:
        if step.outcome.startswith(_NOT_SENT):
            evidence[("not sent", ()), step.outcome.removeprefix(_NOT_SENT)].append(step)
        elif step.outcome != "ok":
            evidence[step.series, step.outcome].append(step)
    groups = counts.most_common(_MOST_GROUPS)
    shown = [_failure(series, outcome, n, evidence[series, outcome]) for (series, outcome), n in groups]
    left_out = len(counts) - len(shown)
    note = tag("p", f"and {left_out} more kinds in summary.json", class_="muted") if left_out else None
    return tag("div", *shown, note, class_="failures")


def _failure_counts(run: Run) -> Counter[tuple[SeriesKey, str]]:
    counts: Counter[tuple[SeriesKey, str]] = Counter()
    for series, measure in run.by_route.items():
        for name, n in measure.errors.items():
            counts[series, name] += n
        for kind, n in measure.mismatches.items():
            counts[series, f"mismatch_{kind}"] += n
    for name, n in run.whole.counts.items():
        if name.startswith("not_sent:") and n:
            counts[("not sent", ()), name.removeprefix("not_sent:")] += n
    return counts


def _failure(series: SeriesKey, outcome: str, n: int, steps: list[StepRecord]) -> Html:
    route = dict(series[1]).get("route", "")
    head = tag(
        "summary",
        tag("span", format_count(n), class_="times"),
        tag("code", outcome, class_="mismatch" if outcome.startswith("mismatch_") else "failure"),
        tag("span", series[0], " ", tag("code", route) if route else None, class_="where"),
    )
    steps.sort(key=lambda step: step.end_ns)
    rows = [_evidence(step) for step in steps[:_EXAMPLES]]
    body = tag("ol", *rows) if rows else tag("p", "no whole record was kept", class_="muted")
    return tag("details", head, body, open="open" if n and rows else None)


def _evidence(step: StepRecord) -> Html:
    at_s, took_ms = step.intended_ns / 1e9, max(0, step.end_ns - step.intended_ns) / 1e6
    facts: Iterable[Any] = (
        *([dict(step.series[1]).get("route", step.series[0])] if step.outcome.startswith(_NOT_SENT) else []),
        f"at {format_seconds(at_s)}",
        f"user {step.user}",
        f"session {step.session}, step {step.step}",
        f"after {format_ms(took_ms)}",
        *([f"status {step.status}"] if step.status else []),
    )
    return tag(
        "li",
        tag("span", printable(step.detail) or "no detail", class_="detail"),
        tag("span", " · ".join(facts), class_="muted"),
    )
