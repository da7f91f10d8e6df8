from __future__ import annotations

import pytest

from analysis.series import METRICS, Stat, format_series, is_coarse, is_selected, n_outcomes, total_of
from analysis.slots import SeriesKey
from tests.analysis.runs import ASSET, CONNECT, QUOTES, REPLY, measured

DOCUMENT: SeriesKey = ("http", (("kind", "document"), ("route", "GET /")))
MEASURES = {
    QUOTES: measured(1.0),
    DOCUMENT: measured(2.0, 2.0),
    ASSET: measured(*[3.0] * 4),
    REPLY: measured(*[4.0] * 8),
}


@pytest.mark.parametrize(
    ("name", "labels", "n"),
    [
        ("http", (), 3),  # the headline: api and document, no assets
        ("http", (("kind", "asset"),), 4),  # asked for by kind
        ("http", (("route", "GET /app.js"),), 4),  # asked for by route
        ("http", (("kind", "api"), ("route", "GET /")), 0),  # labels have to hold together
        ("ws.reply", (), 8),
        ("ws.connect", (), 0),
    ],
)
def test_a_total_holds_the_series_its_labels_ask_for(name: str, labels: tuple[tuple[str, str], ...], n: int) -> None:
    assert n_outcomes(total_of(MEASURES, name, labels)) == n


def test_the_headline_of_one_origin_leaves_assets_out_too() -> None:
    origin = ("origin", "http://a")
    asset: SeriesKey = ("http", (("kind", "asset"), origin))
    assert not is_selected(asset, "http", (origin,))
    assert is_selected(("http", (("kind", "api"), origin)), "http", (origin,))


def test_what_only_came_along_is_no_headline_either_but_has_its_route() -> None:
    along: SeriesKey = ("http", (("kind", "along"), ("route", "POST /login")))
    assert not is_selected(along, "http", ())
    assert is_selected(along, "http", (("route", "POST /login"),)) and is_selected(along, "http", (("kind", "along"),))


def test_every_way_to_end_is_an_outcome() -> None:
    assert n_outcomes(measured(1.0, errors={"reset": 2}, mismatches={"status": 3})) == 6


def test_totals_of_seconds_can_tell_kinds_but_not_routes() -> None:
    assert is_coarse((("kind", "api"),))
    assert not is_coarse(CONNECT[1])


def test_the_table_of_metrics_is_closed_and_every_statistic_has_a_unit() -> None:
    assert {"http", "ws.connect", "ws.ready", "ws.reply", "ws.push_lag", "session", "verify", "correlation"} <= set(
        METRICS
    )
    assert all(stat.unit for stat in Stat)
    assert all(metric.stats and metric.meaning for metric in METRICS.values())


def test_a_series_is_written_as_a_threshold_names_it() -> None:
    assert format_series("http", ()) == "http"
    assert format_series("http", (("route", 'GET /a"b\\c'),)) == 'http{route="GET /a\\"b\\\\c"}'
