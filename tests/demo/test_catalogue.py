"""The ready scenarios: they load, say what they are, and yield enough samples for what they gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.series import Stat
from analysis.thresholds import parse_threshold
from captures.errors import ConfigError
from demo.catalogue import OWN, Entry, entries, scenarios
from replayer.cli import replay
from replayer.options.run import ReplayOptions, options_from

TARGET = "http://127.0.0.1:8000"
PATHS = sorted(OWN.glob("*.toml"))


@pytest.fixture(scope="module")
def listed() -> dict[str, Entry]:
    return {entry.name: entry for entry in entries(OWN)}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(scenarios, list(arguments))


def options_of(path: Path) -> ReplayOptions:
    ctx = replay.make_context("replay", ["--scenario", str(path), "--target", TARGET])
    return options_from(ctx.params)


def test_every_scenario_can_be_run_and_is_named_like_its_file(listed: dict[str, Entry]) -> None:
    assert not [entry for entry in listed.values() if entry.problem]
    assert listed.keys() == {path.stem for path in PATHS}
    assert all(entry.purpose for entry in listed.values())


def test_they_are_as_large_and_as_long_as_they_say(listed: dict[str, Entry]) -> None:
    found = {entry.name: (entry.users, entry.duration_s) for entry in listed.values()}
    assert found["smoke"] == (10, 30)
    assert found["baseline"] == (100, 300)
    assert found["burst"] == (800, 210)
    assert found["reconnect-storm"] == (50, 620)
    assert [entry.duration_s for entry in entries(OWN)] == sorted(duration_s for _, duration_s in found.values())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_a_scenario_gates_it_has_samples_for(path: Path) -> None:
    """A pNN needs ten samples beyond it (``analysis.evaluate``); the dry run says how many there will be."""
    result = CliRunner().invoke(replay, ["--scenario", str(path), "--target", TARGET, "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    options = options_of(path)
    strikes = sum(1 for _ in options.storm.storms) and int(plan["seconds"]) // 5
    n_samples = {
        "http": plan["totals"]["requests"],
        "ws.reply": plan["totals"]["messages_out"],
        "ws.connect": plan["totals"]["users"],
        "storm.recovery": strikes * plan["totals"]["users"],
    }
    for expr, _ in options.judge.thresholds:
        subject = parse_threshold(expr, origin=str(path)).subject
        if subject.stat is Stat.QUANTILE and subject.quantile is not None:
            assert n_samples[subject.metric] * (1 - subject.quantile) >= 10 - 1e-9, expr


def test_the_list_shows_purpose_size_and_the_command() -> None:
    shown = run().output
    assert "burst  800 users, 3m30s" in shown
    assert "rushhour replay --scenario" in shown and "smoke.toml --target" in shown
    assert {entry["name"] for entry in json.loads(run("--json").output)["scenarios"]} >= {"smoke", "baseline"}


def test_a_directory_of_ones_own_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('purpose = "mine"\nsped = 3\n')
    assert "mine.toml:2: unknown key 'sped'" in run(str(tmp_path)).output
    (tmp_path / "mine.toml").unlink()
    assert isinstance(run(str(tmp_path)).exception, ConfigError)
