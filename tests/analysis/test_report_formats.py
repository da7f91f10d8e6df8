from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from analysis.cli import report
from analysis.outputs import rebuild_outputs, write_outputs
from analysis.report.csv import COLUMNS, cell, render_csv
from analysis.report.formats import Format
from analysis.report.html import render_html
from analysis.report.junit import render_junit
from analysis.report.markdown import code, render_markdown, text
from analysis.report.terminal import render_terminal
from analysis.run import Ended, Run, RunEnd, open_run
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, Threshold, in_force, parse_threshold
from analysis.verdict import judge
from tests.analysis.hostile import a_hostile_run
from tests.analysis.runs import FINISHED, QUOTES, a_good_run, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts, slots

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "  =cmd|' /C calc'!A0", "\uff1d1")


def stored(directory: Path) -> Path:
    writer = open_run(directory, facts(planned={"http": 3, "session": 1}))
    writer.add(a_slot({QUOTES: measured(*[20.0] * 300, errors={"status_503": 5})}, counts=sessions(20)))
    writer.add(a_slot({QUOTES: measured(*[40.0] * 100)}, second=1))
    writer.finish(FINISHED)
    return directory


def junit_of(run: Run, thresholds: tuple[Threshold, ...] = DEFAULTS) -> ElementTree.Element:
    return ElementTree.fromstring(render_junit(summarise(run, judge(run, thresholds))))


def markdown_of(run: Run, thresholds: tuple[Threshold, ...] = DEFAULTS) -> str:
    return render_markdown(summarise(run, judge(run, thresholds)))


def outcomes_of(root: ElementTree.Element) -> dict[str, str]:
    cases = root.iter("testcase")
    return {str(case.get("name")): case[0].tag if len(case) else "passed" for case in cases}


