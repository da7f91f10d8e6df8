"""A whole replay against the demo whose tokens live shorter than its sessions: nobody fails, refreshes are counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

from demo.server import running_target
from demo.target.accounts import PASSWORD
from demo.target.settings import NS_PER_S, Settings
from tests.commands import ROOT

GOLDEN = ROOT / "captures" / "golden" / "demo" / "market.rush"


@pytest.mark.process
def test_tokens_that_die_during_a_session_cost_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHHOUR_USER", "demo001")
    monkeypatch.setenv("RUSHHOUR_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with running_target(Settings(token_ttl_ns=NS_PER_S)) as target:
        command = [sys.executable, "-m", "rushhour", "replay", str(GOLDEN), "--target", target.url, "--speed", "4"]
        given = ["--out", str(tmp_path / "run"), "--start-spread", "0s", "--users", "2", "--assets", "skip"]
        done = run([*command, *given], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["totals"]["failed"] == 0 and not summary["totals"]["not_sent"], done.stdout + done.stderr
    (refreshes,) = [row for row in summary["series"] if row["name"] == "refresh" and not row["labels"]]
    assert refreshes["ok"] >= 2, "two users, each of whose tokens died at least once"
    assert summary["sessions"]["completed"] == 2
