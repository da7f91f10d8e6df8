"""The command line of replay: what is refused before anything is opened."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from captures.errors import ConfigError
from replayer.cli import replay

TARGET = ("--target", "http://127.0.0.1:8000")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(replay, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--scale", "2", "--users", "3"), "contradict each other"),
        (("--scale", "0"), "is no load"),
        (("--target", "http://127.0.0.1:8000/api"), "has a path"),
        (("--workers", "0"), "is nobody"),
        (("--header", "X-Key=secret"), "is not NAME=env:VAR"),
        (("--map", "nonsense"), "has no ="),
        (("--ca", "nowhere.pem"), "cannot be used"),
        (("--thresholds", "nowhere.toml"), "cannot read"),
        (("--map", "http://a=http://127.0.0.1", "--map", "http://a=http://127.0.0.2"), "twice"),
    ],
)
def test_options_that_cannot_be_are_a_config_error(arguments: tuple[str, ...], complaint: str) -> None:
    error = invoke("market.rush", *TARGET, *arguments).exception
    assert isinstance(error, ConfigError)
    assert complaint in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "Missing option '--target'"),
        ((*TARGET, "--max-gap", "5"), "is not a duration"),
        ((*TARGET, "--max-message", "0"), "not in the range"),
        ((*TARGET, "--shape", "brust"), "the shapes are recorded"),
        ((*TARGET, "--pacing", "slow"), "'think', 'timeline', 'asap'"),
        ((*TARGET, "--redo-only"), "No such option"),
    ],
)
def test_what_click_refuses_exits_with_2(arguments: tuple[str, ...], complaint: str) -> None:
    result = invoke("market.rush", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_print_config_prints_what_is_in_force_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hunter2")
    result = invoke(
        "market.rush",
        *TARGET,
        "--scale",
        "20",
        "--max-gap",
        "1500ms",
        "--header",
        "X-Key=env:API_KEY",
        "--print-config",
    )
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    assert tomllib.loads(result.output)["constants"]["drain"] == 10
    table = tomllib.loads(result.output)["replay"]
    expected = {
        "target": "http://127.0.0.1:8000",
        "scale": 20.0,
        "max-gap": "1500ms",
        "header": ["X-Key"],
        "shape": "recorded",
    }
    assert expected.items() <= table.items()


def test_every_key_of_the_config_is_an_option() -> None:
    table = tomllib.loads(invoke("market.rush", *TARGET, "--print-config").output)["replay"]
    options = {name.lstrip("-") for param in replay.params for name in param.opts}
    assert set(table) <= options | {"capture"}


def test_no_option_for_a_host_has_a_short_flag() -> None:
    assert not [name for param in replay.params for name in param.opts if name.startswith("-") and len(name) == 2]


def test_help_has_examples_and_shows_every_exit_code() -> None:
    context = click.Context(replay, info_name="rushhour replay")
    text = replay.get_help(context)
    assert text.count("  rushhour replay ") >= 2
    assert all(f"{code} " in text for code in (0, 1, 2, 3, 4, 5, 130))


def test_the_capture_is_opened_last(tmp_path: Path) -> None:
    error = invoke(str(tmp_path / "none.rush"), *TARGET, "--threshold", "htp p95 < 1ms").exception
    assert isinstance(error, ConfigError)
    assert "unknown metric htp" in str(error)
