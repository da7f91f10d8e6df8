"""One worker's share of the crowd, without sockets: who takes which place, and who goes when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.slots import SecondSlot
from captures.units import NS_PER_S
from replayer.load.populations import PopulationLoad, scripts_played
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst, Shape, parse_shape
from replayer.plan.records import Plan, RequestTemplate, Slot, SlotKind, SocketScript, Step, StepKind
from replayer.pool.crowd import Crowd
from replayer.pruning import without_closing
from replayer.user.checks import Budget
from replayer.user.ending import AtEnd
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.pacing import Deadlines, Pacing
from replayer.user.port import Run
from tests.fakes_port import MS, TARGET, FakePort, Reply, plan_of


class CrowdPort(FakePort):
    """A port whose users report to a crowd, as a worker's do."""

    crowd: Crowd

    def user_ended(self, user: Any) -> None:
        self.crowd.user_ended(user)


def step(index: int, kind: StepKind, at_ms: int, *, needs: tuple[int, ...] = (), **more: Any) -> Step:
    return Step(index=index, kind=kind, route=index, origin=0, at_ns=at_ms * MS, needs=needs, **more)


def get(target: str, slot: int | None = None) -> RequestTemplate:
    path = (target.encode(),) if slot is None else (target.encode(), slot)
    return RequestTemplate(method=b"GET", target=path, headers=())


# Login at 0 s, socket at 1 s, polls at 2 s and 3 s, the socket is closed at 4 s.
VISIT = plan_of(
    step(0, StepKind.REQUEST, 0, request=get("/login/", 0)),
    step(1, StepKind.CONNECT, 1000, needs=(0,), think_ns=990 * MS, request=get("/ws"), socket=0),
    step(2, StepKind.REQUEST, 2000, needs=(0,), think_ns=1990 * MS, request=get("/poll")),
    step(3, StepKind.REQUEST, 3000, needs=(2,), think_ns=990 * MS, request=get("/poll")),
    step(4, StepKind.CLOSE, 4000, needs=(1, 3), socket=0),
    slots=(Slot(name="user", kind=SlotKind.INPUT, detail="user"),),
    sockets=(SocketScript(route=1, connect=1),),
)


class Played:
    """A crowd that was played to its end, with what it sent and counted."""

    def __init__(self, plan: Plan, *loads: PopulationLoad, port: CrowdPort | None = None) -> None:
        self.port = port or CrowdPort()
        self.meter = Meter(0)
        self.n_over = 0
        self.start_ns = self.port.clock_ns
        runs = [self._run(plan, load) for load in loads]
        scripts = {
            number: LinkedScript(
                plan,
                plan.scripts[number],
                targets=(TARGET,),
                added=(),
                meter=self.meter,
                speed=load.load.speed,
                max_gap_ns=None,
                pacing=load.pacing,
                at_end=load.at_end,
            )
            for number, load in scripts_played(loads, worker=0, n_workers=1)
        }
        self.crowd = self.port.crowd = Crowd(
            plan, loads, runs, scripts, worker=0, n_workers=1, sampled_users=0, on_over=self._count_over
        )
        self.crowd.begin()

    def _run(self, plan: Plan, load: PopulationLoad) -> Run:
        return Run(
            plan=plan,
            port=self.port,
            meter=self.meter,
            budget=Budget(lambda: 0),
            clock=self.port.now_ns,
            request_ns=Deadlines().request_ns,
            pacing=load.pacing,
            deadlines=Deadlines(),
            speed=load.load.speed,
            max_gap_ns=None,
            max_failures=3,
            start_ns=self.start_ns,
            key=b"k" * 32,
            at_end=load.at_end,
        )

    def _count_over(self) -> None:
        self.n_over += 1

    def to_end(self) -> SecondSlot:
        self.port.play()
        assert self.n_over == 1 and not self.crowd.users
        return self.meter.take_slot(0, {}, 0)

    def sent(self) -> list[tuple[float, str]]:
        """(s since the start, target) of all requests."""
        first_s = self.start_ns / NS_PER_S
        return [(ms / 1000 - first_s, data.split(b" ")[1].decode()) for ms, data in self.port.sent]


IDENTITIES = tuple({"user": f"u{n}"} for n in range(100))


def load(users: int, at_end: AtEnd, *, shape: Shape | None = None, for_s: float | None = None, **more: Any) -> Any:
    made = PopulationLoad(
        n_scripts=1,
        load=LoadOptions(users=users, shape=shape or Burst()),
        at_end=at_end,
        identities=IDENTITIES,
        **more,
    )
    return made if for_s is None else replace(made, for_ns=int(for_s * NS_PER_S))


def test_a_place_is_taken_again_by_a_fresh_identity_in_the_recorded_rhythm() -> None:
    played = Played(VISIT, load(2, AtEnd.RESTART, for_s=9))
    slot = played.to_end()
    logins = [(round(at_s, 2), path) for at_s, path in played.sent() if path.startswith("/login")]
    # A script of 4 s, and a close that takes a moment: sessions begin at 0, 4 and 8 s, users 0+2k and 1+2k.
    assert [path for _, path in logins] == [f"/login/u{n}" for n in range(6)]
    assert [int(at_s) for at_s, _ in logins] == [0, 0, 4, 4, 8, 8]
    assert slot.counts["sessions_started"] == 6 and slot.counts["sessions_completed"] == 4
    assert slot.counts["sessions_retired"] == 2  # begun at 8 s, not over at 9 s: no failure
    assert (slot.counts["users_started"], slot.counts["users_completed"]) == (2, 2)


