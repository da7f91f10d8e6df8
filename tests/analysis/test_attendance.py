"""Planned arrivals and users beside those that were there."""

from __future__ import annotations

from analysis.attendance import MOST_ENTRIES, attendance_report
from analysis.run import Run
from analysis.slots import SecondSlot
from tests.analysis.synthetic_run import facts


def run_of(planned: dict[str, list[int]], *seconds: tuple[int, int]) -> Run:
    """Return a run; of each second how many users began and how many were there at its end."""
    slots = {
        second: SecondSlot(worker=0, second=second, counts={"users_started": started}, gauges={"users_active": active})
        for second, (started, active) in enumerate(seconds)
    }
    return Run(facts=facts(attendance=planned), seconds=slots)


def test_a_crowd_that_came_as_ordered_is_never_behind() -> None:
    report = attendance_report(run_of({"arrivals": [2, 1], "users": [2, 3, 0]}, (2, 2), (1, 3), (0, 0)))
    assert report["arrivals"] == {"planned": [2, 1], "achieved": [2, 1, 0]}
    assert report["users"] == {"planned": [2, 3, 0], "achieved": [2, 3, 0]}
    assert (report["step_s"], report["arrivals_behind"]) == (1, 0)


def test_who_comes_late_counts_as_behind_until_they_are_there() -> None:
    assert attendance_report(run_of({"arrivals": [5, 5, 5]}, (5, 5), (1, 6), (9, 15)))["arrivals_behind"] == 4


def test_who_never_comes_counts_as_behind() -> None:
    assert attendance_report(run_of({"arrivals": [5, 5]}, (5, 5)))["arrivals_behind"] == 5


def test_of_a_long_run_arrivals_are_added_up_and_the_last_count_of_users_stands() -> None:
    planned = {"arrivals": [1] * (2 * MOST_ENTRIES - 1), "users": list(range(2 * MOST_ENTRIES - 1))}
    report = attendance_report(run_of(planned))
    assert report["step_s"] == 2
    assert report["arrivals"]["planned"] == [2] * (MOST_ENTRIES - 1) + [1]
    assert report["users"]["planned"][:2] == [1, 3] and report["users"]["planned"][-1] == 2 * MOST_ENTRIES - 2


def test_where_nobody_knows_the_plan_only_what_was_there_is_told() -> None:
    report = attendance_report(run_of({}, (1, 1)))
    assert report["arrivals"] == {"planned": [], "achieved": [1]} and report["arrivals_behind"] == 0
