"""``rushhour replay --storm`` against the demo's target: who comes back asks for what a real client would."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from demo.server import running_target
from demo.target.settings import Settings
from tests.replayer.test_replay_end_to_end import ledger, replayed

pytestmark = pytest.mark.process

USERS = 8


def test_resuming_needs_no_login_and_coming_back_cold_does(tmp_path: Path) -> None:
    # The cold one comes before the order's form is fetched: its CSRF token would not fit the new login's session.
    storms = [
        "at=500ms,how=close:1012,policy=full-jitter:10ms..50ms,mode=cold",
        "at=1000ms,fraction=0.5,policy=fixed:50ms,mode=resume",
    ]
    options = ["--users", str(USERS), "--speed", "5", "--shape", "burst", "--workers", "2", "--allow-lag"]
    options += [part for storm in storms for part in ("--storm", storm)]
    with running_target(Settings()) as target:
        _, summary = replayed(target.url, tmp_path / "run", *options, "--threshold", "storm.recovery p95 < 30s")
        seen = ledger(target.url)
    cold, resumed = summary["storms"]
    assert 0 < resumed["lost"] < USERS
    assert resumed["recovered"] == resumed["lost"]
    assert 0 < cold["lost"] <= USERS
    assert cold["recovered"] == cold["lost"]
    assert resumed["requests"]["planned"] == 0
    counts = Counter({(row["method"], row["route"]): row["n"] for row in seen["counts"]})
    assert counts["POST", "/api/login"] == USERS + cold["attempts"]
    assert seen["sockets"]["opened"] == USERS + resumed["lost"] + cold["lost"]
    assert summary["sessions"]["completed"] == USERS, "a storm is nobody's failure"
    totals = summary["totals"]
    assert totals["planned"] == totals["ok"] + totals["failed"] + totals["mismatched"] + sum(
        totals["not_sent"].values()
    )
    http = sum(entry["count"] for entry in summary["series"] if entry["name"] == "http" and "kind" in entry["labels"])
    n_http = sum(n for (method, _), n in counts.items() if method != "WS")
    assert n_http == http + cold["requests"]["planned"], "what storms asked for is kept apart, and nothing is lost"
    (result,) = [each for each in summary["thresholds"] if each["expr"] == "storm.recovery p95 < 30s"]
    assert (result["outcome"], result["n"]) == ("pass", resumed["lost"] + cold["lost"])
