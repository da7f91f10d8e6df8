"""The recording as baseline zero: shown beside a run, with what it is worth, and deciding only where somebody asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.compare_cli import compare
from analysis.comparing import check_baseline
from analysis.comparison import Change
from analysis.histogram import bucket_of
from analysis.outputs import write_outputs
from analysis.recorded import Recorded
from analysis.recording import PROXY_ADDS_MS, against_recording
from analysis.run import Run, open_run
from analysis.thresholds import Origin, parse_threshold
from captures.errors import ConfigError
from tests.analysis.runs import ASSET, FINISHED, PLAN_OF_HTTP, QUOTES, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

RECORDED = Recorded(times={QUOTES: {bucket_of(10_000): 3}, ASSET: {bucket_of(90_000): 1}})


def a_recorded_run(ms: float, recorded: Recorded = RECORDED) -> Run:
    run = a_run([a_slot({QUOTES: measured(*[ms] * 300)}, counts=sessions(20))], run_facts=facts(planned=PLAN_OF_HTTP))
    run.recorded = recorded
    return run


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    writer = open_run(tmp_path / "run", facts(planned=PLAN_OF_HTTP))
    writer.tell_recorded(RECORDED)
    writer.add(a_slot({QUOTES: measured(*[20.0] * 300)}, counts=sessions(20)))
    writer.finish(FINISHED)
    return tmp_path / "run"


def test_a_run_is_shown_beside_what_the_browser_saw_and_nothing_decides() -> None:
    baseline = against_recording([a_recorded_run(20.0), a_recorded_run(30.0)])
    by_subject = {each.subject: each for each in baseline.comparisons}
    assert by_subject["http p50"].change == pytest.approx(1.5, rel=0.02)
    assert by_subject["http p50"].base_value == pytest.approx(10.0, rel=0.01)  # the asset is no headline
    assert 'http{route="GET /api/quotes"} p50' in by_subject
    assert {(each.outcome, each.is_gated, each.is_low) for each in baseline.comparisons} == {
        (Change.SHOWN, False, True)
    }


def test_what_the_proxy_added_is_said() -> None:
    (label,) = against_recording([a_recorded_run(20.0)]).warnings
    assert f"about {PROXY_ADDS_MS:g} ms a request" in label
    assert "4 answers to one browser" in label


def test_a_run_without_its_recording_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds no times of its recording"):
        against_recording([a_recorded_run(20.0, Recorded())])


# threshold · outcome for a run twice as slow as its recording
RELATIVE = [
    ("http p50 <= 3x baseline", "pass"),
    ("http p50 <= 1.5x baseline", "fail"),
    ("http p50 <= 2x baseline", "pass"),
]


@pytest.mark.parametrize(("expr", "outcome"), RELATIVE)
def test_a_threshold_may_hold_a_run_to_its_recording(run_dir: Path, expr: str, outcome: str) -> None:
    threshold = parse_threshold(expr, has_baseline=True)
    judged = write_outputs(run_dir, [threshold], baseline=[Path("recording")])
    (result,) = judged.verdict.results
    assert (result.outcome.value, result.threshold.set_by) == (outcome, Origin.BASELINE)
    assert judged.summary["baseline"]["runs"][0]["path"] == "recording"
    assert "the baseline is the recording" in " ".join(judged.summary["warnings"])


def test_compare_shows_the_recording_and_exits_with_0(run_dir: Path) -> None:
    result = CliRunner().invoke(compare, [str(run_dir), "--base", "recording"])
    assert result.exit_code == 0
    assert result.output.startswith("SHOWN")
    assert "http p50 20 ms, 10 ms when it was recorded: +99% (3 recorded)" in result.output


def test_the_recording_is_no_run_among_others(run_dir: Path) -> None:
    check_baseline([Path("recording")], facts())
    result = CliRunner().invoke(compare, [str(run_dir), "--base", "recording", "--base", str(run_dir)])
    assert "name the one or the others" in str(result.exception)
