from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest

from analysis.metrics import BOUNDS_S, MAX_ROUTES, OTHER, Metrics
from analysis.metrics_address import MetricsAddress, parse_metrics_address
from analysis.metrics_port import MetricsPage, MetricsServer
from analysis.slots import SecondSlot
from captures.errors import ConfigError
from tests.analysis.hostile import a_hostile_run, named
from tests.analysis.runs import CONNECT, QUOTES, REPLY, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

SAMPLE = re.compile(r'rushhour_[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? -?[0-9.e+-]+')


def exposed(*slots: SecondSlot) -> dict[str, float]:
    metrics = Metrics(facts(), version="1.2")
    for slot in slots:
        metrics.update(slot)
    lines = [line for line in metrics.exposition().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_durations_are_cumulative_histograms_in_seconds() -> None:
    found = exposed(a_slot({QUOTES: measured(4.0, 20.0, 20.0, 30_000.0)}))
    labels = 'kind="api",route="GET /api/quotes"'
    name = "rushhour_http_request_duration_seconds"
    counts = [found[f'{name}_bucket{{{labels},le="{bound}"}}'] for bound in (*BOUNDS_S, "+Inf")]
    assert counts == [1, 1, *[3] * 12, 4]
    assert found[f"{name}_count{{{labels}}}"] == 4
    assert found[f"{name}_sum{{{labels}}}"] == pytest.approx(30.044)
    assert f"rushhour_http_service_duration_seconds_count{{{labels}}}" in found


def test_a_slot_that_comes_twice_counts_once_and_gauges_are_the_newest_of_each_worker() -> None:
    def gauged(worker: int, second: int, users: int) -> SecondSlot:
        return SecondSlot(
            worker=worker, second=second, gauges={"users_active": users, "sockets_open": 1}, counts=sessions(2)
        )

    found = exposed(gauged(0, 1, 5), gauged(0, 0, 90), gauged(1, 1, 30), gauged(1, 1, 30))
    assert found["rushhour_users_active"] == 35
    assert found["rushhour_ws_connections"] == 2
    assert found["rushhour_sessions_started_total"] == 6


def test_sessions_are_active_until_they_end_in_whatever_way() -> None:
    ways = {"sessions_completed": 3, "sessions_failed": 1, "sessions_cut": 1, "sessions_retired": 2}
    found = exposed(a_slot(counts={"sessions_started": 9}), a_slot(second=1, counts=ways))
    assert found["rushhour_sessions_active"] == 2


def test_failures_mismatches_and_sockets_have_names_of_their_own() -> None:
    slot = a_slot(
        {
            QUOTES: measured(errors={"status_503": 3}, mismatches={"empty": 2}),
            CONNECT: measured(7.0),
            REPLY: measured(5.0),
            ("sse.connect", (("route", "GET /events"),)): measured(3.0),
        },
        counts={"messages_in": 40, "messages_out": 4},
    )
    found = exposed(slot)
    assert found['rushhour_errors_total{series="http",class="status_503"}'] == 3
    assert found['rushhour_verify_mismatch_total{series="http",kind="empty"}'] == 2
    assert found['rushhour_ws_messages_total{direction="in"}'] == 40
    assert found['rushhour_ws_connect_duration_seconds_count{route="WS /ws/market"}'] == 1
    assert found['rushhour_ws_reply_duration_seconds_count{route="WS /ws/market"}'] == 1
    assert found['rushhour_sse_connect_duration_seconds_count{route="GET /events"}'] == 1
    assert found["rushhour_generator_lag_seconds_count"] == 100


def test_routes_beyond_the_budget_share_a_name() -> None:
    measures = {("http", (("kind", "api"), ("route", f"GET /{n}"))): measured(5.0) for n in range(MAX_ROUTES + 7)}
    found = exposed(a_slot({key: measures[key] for key in sorted(measures)}))
    counts = {name: n for name, n in found.items() if name.startswith("rushhour_http_request_duration_seconds_count")}
    assert len(counts) == MAX_ROUTES + 1
    assert counts[f'rushhour_http_request_duration_seconds_count{{kind="api",route="{OTHER}"}}'] == 7


def test_whatever_was_recorded_every_line_can_be_read() -> None:
    run = a_hostile_run()
    metrics = Metrics(run.facts)
    for slot in run.seconds.values():
        metrics.update(slot)
    for start, measures in run.windows.items():
        metrics.update(SecondSlot(worker=9, second=start, measures=measures))
    text = metrics.exposition()
    lines = text.split("\n")
    assert lines.pop() == ""
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert named("class")[:20].replace('"', r"\"") in text


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("9464", "127.0.0.1", 9464), ("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:9464", "::1", 9464), ("0", "127.0.0.1", 0)],
)
def test_a_port_alone_is_on_loopback(text: str, host: str, port: int) -> None:
    assert parse_metrics_address(text) == MetricsAddress(host=host, port=port)


@pytest.mark.parametrize("text", ["", "http", "70000", ":9464", "1.2.3.4:", "-1", "\u0663"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no port"):
        parse_metrics_address(text)


def test_the_page_is_served_on_loopback_before_and_while_a_run_goes_on() -> None:
    page = MetricsPage()
    with MetricsServer(MetricsAddress(port=0), page) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(server.url, timeout=30) as answer:
            assert answer.read() == b"# the run has not begun\n"
        page.begin(facts())
        page.update(a_slot({QUOTES: measured(5.0)}))
        with urllib.request.urlopen(server.url, timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"rushhour_run_info{" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url.replace("metrics", "secret"), timeout=30)


def test_a_port_that_is_taken_is_said_plainly() -> None:
    with MetricsServer(MetricsAddress(port=0), MetricsPage()) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigError, match=f"--metrics-port {port}: cannot listen there, Address already in use"):
            MetricsServer(MetricsAddress(port=port), MetricsPage())
