"""Workers as processes of this machine: spawned, connected by socket pairs, watched by their sentinels.

Theory of operation: one selector holds every worker's socket and sentinel and a pipe for ``wake``. All sockets are
non-blocking on our side; what a worker does not take stays in its own queue, so a stopped worker costs memory, never
time. A worker is reported as gone only after its socket was read to the end: the last messages of a worker that died
are not lost.

Subtle: spawning. A spawned child imports the parent's ``__main__`` again, which for a console script or pytest means
importing everything for nothing, and starts with the current directory on its path, where packages named like ours
may lie. Both are taken away while a child is launched. Signals that go to the whole process group (Ctrl-C, ``timeout``,
a closing terminal) stay blocked in workers: the controller alone decides what they mean.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import multiprocess
from multiprocess import resource_tracker

from captures.errors import ReplayError
from replayer.pool.executors.bootstrap import enter
from replayer.pool.executors.executor import Exited, Received, Report

if TYPE_CHECKING:
    from multiprocess.connection import Connection

WORKER_MAIN = "replayer.pool.worker:main"

_READ_BYTES = 1 << 18
_READS_PER_TURN = 8
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Worker:
    """One process, our end of its socket pair, and what it has not taken yet."""

    __slots__ = ("connection", "fd", "is_open", "process", "queue", "sentinel")

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process = process
        self.connection = connection
        self.fd = connection.fileno()
        self.sentinel: int = process.sentinel
        self.queue = bytearray()
        self.is_open = True


class LocalExecutor:
    """Runs ``worker_main`` (``module:function``, called with its end of a socket pair) in spawned processes."""

    def __init__(self, worker_main: str = WORKER_MAIN) -> None:
        self._worker_main = worker_main
        self._workers: dict[int, _Worker] = {}
        self._is_closed = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def launch(self, workers: Sequence[int]) -> None:
        """Start these workers, one process each; one that was started before is that worker."""
        context = multiprocess.get_context("spawn")
        with _clean_spawn():
            for number in workers:
                if number in self._workers:
                    continue
                ours, theirs = context.Pipe(duplex=True)
                process = context.Process(
                    target=enter,
                    args=(self._worker_main, theirs),
                    name=f"rushhour-worker-{number}",
                    daemon=True,
                )
                try:
                    process.start()
                except OSError as exc:
                    ours.close()
                    raise ReplayError(
                        f"worker {number} could not be started: {exc}",
                        "rushhour doctor",
                    ) from exc
                finally:
                    theirs.close()
                self._watch(number, _Worker(process, ours))

    def send(self, worker: int, frame: bytes) -> None:
        """Queue a frame and hand over what the socket takes."""
        target = self._workers.get(worker)
        if target is None or not target.is_open:
            return
        was_idle = not target.queue
        target.queue += frame
        if was_idle:
            self._flush(worker, target)

    def reports(self, timeout_s: float) -> list[Report]:
        """Return what happened, in the order of arrival per worker."""
        reports: list[Report] = []
        gone: list[int] = []
        for key, mask in self._selector.select(max(0.0, timeout_s)):
            if key.data is None:
                self._drain_wake()
                continue
            number: int = key.data
            target = self._workers[number]
            if key.fd == target.sentinel:
                gone.append(number)
                continue
            if mask & selectors.EVENT_WRITE:
                self._flush(number, target)
            if mask & selectors.EVENT_READ:
                reports += self._read(number, target, _READS_PER_TURN)
        for number in gone:
            reports += self._bury(number)
        return reports

    def wake(self) -> None:
        """Make ``reports`` return; a full pipe is as good as one byte."""
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return

    def kill(self, worker: int) -> None:
        """End a worker with SIGKILL, which also reaches a stopped process."""
        if worker in self._workers:
            self._workers[worker].process.kill()

    def close(self, grace_s: float) -> None:
        """Wait for the rest, kill what stays, free every descriptor; a second time, do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        deadline_s = time.monotonic() + grace_s
        for target in self._workers.values():
            target.process.join(max(0.0, deadline_s - time.monotonic()))
        for number in list(self._workers):
            self.kill(number)
            self._bury(number)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def pids(self) -> dict[int, int]:
        """Return the process ids of the workers that are left, by number."""
        return {number: target.process.pid for number, target in self._workers.items()}

    def _watch(self, number: int, target: _Worker) -> None:
        os.set_blocking(target.fd, False)
        self._workers[number] = target
        self._selector.register(target.fd, selectors.EVENT_READ, number)
        self._selector.register(target.sentinel, selectors.EVENT_READ, number)

    def _read(self, number: int, target: _Worker, n_reads: int | None) -> Iterator[Received]:
        """Read until the socket is empty, closed, or had its turn (``n_reads``; None: no limit)."""
        while target.is_open and n_reads != 0:
            try:
                data = os.read(target.fd, _READ_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self._shut(target)
                return
            yield Received(number, data)
            n_reads = n_reads - 1 if n_reads is not None else None

    def _flush(self, number: int, target: _Worker) -> None:
        try:
            while target.queue:
                n_written = os.write(target.fd, bytes(target.queue[:_READ_BYTES]))
                del target.queue[:n_written]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            target.queue.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if target.queue else 0)
        if self._selector.get_key(target.fd).events != wanted:
            self._selector.modify(target.fd, wanted, number)

    def _shut(self, target: _Worker) -> None:
        if target.is_open:
            target.is_open = False
            self._selector.unregister(target.fd)
            target.connection.close()

    def _bury(self, number: int) -> list[Report]:
        """Read a dead worker's last words, collect its exit code and forget it."""
        target = self._workers.pop(number)
        target.process.join()
        reports: list[Report] = list(self._read(number, target, None))
        self._shut(target)
        self._selector.unregister(target.sentinel)
        reports.append(Exited(number, target.process.exitcode))
        target.process.close()
        return reports

    def _drain_wake(self) -> None:
        try:
            while os.read(self._wake_read, 4096):
                pass
        except BlockingIOError:
            return


@contextmanager
def _clean_spawn() -> Iterator[None]:
    """Launch children that neither import our ``__main__`` nor look into the current directory; signals are blocked."""
    main, path, safe_path = sys.modules["__main__"], sys.path, os.environ.get("PYTHONSAFEPATH")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path = _path_of_worker(path)
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        resource_tracker.ensure_running()  # Subtle: it unblocks signals when it has started its own process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP_SIGNALS)
        yield
    finally:
        sys.modules["__main__"], sys.path = main, path
        if safe_path is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe_path
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _path_of_worker(path: Sequence[str]) -> list[str]:
    """Our module path without the current directory, unless that is where our own packages lie."""
    home = Path(__file__).resolve().parents[3]
    current = Path.cwd()
    kept = [entry for entry in path[:1] if entry and Path(entry).resolve() != current]
    kept += [entry for entry in path[1:] if entry]
    return [str(home), *kept] if home == current else kept
