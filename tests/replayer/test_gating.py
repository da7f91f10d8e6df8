"""Two targets in turns: the order of the runs, and what is said of a build that is slower, or the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from captures.errors import ConfigError
from demo.server import Target, running_target
from demo.target.faults import Faults
from demo.target.settings import Settings
from replayer.gating import turns
from tests.commands import run_rushhour

QUICK = ("--speed", "20", "--users", "10", "--repeat", "2", "--allow-lag")


def test_the_runs_go_a_b_b_a_so_that_drift_weighs_on_both() -> None:
    assert [f"{side}{number}" for side, number in turns(4)] == ["a1", "b1", "b2", "a2", "a3", "b3", "b4", "a4"]


@pytest.fixture
def slow_target() -> Iterator[Target]:
    with running_target(Settings(faults=Faults(latency_ns=150_000_000))) as target:
        yield target


@pytest.mark.process
def test_a_slower_build_has_regressed_and_every_run_stays_for_a_closer_look(
    market: Path, demo_target: Target, slow_target: Target, tmp_path: Path
) -> None:
    urls = (demo_target.url, slow_target.url)
    ended = run_rushhour("gate", market.name, "--interleave", *urls, *QUICK, "--out", "runs", "--json", cwd=tmp_path)
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["verdict"]) == (1, "regressed"), ended.stderr
    assert document["gate"]["targets"] == {"a": urls[0], "b": urls[1]}
    assert [run["path"] for run in document["runs"]] == ["runs/b-1", "runs/b-2"]
    assert [run["path"] for run in document["baseline"]["runs"]] == ["runs/a-1", "runs/a-2"]
    assert json.loads((tmp_path / "runs" / "gate.json").read_text()) == document
    assert (tmp_path / "runs" / "gate.md").read_text().startswith("## ❌ Rushhour: REGRESSED")
    told = [line.split()[0] for line in ended.stderr.splitlines() if line[:2] in ("a-", "b-")]
    assert told == ["a-1", "b-1", "b-2", "a-2"]


@pytest.mark.process
@pytest.mark.parametrize("swapped", [False, True])
def test_what_cannot_be_is_refused_before_the_first_run(
    market: Path, demo_target: Target, tmp_path: Path, swapped: bool
) -> None:
    urls = [demo_target.url, "http://192.0.2.1"]
    ended = run_rushhour("gate", market.name, "--interleave", *urls[:: -1 if swapped else 1], *QUICK, cwd=tmp_path)
    assert ended.returncode == 2
    assert "192.0.2.1" in ended.stderr
    assert not any(tmp_path.rglob("run.rush"))


@pytest.mark.process
def test_no_repeat_is_no_gate(market: Path, tmp_path: Path) -> None:
    urls = ("http://127.0.0.1:9", "http://127.0.0.1:9")
    ended = run_rushhour("gate", market.name, "--interleave", *urls, "--repeat", "0", cwd=tmp_path)
    assert ended.returncode == ConfigError.exit_code
    assert "--repeat 0" in ended.stderr