def test_repeat_plays_the_steady_part_with_one_login_and_one_socket() -> None:
    played = Played(without_closing(VISIT), load(1, AtEnd.REPEAT, for_s=13.5))
    slot = played.to_end()
    assert len(played.port.sockets) == 1
    paths = [path for _, path in played.sent()]
    assert paths.count("/login/u0") == 1
    polls_s = [round(at_s) for at_s, path in played.sent() if path == "/poll"]
    # The steady part is the 3 s from the connect to the end of the script: polls 1 s and 2 s into it.
    assert polls_s == [2, 3, 5, 6, 8, 9, 11, 12]
    assert slot.counts["sessions_completed"] == 1 and slot.counts["passes_started"] == 4


def test_hold_keeps_the_socket_open_until_the_end_and_sends_nothing_more() -> None:
    played = Played(without_closing(VISIT), load(3, AtEnd.HOLD, for_s=60))
    slot = played.to_end()
    assert len(played.sent()) == 3 * 3 and len(played.port.sockets) == 3
    assert played.port.clock_ns - played.start_ns >= 60 * NS_PER_S
    assert all(socket.close_code == 1001 for socket in played.port.sockets)
    assert slot.counts["users_completed"] == 3 and "sessions_retired" not in slot.counts


def test_going_down_the_newest_users_end_and_none_of_them_fails() -> None:
    shape = parse_shape("stages:0s@4,6s@4,4s@0")
    stages = load(4, AtEnd.HOLD, shape=shape, for_s=10)
    played = Played(without_closing(VISIT), stages)
    played.port.play(until_ms=played.start_ns / MS + 7_500)
    assert sorted(user.number for user in played.crowd.users) == [0, 1, 2]
    played.port.play(until_ms=played.start_ns / MS + 9_500)
    assert sorted(user.number for user in played.crowd.users) == [0]
    slot = played.to_end()
    assert slot.counts["users_completed"] == 4 and "users_failed" not in slot.counts


def test_a_user_that_is_retired_ends_after_the_step_in_flight() -> None:
    shape = parse_shape("stages:0s@1,2500ms@1,0s@0")
    port = CrowdPort(answer=lambda _d, _c: Reply(after_ms=800))
    played = Played(VISIT, load(1, AtEnd.RESTART, shape=shape, for_s=2.5), port=port)
    slot = played.to_end()
    assert slot.counts["users_retired"] == 1 == slot.counts["sessions_retired"]
    assert not [name for name in slot.counts if name.startswith("not_sent")]
    assert sum(measure.ok for key, measure in slot.measures.items() if key[0] == "http") == 1


def test_a_target_that_is_down_is_not_hammered_by_places_that_refill() -> None:
    port = CrowdPort(refuse="connect_refused")
    polls = plan_of(*(step(n, StepKind.REQUEST, n * 1000, request=get("/poll")) for n in range(5)))
    played = Played(polls, load(1, AtEnd.RESTART, for_s=20), port=port)
    slot = played.to_end()
    # Three failures end a user at 2 s of its 4 s; the next one comes when it would have been over.
    assert slot.counts["sessions_started"] == 5 and slot.counts["sessions_failed"] == 5
    assert slot.counts["users_failed"] == 1


def test_populations_end_on_their_own_and_are_counted_apart() -> None:
    sockets = load(2, AtEnd.HOLD, for_s=30, name="sockets")
    rest = load(3, AtEnd.END, name="rest", first_user=2, first_script=1)
    plan = without_closing(VISIT)
    both = replace(plan, scripts=(plan.scripts[0], VISIT.scripts[0]))
    played = Played(both, sockets, rest)
    played.port.play(until_ms=played.start_ns / MS + 10_000)
    assert played.crowd.gauges() == {"users_active": 2, "users_active@sockets": 2, "users_active@rest": 0}
    slot = played.to_end()
    found = {name: n for name, n in slot.counts.items() if name.startswith("users_")}
    assert found == {
        "users_started": 5,
        "users_started@sockets": 2,
        "users_started@rest": 3,
        "users_completed": 5,
        "users_completed@sockets": 2,
        "users_completed@rest": 3,
    }
    assert {path for _, path in played.sent() if "login" in path} == {f"/login/u{n}" for n in range(5)}


@pytest.mark.parametrize("at_end", list(AtEnd))
def test_an_interrupt_ends_everybody_and_nobody_comes_back(at_end: AtEnd) -> None:
    for_s = None if at_end is AtEnd.END else 60
    played = Played(VISIT, load(2, at_end, for_s=for_s, pacing=Pacing.TIMELINE))
    played.port.play(until_ms=played.start_ns / MS + 1_500)
    played.crowd.stop()
    slot = played.to_end()
    assert slot.counts["users_cut"] == 2 and slot.counts["sessions_started"] == 2
