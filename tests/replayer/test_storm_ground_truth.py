"""Storms against a server whose pace is known: the recovery curve is what arithmetic says it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.storms import storm_reports
from tests.storm_runs import expected_recoveries, play, socket_plan, upgrade_server

pytestmark = pytest.mark.process

N = 100
RATE = 100.0


def test_the_model_is_the_one_of_a_queue() -> None:
    times, attempts = expected_recoveries(1000, rate=50, timeout_s=60)
    assert attempts == 1000
    assert times[-1] == pytest.approx(20.0)
    times, attempts = expected_recoveries(1000, rate=50, timeout_s=15)
    assert attempts == 1250
    assert times[-1] == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("timeout_s", "workers"),
    [
        # Everybody waits as long as it takes: the last is back after N / rate.
        (60.0, 2),
        # Who waits longer than that gives up and stands at the end of the queue again: more attempts, later.
        (0.7, 1),
    ],
)
def test_sockets_come_back_at_the_pace_of_the_server(tmp_path: Path, timeout_s: float, workers: int) -> None:
    times, attempts = expected_recoveries(N, rate=RATE, timeout_s=timeout_s)
    with upgrade_server("--rate", str(RATE), "--free", str(N), "--wasteful") as server:
        plan = socket_plan(open_s=0.8)
        run, outcome = play(
            tmp_path,
            plan,
            server,
            users=N,
            workers=workers,
            storms=["at=500ms,policy=immediate"],
            connect_s=timeout_s,
        )
        ledger = server.ledger()
    (report,) = storm_reports(run)
    assert outcome.lost == ()
    assert report["lost"] == report["recovered"] == N
    assert ledger["resets"] == N
    assert ledger["upgrades"] == N + report["attempts"], "what we count as attempts is what the server saw"
    assert report["attempts"] == pytest.approx(attempts, rel=0.15)
    for share, name in ((0.5, "t50_s"), (0.95, "t95_s"), (1.0, "t100_s")):
        assert report[name] == pytest.approx(times[int(share * N) - 1], rel=0.35), name
    assert run.whole.counts["sessions_completed"] == N


def test_each_way_of_losing_a_socket_looks_to_the_server_as_it_should(tmp_path: Path) -> None:
    n = 20
    storms = ["at=300ms,how=close:4000", "at=600ms,how=silent,notice=200ms", "at=1100ms,how=rst"]
    with upgrade_server() as server:
        seen: list[dict[str, int]] = []

        def on_turn(now_s: float) -> None:
            if now_s > 0.9 and not seen:
                seen.append(server.ledger())

        run, _ = play(
            tmp_path,
            socket_plan(open_s=1.4),
            server,
            users=n,
            storms=[f"{storm},policy=immediate" for storm in storms],
            on_turn=on_turn,
        )
        ledger = server.ledger()
    reports = storm_reports(run)
    assert [report["recovered"] for report in reports] == [n, n, n]
    assert reports[1]["t50_s"] > 0.2 > reports[0]["t50_s"]
    assert ledger["upgrades"] == 4 * n
    assert ledger["closes"] == 2 * n, "the storm's and each user's own at the end"
    assert seen[0]["open"] == 2 * n, "a silent loss leaves the old socket half-open"
    assert ledger["open"] == 0
