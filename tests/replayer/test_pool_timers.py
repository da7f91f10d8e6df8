"""The timers of a worker on a real loop: order, never early, a turn for everybody."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from captures.units import NS_PER_MS
from replayer.pool import timers as timers_module
from replayer.pool.alarm import Alarm, DescriptorAlarm, LoopAlarm
from replayer.pool.timers import FEW_CALLS, GRID_NS, TOGETHER, Timers

MakeAlarm = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm]
KINDS = [
    pytest.param(DescriptorAlarm, marks=pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")),
    LoopAlarm,
]


def on_loop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work, 20))


def spin(us: int) -> None:
    until_ns = time.monotonic_ns() + us * 1000
    while time.monotonic_ns() < until_ns:
        pass


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MakeAlarm:
    monkeypatch.setattr(timers_module, "open_alarm", request.param)
    make: MakeAlarm = request.param
    return make


def test_calls_come_in_order_of_their_due_times_and_never_early(kind: MakeAlarm) -> None:
    async def work() -> None:
        timers, done = Timers(asyncio.get_running_loop()), asyncio.Event()
        called: list[tuple[int, int, int]] = []

        def call(number: int, due_ns: int) -> None:
            called.append((due_ns, number, time.monotonic_ns()))
            if len(called) == 200:
                done.set()

        start_ns = time.monotonic_ns()
        dues = [start_ns + number * 7919 % 200 * NS_PER_MS // 7 for number in range(200)]
        for number, due_ns in enumerate(dues):
            timers.call_at(due_ns, call, number)
        await done.wait()
        assert called == sorted(called)
        assert all(at_ns >= due_ns for due_ns, _, at_ns in called)
        assert {number for _, number, _ in called} == set(range(200))
        timers.close()

    on_loop(work())


def test_call_may_set_calls_that_are_due_or_overdue(kind: MakeAlarm) -> None:
    async def work() -> None:
        timers, done = Timers(asyncio.get_running_loop()), asyncio.Event()
        told: list[str] = []

        def first(_argument: None, due_ns: int) -> None:
            told.append("first")
            timers.call_at(due_ns - 50 * NS_PER_MS, second, None)

        def second(_argument: None, _due_ns: int) -> None:
            told.append("second")
            timers.call_at(time.monotonic_ns(), third, None)

        def third(_argument: None, _due_ns: int) -> None:
            told.append("third")
            done.set()

        timers.call_at(time.monotonic_ns() + 2 * NS_PER_MS, first, None)
        timers.call_at(time.monotonic_ns() + 3600 * 1000 * NS_PER_MS, first, None)
        await done.wait()
        assert told == ["first", "second", "third"]
        timers.close()

    on_loop(work())


class Noted:
    """An alarm that a test lets go off, and a clock that it sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10 * GRID_NS
        self.due_ns = 0
        self.wake: Callable[[], None]
        monkeypatch.setattr(timers_module, "open_alarm", self._open)
        monkeypatch.setattr(timers_module, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns))

    def _open(self, _loop: object, wake: Callable[[], None]) -> Noted:
        self.wake = wake
        return self

    def set(self, due_ns: int) -> None:
        self.due_ns = due_ns

    def unset(self) -> None:
        self.due_ns = 0

    def close(self) -> None:
        pass

    def go_off(self) -> None:
        self.now_ns = self.due_ns
        self.wake()


def noted_timers(monkeypatch: pytest.MonkeyPatch) -> tuple[Timers, Noted]:
    alarm = Noted(monkeypatch)
    return Timers(None), alarm  # type: ignore[arg-type]  # it asks only the alarm


def test_few_calls_do_not_wait_for_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarm = noted_timers(monkeypatch)
    called: list[str] = []
    start_ns = alarm.now_ns
    timers.call_at(start_ns + 300_000, lambda name, _due_ns: called.append(name), "first")
    timers.call_at(start_ns + 400_000, lambda name, _due_ns: called.append(name), "second")
    timers.call_at(start_ns + GRID_NS + 1, lambda name, _due_ns: called.append(name), "third")
    assert alarm.due_ns == start_ns + 300_000
    alarm.go_off()
    assert called == ["first"] and alarm.due_ns == start_ns + 400_000
    alarm.go_off()
    assert called == ["first", "second"] and alarm.due_ns == start_ns + GRID_NS + 1
    alarm.go_off()
    assert called == ["first", "second", "third"] and not alarm.due_ns


def test_few_calls_that_are_close_are_called_together_when_the_last_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarm = noted_timers(monkeypatch)
    called: list[int] = []
    start_ns = alarm.now_ns + GRID_NS
    timers.call_at(alarm.now_ns + 1, lambda _argument, _due_ns: None, None)  # While it waits the others are set.
    for number in range(FEW_CALLS):
        timers.call_at(start_ns + 1 + number * 1000, lambda number, _due_ns: called.append(number), number)
    alarm.go_off()
    assert alarm.due_ns == start_ns + 1 + (FEW_CALLS - 1) * 1000 and not called
    alarm.go_off()
    assert called == list(range(FEW_CALLS))


