"""Real workers against the real demo target: what was sent, what was counted, what the verdict says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.server import running_target
from demo.target.faults import Faults
from demo.target.settings import Feed, Settings
from tests.commands import ROOT, run_rushhour

GOLDEN = ROOT / "captures" / "golden" / "demo" / "market.rush"

pytestmark = pytest.mark.process


def ledger(url: str) -> dict[str, Any]:
    import httpx

    answer: dict[str, Any] = httpx.get(f"{url}/admin/ledger", params={"limit": 100_000}, trust_env=False).json()
    return answer


def replayed(url: str, out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    # The machine that runs the tests may be busy; what it may be late by is not what is tested here.
    lenient = ("--allow-lag", *options)
    done = run_rushhour("replay", str(GOLDEN), "--target", url, "--out", str(out), *lenient, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads((out / "summary.json").read_text(encoding="utf-8"))


def outcome_of(summary: dict[str, Any], expr: str) -> str:
    outcomes: dict[str, str] = {threshold["expr"]: threshold["outcome"] for threshold in summary["thresholds"]}
    return outcomes[expr]


def test_crowd_logs_in_one_by_one_and_the_ledger_balances(tmp_path: Path) -> None:
    with running_target(Settings()) as target:
        code, summary = replayed(target.url, tmp_path / "run", "--users", "12", "--speed", "10", "--workers", "2")
        seen = ledger(target.url)
    assert code == 0 and summary["verdict"] == "pass"
    assert summary["users"]["completed"] == summary["sessions"]["completed"] == 12
    totals = summary["totals"]
    assert totals["planned"] == totals["ok"] + totals["failed"] + totals["mismatched"] + sum(
        totals["not_sent"].values()
    )
    counts = Counter({(row["method"], row["route"]): row["n"] for row in seen["counts"]})
    assert counts["POST", "/api/login"] == counts["POST", "/api/orders"] == counts["GET", "/api/orders/{id}"] == 12
    assert seen["sockets"]["opened"] == 12 and seen["sockets"]["closed"] == 12
    http = sum(entry["count"] for entry in summary["series"] if entry["name"] == "http" and "kind" in entry["labels"])
    assert http == sum(n for (method, _), n in counts.items() if method != "WS")
    logins = {entry["login"] for entry in seen["entries"] if entry["login"]}
    assert len(logins) == 12, "every virtual user has a login of its own"


@pytest.mark.parametrize(
    ("faults", "options", "code", "failing"),
    [
        (Faults(latency_ns=300_000_000), (), 1, "http p95 < 200ms"),
        (Faults(refuses_upgrades=True), (), 1, "ws.connect errors < 1%"),
        (Faults(error_rate=0.5), (), 1, "http errors < 1%"),
    ],
)
def test_fault_of_the_target_fails_the_run_and_names_the_threshold(
    tmp_path: Path, faults: Faults, options: tuple[str, ...], code: int, failing: str
) -> None:
    with running_target(Settings(faults=faults)) as target:
        found, summary = replayed(target.url, tmp_path / "run", "--users", "3", "--speed", "10", *options)
    assert (found, summary["verdict"]) == (code, "fail")
    assert outcome_of(summary, failing) == "fail"


def test_a_threshold_that_aborts_ends_the_run_long_before_its_time(tmp_path: Path) -> None:
    with running_target(Settings(faults=Faults(latency_ns=60_000_000))) as target:
        aborting = ("--threshold", "http p95 < 20ms; abort; after 1s; min_samples 20")
        code, summary = replayed(
            target.url, tmp_path / "run", "--users", "10", "--speed", "5", "--for", "60s", *aborting
        )
    assert (code, summary["verdict"]) == (3, "aborted")
    assert "http p95 < 20ms" in summary["reasons"][0]
    assert summary["duration_s"] < 60
    totals = summary["totals"]
    assert totals["planned"] == totals["ok"] + totals["failed"] + totals["mismatched"] + sum(
        totals["not_sent"].values()
    )


def test_empty_feed_is_fast_and_no_pass(tmp_path: Path) -> None:
    with running_target(Settings(feed=Feed.EMPTY)) as target:
        code, summary = replayed(target.url, tmp_path / "run", "--users", "2", "--speed", "10")
    assert code == 1
    assert outcome_of(summary, "http p95 < 200ms") == "pass"
    assert outcome_of(summary, "verify mismatch < 1%") == "fail"


def test_json_is_one_document_on_stdout(tmp_path: Path) -> None:
    with running_target(Settings()) as target:
        done = run_rushhour(
            "replay",
            str(GOLDEN),
            "--target",
            target.url,
            "--out",
            str(tmp_path / "run"),
            "--speed",
            "10",
            "--allow-lag",
            "--json",
            cwd=ROOT,
        )
    assert json.loads(done.stdout)["verdict"] == "pass" and done.returncode == 0
