from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.report.text import busiest
from analysis.run import Ended, Run, RunEnd
from analysis.slots import WORKER_CPU_MS
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import judge
from tests.analysis.runs import (
    CONNECT,
    MESSAGE,
    PLAN_OF_HTTP,
    QUOTES,
    REPLY,
    a_good_run,
    a_run,
    a_slot,
    measured,
    sessions,
)
from tests.analysis.synthetic_run import facts, slots

NUMBER = (int, float)
QUANTILES = {"p50", "p90", "p95", "p99", "p999", "max", "mean"}

# design §9, key by key; what is missing here may be added to the summary, what is here may not be renamed
CONTRACT: dict[str, object] = {
    "schema": int,
    "verdict": str,
    "exit_code": int,
    "capture": {"path": str, "sha256": str, "sessions": int},
    "plan": {"sha256": str},
    "options": dict,
    "environment": dict,
    "started_at": str,
    "duration_s": float,
    "workers": int,
    "users": {"planned": int, "started": int, "completed": int, "failed": int, "dropped": int},
    "sessions": {"started": int, "completed": int, "failed": int, "cut": int},
    "totals": {"planned": int, "ok": int, "failed": int, "mismatched": int, "not_sent": dict},
    "series": list,
    "generator": {
        "lag_ms": {"p50": NUMBER, "p99": NUMBER, "max": NUMBER},
        "loop_ms": {"p50": NUMBER, "p99": NUMBER, "max": NUMBER},
        "pool_ms": {"count": int},
        "connect_ms": {"count": int},
        "cpu_ratio": float,
        "cpu_by_worker": list,
        "core_wait_ratio": float,
        "valid": bool,
    },
    "storms": list,
    "populations": list,
    "attendance": {
        "step_s": int,
        "arrivals": {"planned": list, "achieved": list},
        "users": {"planned": list, "achieved": list},
        "arrivals_behind": int,
    },
    "verification": {"checked": int, "eligible": int, "mismatched": int, "by_kind": dict},
    "representation": {"is_representative": bool, "routes": list},
    "pushes": list,
    "failures": list,
    "thresholds": list,
    "baseline": {"runs": list, "warnings": list, "comparisons": list},
    "calibration": {"target": str, "files": list, "calibrated": list, "not_calibrated": list, "doubts": list},
    "dropped_origins": dict,
}


def check(found: object, contract: object, place: str) -> None:
    if isinstance(contract, dict):
        assert isinstance(found, dict), place
        for key, inner in contract.items():
            assert key in found, f"{place}.{key} is missing"
            check(found[key], inner, f"{place}.{key}")
    else:
        assert isinstance(found, contract), place  # type: ignore[arg-type]


def a_summary(run: Run | None = None) -> dict[str, Any]:
    run = run or a_run(list(slots()), run_facts=facts(), end=RunEnd(duration_s=96.4, ended=Ended.FINISHED))
    return summarise(run, judge(run, DEFAULTS))


def test_every_key_of_the_contract_is_there() -> None:
    summary = a_summary()
    check(summary, CONTRACT, "summary")
    assert summary["schema"] == 1


def test_every_entry_of_a_series_is_whole() -> None:
    for entry in a_summary()["series"]:
        assert {"name", "labels", "count", "errors", "mismatches", "rate_per_s", "latency_ms", "service_ms"} <= set(
            entry
        )
        assert set(entry["latency_ms"]) == set(entry["service_ms"]) == QUANTILES
        quantiles = [entry["latency_ms"][name] for name in ("p50", "p90", "p95", "p99", "p999", "max")]
        assert quantiles == sorted(quantiles)


def test_every_threshold_is_whole() -> None:
    rows = a_summary()["thresholds"]
    assert [row["expr"] for row in rows] == [threshold.expr for threshold in DEFAULTS]
    for row in rows:
        assert {"expr", "value", "limit", "outcome", "origin", "confidence"} <= set(row)
        assert row["outcome"] in {"pass", "fail", "inconclusive", "not_applicable"}


def test_each_name_has_exactly_one_unlabelled_entry_and_it_comes_first() -> None:
    entries = a_summary()["series"]
    names = [entry["name"] for entry in entries if not entry["labels"]]
    assert names == ["http", "ws.connect", "ws.ready", "ws.reply"]
    first = {entry["name"]: index for index, entry in reversed(list(enumerate(entries)))}
    assert all(not entries[index]["labels"] for index in first.values())


def test_the_headline_sums_what_is_not_an_asset() -> None:
    entries = [entry for entry in a_summary()["series"] if entry["name"] == "http"]
    counted = sum(entry["count"] for entry in entries if entry["labels"] and entry["labels"]["kind"] != "asset")
    assert entries[0]["count"] == counted


@pytest.mark.parametrize("end", [None, RunEnd(duration_s=0.0, ended=Ended.UNREACHABLE)])
def test_a_run_in_which_nothing_happened_has_a_summary_too(end: RunEnd | None) -> None:
    summary = a_summary(a_run([], end=end))
    assert summary["generator"]["lag_ms"] == {"p50": None, "p99": None, "max": None}
    json.dumps(summary, allow_nan=False)