def test_calls_that_set_each_other_at_the_same_time_need_no_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that begins at one instant: each arrival sets its first step and the next arrival."""
    timers, alarm = noted_timers(monkeypatch)
    called: list[int] = []

    def arrive(number: int, due_ns: int) -> None:
        called.append(number)
        if number < 50:
            timers.call_at(due_ns, arrive, number + 1)

    timers.call_at(alarm.now_ns + 1, arrive, 0)
    timers.call_at(alarm.now_ns + 2, lambda _argument, _due_ns: None, None)  # Not due with it, at the same point.
    alarm.go_off()
    assert called == list(range(51)) and alarm.due_ns == alarm.now_ns + 1


def test_many_calls_wait_for_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarm = noted_timers(monkeypatch)
    called: list[int] = []
    timers.call_at(alarm.now_ns + 1, lambda _argument, _due_ns: None, None)
    for number in range(FEW_CALLS + 1):
        timers.call_at(alarm.now_ns + GRID_NS + 1 + number, lambda number, _due_ns: called.append(number), number)
    point_ns = alarm.now_ns + 2 * GRID_NS
    alarm.go_off()
    assert alarm.due_ns == point_ns and not called
    alarm.go_off()
    assert called == list(range(FEW_CALLS + 1))


def test_earlier_call_set_later_is_not_kept_waiting(kind: MakeAlarm) -> None:
    async def work() -> None:
        timers, done = Timers(asyncio.get_running_loop()), asyncio.Event()
        timers.call_at(time.monotonic_ns() + 3600 * 1000 * NS_PER_MS, lambda _argument, _due_ns: None, None)
        timers.call_at(time.monotonic_ns() + 5 * NS_PER_MS, lambda _argument, _due_ns: done.set(), None)
        await done.wait()
        timers.close()

    on_loop(work())


@pytest.mark.parametrize(
    ("n_calls", "n_together"),
    [
        (3, [3]),
        # No second word where the last few are just as many as are called together.
        (TOGETHER, [TOGETHER]),
        (2 * TOGETHER + 1, [TOGETHER, TOGETHER, 1]),
    ],
)
def test_few_calls_together_are_followed_by_one_word(kind: MakeAlarm, n_calls: int, n_together: list[int]) -> None:
    async def work() -> None:
        told: list[int] = []
        words: list[list[int]] = []
        over = asyncio.Event()

        def after() -> None:
            words.append(told.copy())
            told.clear()
            if sum(map(len, words)) == n_calls:
                over.set()

        timers = Timers(asyncio.get_running_loop(), after)
        due_ns = (time.monotonic_ns() // GRID_NS + 10) * GRID_NS
        for number in range(n_calls):
            timers.call_at(due_ns, lambda number, _due_ns: told.append(number), number)
        await over.wait()
        await asyncio.sleep(0)
        assert [number for word in words for number in word] == list(range(n_calls))
        assert [len(word) for word in words] == n_together
        timers.close()

    on_loop(work())


def test_crowd_that_is_due_at_once_leaves_the_loop_its_turns(kind: MakeAlarm) -> None:
    async def work() -> None:
        timers, loop = Timers(asyncio.get_running_loop()), asyncio.get_running_loop()
        n_left, n_turns, begun, turned = 2_000, 0, asyncio.Event(), loop.create_future()

        def call(_argument: None, _due_ns: int) -> None:
            nonlocal n_left
            n_left -= 1
            begun.set()
            spin(20)

        due_ns = time.monotonic_ns() + NS_PER_MS
        for _ in range(n_left):
            timers.call_at(due_ns, call, None)
        await begun.wait()

        def turn() -> None:
            nonlocal n_turns
            n_turns += 1
            if n_left:
                loop.call_soon(turn)
            else:
                turned.set_result(None)

        loop.call_soon(turn)
        await turned
        assert n_turns > 8  # 40 ms of calls; at first a turn for each millisecond of them.
        timers.close()

    on_loop(work())


def test_busy_sockets_do_not_starve_calls_that_are_late(kind: MakeAlarm) -> None:
    """A worker with more sockets than it can serve must still begin its users, and end them."""

    async def work() -> None:
        timers, loop = Timers(asyncio.get_running_loop()), asyncio.get_running_loop()
        n_left, n_turns, over = 2_000, 0, loop.create_future()

        def call(_argument: None, _due_ns: int) -> None:
            nonlocal n_left
            n_left -= 1
            spin(50)

        def serve() -> None:
            nonlocal n_turns
            n_turns += 1
            spin(20_000)
            if n_left:
                loop.call_soon(serve)
            else:
                over.set_result(None)

        for _ in range(n_left):
            timers.call_at(time.monotonic_ns(), call, None)
        loop.call_soon(serve)
        await over
        assert n_turns < 50  # 100 ms of calls; with a millisecond at each turn there would be a hundred.
        timers.close()

    on_loop(work())


def test_closed_timers_call_nothing(kind: MakeAlarm) -> None:
    async def work() -> None:
        timers, called = Timers(asyncio.get_running_loop()), []
        timers.call_at(time.monotonic_ns(), lambda _argument, due_ns: called.append(due_ns), None)
        timers.close()
        timers.close()
        await asyncio.sleep(0.02)
        assert not called

    on_loop(work())


def test_alarm_goes_off_once_for_the_last_time_it_was_set(kind: MakeAlarm) -> None:
    async def work() -> None:
        rung: list[int] = []

        def ring() -> None:
            rung.append(time.monotonic_ns())
            alarm.unset()

        alarm = kind(asyncio.get_running_loop(), ring)
        start_ns = time.monotonic_ns()
        alarm.set(start_ns + 3600 * 1000 * NS_PER_MS)
        alarm.set(start_ns + 5 * NS_PER_MS)
        await asyncio.sleep(0.05)
        assert len(rung) == 1 and rung[0] >= start_ns + 5 * NS_PER_MS
        alarm.set(time.monotonic_ns() + 5 * NS_PER_MS)
        alarm.unset()
        await asyncio.sleep(0.02)
        assert len(rung) == 1
        alarm.close()

    on_loop(work())
