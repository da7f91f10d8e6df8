"""The planned curve, and what it asks of the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.capacity import ARRIVALS_PER_S, REQUESTS_PER_S, Demand, Machine, all_of, warnings_of
from replayer.load.dry_run import Curve, add_curves, attendance_of, connections_of, curve_of
from replayer.load.populations import PopulationLoad
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst, Shape, parse_shape
from replayer.plan.records import MessageKind, Plan, RequestTemplate, SocketScript, Step, StepKind
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing
from tests.fakes_port import plan_of

GET = RequestTemplate(method=b"GET", target=(b"/",), headers=())
KIND = MessageKind(name="tick", route=1, value="tick", is_sent=False, n_recorded=30)


def step(index: int, kind: StepKind, at_s: float, **more: Any) -> Step:
    request = GET if kind in (StepKind.REQUEST, StepKind.CONNECT) else None
    at_ns = int(at_s * NS_PER_S)
    return Step(index=index, kind=kind, route=index, origin=0, at_ns=at_ns, request=request, **more)


# A request at 0 s, a socket from 1 s to 4 s with one message sent at 2 s and 30 received, a request at 3 s.
PLAN: Plan = plan_of(
    step(0, StepKind.REQUEST, 0),
    step(1, StepKind.CONNECT, 1, socket=0),
    step(2, StepKind.SEND, 2, socket=0, payload=(b"x",)),
    step(3, StepKind.REQUEST, 3),
    step(4, StepKind.CLOSE, 4, socket=0),
    sockets=(SocketScript(route=1, connect=1),),
    kinds=(KIND,),
)


def curve(at_end: AtEnd = AtEnd.END, *, users: int = 2, for_s: int | None = None, **load: Any) -> Curve:
    shape: Shape = load.pop("shape", Burst())
    population = PopulationLoad(n_scripts=1, load=LoadOptions(users=users, shape=shape, **load), at_end=at_end)
    return curve_of(PLAN, population if for_s is None else replace(population, for_ns=for_s * NS_PER_S))


def test_a_script_that_is_played_once_makes_its_own_curve() -> None:
    found = curve()
    assert found.arrivals == [2, 0, 0, 0, 0]
    assert found.users == [2, 2, 2, 2, 0]
    assert found.requests == [2, 0, 0, 2, 0]
    assert found.messages_out == [0, 0, 2, 0, 0]
    assert found.sockets == [0, 2, 2, 2, 0]
    assert found.messages_in == [0, 20, 20, 20, 0]  # 30 messages in 3 s, of 2 sockets


@pytest.mark.parametrize("at_end", list(AtEnd))
@pytest.mark.parametrize("shape", ["burst", "ramp:3s", "rate:2/s", "stages:2s@4,3s@4,2s@0"])
def test_what_a_run_stores_as_planned_is_the_curve_of_the_dry_run(shape: str, at_end: AtEnd) -> None:
    load = LoadOptions(users=4, shape=parse_shape(shape), seed=3)
    crowd = [PopulationLoad(n_scripts=1, load=load, at_end=at_end, for_ns=7 * NS_PER_S)]
    drawn, stored = curve_of(PLAN, crowd[0]), attendance_of(PLAN, crowd)
    assert stored["users"] == drawn.users
    assert stored["arrivals"] == drawn.arrivals[: len(stored["arrivals"])] and sum(stored["arrivals"]) == 4


def test_paced_by_the_target_only_arrivals_are_planned() -> None:
    crowd = PopulationLoad(n_scripts=1, load=LoadOptions(users=4, shape=Burst()), pacing=Pacing.ASAP)
    assert attendance_of(PLAN, [crowd]) == {"arrivals": [4]}


def test_speed_moves_sends_together_but_not_what_the_server_sends() -> None:
    found = curve(speed=2)
    assert found.requests == [2, 2, 0] and found.sockets == [2, 2, 0]
    assert found.messages_in == [20, 20, 0]


def test_who_restarts_repeats_or_holds_is_there_until_the_end() -> None:
    assert curve(AtEnd.RESTART, for_s=9).requests == [2, 0, 0, 2, 2, 0, 0, 2, 2, 0]
    repeated = curve(AtEnd.REPEAT, for_s=9)
    # The steady part begins with the connect at 1 s: the message 1 s and the request 2 s into it, again every 3 s.
    assert repeated.requests == [2, 0, 0, 2, 0, 0, 2, 0, 0, 0]
    assert repeated.sockets == [0, 2, 2, 2, 2, 2, 2, 2, 2, 0]
    held = curve(AtEnd.HOLD, for_s=9)
    assert held.users == [2] * 9 + [0] and sum(held.requests) == 4
    assert held.sockets == repeated.sockets


def test_stages_are_the_users_of_the_curve() -> None:
    shape = parse_shape("stages:4s@8,2s@8,4s@0")
    found = curve(AtEnd.HOLD, users=8, shape=shape, for_s=10)
    assert found.users == [2, 4, 6, 8, 8, 8, 7, 5, 3, 1, 0]
    assert found.demand().users == 8


def test_the_curves_of_populations_add_up() -> None:
    both = add_curves([curve(), curve(AtEnd.HOLD, users=1, for_s=9)])
    assert both.users == [3, 3, 3, 3, 1, 1, 1, 1, 1, 0]
    demand = all_of([curve().demand(), curve(AtEnd.HOLD, users=1, for_s=9).demand()])
    assert demand.users == 3 and demand.connections == 3 * connections_of(PLAN.scripts[0])


def test_connections_are_sockets_and_what_overlapped_at_most_six_per_origin() -> None:
    long = [replace(step(n, StepKind.REQUEST, 0), duration_ns=500 * NS_PER_MS) for n in range(9)]
    assert connections_of(plan_of(*long).scripts[0]) == 6
    assert connections_of(plan_of(*long[:2]).scripts[0]) == 2


MACHINE = Machine(descriptors=1_000, ports=28_232, sources=1, n_workers=2)
QUIET = Demand(users=1, connections=1, arrivals_per_s=1, requests_per_s=1, messages_per_s=1)


@pytest.mark.parametrize(
    ("demand", "machine", "complaint"),
    [
        (QUIET, MACHINE, ""),
        (replace(QUIET, connections=1_872), MACHINE, ""),  # 936 in each worker, and 64 for itself
        (replace(QUIET, connections=1_874), MACHINE, "1,001 descriptors in each worker, the limit is 1,000"),
        (replace(QUIET, connections=30_000), replace(MACHINE, descriptors=None), "only 28,232 local ports"),
        (replace(QUIET, connections=30_000), replace(MACHINE, descriptors=None, sources=33), ""),
        (replace(QUIET, requests_per_s=REQUESTS_PER_S), MACHINE, ""),  # half of two workers
        (replace(QUIET, requests_per_s=REQUESTS_PER_S + 1), MACHINE, "requests a second"),
        (replace(QUIET, arrivals_per_s=ARRIVALS_PER_S), MACHINE, ""),
        (replace(QUIET, arrivals_per_s=ARRIVALS_PER_S + 1), MACHINE, "arrivals a second"),
        (replace(QUIET, messages_per_s=10**7), MACHINE, "messages a second"),
    ],
)
def test_what_the_machine_cannot_do_is_said(demand: Demand, machine: Machine, complaint: str) -> None:
    found = " ".join(warnings_of(demand, machine))
    assert complaint in found and bool(found) == bool(complaint)
