"""Failures of a run by class and route, with the first that were seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.failures import EXAMPLES, failure_reports, failures_of
from analysis.report.following import next_after_errors
from analysis.run import open_run
from analysis.steplog import StepLog, StepRecord
from tests.analysis.runs import FINISHED, QUOTES, a_run, a_slot, measured
from tests.analysis.synthetic_run import facts
from tests.commands import run_rushhour


def a_failure(end_s: float, *, user: int = 1, outcome: str = "status_503") -> StepRecord:
    end_ns = round(end_s * 1e9)
    return StepRecord(
        user=user,
        session=0,
        step=4,
        series=QUOTES,
        intended_ns=end_ns - 12_000_000,
        actual_ns=end_ns - 11_000_000,
        end_ns=end_ns,
        outcome=outcome,
        status=503,
        detail="status 503, text/plain, 41 bytes",
        request="GET /api/quotes?symbol={symbol}",
        slots=(("symbol", "KIT"),),
        recorded="status 200, application/json, 9500 bytes, after 11 ms",
    )


def test_the_first_of_all_workers_are_kept_and_all_are_counted() -> None:
    slots = []
    for worker in range(2):
        slot = a_slot({QUOTES: measured(1.0, errors={"status_503": 40})}, worker=worker)
        slot.steps = StepLog(a_failure(0.1 * number + 0.01 * worker, user=worker) for number in range(EXAMPLES))
        slots.append(slot)
    (group,) = failures_of(a_run(slots))
    assert (group.kind, group.route, group.count) == ("status_503", "GET /api/quotes", 80)
    assert [step.end_ns for step in group.examples] == [0, 10_000_000, 100_000_000, 110_000_000, 200_000_000]


def test_what_was_never_sent_is_a_class_and_what_the_end_took_away_is_none() -> None:
    counts = {"not_sent:correlation_miss": 3, "not_sent:cut": 9, "not_sent:storm": 2}
    (report,) = failure_reports(a_run([a_slot(counts=counts)]))
    assert (report["class"], report["count"], report["examples"]) == ("not_sent_correlation_miss", 3, [])


def test_mismatches_and_errors_of_one_route_stand_apart_the_most_frequent_first() -> None:
    measure = measured(1.0, errors={"reset": 2}, mismatches={"empty": 5})
    groups = failures_of(a_run([a_slot({QUOTES: measure})]))
    assert [(group.kind, group.count) for group in groups] == [("mismatch_empty", 5), ("reset", 2)]


def test_errors_prints_the_evidence_and_the_summary_holds_the_same(tmp_path: Path) -> None:
    slot = a_slot({QUOTES: measured(1.0, errors={"status_503": 1})})
    slot.steps = StepLog([a_failure(2.5)])
    writer = open_run(tmp_path / "run", facts())
    writer.add(slot)
    writer.finish(FINISHED)
    done = run_rushhour("errors", str(tmp_path / "run"), cwd=tmp_path)
    assert done.returncode == 0
    assert "1 × status_503  http GET /api/quotes" in done.stdout
    assert "symbol=KIT" in done.stdout and "recorded: status 200" in done.stdout
    listed = json.loads(run_rushhour("errors", str(tmp_path / "run"), "--json", cwd=tmp_path).stdout)
    summary = json.loads(run_rushhour("report", str(tmp_path / "run"), "--json", cwd=tmp_path).stdout)
    assert listed == summary["failures"] and listed[0]["examples"][0]["slots"] == [{"name": "symbol", "value": "KIT"}]


def test_errors_of_what_is_no_run_is_told_and_exits_with_2(tmp_path: Path) -> None:
    done = run_rushhour("errors", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2 and "is not a run directory" in done.stderr


VERIFY = "rushhour verify captures/golden/demo/market.rush --target https://staging.example.test"


@pytest.mark.parametrize(
    ("classes", "following"),
    [
        (["reset", "mismatch_login"], VERIFY),
        (["not_sent_correlation_miss"], VERIFY),
        (["status_401"], VERIFY),
        (["status_503", "timeout_request"], "rushhour report 'a run'"),
        ([], "rushhour report 'a run'"),
    ],
)
def test_a_target_that_answers_otherwise_than_recorded_is_explained_by_a_verification(
    classes: list[str], following: str
) -> None:
    said = next_after_errors(facts(), classes, Path("a run"))
    assert said.startswith(following)
    with_users = next_after_errors(facts(options={"identities": "my users.csv"}), classes, Path("a run"))
    assert ("--identities 'my users.csv'" in with_users) is (following == VERIFY)
