"""What a worker measures of pushed messages, by hand-made clocks and sockets."""

from __future__ import annotations

from array import array

import pytest

from analysis.slots import Measure, SecondSlot
from replayer.plan.push import Push
from replayer.plan.records import MessageKind
from replayer.user.meter import Meter
from replayer.user.pushes import PRIVATE_AFTER, Hearing, PushMeter, Triggers

S, MS = 1_000_000_000, 1_000_000
START = 1_000 * S
WALL_OFFSET = 1_795_000_000 * S
CLOCK = Push(n=60, gap_ns=S, gap_cv=0.0, longest_gap_ns=S, due_ns=S, wait_ns=S, is_distinct=True, stamp="ts")


class Worker:
    """A meter with one kind of pushed message, and sockets that a test speaks through."""

    def __init__(self, push: Push = CLOCK, *, is_absolute: bool = True) -> None:
        self.meter = Meter(0)
        self.pushes = self.meter.pushes
        self.pushes.wall_offset_ns = WALL_OFFSET
        kind = MessageKind(name="quote", route=0, value="quote", is_sent=False, n_recorded=60, push=push)
        found = self.pushes.meter_of(3, kind, "WS /feed", self.meter, is_absolute=is_absolute)
        assert found is not None
        self.push: PushMeter = found

    def hear(self, hearing: Hearing, at_s: float, text: bytes = b"") -> None:
        self.push.take(hearing, text or b'{"at":%d}' % round(at_s * 1e6), START + round(at_s * S))

    def end(self, hearing: Hearing, at_s: float, *, opened_s: float = 0.0, expected: tuple[int, ...] = (3,)) -> None:
        self.pushes.end(hearing, expected, START + round(opened_s * S), START + round(at_s * S))

    def slot(self, at_s: float, *, is_end: bool = True) -> SecondSlot:
        self.pushes.settle(START + round(at_s * S), START, is_end=is_end)
        return self.meter.take_slot(0, {}, 0)

    def measure(self, slot: SecondSlot, name: str, **labels: str) -> Measure:
        key = (name, tuple(sorted({"route": "WS /feed", "message": "quote", **labels}.items())))
        return slot.measures.get(key, Measure())


@pytest.mark.parametrize("life_s", [1.5, 5.05, 6.0, 6.95, 60.3])
def test_a_clock_that_goes_on_is_complete_however_long_a_socket_lives(life_s: float) -> None:
    worker, hearing = Worker(), Hearing()
    for second in range(1, int(life_s) + 1):
        worker.hear(hearing, second)
    worker.end(hearing, life_s)
    measure = worker.measure(worker.slot(100), "ws.completeness")
    assert measure.ok == int(life_s) - 1
    assert measure.due_milli / 1000 == pytest.approx(measure.ok, abs=0.02)


def test_live_time_is_counted_while_it_goes_on_and_once() -> None:
    worker, hearings = Worker(), [Hearing() for _ in range(3)]
    due_milli = 0
    for second in range(1, 11):
        for number, hearing in enumerate(hearings):
            worker.hear(hearing, second + number / 10)
        due_milli += worker.measure(worker.slot(second + 0.9, is_end=False), "ws.completeness").due_milli
    for hearing in hearings:
        worker.end(hearing, 10.95)
    due_milli += worker.measure(worker.slot(20), "ws.completeness").due_milli
    assert due_milli / 1000 == pytest.approx(27, abs=0.05)


def test_a_stream_that_stops_is_incomplete_and_a_stall() -> None:
    worker, hearing = Worker(), Hearing()
    for second in range(1, 11):
        worker.hear(hearing, second)
    worker.end(hearing, 21)
    slot = worker.slot(30)
    completeness, stalls = worker.measure(slot, "ws.completeness"), worker.measure(slot, "ws.stall")
    assert completeness.ok == 9 and completeness.due_milli / 1000 == pytest.approx(19, abs=0.01)
    assert (stalls.ok, stalls.latency_max_us) == (1, 11_000_000)


def test_a_socket_that_never_hears_what_the_recorded_one_did_is_incomplete() -> None:
    worker = Worker()
    worker.end(Hearing(), 12)
    slot = worker.slot(13)
    assert worker.measure(slot, "ws.completeness").due_milli == 11_000
    assert worker.measure(slot, "ws.stall").ok == 1


def test_a_kind_that_the_recorded_socket_never_received_is_not_missed() -> None:
    worker = Worker()
    worker.end(Hearing(), 12, expected=())
    assert worker.slot(13).measures == {}


def test_a_gap_is_how_far_the_rhythm_is_left_either_way() -> None:
    worker, hearing = Worker(), Hearing()
    for at_s in (1.0, 2.0, 3.3, 4.0):
        worker.hear(hearing, at_s)
    gaps = worker.measure(worker.slot(5), "ws.gap")
    assert (gaps.ok, gaps.latency_max_us, gaps.latency_sum_us) == (3, 300_000, 600_000)


