"""Limits made of what was observed: what they come to, what is refused, and how far they carry."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.calibrate_cli import calibrate as command
from analysis.calibration import Calibration, calibrate, calibration_from_toml, calibration_report, rounded_up
from analysis.comparable import NamedRun
from analysis.evaluate import evaluate
from analysis.evidence import evidence_for
from analysis.run import Ended, Judging, Run, RunEnd
from analysis.slots import Measure
from analysis.thresholds import Origin, in_force, parse_subject, parse_threshold
from captures.errors import ConfigError
from tests.analysis.noisy import noisy_run, write_noisy, write_side
from tests.analysis.runs import PLAN_OF_HTTP, QUOTES, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts

P95 = parse_subject("http p95")


def even_run(ms: float, n: int = 300, **changes: object) -> Run:
    """Return a run in which every request took as long."""
    return a_run([a_slot({QUOTES: measured(*[ms] * n)}, counts=sessions(20))], run_facts=facts(**changes))


def named(*runs: Run) -> list[NamedRun]:
    return [NamedRun(name=f"runs/{number}", run=run) for number, run in enumerate(runs, 1)]


def calibrated(*names: str, out: Path, more: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(command, [*names, "-o", str(out), *more])


# observed of each run · limit
LIMITS = [
    ((20.0, 22.0, 26.0), 33.0),  # 1.5 × the median: the docstring's worked value
    ((20.0, 22.0, 40.0), 58.0),  # the runs differ by 82 %: 1 + 2 × 0.82
    ((2.0, 2.0, 2.0), 7.0),  # 5 ms above it at least
    ((1000.0, 1000.0), 1500.0),
]


@pytest.mark.parametrize(("observed_ms", "limit_ms"), LIMITS)
def test_a_limit_is_one_and_a_half_times_what_was_observed_or_more_where_runs_differ_more(
    observed_ms: tuple[float, ...], limit_ms: float
) -> None:
    (limit,), _ = calibrate(named(*map(even_run, observed_ms)), [P95])
    assert limit.limit_ms == pytest.approx(limit_ms, rel=0.01)
    assert limit.limit_ms >= limit_ms * 0.99


@pytest.mark.parametrize(("value", "rounded"), [(33.01, 33.1), (1234.0, 1240.0), (7.0, 7.0), (0.1234, 0.124)])
def test_limits_are_rounded_up_to_three_digits(value: float, rounded: float) -> None:
    assert rounded_up(value) == rounded


def test_runs_of_the_same_build_pass_their_limit_and_a_slower_build_does_not() -> None:
    limits, _ = calibrate(named(*(noisy_run(seed) for seed in range(3))), [P95])
    threshold = parse_threshold(limits[0].expr)
    for seed in range(10, 20):
        same, slow = noisy_run(seed), noisy_run(seed, slower=2.0)
        assert evaluate(threshold, evidence_for(same, P95)).outcome.value == "pass"
        assert evaluate(threshold, evidence_for(slow, P95)).outcome.value == "fail"


def late(run: Run) -> Run:
    run.whole.lag = {2_000: 100}
    return run


def cut_short(run: Run) -> Run:
    run.end = RunEnd(duration_s=3.0, ended=Ended.INTERRUPTED)
    return run


def failing(run: Run) -> Run:
    run.whole.counts["sessions_completed"] = 1
    return run


def silent(run: Run) -> Run:
    due = ("ws.completeness", (("message", "quote"), ("route", "WS /feed")))
    run.by_route[due] = Measure(ok=1, due_milli=100_000)
    return run


REFUSED = {
    "silent": (
        [even_run(20.0), silent(even_run(20.0))],
        "runs/2 is failing: ws.push_lag p99 < 100ms was not met (1 of",
    ),
    "one run": ([even_run(20.0)], "one run shows no noise"),
    "invalid": ([even_run(20.0), late(even_run(20.0))], "runs/2 cannot be trusted: this machine was late"),
    "failing": ([even_run(20.0), failing(even_run(20.0))], "runs/2 is failing: session complete >= 99%"),
    "interrupted": ([even_run(20.0), cut_short(even_run(20.0))], "runs/2 did not run to its end"),
    "too small": ([even_run(20.0, 50), even_run(20.0, 50)], "100 of the 200 samples"),
    "another target": ([even_run(20.0), even_run(20.0, target="http://other")], "hit another target than runs/1"),
    "another scale": ([even_run(20.0), even_run(20.0, users_planned=7)], "another scale (7 users and not 240)"),
    "another plan": ([even_run(20.0), even_run(20.0, plan_sha256="00")], "another plan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_runs_that_no_limit_can_be_made_of_are_refused(name: str) -> None:
    runs, says = REFUSED[name]
    with pytest.raises(ConfigError) as raised:
        calibrate(named(*runs), [P95])
    assert says in str(raised.value)


def test_a_slow_run_that_only_fails_its_latency_limit_can_be_calibrated() -> None:
    runs = [even_run(900.0), even_run(900.0)]
    for run in runs:
        run.judging = Judging(thresholds=(("http p95 < 200ms", "default"),))
    assert calibrate(named(*runs), [P95])[0][0].limit_ms == pytest.approx(1350.0, rel=0.01)


@pytest.fixture
def directories(tmp_path: Path) -> list[str]:
    return write_side(tmp_path, "base", range(3))


def test_the_file_says_on_what_it_was_measured(directories: list[str], tmp_path: Path) -> None:
    result = calibrated(*directories, out=tmp_path / "thresholds.toml")
    assert result.exit_code == 0, result.exception
    text = (tmp_path / "thresholds.toml").read_text()
    document = tomllib.loads(text)
    assert [expr.split(" < ")[0] for expr in document["thresholds"]] == ["http p95", "ws.reply p99"]
    table = document["calibration"]
    assert table["target"] == facts().target
    assert table["capture_sha256"] == facts().capture.sha256
    assert table["plan_sha256"] == facts().plan_sha256
    assert table["host"] == "ci-runner-4"
    assert table["runs"] == directories
    assert table["date"] == facts().started_at
    assert "# observed " in text
    assert "differs from itself by" in result.output
    assert "--thresholds" in result.output


def test_nothing_is_written_over(directories: list[str], tmp_path: Path) -> None:
    out = tmp_path / "thresholds.toml"
    out.write_text("mine")
    assert "exists and is not overwritten" in str(calibrated(*directories, out=out).exception)
    assert out.read_text() == "mine"
    assert "cannot write" in str(calibrated(*directories, out=tmp_path / "none" / "t.toml").exception)


def test_json_has_the_noise_of_every_limit(directories: list[str], tmp_path: Path) -> None:
    result = calibrated(*directories, out=tmp_path / "t.toml", more=("--metric", "http p99", "--json"))
    document = json.loads(result.stdout)
    assert [limit["expr"].split(" < ")[0] for limit in document["limits"]] == ["http p95", "ws.reply p99", "http p99"]
    assert all(0 < limit["noise_ratio"] < 1 for limit in document["limits"])
    assert document["calibration"]["runs"] == directories


def test_a_metric_that_is_no_time_has_no_limit_to_calibrate(directories: list[str], tmp_path: Path) -> None:
    result = calibrated(*directories, out=tmp_path / "t.toml", more=("--metric", "http errors"))
    assert "http errors is no quantile" in str(result.exception)


def test_hostile_names_do_not_break_the_file(tmp_path: Path) -> None:
    target = 'http://x/\n"]\nthresholds = ["http p95 < 9s"]\x1b[2J'
    runs = [str(write_noisy(tmp_path / f"run {seed}", seed, target=target)) for seed in range(2)]
    assert calibrated(*runs, out=tmp_path / "t.toml").exit_code == 0
    document = tomllib.loads((tmp_path / "t.toml").read_text())
    assert document["calibration"]["target"] == target
    assert len(document["thresholds"]) == 2


def a_calibration(**changes: object) -> Calibration:
    known = facts()
    fields: dict[str, object] = {
        "target": known.target,
        "capture_sha256": known.capture.sha256,
        "plan_sha256": known.plan_sha256,
        "users": known.users_planned,
        "date": known.started_at,
        "host": "ci-runner-4",
        "runs": ("runs/1", "runs/2"),
        "limits": ("http p95 < 33ms",),
        "file": "t.toml",
        **changes,
    }
    return Calibration(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spoilt",
    [{"runs": "x"}, {"users": True}, {"users": "many"}, {"target": 7}, {"more": 1}, {"limits": [1]}],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_a_table_that_is_none_is_refused_and_says_what_to_do(spoilt: dict[str, object]) -> None:
    body = {name: value for name, value in a_calibration().to_body().items() if name != "file"}
    assert calibration_from_toml(body, file="t.toml") == a_calibration()
    with pytest.raises(ConfigError, match=r"t\.toml: the table \[calibration\] is none"):
        calibration_from_toml({**body, **spoilt}, file="t.toml")


# What the run has instead · what is said
DOUBTS = [
    ({}, ""),
    ({"target": "http://other"}, "another target"),
    ({"plan_sha256": "00"}, "another plan"),
    ({"users_planned": 7}, "another number of users (240 and not 7)"),
    ({"environment": {"host": "laptop"}}, "another machine (ci-runner-4 and not laptop)"),
]


@pytest.mark.parametrize(("changes", "says"), DOUBTS)
def test_limits_that_were_measured_on_something_else_say_so(changes: dict[str, object], says: str) -> None:
    run = even_run(20.0, planned=PLAN_OF_HTTP, **changes)  # type: ignore[arg-type]
    thresholds = in_force([parse_threshold("http p95 < 33ms", origin="calibrated:t.toml")])
    assert {each.set_by for each in thresholds} == {Origin.DEFAULT, Origin.CALIBRATED}
    results = [evaluate(each, evidence_for(run, each.subject)) for each in thresholds]
    report = calibration_report(run, results, [a_calibration()])
    assert ("http p95 < 33ms" in report["calibrated"]) == (not says)
    assert ("http p95 < 33ms" in report["not_calibrated"]) == bool(says)
    assert all(says in doubt for doubt in report["doubts"])
    assert bool(report["doubts"]) == bool(says)
