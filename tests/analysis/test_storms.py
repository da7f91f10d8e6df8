"""Storms in a run's figures: curves with nobody left out, attempts, what the others felt, and what a report shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.histogram import HIGHEST_US, NEVER_BUCKET, bucket_of
from analysis.outputs import write_outputs
from analysis.report.storms import storms_section, storms_table
from analysis.run import Ended, Run, RunEnd, open_run
from analysis.slots import Measure, SecondSlot
from analysis.storms import curve, share_time_s, storm_reports
from analysis.thresholds import parse_threshold
from tests.analysis.runs import a_run
from tests.analysis.synthetic_run import facts, record

MS = 1000
HALF: dict[str, Any] = {
    "spec": "at=10s,fraction=0.5",
    "at_ns": 10_000_000_000,
    "every_ns": None,
    "how": "rst",
    "policy": "immediate",
    "mode": "resume",
    "hits_all": False,
}
OFTEN = {**HALF, "spec": "every=10s", "at_ns": None, "every_ns": 10_000_000_000, "hits_all": True}
STORM = (("storm", "1"),)
END = RunEnd(duration_s=30.0, ended=Ended.FINISHED)


def never(measure: Measure, n: int, why: str = "gave_up") -> None:
    measure.errors[why] = n
    measure.latency[NEVER_BUCKET] = n
    measure.latency_max_us = HIGHEST_US


def a_storm(n_back: int, n_never: int) -> Measure:
    """Sockets that come back one every 10 ms, and some that never do."""
    measure = Measure(planned=n_back + n_never)
    for n in range(1, n_back + 1):
        record(measure, n * 10 * MS, 2 * MS)
    if n_never:
        never(measure, n_never)
    return measure


def stormy_run(recovery: Measure, storms: tuple[dict[str, Any], ...] = (HALF,), **changes: Any) -> Run:
    """A run of 30 s, 20 requests a second of 10 ms; touched users feel 500 ms from the strike on, all 80 ms in it."""
    slots = []
    for second in range(30):
        slot = SecondSlot(worker=0, second=second)
        http = slot.measures["http", (("kind", "api"), ("route", "GET /x"))] = Measure()
        touched = Measure()
        for n in range(20):
            is_touched = second >= 10 and n % 2 == 0
            felt_ms = 500 if is_touched else 80 if second in (10, 11) else 10
            record(http, felt_ms * MS, felt_ms * MS)
            if is_touched:
                record(touched, felt_ms * MS, felt_ms * MS)
        if touched.ok:
            slot.measures["storm.touched", (("of", "http"),)] = touched
        slots.append(slot)
    slots[10].measures["storm.recovery", STORM] = recovery
    attempts = Measure(planned=recovery.planned + 3, ok=recovery.ok, errors={"status_503": 3})
    slots[10].measures["storm.attempt", STORM] = attempts
    return a_run(slots, run_facts=facts(storms=storms, **changes), end=END)


def test_the_shares_are_of_all_sockets_that_were_lost() -> None:
    (report,) = storm_reports(stormy_run(a_storm(100, 0)))
    assert report["lost"] == report["recovered"] == 100
    assert report["t50_s"] == pytest.approx(0.50, rel=0.01)
    assert report["t95_s"] == pytest.approx(0.95, rel=0.01)
    assert report["t100_s"] == pytest.approx(1.00, rel=0.01)
    assert (report["attempts"], report["amplification"]) == (103, 1.03)
    assert report["peak_attempts_per_s"] == 103
    assert report["errors"] == {"status_503": 3}
    assert report["server_ms"]["p95"] == pytest.approx(2.0, rel=0.01)


def test_who_never_came_back_is_infinitely_late_and_never_left_out() -> None:
    (report,) = storm_reports(stormy_run(a_storm(96, 4)))
    assert report["t95_s"] == pytest.approx(0.95, rel=0.01)
    assert report["t99_s"] is None
    assert report["t100_s"] is None
    assert report["unrecovered"] == {"gave_up": 4}
    assert report["curve"][-1][1] == 0.96


def test_sockets_of_a_worker_that_was_lost_count_as_never_too() -> None:
    measure = a_storm(50, 0)
    measure.planned = 100
    (report,) = storm_reports(stormy_run(measure))
    assert report["t50_s"] == pytest.approx(0.5, rel=0.01)
    assert report["t95_s"] is None


def test_the_others_are_all_minus_those_that_were_touched() -> None:
    (report,) = storm_reports(stormy_run(a_storm(100, 0)))
    http = report["collateral"]["http"]
    assert http["before_p95_ms"] == pytest.approx(10, rel=0.01)
    assert http["during_p95_ms"] == pytest.approx(80, rel=0.01), "500 ms is what the touched ones felt"
    assert (http["before_n"], http["during_n"]) == (200, 20), "until the last was back, a bit into the second second"


def test_normal_are_three_seconds_in_a_row_as_before() -> None:
    (report,) = storm_reports(stormy_run(a_storm(100, 0)))
    assert report["time_to_normal_s"] == 2.0


def test_where_everybody_is_hit_there_are_no_others() -> None:
    (report,) = storm_reports(stormy_run(a_storm(100, 0), ({**HALF, "hits_all": True},)))
    assert report["collateral"] == {}
    assert report["time_to_normal_s"] is None, "half of all still feel 500 ms"


def test_every_strike_of_a_repeated_storm_has_a_report_of_its_own() -> None:
    reports = storm_reports(stormy_run(a_storm(1, 0), (OFTEN,)))
    assert [(report["label"], report["at_s"]) for report in reports][:2] == [("1.1", 10.0), ("1.2", 20.0)]
    assert reports[0]["lost"] == 0
    assert reports[0]["t50_s"] is None


def test_a_run_without_storms_says_nothing_of_them() -> None:
    run = stormy_run(a_storm(1, 0), ())
    assert storm_reports(run) == []
    assert storms_section([]) is None


@given(times_ms=st.lists(st.integers(1, 200_000), min_size=1, max_size=60), n_never=st.integers(0, 20))
def test_a_curve_rises_to_the_share_that_came_back(times_ms: list[int], n_never: int) -> None:
    latency: dict[int, int] = {}
    for ms in times_ms:
        latency[bucket_of(ms * MS)] = latency.get(bucket_of(ms * MS), 0) + 1
    if n_never:
        latency[NEVER_BUCKET] = n_never
    lost = len(times_ms) + n_never
    points = curve(latency, lost)
    assert points == sorted(points)
    assert points[-1][1] == pytest.approx(len(times_ms) / lost, abs=1e-5)
    assert share_time_s(latency, lost, 1.0) is None if n_never else points[-1][0]
    for time_s, share in points:
        found = share_time_s(latency, lost, share - 1e-5)
        assert found is not None
        assert found <= time_s


def stored(directory: Path, run: Run) -> Path:
    writer = open_run(directory, run.facts)
    for second in sorted(run.seconds):
        slot = run.seconds[second]
        slot.worker = 0
        writer.add(slot)
    writer.finish(END)
    return directory


@pytest.mark.parametrize(
    ("expression", "recovery", "outcome"),
    [
        ("storm.recovery p95 < 1s", a_storm(100, 0), "pass"),
        ("storm.recovery p50 < 400ms", a_storm(100, 0), "fail"),
        # Three in a hundred never came back: the median holds, the p99 is as late as can be.
        ("storm.recovery p50 < 1s", a_storm(97, 3), "pass"),
        ("storm.recovery p99 < 10s", a_storm(97, 3), "fail"),
        ("storm.recovery errors < 1%", a_storm(97, 3), "fail"),
        ('storm.recovery{storm="1"} p95 < 1s', a_storm(100, 0), "pass"),
        ('storm.recovery{storm="2"} p95 < 1s', a_storm(100, 0), "inconclusive"),
    ],
)
def test_recovery_can_be_held_to_a_threshold(tmp_path: Path, expression: str, recovery: Measure, outcome: str) -> None:
    judged = write_outputs(stored(tmp_path / "run", stormy_run(recovery)), [parse_threshold(expression)])
    assert [result.outcome.value for result in judged.verdict.results] == [outcome]


def test_storms_stay_out_of_the_totals_of_steps(tmp_path: Path) -> None:
    directory = stored(tmp_path / "run", stormy_run(a_storm(100, 5)))
    write_outputs(directory, [parse_threshold("http p95 < 1s")])
    summary = (directory / "summary.json").read_text()
    assert '"ok": 600' in summary.replace("\n", "")
    assert '"gave_up"' not in summary.partition('"series"')[0]


def test_the_report_shows_table_and_curve_and_escapes_what_was_typed(tmp_path: Path) -> None:
    hostile = {**HALF, "spec": "at=1s,how=hook:<script>alert(1)</script>"}
    directory = stored(tmp_path / "run", stormy_run(a_storm(100, 5), (hostile,)))
    write_outputs(directory, [parse_threshold("http p95 < 1s")])
    page = (directory / "report.html").read_text()
    section = page[page.index('id="storms"') :].partition("</section>")[0]
    assert "<script>" not in section
    assert "&lt;script&gt;" in section
    assert "never" in section
    assert '<path class="line' in section


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_fits_a_terminal(width: int) -> None:
    reports = storm_reports(stormy_run(a_storm(96, 4)))
    out = io.StringIO()
    storms_table(reports, Console(file=out, width=width), is_narrow=width < 64)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert "never" in out.getvalue()
    assert "4 sockets did not come back" in out.getvalue()
