"""Scenario files: what they may say, and with which line they are told what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from captures.errors import ConfigError
from replayer.cli import replay
from replayer.load.shapes import parse_shape
from replayer.options.run import ReplayOptions, options_from
from replayer.options.setting import typed_in
from replayer.user.ending import AtEnd

TARGET = ("--target", "http://127.0.0.1:8000")


def options_of(path: Path, *arguments: str) -> ReplayOptions:
    ctx = replay.make_context("replay", ["--scenario", str(path), *TARGET, *arguments])
    return options_from(ctx.params, typed=typed_in(ctx))


def scenario(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "crowd.toml"
    path.write_text(text)
    return path


TWO = """\
name = "rush hour"
capture = "market.rush"
speed = 2
for = "60s"
[[population]]
name = "sockets"
only = "ws"
users = 30
at-end = "hold"
[[population]]
name = "rest"
routes = ["GET /api/*"]
stages = [{ until = "10s", users = 50 }, { until = "40s", users = 50 }, { until = "50s", users = 0 }]
speed = 5
"""


def test_a_scenario_holds_several_populations_under_common_options(tmp_path: Path) -> None:
    options = options_of(scenario(tmp_path, TWO))
    sockets, rest = options.populations
    assert options.name == "rush hour" and options.capture == tmp_path / "market.rush"
    assert (sockets.name, sockets.crowd.users, sockets.crowd.speed, sockets.crowd.at_end) == (
        "sockets",
        30,
        2,
        AtEnd.HOLD,
    )
    assert rest.crowd.shape == parse_shape("stages:10s@50,30s@50,10s@0")
    assert (rest.crowd.speed, rest.crowd.at_end, rest.keep.routes) == (5, AtEnd.RESTART, ("GET /api/*",))


def test_the_command_line_wins_over_the_scenario(tmp_path: Path) -> None:
    path = scenario(tmp_path, TWO)
    options = options_of(path, "--speed", "3", "--for", "5s", "--at-end", "repeat", "other.rush")
    assert [each.crowd.speed for each in options.populations] == [3, 3]
    assert {each.crowd.at_end for each in options.populations} == {AtEnd.REPEAT}
    assert options.capture == Path("other.rush") and options.crowd.for_ns == 5 * 10**9
    typed = options_of(path, "--users", "8")
    assert typed.total_users == 8 and typed.is_total_typed


def test_a_scenario_without_populations_is_one_of_its_options(tmp_path: Path) -> None:
    path = scenario(
        tmp_path, 'capture = "a.rush"\nusers = 7\nidentities = "users.csv"\nthresholds = ["http p95 < 1s"]\n'
    )
    options = options_of(path)
    (only,) = options.populations
    assert (only.name, only.crowd.users, only.crowd.identities) == ("", 7, tmp_path / "users.csv")
    assert [expr for expr, _ in options.judge.thresholds] == ["http p95 < 1s"]
    assert options_of(path, "--scale", "3").crowd.users is None


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("sped = 2\n", 1, "did you mean speed?"),
        ('speed = "fast"\n', 1, "speed = 'fast' is of the wrong kind"),
        ("\nusers = 1.5\n", 2, "wrong kind"),
        ('shape = "brust"\n', 1, "unknown load shape"),
        ("speed = 2\nfor = 60\n", 2, "wrong kind"),
        ('for = "60"\n', 1, "is not a duration"),
        ("strict = 1\n", 1, "wrong kind"),
        ('out = "here"\n', 1, "unknown key 'out'"),
        ('threshold = "http p95 < 1s"\n', 1, "wrong kind"),
        ("population = 3\n", 1, "write [[population]]"),
        ("[[population]]\nusers = 3\n", 1, "needs a name"),
        ('[[population]]\nname = "a"\n\nuser = 3\n', 4, "did you mean users?"),
        ('[[population]]\nname = "a"\n[[population]]\nname = "a"\n', 4, "two populations"),
        ('[[population]]\nname = "a"\nusers = 3\nweight = 2\n', 4, "contradict"),
        ('[[population]]\nname = "a"\nonly = "rest"\n', 3, "write one of ws, http"),
        ('[[population]]\nname = "a"\nseed = 3\n', 3, "unknown key 'seed'"),
        ('[[population]]\nname = "a"\nroutes = []\n', 3, "not a list of names"),
        ('[[population]]\nname = "a"\nweight = 0\n', 3, "no share"),
        ('[[population]]\nname = "a"\nsessions = ["0"]\n', 3, "not a list of numbers"),
        ("stages = [\n  { for = 30, users = 8 },\n]\n", 2, "bare number"),
        ('stages = [\n  { for = "30s", users = 8 },\n  { until = "60s", users = 8 },\n]\n', 3, "mix for and until"),
        ('stages = [\n  { until = "30s", users = 8 },\n  { until = "20s", users = 8 },\n]\n', 3, "goes back in time"),
        ('stages = [{ for = "3s", until = "9s", users = 8 }]\n', 1, "either for or until"),
        ("stages = [{ users = 8 }]\n", 1, "either for or until"),
        ('stages = [{ for = "3s" }]\n', 1, "says how many"),
        ('stages = [{ for = "3s", users = 8, rate = "5/s" }]\n', 1, "says how many"),
        ('stages = [{ for = "3s", users = 8 },\n { for = "3s", rate = "5/s" }]\n', 1, "mix users and rates"),
        ('stages = [{ for = "3s", usres = 8 }]\n', 1, "did you mean users?"),
        ('storm = [\n  "at=60s",\n  "at=60s,polcy=x",\n]\n', 3, "did you mean policy?"),
        ('thresholds = [\n  "http p95 < 9ms",\n  "htp p95 < 9ms",\n]\n', 3, "did you mean http?"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = scenario(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        options_of(path, "a.rush")
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("speed = \n", "is not TOML"),
        ('[[population]]\nname = "a"\n', "plays no capture"),
        ("speed = 2\n", "no capture"),
    ],
)
def test_what_has_no_line_is_told_without(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        options_of(scenario(tmp_path, text))
    with pytest.raises(ConfigError, match="cannot read the scenario"):
        options_of(tmp_path / "none.toml")


def test_print_config_says_which_line_a_value_comes_from(tmp_path: Path) -> None:
    path = scenario(tmp_path, TWO)
    result = CliRunner().invoke(replay, ["--scenario", str(path), *TARGET, "--seed", "4", "--print-config"])
    assert result.exit_code == 0, result.output
    lines = {line.partition(" = ")[0]: line for line in result.output.split("[[")[0].splitlines()}
    assert lines["speed"].endswith(f"# × · default 1.0 · {path}:3")
    assert lines["seed"].endswith("# default 0 · command line")
    assert lines["max-failures"].endswith("# failed steps · default 10 · default")
    assert lines["connect-timeout"].endswith("# duration · default 15s · default")
