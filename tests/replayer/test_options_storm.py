"""``--storm`` and ``--on-loss`` as they are typed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from captures.errors import ConfigError
from replayer.cli import replay


def typed(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    capture = tmp_path / "market.rush"
    args = [str(capture), "--target", "http://127.0.0.1:9", "--print-config", *arguments]
    done = CliRunner().invoke(replay, args)
    return done.exit_code, done.output


def test_storms_are_printed_with_everything_that_holds_for_them(tmp_path: Path) -> None:
    code, output = typed(tmp_path, "--storm", "at=60s,fraction=0.5", "--storm", "every=30s,how=close")
    assert code == 0
    listed = tomllib.loads(output)["replay"]["storm"]
    assert listed == [
        "at=60s,fraction=0.5,how=rst,policy=full-jitter:1s..30s,mode=resume,give_up=120s",
        "every=30s,fraction=1,how=close:1012,policy=full-jitter:1s..30s,mode=resume,give_up=120s",
    ]


@pytest.mark.parametrize(
    ("spec", "at"), [("at=60", 3), ("every=30s,fraction=2", 19), ("at=1s,how=hook:", 10), ("at=1s,fracton=1", 6)]
)
def test_a_storm_that_cannot_be_is_bad_input_and_its_column_is_shown(tmp_path: Path, spec: str, at: int) -> None:
    args = [str(tmp_path / "market.rush"), "--target", "http://127.0.0.1:9", "--storm", spec]
    error = CliRunner().invoke(replay, args).exception
    assert isinstance(error, ConfigError) and error.exit_code == 2
    said, shown, mark = str(error).split("\n")
    assert said.startswith("--storm: ") and f"(column {at + 1})" in said
    assert shown.strip() == spec and mark.index("^") == 2 + at


def test_a_loss_ends_the_run_unless_it_shall_continue(tmp_path: Path) -> None:
    assert tomllib.loads(typed(tmp_path)[1])["replay"]["on-loss"] == "abort"
    assert tomllib.loads(typed(tmp_path, "--on-loss", "continue")[1])["replay"]["on-loss"] == "continue"
    assert typed(tmp_path, "--on-loss", "shrug")[0] == 2
