"""A replay that is held to a baseline and to calibrated limits, as a pipeline does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.server import Target
from tests.analysis.noisy import write_noisy
from tests.commands import run_rushhour

pytestmark = pytest.mark.process

QUICK = ("--speed", "20", "--users", "20", "--allow-lag")


def replayed(market: Path, target: Target, out: str, *more: str) -> dict[str, Any]:
    ended = run_rushhour(
        "replay", market.name, "--target", target.url, *QUICK, "--out", out, *more, "--json", cwd=market.parent
    )
    document: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == document["exit_code"]
    return document


def test_calibrated_limits_and_a_baseline_are_named_wherever_the_run_is_judged_again(
    market: Path, demo_target: Target, tmp_path: Path
) -> None:
    for number in (1, 2):
        replayed(market, demo_target, f"base-{number}")
    written = run_rushhour("calibrate", "base-1", "base-2", "-o", "thresholds.toml", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    held = ("--thresholds", "thresholds.toml", "--baseline", "base-1", "--baseline", "base-2", "--format", "junit")
    summary = replayed(market, demo_target, "run", *held)
    (limit,) = [each for each in summary["thresholds"] if each["expr"].startswith("http p95 <")]
    assert (limit["origin"], limit["source"]) == ("calibrated", "thresholds.toml")
    assert limit["expr"] in summary["calibration"]["calibrated"]
    assert "ws.reply p99 < 100ms" in summary["calibration"]["not_calibrated"]
    assert [run["path"] for run in summary["baseline"]["runs"]] == ["base-1", "base-2"]
    gated = [each["subject"] for each in summary["baseline"]["comparisons"] if each["is_gated"]]
    assert {"http p95", "http errors", "session failed"} <= set(gated)
    again = run_rushhour("report", "run", "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == summary


def test_a_baseline_of_another_load_is_refused_before_the_target_is_asked(market: Path, tmp_path: Path) -> None:
    write_noisy(tmp_path / "base", 1)
    typed = ("--target", "http://127.0.0.1:9", "--baseline", "base", "--before", "date > begun")
    ended = run_rushhour("replay", market.name, *typed, cwd=tmp_path)
    assert ended.returncode == 2
    assert "this run cannot be compared with base: it replayed another capture" in ended.stderr
    assert not (tmp_path / "begun").exists()
    assert not (tmp_path / "runs").exists()
