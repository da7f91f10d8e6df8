"""``--dry-run``: what is shown, and that nothing is sent."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from captures.errors import ConfigError
from replayer.cli import replay

GOLDEN = "captures/golden/demo/market.rush"


def dry(*arguments: str, target: str = "http://127.0.0.1:1") -> Result:
    return CliRunner().invoke(replay, ["--target", target, "--dry-run", *arguments])


def test_the_curve_is_drawn_and_needs_no_identities_and_no_target() -> None:
    result = dry(GOLDEN, "--shape", "stages:5s@40,10s@40,5s@0", "--at-end", "hold")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("40 users, at most 40 at once, over 2")
    for title in ("users there, at most 40", "sockets open, at most 40", "requests /s", "messages received /s"):
        assert title in result.output
    assert "nothing was sent" in result.output


def test_json_is_one_document_with_one_entry_per_second() -> None:
    plan = json.loads(dry(GOLDEN, "--users", "5", "--for", "30s", "--at-end", "repeat", "--json").output)
    assert plan["seconds"] == 31 == len(plan["users"]) == len(plan["requests"])
    assert plan["peaks"]["users"] == plan["totals"]["users"] == 5
    assert sum(plan["requests"]) == plan["totals"]["requests"] > 5 * 20
    assert plan["warnings"] == []


def test_not_even_the_probe_reaches_the_target() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)
        port = listener.getsockname()[1]
        assert dry(GOLDEN, target=f"http://127.0.0.1:{port}").exit_code == 0
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_crowd_that_is_too_large_for_one_worker_is_warned_about() -> None:
    result = dry(GOLDEN, "--users", "20000", "--speed", "10", "--workers", "1", "--shape", "burst")
    assert "warning: up to" in result.output and "requests a second" in result.output


def test_populations_are_listed_with_what_came_along(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    populations = '[[population]]\nname = "a"\nonly = "ws"\nweight = 3\n[[population]]\nname = "b"\nweight = 1\n'
    path.write_text(f'capture = "{Path(GOLDEN).resolve()}"\nusers = 41\n{populations}')
    plan = json.loads(dry("--scenario", str(path), "--json").output)
    assert [(each["name"], each["n_users"]) for each in plan["populations"]] == [("a", 31), ("b", 10)]
    assert plan["populations"][0]["along"] == ["POST /api/login"]
    typed = json.loads(dry("--scenario", str(path), "--json", "--users", "8").output)
    assert [each["n_users"] for each in typed["populations"]] == [6, 2]


def test_what_a_population_keeps_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(f'capture = "{Path(GOLDEN).resolve()}"\n[[population]]\nname = "a"\nroutes = ["GET /nowhere"]\n')
    error = dry("--scenario", str(path)).exception
    assert isinstance(error, ConfigError) and "route 'GET /nowhere'" in str(error)
    assert f"{path}:2: the population 'a'" in str(error)


def test_storms_are_told_with_their_strikes_and_what_they_will_take() -> None:
    storms = ("--storm", "every=5s,fraction=50%", "--storm", "at=1m", "--storm", "at=8s,how=hook:true")
    result = dry(GOLDEN, "--users", "8", "--shape", "burst", "--for", "20s", "--at-end", "hold", *storms)
    assert "storm 1: 3 strikes from 5 s to 15 s, about 4 of 8 open sockets; every=5s,fraction=0.5" in result.output
    assert "storm 2: no strike; at=60s" in result.output
    assert "storm 3: at 8 s, the hook decides how many of 8 open sockets" in result.output
    assert "warning: storm 2 will never strike: the run is planned to be over after 20s" in result.output
    told = json.loads(dry(GOLDEN, "--for", "20s", *storms, "--json").output)["storms"]
    assert [each["strikes_s"] for each in told] == [[5.0, 10.0, 15.0], [], [8.0]]


def test_a_storm_over_a_plan_without_sockets_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    rest = '[[population]]\nname = "rest"\nroutes = ["GET /api/indices"]\n'
    path.write_text(f'capture = "{Path(GOLDEN).resolve()}"\nstorm = ["at=1s"]\n{rest}')
    assert "warning: storm 1 will take nothing: nobody opens a socket" in dry("--scenario", str(path)).output


def test_recorded_waits_that_nobody_recorded_are_refused_before_the_run() -> None:
    error = dry(GOLDEN, "--storm", "at=1s,policy=recorded").exception
    assert isinstance(error, ConfigError) and "no session of the capture comes back" in str(error)


def test_there_are_no_more_workers_than_users() -> None:
    assert json.loads(dry(GOLDEN, "--users", "3", "--workers", "500", "--json").output)["workers"] == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--at-end", "hold"), "would never end"),
        (("--at-end", "repeat"), "would never end"),
        (("--for", "0"), "is no run"),
        (("--shape", "rate:5/s", "--for", "9s", "--at-end", "restart"), "new users come all the time"),
        (("--shape", "stages:5s@5", "--users", "3"), "says how many users there are"),
        (("--users", "3", "--shape", "burst:9s", "--for", "5s"), "no user would start"),
    ],
)
def test_ends_that_cannot_be_are_refused(arguments: tuple[str, ...], complaint: str) -> None:
    error = dry(GOLDEN, *arguments).exception
    assert isinstance(error, ConfigError) and complaint in str(error)


def test_users_who_would_come_after_the_end_are_told_of() -> None:
    result = dry(GOLDEN, "--users", "10", "--shape", "ramp:10s", "--for", "5s")
    assert "5 of 10 users would start after --for" in result.output
    assert result.output.startswith("5 users")
