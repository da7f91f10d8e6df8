"""``series.csv``: what was measured as rows, for spreadsheets and scripts. Pure.

Three kinds of row stand in the column ``row``: ``second`` is one second of a series in total (of all routes, and by
kind and origin), ``window`` ten seconds of one route, ``summary`` a series over all that is judged. Seconds count from
the start of the run, times are ms; a cell without a value is empty.

A text that a spreadsheet would take for a formula gets an apostrophe in front, which the spreadsheet does not show.
Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from analysis.merge import WINDOW_S
from analysis.report.text import printable
from analysis.run import Run
from analysis.series import (
    Distribution,
    Labels,
    format_series,
    latency_of,
    n_errors,
    n_mismatched,
    n_outcomes,
    service_of,
    total_of,
)
from analysis.slots import Measure, SecondSlot, SeriesKey

_QUANTILES = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99), ("p999_ms", 0.999))
COLUMNS = (
    *("row", "second", "seconds", "series", "name", "route", "kind"),
    *("planned", "count", "ok", "errors", "mismatches", "rate_per_s"),
    *(name for name, _ in _QUANTILES),
    *("max_ms", "mean_ms", "service_p50_ms", "service_p95_ms", "service_p99_ms", "bytes_in"),
)
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""First characters of a formula; the wide ones are the same in some spreadsheets."""
_LABEL_LIMIT = 1_000

Cell = str | int | float | None


def render_csv(run: Run) -> str:
    """Return the whole file, lines ended by LF."""
    return write_csv(COLUMNS, (*_seconds(run), *_windows(run), *_summaries(run)))


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows as CSV (RFC 4180 but for its line ends); texts are made safe (``cell``)."""
    into = io.StringIO()
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return into.getvalue()


def cell(value: Cell) -> str:
    """Return a value as the text of a cell: no control character, no formula."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, int):
        return str(value)
    shown = printable(value, _LABEL_LIMIT)
    return f"'{shown}" if shown.lstrip()[:1] in _FORMULA and shown.strip() else shown


def _seconds(run: Run) -> Iterator[list[Cell]]:
    for second in sorted(run.seconds):
        slot = run.seconds[second]
        for name, labels, measure in _totals(slot.measures):
            yield ["second", second, 1, *_of_series(name, labels), *_figures(measure, 1.0)]
        yield from (["second", second, 1, *row] for row in _generator(slot))


def _windows(run: Run) -> Iterator[list[Cell]]:
    for first in sorted(run.windows):
        measures = run.windows[first]
        for name, labels in sorted(measures):
            figures = _figures(measures[name, labels], WINDOW_S)
            yield ["window", first, WINDOW_S, *_of_series(name, labels), *figures]


def _summaries(run: Run) -> Iterator[list[Cell]]:
    start: list[Cell] = ["summary", None, round(run.judged_s, 3)]
    names = sorted({name for name, _ in run.judged.measures} | {name for name, _ in run.by_route})
    for name in names:
        yield [*start, *_of_series(name, ()), *_figures(run.measure(name), run.judged_s)]
        for key in sorted(key for key in run.by_route if key[0] == name and key[1]):
            yield [*start, *_of_series(*key), *_figures(run.by_route[key], run.judged_s)]
    yield from ([*start, *row] for row in _generator(run.judged))


def _totals(measures: Mapping[SeriesKey, Measure]) -> Iterator[tuple[str, Labels, Measure]]:
    """Yield the headline of every name, and each series of its own where there are labels."""
    for name in sorted({name for name, _ in measures}):
        yield name, (), total_of(measures, name)
        for key in sorted(key for key in measures if key[0] == name and key[1]):
            yield name, key[1], measures[key]


def _of_series(name: str, labels: Labels) -> list[Cell]:
    by_key = dict(labels)
    return [format_series(name, labels), name, by_key.get("route", ""), by_key.get("kind", "")]


def _figures(measure: Measure, seconds: float) -> list[Cell]:
    n = n_outcomes(measure)
    counts: list[Cell] = [measure.planned, n, measure.ok, n_errors(measure), n_mismatched(measure)]
    rate = round(n / seconds, 3) if seconds > 0 else None
    service = service_of(measure).quantiles_us((0.5, 0.95, 0.99))
    return [*counts, rate, *_times(latency_of(measure)), *map(_ms, service), measure.bytes_in]


def _generator(slot: SecondSlot) -> Iterator[list[Cell]]:
    """Yield how late sends left and loops woke up; they are no steps and have no counts of outcomes."""
    for name, buckets in (("generator.lag", slot.lag), ("generator.loop", slot.loop)):
        if buckets:
            times = Distribution.of_buckets(buckets)
            blanks: list[Cell] = [None] * 4
            yield [name, name, "", "", None, times.histogram.n, *blanks, *_times(times), *blanks]


def _times(times: Distribution) -> list[Cell]:
    quantiles = times.quantiles_us(tuple(q for _, q in _QUANTILES))
    mean = times.mean_us()
    return [*map(_ms, quantiles), _ms(times.max_us) if mean is not None else None, _ms(mean)]


def _ms(us: float | None) -> float | None:
    return None if us is None else round(us / 1000, 3)