def test_formats_are_written_on_demand_and_kept_in_step_with_the_summary(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run")
    write_outputs(directory, DEFAULTS, formats=(Format.JUNIT,))
    assert (directory / "junit.xml").stat().st_mode & 0o777 == 0o600
    assert not (directory / "series.csv").exists()
    before = (directory / "junit.xml").read_bytes()
    write_outputs(directory, in_force([parse_threshold("http p95 < 5ms")]))
    assert (directory / "junit.xml").read_bytes() != before


def test_every_format_is_rebuilt_from_the_run_file_alone(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run")
    write_outputs(directory, in_force([parse_threshold("http p95 < 5ms")]), formats=tuple(Format))
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    for path in directory.iterdir():
        if path.name != "run.rush":
            path.unlink()
    rebuild_outputs(directory, tuple(Format))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert {each.file_name for each in Format} <= before.keys()


@pytest.mark.parametrize("wanted", Format)
def test_a_printed_format_is_the_file(tmp_path: Path, wanted: Format) -> None:
    directory = stored(tmp_path / "run")
    result = CliRunner().invoke(report, [str(directory), "--format", wanted.value, "--print", wanted.value])
    assert result.exit_code == 0
    assert result.stdout.encode() == (directory / wanted.file_name).read_bytes()


# --- JUnit


def test_junit_has_a_case_per_threshold_and_counts_what_it_says() -> None:
    own = in_force([parse_threshold("http p95 < 5ms"), parse_threshold("http p50 < 1s; severity warn")])
    root = junit_of(a_good_run(), own)
    found = outcomes_of(root)
    assert found["http p95 < 5ms"] == "failure"
    assert found["http p50 < 1s; severity warn"] == "passed"
    assert found["ws.reply p99 < 100ms"] == "skipped"
    assert found["came to its end"] == found["the measurement can be trusted"] == "passed"
    assert len(found) == len(own) + 2
    assert root.get("tests") == str(len(found))
    assert root.get("failures") == "1"
    assert root.get("skipped") == str(list(found.values()).count("skipped"))


def test_what_ends_a_run_or_makes_it_invalid_is_an_error_in_junit() -> None:
    aborted = junit_of(a_good_run(RunEnd(duration_s=3.0, ended=Ended.ABORTED)))
    assert outcomes_of(aborted)["came to its end"] == "error"
    late = a_good_run()
    late.whole.lag = {2_000: 100}
    assert outcomes_of(junit_of(late))["the measurement can be trusted"] == "error"
    lag = (*DEFAULTS, parse_threshold("http max < 1ms; severity invalid"))
    assert outcomes_of(junit_of(a_good_run(), lag))["http max < 1ms; severity invalid"] == "error"


def test_what_only_warns_never_fails_a_junit_suite() -> None:
    root = junit_of(a_good_run(), (*DEFAULTS, parse_threshold("http p95 < 5ms; severity warn")))
    assert outcomes_of(root)["http p95 < 5ms; severity warn"] == "skipped"
    assert root.get("failures") == root.get("errors") == "0"


def test_junit_of_hostile_texts_is_xml_and_nothing_but_text() -> None:
    root = junit_of(a_hostile_run())
    assert {element.tag for element in root.iter()} <= {
        *("testsuites", "testsuite", "properties", "property", "testcase"),
        *("failure", "error", "skipped", "system-out"),
    }
    assert "\x1b" not in ElementTree.tostring(root, encoding="unicode")


# --- Markdown


def test_markdown_says_the_verdict_first_and_why() -> None:
    lines = markdown_of(a_good_run(), in_force([parse_threshold("http p95 < 5ms")])).splitlines()
    assert lines[0] == "## ❌ Rushhour: FAIL"
    assert lines[2].startswith("**http p95 &#60; 5ms was not met: 20 ms")
    assert any(line.startswith("| ❌ | `http p95 < 5ms` | 20 ms |") for line in lines)


def test_markdown_names_the_limits_that_were_not_calibrated_on_the_target() -> None:
    assert "Not calibrated on this target: `http p95 < 200ms`" in markdown_of(a_good_run())


def test_text_from_outside_stays_text_in_markdown() -> None:
    whole = markdown_of(a_hostile_run())
    for part in ("<script", "<img", "\x1b", "\u202e"):
        assert part not in whole
    for line in whole.splitlines():
        assert not line.startswith("|") or line.count("|") in (3, 7, 9)


@pytest.mark.parametrize(
    "hostile",
    [
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![x](http://192.0.2.1/pixel)",
        "https://192.0.2.1 www.example.test",
        "@everyone #1",
        "a | b \\| c",
        "``` \n# heading",
        "$x^2$ **bold** ~~gone~~ _em_",
    ],
)
def test_nothing_that_markdown_is_made_of_survives(hostile: str) -> None:
    for shown in (text(hostile), code(hostile)):
        inside = shown.removeprefix("<code>").removesuffix("</code>").strip("`")
        assert "|" not in inside
        assert "\n" not in inside
        if shown.startswith("`"):
            assert "`" not in inside
        else:
            assert not set(inside) & set("<>[]*_`\\@|~!")
            assert "://" not in inside


# --- CSV


def rows_of(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(run))))


def test_csv_has_a_row_per_series_and_second_and_a_summary_row_per_series(tmp_path: Path) -> None:
    run = rebuild_outputs(stored(tmp_path / "run")).run
    rows = rows_of(run)
    assert list(rows[0]) == list(COLUMNS)
    seconds = [row for row in rows if row["row"] == "second" and row["series"] == "http"]
    assert [(row["second"], row["count"], row["errors"]) for row in seconds] == [("0", "305", "5"), ("1", "100", "0")]
    (whole,) = [row for row in rows if row["row"] == "summary" and row["series"] == "http"]
    assert (whole["count"], whole["ok"], whole["errors"]) == ("405", "400", "5")
    (route,) = [row for row in rows if row["row"] == "window"]
    assert (route["route"], route["kind"], route["seconds"]) == ("GET /api/quotes", "api", "10")


def test_the_summary_rows_are_the_figures_of_summary_json() -> None:
    run = a_run(slots(n_seconds=20), run_facts=facts())
    summary = summarise(run, judge(run, DEFAULTS))
    rows = {row["series"]: row for row in rows_of(run) if row["row"] == "summary"}
    for entry in summary["series"]:
        if not entry["labels"]:
            row = rows[entry["name"]]
            assert int(row["count"]) == entry["count"]
            assert float(row["p95_ms"]) == entry["latency_ms"]["p95"]
            assert float(row["service_p99_ms"]) == entry["service_ms"]["p99"]
    assert float(rows["generator.lag"]["p99_ms"]) == summary["generator"]["lag_ms"]["p99"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula: str) -> None:
    assert cell(formula).startswith("'")
    assert cell(-1.5) == "-1.5"
    assert cell(None) == ""


def test_hostile_texts_stay_inside_their_cells() -> None:
    whole = render_csv(a_hostile_run())
    assert "\x1b" not in whole
    assert {len(row) for row in csv.reader(io.StringIO(whole))} == {len(COLUMNS)}


def test_every_output_says_which_limits_were_not_calibrated_on_the_target() -> None:
    run = a_good_run()
    summary = summarise(run, judge(run, in_force([parse_threshold("http p95 < 5ms; severity warn")])))
    rows = {row["expr"]: row["calibrated"] for row in summary["thresholds"]}
    assert rows["http p95 < 5ms; severity warn"] is None  # the user's own
    assert rows["http errors < 1%"] is None  # no time
    slow = a_good_run()
    summary = summarise(slow, judge(slow, [replace(DEFAULTS[0], limit=replace(DEFAULTS[0].limit, value=5.0))]))
    assert summary["thresholds"][0]["calibrated"] is False
    assert "this limit is a default, not calibrated on this target" in summary["reasons"][0]
    said = "not calibrated on this target"
    assert said in render_html(slow, summary)
    assert said in render_junit(summary)
    assert said in render_markdown(summary)
    out = io.StringIO()
    render_terminal(summary, Console(file=out, width=200))
    assert said in out.getvalue()