def test_an_irregular_stream_has_no_gaps_and_a_bursty_one_no_completeness() -> None:
    for push, names in (
        (Push(n=9, gap_ns=S, gap_cv=0.9, longest_gap_ns=S, due_ns=S), {"ws.completeness"}),
        (Push(n=9, gap_ns=S, gap_cv=2.0, longest_gap_ns=S), set()),
    ):
        worker, hearing = Worker(push), Hearing()
        for second in (1, 2, 3):
            worker.hear(hearing, second)
        assert {name for name, _ in worker.slot(4).measures} == names


def stamped(at_s: float, late_s: float) -> bytes:
    return b'{"ts":%d}' % round((START + WALL_OFFSET) / MS + (at_s - late_s) * 1000)


def test_a_stamp_is_read_against_the_wall_clock_of_the_arrival() -> None:
    worker, hearing = Worker(), Hearing()
    for number, late_s in enumerate((0.004, 0.250)):
        worker.hear(hearing, 1 + number, stamped(1 + number, late_s))
    lags = worker.measure(worker.slot(5), "ws.push_lag", estimator="stamped")
    assert (lags.ok, lags.latency_sum_us) == (2, 254_000)


def test_a_stamp_from_the_future_is_no_time_of_sending() -> None:
    worker = Worker()
    worker.hear(Hearing(), 1, stamped(1, -1.0))
    slot = worker.slot(5)
    assert worker.measure(slot, "ws.push_lag", estimator="stamped") == Measure()
    assert slot.counts["push_stamps_ahead"] == 1


def test_clocks_that_cannot_be_compared_give_lags_above_the_least() -> None:
    worker, hearing = Worker(is_absolute=False), Hearing()
    for number, late_s in enumerate((-40.0, -40.010, -39.9)):
        worker.hear(hearing, 1 + number, stamped(1 + number, late_s))
    slot = worker.slot(5)
    assert worker.measure(slot, "ws.push_lag", estimator="stamped") == Measure()
    relative = worker.measure(slot, "ws.push_lag", estimator="stamped_relative")
    assert (relative.ok, relative.latency_max_us) == (3, 110_000)


def test_each_broadcast_is_reported_with_all_its_arrivals_when_its_window_is_over() -> None:
    worker, one, two = Worker(), Hearing(), Hearing()
    worker.hear(one, 0.5)
    worker.hear(two, 0.5)
    worker.hear(one, 1.0, b"same")
    worker.hear(two, 1.1, b"same")
    assert worker.slot(10.9, is_end=False).broadcasts == []
    (broadcast,) = worker.slot(11.1, is_end=False).broadcasts
    late_us = array("I")
    late_us.frombytes(broadcast.late_us)
    assert (broadcast.first_ns, list(late_us)) == (S, [0, 100_000])


def test_history_that_a_late_socket_is_sent_is_not_late() -> None:
    worker, early, late = Worker(), Hearing(), Hearing()
    worker.hear(early, 0.5)
    for text in (b"first", b"second"):
        worker.hear(early, 1.0, text)
    for text in (b"first", b"second"):
        worker.hear(late, 6.0, text)
    assert [len(broadcast.late_us) // 4 for broadcast in worker.slot(30).broadcasts] == [1, 1]


def test_messages_that_no_two_sockets_share_are_soon_not_looked_at() -> None:
    worker, hearings = Worker(), [Hearing() for _ in range(10)]
    for number in range(PRIVATE_AFTER // 10 + 2):
        for who, hearing in enumerate(hearings):
            worker.hear(hearing, number / 100, b"%d of %d" % (number, who))
    assert len(worker.slot(60, is_end=False).broadcasts) >= PRIVATE_AFTER
    for hearing in hearings:
        worker.hear(hearing, 61.0, b"shared")
    assert worker.slot(90).broadcasts == []


def test_a_push_that_repeats_a_users_own_value_is_measured_from_its_send() -> None:
    worker = Worker(Push(n=1, echo="order"))
    worker.pushes.triggers.note(b"abc", START + 1 * S, START + 1 * S + 2 * MS)
    worker.hear(Hearing(), 1.030, b'{"order":"abc"}')
    worker.hear(Hearing(), 1.050, b'{"order":"of somebody else"}')
    lags = worker.measure(worker.slot(5), "ws.push_lag", estimator="triggered")
    assert (lags.ok, lags.latency_sum_us, lags.service_sum_us) == (1, 30_000, 28_000)


def test_triggers_are_forgotten_after_a_minute() -> None:
    triggers = Triggers()
    triggers.note(b"old", 1, 1)
    triggers.note(b"new", 50 * S, 50 * S)
    triggers.forget(65 * S)
    assert triggers.find(b"old") is None and triggers.find(b"new") == (50 * S, 50 * S)
