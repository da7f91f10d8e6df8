"""What every executor must do, whatever runs its workers: a subclass names the executor and gets all tests.

An executor launches workers by number, once each, and carries bytes. It decides nothing, restarts nobody, and is never
held up by one worker.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from replayer.pool.executors.executor import Executor, Exited, Received

GIVEN_UP_S = 30.0


class Observer:
    """An executor and everything it reported."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.data: defaultdict[int, bytes] = defaultdict(bytes)
        self.exits: list[tuple[int, int]] = []
        self.after_exit: list[int] = []

    def turn(self, timeout_s: float = 0.1) -> None:
        for report in self.executor.reports(timeout_s):
            match report:
                case Received(worker=worker, data=data):
                    self.data[worker] += data
                    if worker in dict(self.exits):
                        self.after_exit.append(worker)
                case Exited(worker=worker, exit_code=code):
                    self.exits.append((worker, code))

    def until(self, *, length: dict[int, int] | None = None, exits: int = 0) -> None:
        """Turn until so many bytes have come from workers, or so many workers are gone."""
        deadline_s = time.monotonic() + GIVEN_UP_S
        while any(len(self.data[n]) < wanted for n, wanted in (length or {}).items()) or len(self.exits) < exits:
            assert time.monotonic() < deadline_s, (dict(self.data), self.exits)
            self.turn()

    def pid(self, worker: int) -> int:
        """The process id that a worker of ``tests.executor_workers`` says first."""
        deadline_s = time.monotonic() + GIVEN_UP_S
        while b"\n" not in self.data[worker]:
            assert time.monotonic() < deadline_s
            self.turn()
        return int(self.data[worker].partition(b"\n")[0])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def await_end(pid: int) -> None:
    deadline_s = time.monotonic() + GIVEN_UP_S
    while is_alive(pid):
        assert time.monotonic() < deadline_s, f"process {pid} is left"
        time.sleep(0.01)


class ExecutorContract:
    """The contract; ``make`` returns an executor whose workers run ``module:function``."""

    def make(self, worker_main: str) -> Executor:
        raise NotImplementedError

    @pytest.fixture
    def observe(self) -> Iterator[ObserverFactory]:
        factory = ObserverFactory(self)
        yield factory
        for observer in factory.observers:
            observer.executor.close(0)

    def test_bytes_go_both_ways_in_order_and_whole(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch([0, 1])
        frames = [os.urandom(200_000) for _ in range(5)]
        for frame in frames:
            observer.executor.send(0, frame)
        observer.executor.send(1, b"to the second")
        heads = {worker: len(b"%d\n" % observer.pid(worker)) for worker in (0, 1)}
        observer.until(length={0: heads[0] + 1_000_000, 1: heads[1] + 13})
        assert observer.data[0][heads[0] :] == b"".join(frames)
        assert observer.data[1][heads[1] :] == b"to the second"

    def test_every_worker_is_launched_once_and_has_a_process_of_its_own(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch(range(3))
        pids = {observer.pid(worker) for worker in range(3)}
        assert len(pids) == 3
        assert os.getpid() not in pids

    def test_the_last_words_of_a_worker_come_before_its_exit(self, observe: ObserverFactory) -> None:
        observer = observe("speaks_and_dies")
        observer.executor.launch([4])
        observer.until(exits=1)
        assert len(observer.data[4]) == 3_000_000
        assert observer.exits == [(4, 3)]

    def test_a_killed_worker_is_reported_within_a_second_and_never_started_again(
        self, observe: ObserverFactory
    ) -> None:
        observer = observe("echo")
        observer.executor.launch([0, 1])
        victim, other = observer.pid(0), observer.pid(1)
        killed_s = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        observer.until(exits=1)
        assert time.monotonic() - killed_s < 1.0, "the controller must know at once"
        assert observer.exits == [(0, -signal.SIGKILL)]
        for _ in range(5):
            observer.turn(0.02)
        assert observer.exits == [(0, -signal.SIGKILL)]
        assert observer.after_exit == []
        assert is_alive(other)

    def test_bytes_for_a_worker_that_is_gone_are_dropped(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch([0])
        os.kill(observer.pid(0), signal.SIGKILL)
        observer.executor.send(0, b"x" * 1_000_000)
        observer.until(exits=1)
        observer.executor.send(0, b"more")
        observer.executor.kill(0)

    def test_kill_ends_a_stopped_worker_too(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch([0])
        pid = observer.pid(0)
        os.kill(pid, signal.SIGSTOP)
        observer.executor.kill(0)
        observer.until(exits=1)
        await_end(pid)

    def test_a_worker_that_never_reads_holds_nobody_up(self, observe: ObserverFactory) -> None:
        deaf, quick = observe("is_deaf"), observe("echo")
        deaf.executor.launch([0])
        quick.executor.launch([0])
        deaf.pid(0)
        quick.pid(0)
        frame = bytes(1_000_000)
        for _ in range(8):
            deaf.executor.send(0, frame)
        assert deaf.executor.reports(0.0) == []
        deaf.executor.kill(0)
        deaf.until(exits=1)

    def test_wake_makes_a_waiting_look_return(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch([0])
        observer.pid(0)
        signal.signal(signal.SIGALRM, lambda _number, _frame: observer.executor.wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert observer.executor.reports(GIVEN_UP_S) == []
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def test_signals_to_the_group_are_left_to_the_controller(self, observe: ObserverFactory) -> None:
        observer = observe("echo")
        observer.executor.launch([0])
        pid = observer.pid(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        observer.executor.send(0, b"still there")
        observer.until(length={0: len(b"%d\n" % pid) + 11})
        assert observer.exits == []

    def test_close_leaves_nobody_behind(self, observe: ObserverFactory) -> None:
        observer = observe("is_deaf")
        observer.executor.launch([0, 1])
        pids = [observer.pid(0), observer.pid(1)]
        os.kill(pids[1], signal.SIGSTOP)
        observer.executor.close(0)
        observe.observers.clear()
        for pid in pids:
            await_end(pid)


class ObserverFactory:
    """Makes observed executors; the fixture closes them."""

    def __init__(self, contract: ExecutorContract) -> None:
        self._contract = contract
        self.observers: list[Observer] = []

    def __call__(self, worker: str) -> Observer:
        observer = Observer(self._contract.make(f"tests.executor_workers:{worker}"))
        self.observers.append(observer)
        return observer
