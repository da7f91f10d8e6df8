"""Populations that stay, against the real target: its ledger knows who logged in and who opened a socket."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from demo.server import running_target
from demo.target.settings import Settings
from tests.commands import ROOT, run_rushhour

pytestmark = pytest.mark.process

SCENARIO = f"""\
name = "stayers"
capture = "{ROOT}/captures/golden/demo/market.rush"
identities = "{ROOT}/demo/scenarios/users.csv"
speed = 10
allow-lag = true
threshold = ["http p95 < 5s", "ws.reply p99 < 5s"]

[[population]]
name = "holders"
only = "ws"
stages = [{{ for = "500ms", users = 6 }}, {{ for = "2500ms", users = 6 }}, {{ for = "500ms", users = 0 }}]
at-end = "hold"

[[population]]
name = "pollers"
users = 4
for = "3500ms"
shape = "burst"
at-end = "repeat"
"""


def test_a_short_recording_fills_a_longer_run_with_one_login_and_one_socket_per_user(tmp_path: Path) -> None:
    (tmp_path / "stayers.toml").write_text(SCENARIO)
    command = ("replay", "--scenario", "stayers.toml", "--out", "run", "--workers", "2")
    with running_target(Settings()) as target:
        ended = run_rushhour(*command, "--target", target.url, cwd=tmp_path)
        ledger = httpx.get(f"{target.url}/admin/ledger?limit=0").json()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    n_seen = {(row["method"], row["route"]): row["n"] for row in ledger["counts"]}
    assert n_seen["POST", "/api/login"] == 10, "one login per user"
    assert n_seen["WS", "/ws/market"] == ledger["sockets"]["opened"] == 10, "one upgrade per user"
    assert n_seen["GET", "/api/foreign-flow"] > 2 * 4 * 5, "the steady part was repeated"
    holders, pollers = summary["populations"]
    assert holders["achieved"] and pollers["achieved"]
    assert (holders["users"]["started"], holders["users"]["concurrent"]) == (6, 6)
    assert holders["along"] == ["POST /api/login"]
    assert pollers["users"]["completed"] == pollers["sessions"]["completed"] == 4
    totals = summary["totals"]
    assert totals["planned"] == totals["ok"] + sum(totals["not_sent"].values())
    routes = [series for series in summary["series"] if series["name"] == "http" and "route" in series["labels"]]
    n_requests = sum(series["count"] for series in routes)
    assert n_requests == sum(n for (method, _), n in n_seen.items() if method != "WS"), "the ledger balances"
    assert summary["pacing"]["sessions"] >= 4
