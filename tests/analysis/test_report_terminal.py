from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.report.terminal import render_terminal
from analysis.run import Ended, Run, RunEnd
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS
from analysis.verdict import judge
from tests.analysis.hostile import a_hostile_run
from tests.analysis.runs import QUOTES, a_good_run, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts, slots


def a_summary(run: Run | None = None) -> dict[str, Any]:
    run = run or a_run(list(slots()), run_facts=facts(), end=RunEnd(duration_s=96.4, ended=Ended.FINISHED))
    return summarise(run, judge(run, DEFAULTS))


def rendered(summary: dict[str, Any], width: int = 80, directory: Path | None = None) -> str:
    out = io.StringIO()
    render_terminal(summary, Console(file=out, width=width, color_system=None), directory=directory)
    return out.getvalue()


def test_the_verdict_comes_first_and_again_where_a_log_ends() -> None:
    lines = rendered(a_summary(), directory=Path("runs/x")).splitlines()
    assert lines[0].startswith("PASS")
    assert lines[-4:] == [
        "report   runs/x/report.html",
        "data     runs/x/summary.json",
        "verdict  pass, exit code 0: all 7 thresholds were met",
        "next     rushhour replay … --baseline runs/x holds the next run against this one",
    ]


def test_every_threshold_shows_value_limit_and_outcome() -> None:
    text = rendered(a_summary())
    for threshold in DEFAULTS:
        line = next(line for line in text.splitlines() if threshold.expr in line)
        assert line.split()[0] in {"ok", "FAIL", "open", "n/a"}


def test_errors_and_the_honesty_of_the_generator_are_told() -> None:
    text = rendered(a_summary())
    assert "status_503" in text
    assert "measurement  can be trusted" in text


def test_a_late_generator_that_was_allowed_is_not_called_trustworthy() -> None:
    slot = a_slot({QUOTES: measured(*[20.0] * 500)}, counts=sessions(20), lag_ms=40)
    run = a_run([slot])
    text = rendered(summarise(run, judge(run, DEFAULTS, allow_lag=True)))
    assert "measurement  is late, which --allow-lag allows" in text
    assert "CANNOT be trusted" in rendered(summarise(run, judge(run, DEFAULTS)))


@pytest.mark.parametrize("width", [40, 80, 132])
@pytest.mark.parametrize("is_hostile", [False, True])
def test_nothing_is_wider_than_the_terminal(width: int, is_hostile: bool) -> None:
    text = rendered(a_summary(a_hostile_run() if is_hostile else None), width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_nothing_from_outside_steers_the_terminal() -> None:
    text = rendered(a_summary(a_hostile_run()), directory=Path("runs/\x1b[2J"))
    assert {char for char in text if unicodedata.category(char) in ("Cc", "Cf")} <= {"\n"}
    assert "[red]" in text  # markup is text


@pytest.mark.parametrize(
    "run",
    [
        a_run([], end=None),
        a_run([], end=RunEnd(duration_s=0.0, ended=Ended.UNREACHABLE)),
        a_good_run(end=RunEnd(duration_s=2.0, ended=Ended.INTERRUPTED, lost_workers=(0, 1))),
    ],
)
def test_a_run_of_any_end_can_be_shown(run: Run) -> None:
    summary = a_summary(run)
    assert rendered(summary).startswith(summary["verdict"].upper())
