"""Steps that ask for the same thing share one linked request, and nothing else about them is mixed up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

from replayer.plan.codec import plan_from_bytes, plan_to_bytes
from replayer.plan.records import Expectation, Extractor, Plan, RequestTemplate, Slot, SlotKind, Source, Step, StepKind
from replayer.wire.heads import Head
from tests.fakes_port import MS, FakeConnection, FakePort, Reply, plan_of, played, user_of

_EXPECTED = Expectation(statuses=(200,), content_type=b"application/json", max_bytes=100)


def step(index: int, target: bytes = b"/quotes", *, route: int = 0, expectation: Expectation = _EXPECTED) -> Step:
    return Step(
        index=index,
        kind=StepKind.REQUEST,
        route=route,
        origin=0,
        at_ns=index * 20 * MS,
        duration_ns=10 * MS,
        needs=(index - 1,) if index else (),
        think_ns=10 * MS if index else 0,
        request=RequestTemplate(method=b"GET", target=(target,), headers=()),
        expectation=expectation,
    )


def decoded(*steps: Step, slots: tuple[Slot, ...] = ()) -> Plan:
    """A plan as a worker gets it: equal expectations are one object."""
    return plan_from_bytes(plan_to_bytes(plan_of(*steps, slots=slots)))


def test_same_request_with_the_same_expectation_is_one_object() -> None:
    taken = Extractor(slot=0, source=Source.JSON, path=("id",))
    plan = decoded(
        step(0),
        step(1),
        step(2, b"/news"),
        step(3, expectation=replace(_EXPECTED, max_bytes=9)),
        step(4, route=4),
        replace(step(5), extractors=(taken,)),
        step(6),
        slots=(Slot(name="id", kind=SlotKind.EXTRACTED),),
    )
    requests = user_of(plan, FakePort()).script.requests
    assert requests[0] is requests[1] is requests[6]
    assert len({id(request) for request in requests}) == 5


def test_steps_that_share_a_request_end_one_by_one() -> None:
    port = FakePort()
    slot = played(decoded(*map(step, range(5))), port)
    assert [ms for ms, _ in port.sent] == [1000, 1020, 1040, 1060, 1080]
    kept = [(each.step, each.outcome, each.intended_ns // MS) for each in slot.steps]
    assert kept == [(0, "ok", 0), (1, "ok", 20), (2, "ok", 40), (3, "ok", 60), (4, "ok", 80)]


def test_failure_of_one_is_told_of_that_one() -> None:
    def answer(_data: bytes, connection: FakeConnection) -> Reply:
        return Reply(status=500) if connection.n_sent == 3 else Reply()

    slot = played(decoded(*map(step, range(5))), FakePort(answer=answer))
    assert [each.step for each in slot.steps if each.outcome != "ok"] == [2]


def test_requests_that_wait_for_a_connection_keep_their_step() -> None:
    """Ten at once over six connections: those that wait get one that carried another step before."""
    together = [replace(step(index), at_ns=0, needs=(), think_ns=0) for index in range(10)]
    slot = played(decoded(*together), FakePort())
    assert sorted(each.step for each in slot.steps) == list(range(10))
    assert slot.counts["sessions_completed"] == 1


def test_lag_of_sends_is_taken_when_they_are_written() -> None:
    port = FakePort()
    user = user_of(decoded(*map(step, range(3))), port)
    user.start(port.clock_ns)
    port.play()
    meter = user._run.meter
    assert [due_ns // MS for due_ns in meter.dues] == [1000, 1020, 1040]
    meter.due_written(1_050 * MS)
    assert not meter.dues
    assert sum(meter.take_slot(0, {}, 0).lag.values()) == 3


class Same(Reply):
    """An answer whose head was seen before, as on the wire, where equal heads are one object."""

    def to_head(self) -> Head:
        return _head()


@cache
def _head() -> Head:
    return Reply().to_head()


def test_body_that_was_found_good_costs_no_budget_and_nothing_is_checked_without_one() -> None:
    expected = replace(_EXPECTED, required=(("tick",),), kinds=(4,))
    good, other = b'{"tick": 7}', b'{"tick": 8}'
    bodies = iter([good, good, good, other, good, other])
    port = FakePort(answer=lambda _data, _connection: Same(body=next(bodies)))
    user = user_of(decoded(*(step(index, expectation=expected) for index in range(6))), port)
    user._is_sampled = False
    looks = count(1)
    user._run.clock = lambda: port.clock_ns + next(looks)  # Each look at the clock takes a nanosecond.
    user.start(port.clock_ns)
    port.play(1_015)  # The first has been looked into.
    user._run.budget.left_ns = 1  # Enough for one more that is to be looked into.
    port.play()
    counts = user._run.meter.take_slot(0, {}, 0).counts
    assert (counts["verify_eligible"], counts["verify_checked"]) == (6, 4)


def test_nothing_is_good_before_something_was_looked_into() -> None:
    expected = replace(_EXPECTED, required=(("tick",),), kinds=(4,))
    port = FakePort(answer=lambda _data, _connection: Same(body=b""))
    user = user_of(decoded(*(step(index, expectation=expected) for index in range(3))), port)
    user._is_sampled = False
    user.start(port.clock_ns)
    port.play()
    assert sum(user.script.recorders[0].measure.mismatches.values()) == 3
