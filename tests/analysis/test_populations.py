"""Populations in the summary: how many came, how many were there at once, and whether that was the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.populations import population_reports, unachieved
from analysis.report.populations import pacing_sentence, populations_section, rows_of
from analysis.run import Run
from analysis.slots import SecondSlot
from tests.analysis.synthetic_run import facts

SOCKETS = {
    "name": "sockets",
    "capture": "a.rush",
    "shape": "stages:1s@3",
    "at_end": "hold",
    "users": 3,
    "concurrent": 3,
    "along": ["POST /login"],
}


def run_of(counts: dict[str, int], *actives: int, **plan: Any) -> Run:
    slots = {
        second: SecondSlot(
            worker=0, second=second, gauges={"users_active@sockets": n}, counts=counts if not second else {}
        )
        for second, n in enumerate(actives)
    }
    return Run(facts=replace(facts(), populations=(SOCKETS | plan,)), seconds=slots)


ALL = {"users_started@sockets": 3, "users_completed@sockets": 3, "sessions_started@sockets": 5}


def test_a_population_that_was_there_as_planned_is_achieved() -> None:
    run = run_of(ALL | {"sessions_completed@sockets": 4, "sessions_retired@sockets": 1}, 1, 3, 2)
    (report,) = population_reports(run)
    assert report["achieved"] and unachieved(run) == []
    assert report["users"] == {
        "planned": 3,
        "started": 3,
        "completed": 3,
        "failed": 0,
        "retired": 0,
        "concurrent_planned": 3,
        "concurrent": 3,
    }
    assert report["sessions"] == {"started": 5, "completed": 4, "failed": 0, "cut": 0, "retired": 1}
    assert rows_of(report)["at once"] == "3 of 3"


@pytest.mark.parametrize(
    ("counts", "actives", "complaint"),
    [
        ({"users_started@sockets": 2}, (2,), "population sockets: 2 of 3 users came"),
        (ALL, (2, 2), "population sockets: at most 2 of 3 users were there at once"),
    ],
)
def test_a_population_that_was_smaller_is_told_of(
    counts: dict[str, int], actives: tuple[int, ...], complaint: str
) -> None:
    run = run_of(counts, *actives)
    assert unachieved(run) == [complaint]


def test_where_nobody_knows_how_many_are_there_at_once_coming_is_enough() -> None:
    run = run_of(ALL, 1, concurrent=None)
    assert population_reports(run)[0]["achieved"]
    assert rows_of(population_reports(run)[0])["at once"] == "1"


def test_a_run_without_populations_has_none_and_no_section() -> None:
    assert population_reports(Run(facts=facts())) == []
    nothing = {"sessions": 0, "slip_ms": {"p95": None}, "stretch_ratio": {"p95": None}}
    assert populations_section([], nothing) is None
    some = {"sessions": 4, "slip_ms": {"p95": 12.0}, "stretch_ratio": {"p95": 1.25}}
    assert "1.25 times as long" in pacing_sentence(some)
    assert pacing_sentence(some) in str(populations_section([], some))


def test_the_report_shows_names_as_text() -> None:
    run = run_of(ALL, 3, name="<b>sockets", along=["GET /<i>"])
    section = str(populations_section(population_reports(run), {"sessions": 0}))
    assert "&lt;b&gt;sockets" in section and "<i>" not in section
