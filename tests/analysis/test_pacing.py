"""The share of a run that goes at the server's pace."""

from __future__ import annotations

import pytest

from analysis.pacing import server_paced_ratio
from analysis.report.facts import method
from analysis.slots import Measure, SecondSlot
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS
from analysis.verdict import judge
from tests.analysis.runs import a_run
from tests.analysis.synthetic_run import facts

AWAITED = ("ws.awaited", (("route", "WS /ws"),))


def waiting(*, users: int, seconds: int, waited_s: float) -> list[SecondSlot]:
    slots = [SecondSlot(worker=0, second=second, gauges={"users_active": users}) for second in range(seconds)]
    slots[-1].measures[AWAITED] = Measure(ok=1, latency_sum_us=int(waited_s * 1e6))
    return slots


def test_it_is_what_users_waited_of_what_they_were_there() -> None:
    run = a_run(waiting(users=10, seconds=60, waited_s=300), run_facts=facts())
    assert server_paced_ratio(run) == 0.5


def test_several_waits_at_a_time_are_no_more_than_all_of_it() -> None:
    assert server_paced_ratio(a_run(waiting(users=1, seconds=10, waited_s=300), run_facts=facts())) == 1.0


@pytest.mark.parametrize(("speed", "is_said"), [(5.0, True), (1.0, False)])
def test_the_report_says_what_share_no_speed_shortens(speed: float, is_said: bool) -> None:
    run = a_run(waiting(users=10, seconds=60, waited_s=300), run_facts=facts(options={"speed": speed}))
    told = method(run, summarise(run, judge(run, DEFAULTS)))
    assert ("waited 50% of their time for messages that the server sends at its own pace" in told) is is_said


def test_nobody_there_is_no_share() -> None:
    assert server_paced_ratio(a_run([], run_facts=facts())) is None
