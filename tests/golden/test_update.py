"""A golden that is recorded again: what a reviewer is shown, and what stays until they have looked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from captures.sessions import load_capture
from demo.server import Target
from golden.differences import differences
from replayer.plan.compile import compile_plan
from tests.commands import ROOT, run_rushhour

GOLDEN = ROOT / "captures" / "golden" / "demo"


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A golden of the first three seconds of the demo's, without users of its own."""
    directory = tmp_path / "short"
    directory.mkdir()
    cut = run_rushhour("edit", str(GOLDEN / "market.rush"), "-o", "market.rush", "--to", "3s", cwd=directory)
    assert cut.returncode == 0, cut.stderr
    return directory


def test_two_readings_of_one_capture_do_not_differ() -> None:
    plan = compile_plan(load_capture(GOLDEN / "market.rush"))
    assert differences(plan, plan).is_none


@pytest.mark.process
def test_an_update_shows_routes_shapes_and_slots_and_keeps_what_was(short: Path, tmp_path: Path) -> None:
    (short / "users.csv").write_text("user\ndemo001\n")
    old = (short / "market.rush").read_bytes()
    shutil.copy(GOLDEN / "market.rush", tmp_path / "new.rush")
    ended = run_rushhour("golden", "update", "short", "--from", "new.rush", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert "  + POST /api/orders" in lines
    assert any(line.startswith("  + csrf: extracted from GET /orders/new") for line in lines)
    assert not any(line.startswith("  - ") for line in lines)
    assert "users    short/users.csv lacks password" in lines
    assert (short / "market.rush").read_bytes() == (tmp_path / "new.rush").read_bytes()
    assert (short / "market.rush.before").read_bytes() == old
    assert (short / "users.template.csv").read_text() == "password,user\n"
    again = run_rushhour("golden", "update", "short", "--from", "new.rush", cwd=tmp_path)
    assert again.returncode == 2
    assert "nobody reviewed" in again.stderr


@pytest.mark.process
def test_what_cannot_be_read_leaves_the_golden_as_it_is(short: Path, tmp_path: Path) -> None:
    old = (short / "market.rush").read_bytes()
    (tmp_path / "new.rush").write_bytes(old[: len(old) // 2])
    ended = run_rushhour("golden", "update", "short", "--from", "new.rush", cwd=tmp_path)
    assert ended.returncode == 2
    assert [path.name for path in short.iterdir()] == ["market.rush"]
    assert (short / "market.rush").read_bytes() == old


@pytest.mark.browser
@pytest.mark.process
def test_an_update_records_what_was_recorded_before(short: Path, demo_target: Target, tmp_path: Path) -> None:
    url = f"{demo_target.url}/?autoplay=1&seconds=4&close=1"
    ended = run_rushhour(
        "golden", "update", "short", "--url", url, "--", "--headless", "--duration", "20s", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    assert "  + POST /api/orders" in ended.stdout.splitlines()
    assert (short / "market.rush.before").is_file()