def test_a_summary_is_json_whatever_the_options_hold() -> None:
    odd = {"path": b"\xff", "factor": float("nan"), "nested": {"a": [1, (2, float("inf"))]}, 3: None}
    json.dumps(a_summary(a_good_run(options=odd)), allow_nan=False)


def test_totals_count_every_step_and_why_some_were_not_sent() -> None:
    slot = a_slot(
        {
            QUOTES: measured(1.0, 2.0, errors={"reset": 2}, mismatches={"status": 1, "size": 1}),
            CONNECT: measured(errors={"reset": 1, "eof": 1}),
            REPLY: measured(3.0),
        },
        counts=sessions(4, 2, **{"not_sent:correlation_miss": 3, "not_sent:socket_closed": 1}),
    )
    summary = a_summary(a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP)))
    assert summary["totals"] == {
        "planned": 9,
        "ok": 3,
        "failed": 4,
        "mismatched": 2,
        "not_sent": {"correlation_miss": 3, "socket_closed": 1},
        "errors": {"eof": 1, "reset": 3},
        "bytes_in": 0,
    }
    assert summary["verification"]["by_kind"] == {"size": 1, "status": 1}


def test_what_the_server_pushed_is_compared_but_is_nobodys_step() -> None:
    slot = a_slot({QUOTES: measured(1.0), MESSAGE: measured(*[0.0] * 50, mismatches={"json": 2})}, counts=sessions(1))
    summary = a_summary(a_run([slot]))
    assert (summary["totals"]["planned"], summary["totals"]["ok"], summary["totals"]["mismatched"]) == (1, 1, 0)
    assert summary["verification"]["mismatched"] == 2
    assert any(entry["name"] == "ws.message" and entry["count"] == 52 for entry in summary["series"])


def test_cpu_is_a_share_of_a_core_per_worker() -> None:
    some = [a_slot(worker=worker, second=second) for worker in range(2) for second in range(5)]
    assert a_summary(a_run(some))["generator"]["cpu_ratio"] == 0.1
    short = RunEnd(duration_s=4.5, ended=Ended.FINISHED)
    assert a_summary(a_run(some, end=short))["generator"]["cpu_ratio"] == round(1.0 / 9, 4)


def test_each_worker_has_a_share_of_its_own_of_the_time_it_was_there() -> None:
    slots = [
        a_slot(worker=worker, second=second, counts={f"{WORKER_CPU_MS}{worker}": cpu_ms})
        for worker, cpu_ms, seconds in ((0, 900, 4), (1, 100, 2))
        for second in range(seconds)
    ]
    generator = a_summary(a_run(slots))["generator"]
    assert generator["cpu_by_worker"] == [{"worker": 0, "cpu_ratio": 0.9}, {"worker": 1, "cpu_ratio": 0.1}]
    assert busiest(generator) == " (the busiest 90%)"
    assert busiest(a_summary(a_run(slots[:4]))["generator"]) == ""


def test_the_first_reason_is_the_headline() -> None:
    assert a_summary(a_good_run())["reasons"] == ["all 5 thresholds were met"]
    run = a_good_run()
    own = in_force([parse_threshold("http p95 < 10ms")])
    assert summarise(run, judge(run, own))["reasons"] == ["http p95 < 10ms was not met: 20 ms"]
    stopped = a_good_run(end=RunEnd(duration_s=4.0, ended=Ended.INTERRUPTED))
    assert a_summary(stopped)["reasons"][0].startswith("stopped by hand after 4.0 s")
    lost = a_good_run(end=RunEnd(duration_s=4.0, ended=Ended.FINISHED, lost_workers=(0, 2)))
    assert "2 of 4 workers were lost (number 0, 2)" in a_summary(lost)["reasons"]


def test_a_target_that_limits_the_rate_is_named() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 2000, errors={"rate_limited": 5})}, counts=sessions(20))
    reasons = a_summary(a_run([slot]))["reasons"]
    assert reasons[-1].startswith("5 of 2005 steps were answered 429 (rate_limited)")


def test_verification_says_checked_of_eligible_for_every_route_and_kind_of_message() -> None:
    quotes, snapshots = measured(*[1.0] * 8, mismatches={"empty": 2}), measured(*[0.0] * 100)
    quotes.eligible = quotes.checked = 10
    snapshots.eligible, snapshots.checked, snapshots.warnings = 100, 40, {"items": 3}
    halves = [a_slot({QUOTES: quotes, MESSAGE: snapshots}, counts=sessions(1), worker=worker) for worker in (0, 1)]
    run = a_run(halves)
    verification = summarise(run, judge(run, in_force([])))["verification"]
    assert verification["warned"] == {"items": 6}
    by_series = {each["name"]: each for each in verification["series"]}
    assert {name: (each["checked"], each["eligible"]) for name, each in by_series.items()} == {
        "http": (20, 20),
        "ws.message": (80, 200),
    }
    assert by_series["ws.message"]["labels"] == {"message": "snapshot", "route": "WS /ws/market"}
    assert (by_series["http"]["mismatched"], by_series["http"]["by_kind"]) == (4, {"empty": 4})
