"""The controller as a state machine: told what arrived and what time it is, by an executor that only writes down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.slotcodec import slot_to_body
from analysis.slots import SecondSlot
from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.pool.controller import LEASE_NS, RENEWAL_NS, Controller, Ending, Patience, Phase
from replayer.pool.executors.executor import Exited, Received, Report
from replayer.pool.onloss import OnLoss
from replayer.pool.protocol import FrameBuffer, Kind, encode

START_NS = 1_000 * NS_PER_S


class Paper:
    """An executor that launches nobody and writes down what it was asked."""

    def __init__(self) -> None:
        self.launched: list[int] = []
        self.killed: list[int] = []
        self.said: list[tuple[int, Kind, Any]] = []

    def launch(self, workers: Sequence[int]) -> None:
        self.launched += workers

    def send(self, worker: int, frame: bytes) -> None:
        self.said += [(worker, kind, body) for kind, body in FrameBuffer().feed(frame)]

    def reports(self, timeout_s: float) -> list[Report]:
        return []

    def wake(self) -> None:
        pass

    def kill(self, worker: int) -> None:
        self.killed.append(worker)

    def close(self, grace_s: float) -> None:
        pass

    def told(self, kind: Kind) -> list[tuple[int, Any]]:
        return [(worker, body) for worker, said, body in self.said if said is kind]


class Play:
    """A controller with two workers, its executor, and a clock that the test turns."""

    def __init__(self, n_workers: int = 2, *, undone: str | None = None, on_loss: OnLoss = OnLoss.ABORT) -> None:
        self.paper = Paper()
        self.slots: list[SecondSlot] = []
        self.patience = Patience()
        self.now_ns = START_NS
        self.controller = Controller(
            self.paper, on_slot=self.slots.append, shortfall=lambda _: undone, patience=self.patience, on_loss=on_loss
        )
        self.controller.prepare([{"worker": number} for number in range(n_workers)], now_ns=self.now_ns)

    def hear(self, worker: int, kind: Kind, body: Any = None) -> None:
        self.controller.take(Received(worker, encode(kind, body)), now_ns=self.now_ns)

    def ready(self, worker: int, *warnings: str) -> None:
        self.hear(worker, Kind.READY, {"pid": 1, "warnings": list(warnings)})

    def run(self) -> Play:
        for worker in self.paper.launched:
            self.ready(worker)
        self.controller.go(now_ns=self.now_ns)
        return self

    def slot(self, worker: int, second: int) -> None:
        self.hear(worker, Kind.SLOT, slot_to_body(SecondSlot(worker=worker, second=second)))

    def exit(self, worker: int, exit_code: int = 0) -> None:
        self.controller.take(Exited(worker, exit_code), now_ns=self.now_ns)

    def is_over(self) -> bool:
        return self.controller.phase is Phase.OVER

    def wait(self, duration_ns: int) -> None:
        self.now_ns += duration_ns
        self.controller.tick(now_ns=self.now_ns)

    def watch(self, duration_ns: int, *, heard: Sequence[int] = ()) -> None:
        """Let time pass in steps that a live loop makes, hearing from some workers."""
        for step in range(duration_ns // (100 * NS_PER_MS)):
            for worker in heard:
                self.slot(worker, 1000 + step)
            self.wait(100 * NS_PER_MS)


def test_everybody_gets_an_assignment_and_nobody_starts_before_all_are_ready() -> None:
    play = Play()
    assert play.paper.launched == [0, 1]
    assert play.paper.told(Kind.ASSIGN) == [(0, {"worker": 0}), (1, {"worker": 1})]
    play.ready(0)
    play.controller.go(now_ns=play.now_ns)
    assert play.controller.phase is Phase.PREPARING
    assert play.paper.told(Kind.GO) == []


def test_go_carries_one_instant_ahead_and_comes_after_a_lease() -> None:
    play = Play().run()
    t0_ns = START_NS + play.patience.lead_ns
    assert play.paper.told(Kind.GO) == [(0, {"t0_ns": t0_ns}), (1, {"t0_ns": t0_ns})]
    kinds = [kind for worker, kind, _ in play.paper.said if worker == 0]
    assert kinds == [Kind.ASSIGN, Kind.LEASE, Kind.GO]


def test_go_is_given_once() -> None:
    play = Play().run()
    play.controller.go(now_ns=play.now_ns)
    assert len(play.paper.told(Kind.GO)) == 2


def test_leases_are_renewed_while_it_runs_and_while_it_drains() -> None:
    play = Play().run()
    play.watch(2 * RENEWAL_NS, heard=[0, 1])
    running = len(play.paper.told(Kind.LEASE))
    assert running == 2 * 3
    play.controller.interrupt(now_ns=play.now_ns)
    play.watch(2 * RENEWAL_NS, heard=[0, 1])
    assert len(play.paper.told(Kind.LEASE)) == running + 2 * 2
    _, last = play.paper.told(Kind.LEASE)[-1]
    assert last["until_ns"] == play.now_ns + LEASE_NS


def test_the_run_is_over_when_all_are_done() -> None:
    play = Play().run()
    play.hear(0, Kind.DONE, {})
    assert not play.is_over()
    play.exit(0)
    play.hear(1, Kind.DONE, {})
    assert play.is_over()
    assert play.controller.ending is Ending.FINISHED
    assert play.controller.lost == ()


def test_a_slot_counts_once_and_only_for_its_own_worker() -> None:
    play = Play().run()
    for _ in range(3):
        play.slot(0, 0)
    play.slot(0, 1)
    play.slot(1, 0)
    play.hear(0, Kind.SLOT, slot_to_body(SecondSlot(worker=1, second=1)))
    assert [(slot.worker, slot.second) for slot in play.slots] == [(0, 0), (0, 1), (1, 0)]


@given(cuts=st.lists(st.integers(0, 400), max_size=12))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    play = Play(n_workers=1).run()
    frames = [encode(Kind.SLOT, slot_to_body(SecondSlot(worker=0, second=second))) for second in range(5)]
    stream = b"".join(frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for first, end in zip(edges, edges[1:], strict=False):
        play.controller.take(Received(0, stream[first:end]), now_ns=play.now_ns)
    assert [slot.second for slot in play.slots] == [0, 1, 2, 3, 4]


def test_a_dead_worker_is_lost_the_rest_is_drained_and_nobody_is_started_again() -> None:
    play = Play().run()
    play.exit(1, -9)
    assert play.controller.ending is Ending.LOST
    assert play.controller.lost == (1,)
    assert [worker for worker, _ in play.paper.told(Kind.STOP)] == [0]
    play.hear(0, Kind.DONE, {})
    assert play.is_over()
    assert play.paper.launched == [0, 1]
    assert play.controller.notes == ["worker 1 was killed by signal 9"]


def test_a_silent_worker_is_killed_and_lost_but_only_after_its_lease() -> None:
    play = Play().run()
    play.watch(LEASE_NS, heard=[1])
    assert play.paper.killed == []
    play.watch(play.patience.silence_ns, heard=[1])
    assert play.paper.killed == [0]
    assert play.controller.lost == (0,)
    assert play.patience.silence_ns >= LEASE_NS


def test_our_own_pause_is_not_the_workers_silence() -> None:
    play = Play().run()
    play.wait(10 * play.patience.silence_ns)
    assert play.controller.lost == ()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.READY, {"pid": 1, "warnings": []}),
        (Kind.SLOT, "no slot"),
        (Kind.ASSIGN, {}),
        (Kind.FAILED, {"text": "descriptors are exhausted"}),
    ],
)
def test_a_worker_that_says_what_it_may_not_say_is_lost(kind: Kind, body: Any) -> None:
    play = Play().run()
    play.hear(0, kind, body)
    assert play.controller.lost == (0,)
    assert play.paper.killed == [0]


def test_a_worker_that_is_late_to_be_ready_ends_it_before_it_starts() -> None:
    play = Play()
    play.ready(0)
    play.watch(play.patience.ready_ns)
    assert play.controller.ending is Ending.LOST
    assert play.paper.told(Kind.GO) == []
    assert [worker for worker, _ in play.paper.told(Kind.ABORT)] == [0]
    play.exit(0)
    play.exit(1, -9)
    assert play.is_over()
    assert play.controller.lost == (1,)


def test_the_first_interrupt_drains_and_the_second_aborts() -> None:
    play = Play().run()
    play.controller.interrupt(now_ns=play.now_ns)
    assert play.paper.told(Kind.STOP)[0][1] == {"drain_until_ns": play.now_ns + play.patience.drain_ns}
    assert play.paper.told(Kind.ABORT) == []
    play.controller.interrupt(now_ns=play.now_ns)
    assert len(play.paper.told(Kind.ABORT)) == 2
    play.hear(0, Kind.DONE, {})
    play.wait(play.patience.abort_ns)
    assert play.paper.killed == [1]
    play.exit(1, -9)
    assert play.is_over()
    assert play.controller.ending is Ending.INTERRUPTED
    assert play.controller.lost == ()
    assert play.patience.abort_ns < NS_PER_S


def test_an_interrupt_before_the_start_needs_no_drain() -> None:
    play = Play()
    play.controller.interrupt(now_ns=play.now_ns)
    assert play.paper.told(Kind.STOP) == []
    assert len(play.paper.told(Kind.ABORT)) == 2


def test_a_drain_that_overruns_is_aborted() -> None:
    play = Play().run()
    play.controller.interrupt(now_ns=play.now_ns)
    play.watch(play.patience.drain_ns, heard=[0, 1])
    assert play.paper.told(Kind.ABORT) == []
    play.watch(play.patience.grace_ns, heard=[0, 1])
    assert len(play.paper.told(Kind.ABORT)) == 2


def test_an_interrupt_while_a_lost_worker_is_mourned_still_counts_as_the_first() -> None:
    play = Play().run()
    play.exit(0, 1)
    play.controller.interrupt(now_ns=play.now_ns)
    assert play.paper.told(Kind.ABORT) == []
    assert play.controller.ending is Ending.INTERRUPTED
    assert play.controller.lost == (0,)


def test_a_worker_that_is_done_before_its_users_is_lost() -> None:
    play = Play(undone="3 of its 5 users had not ended").run()
    play.hear(0, Kind.DONE, {})
    assert play.controller.lost == (0,)
    assert play.controller.notes == ["worker 0 stopped early: 3 of its 5 users had not ended"]
    play.hear(1, Kind.DONE, {})
    assert play.controller.lost == (0,), "the others were told to stop"


def test_a_broken_threshold_drains_a_running_run() -> None:
    play = Play().run()
    play.controller.break_off("http errors < 5% is broken", now_ns=play.now_ns)
    assert len(play.paper.told(Kind.STOP)) == 2
    assert play.controller.ending is Ending.ABORTED
    assert play.controller.notes == ["http errors < 5% is broken"]


def test_warnings_of_workers_are_kept_for_people() -> None:
    play = Play()
    play.ready(1, "few descriptors")
    assert play.controller.notes == ["worker 1: few descriptors"]


def test_no_workers_is_refused() -> None:
    with pytest.raises(ConfigError, match="no workers"):
        Controller(Paper(), on_slot=print).prepare([], now_ns=0)


def test_with_continue_the_others_play_on_when_a_worker_is_lost() -> None:
    play = Play(on_loss=OnLoss.CONTINUE).run()
    play.exit(0, -9)
    assert play.paper.told(Kind.STOP) == []
    assert play.controller.lost == (0,)
    play.slot(1, 3)
    play.hear(1, Kind.DONE, {})
    assert play.is_over()
    assert play.controller.ending is Ending.LOST, "such a run cannot pass"
