"""Commands of storms: run once at their instants, by the controller alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from captures.units import NS_PER_S
from replayer.load.storms import parse_storm
from replayer.pool.hooks import Hooks

pytestmark = pytest.mark.process


def settle(hooks: Hooks, now_ns: int) -> None:
    """Wait until every command that was started has ended."""
    deadline_s = time.monotonic() + 30
    while hooks._running:
        assert time.monotonic() < deadline_s
        hooks.tick(now_ns)
        time.sleep(0.01)


def test_a_command_runs_at_its_instants_and_never_before(tmp_path: Path) -> None:
    hooks = Hooks([parse_storm("at=1s"), parse_storm(f"every=2s,how=hook:echo x >> {tmp_path}/ran")])
    assert hooks.next_ns() == 2 * NS_PER_S
    for second in range(6):
        hooks.tick(second * NS_PER_S)
        settle(hooks, second * NS_PER_S)
    assert (tmp_path / "ran").read_text() == "x\nx\n"
    assert hooks.next_ns() == 6 * NS_PER_S
    hooks.close()
    assert hooks.notes == []


def test_a_command_that_fails_is_told_with_its_last_line() -> None:
    hooks = Hooks([parse_storm("at=1s,how=hook:echo first; echo no such service >&2; exit 4")])
    hooks.tick(NS_PER_S)
    settle(hooks, NS_PER_S)
    assert hooks.notes == ["the hook of storm 1 (at 1s) ended with 4: no such service"]


def test_a_shell_that_runs_on_is_ended_and_what_it_left_in_the_background_is_not(tmp_path: Path) -> None:
    hooks = Hooks([parse_storm(f"at=1s,how=hook:(sleep 0.3; touch {tmp_path}/server) & touch {tmp_path}/on; sleep 60")])
    hooks.tick(NS_PER_S)
    await_file(tmp_path / "on")
    hooks.close()
    assert hooks.notes == ["the hook of storm 1 (at 1s) had not ended when the run had"]
    await_file(tmp_path / "server")


def await_file(path: Path) -> None:
    deadline_s = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
