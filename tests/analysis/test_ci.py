"""What CI systems are told: annotations and a step's summary, JUnit, and nothing that recorded text could steer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.ci import STEP_SUMMARY_LIMIT_BYTES, formats_for, tell_ci
from analysis.report.annotations import MOST_OF_A_KIND, annotation, annotation_lines
from analysis.report.formats import Format
from analysis.report.terminal import render_terminal
from analysis.report.text import printable
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, parse_threshold
from analysis.verdict import judge
from captures.defuse import defused
from captures.view import terminal
from tests.analysis.runs import PLAN_OF_HTTP, QUOTES, a_good_run, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

GITHUB = {"GITHUB_ACTIONS": "true"}

# What a log must not be made to say · the runner's parser that would take it for a command.
COMMANDS = (
    "::error::owned",
    "  ::set-output name=verdict::pass",
    "\t::stop-commands::secret",
    "::ADD-mask::x",
    "## ##[set-env name=PATH]/tmp",
    "harmless ##vso[task.setvariable variable=x]y",
    "##teamcity[buildStatus status='SUCCESS']",
)


def is_command(line: str) -> bool:
    """Read a line as the runners do; see ``captures.defuse`` for the sources."""
    head, _, _ = line.lstrip().removeprefix("::").partition("::")
    is_new = line.lstrip().startswith("::") and bool(head) and head.split()[0].replace("-", "").isalpha()
    return is_new or "##[" in line or "##vso[" in line or "##teamcity[" in line


def a_summary(*expressions: str, run: Any = None) -> dict[str, Any]:
    run = run or a_good_run()
    return summarise(run, judge(run, [parse_threshold(text) for text in expressions] or DEFAULTS))


def a_failed_run() -> Any:
    slot = a_slot({QUOTES: measured(*[900.0] * 2000, errors={"status_500": 500})}, counts=sessions(20, 5))
    return a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP))


def test_a_pass_is_one_notice() -> None:
    (line,) = annotation_lines(a_summary())
    assert line.startswith("::notice title=Rushhour%3A PASS::all ")


def test_every_broken_threshold_is_an_error_that_names_value_and_limit() -> None:
    lines = annotation_lines(a_summary(run=a_failed_run()))
    errors = [line for line in lines if line.startswith("::error title=Rushhour%3A FAIL::")]
    assert any("http p95 < 200ms was not met: 90" in line for line in errors)
    assert any("http errors < 1%25 was not met: 20%25" in line for line in errors)
    assert len(errors) == 3


def test_github_is_told_no_more_than_it_shows() -> None:
    expressions = [f"http p95 < {n}ms" for n in range(1, 40)]
    summary = a_summary(*expressions, run=a_failed_run())
    summary["warnings"] = [f"warning {n}" for n in range(40)]
    lines = annotation_lines(summary)
    for level in ("error", "warning"):
        assert sum(line.startswith(f"::{level} ") for line in lines) == MOST_OF_A_KIND


def test_what_is_allowed_to_be_inconclusive_is_a_warning() -> None:
    summary = a_summary()
    summary |= {"verdict": "inconclusive", "exit_code": 0}
    assert annotation_lines(summary)[0].startswith("::warning title=Rushhour%3A INCONCLUSIVE::")


@given(st.text())
def test_no_text_ends_an_annotation_or_begins_another(text: str) -> None:
    line = annotation("error", text, text)
    assert len(line.splitlines()) == 1
    head, title, message = line.split("::", 2)[0], *line.split("::", 2)[1:]
    assert head == ""
    assert title.startswith("error title=")
    assert ":" not in title.removeprefix("error title=")
    assert "," not in title
    assert "\n" not in message


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("printing", [printable, terminal.printable, defused])
def test_text_from_outside_is_no_command_of_a_ci_system(command: str, printing: Any) -> None:
    assert is_command(command)
    assert not any(map(is_command, printing(command).splitlines()))


@pytest.mark.parametrize("text", ["::1", "[::1]:8000", "a::b", "## heading", "http://[::ffff:1.2.3.4]/"])
def test_what_only_looks_like_a_command_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_report_of_hostile_names_holds_no_command(command: str) -> None:
    route = ("http", (("kind", "api"), ("route", command)))
    slot = a_slot({route: measured(*[900.0] * 2000, errors={"status_500": 50})}, counts=sessions(20))
    summary = a_summary(run=a_run([slot], run_facts=facts(planned=PLAN_OF_HTTP, target=command)))
    out = io.StringIO()
    render_terminal(summary, Console(file=out, width=120), directory=Path(command))
    assert not [line for line in out.getvalue().splitlines() if is_command(line)]


def told(summary: dict[str, Any], environ: dict[str, str]) -> str:
    out = io.StringIO()
    tell_ci(summary, environ, Console(file=out, width=40))
    return out.getvalue()


def test_the_steps_summary_grows_by_the_markdown(tmp_path: Path) -> None:
    path = tmp_path / "step"
    path.write_text("# before\n")
    lines = told(a_summary(), {**GITHUB, "GITHUB_STEP_SUMMARY": str(path)}).splitlines()
    assert [line[:9] for line in lines] == ["::notice "]
    assert path.read_text().startswith("# before\n## ✅ Rushhour: PASS\n")


def test_a_full_step_summary_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "step"
    path.write_bytes(b"x" * STEP_SUMMARY_LIMIT_BYTES)
    told(a_summary(), {**GITHUB, "GITHUB_STEP_SUMMARY": str(path)})
    assert path.stat().st_size == STEP_SUMMARY_LIMIT_BYTES
    assert "no room left" in caplog.text


def test_a_step_summary_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told(a_summary(), {**GITHUB, "GITHUB_STEP_SUMMARY": str(tmp_path / "missing" / "step")})
    assert "could not be written" in caplog.text


def test_outside_of_ci_nothing_is_said() -> None:
    assert told(a_summary(), {"GITHUB_ACTIONS": "false"}) == ""
    assert formats_for({}, [Format.CSV]) == (Format.CSV,)


def test_gitlab_gets_junit_unasked() -> None:
    assert formats_for({"GITLAB_CI": "true"}, [Format.CSV]) == (Format.JUNIT, Format.CSV)


def test_the_last_lines_of_a_failing_log_say_what_failed_and_what_to_do() -> None:
    out = io.StringIO()
    run = a_failed_run()
    render_terminal(a_summary(run=run), Console(file=out, width=80), directory=Path("runs/nightly"))
    last = "\n".join(out.getvalue().splitlines()[-20:])
    assert "status_500 500" in last
    assert "verdict  fail, exit code 1: http p95 < 200ms was not met" in last
    assert last.endswith("next     rushhour errors runs/nightly shows the first failures of each kind")
