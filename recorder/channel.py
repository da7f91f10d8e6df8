"""Carries notices out of the proxy's process without ever holding up a hook.

A hook puts a notice and goes on; a background thread packs what has gathered and writes it to the pipe of the writer's
process. The queue is bounded in bytes: where the writer cannot keep up, notices are dropped and the loss is told in
their place. Knows neither mitmproxy nor the capture format.
"""

from __future__ import annotations

import os
import time
from queue import Empty, SimpleQueue
from threading import Thread

from recorder.notices import Kind, Notice, to_frame

QUEUE_LIMIT_BYTES = 128 << 20
BATCH_LIMIT_BYTES = 1 << 20
GATHER_S = 0.05
"""How long notices gather before they are packed: a thread that woke for each would compete with the proxy's own loop
for the interpreter at every message (``benchmarks/capture_relay.py``). A killed proxy loses at most this much more."""
NOTICE_OVERHEAD_BYTES = 200
"""What a notice is taken to weigh beside its data."""

_Queued = tuple[Notice, int] | None


class Channel:
    """The way from the hooks, which run in one thread, to the writer's pipe.

    Args:
        limit_bytes: bytes that may wait at most.
    """

    def __init__(self, *, limit_bytes: int = QUEUE_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._queue: SimpleQueue[_Queued] = SimpleQueue()
        # Subtle: each counter has one writing thread, so their difference needs no lock.
        self._put_bytes = 0
        self._sent_bytes = 0
        self._lost: dict[str, tuple[int, int]] = {}
        self._thread: Thread | None = None
        self.is_broken = False

    def put(self, kind: Kind, /, **fields: object) -> None:
        """Take a notice; never blocks. Drops it, and remembers that, where too much is waiting."""
        if self.is_broken:
            return
        data = fields.get("data")
        n_bytes = len(data) if isinstance(data, bytes) else 0
        weight = n_bytes + NOTICE_OVERHEAD_BYTES
        if self._put_bytes - self._sent_bytes + weight > self._limit_bytes:
            self._drop(str(fields.get("flow_id", "")), n_bytes)
            return
        if self._lost:
            self._tell_lost()
        self._append(kind, fields, weight)

    def start(self, write_fd: int) -> None:
        """Begin to send; when the pipe is gone, everything put from then on is forgotten (``is_broken``)."""
        self._thread = Thread(target=self._send_all, args=(write_fd,), name="rushhour-channel", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Send what is waiting and close the pipe; tell whether that was done in time."""
        if self._lost:
            self._tell_lost()
        self._queue.put(None)
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _append(self, kind: Kind, fields: dict[str, object], weight: int) -> None:
        self._put_bytes += weight
        self._queue.put(((int(kind), time.monotonic_ns(), time.time_ns(), fields), weight))

    def _drop(self, flow_id: str, n_bytes: int) -> None:
        n_notices, lost_bytes = self._lost.get(flow_id, (0, 0))
        self._lost[flow_id] = (n_notices + 1, lost_bytes + n_bytes)

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, {}
        for flow_id, (n_notices, n_bytes) in lost.items():
            fields: dict[str, object] = {"flow_id": flow_id, "n_notices": n_notices, "n_bytes": n_bytes}
            self._append(Kind.LOST, fields, NOTICE_OVERHEAD_BYTES)

    def _send_all(self, write_fd: int) -> None:
        try:
            while batch := self._next_batch():
                _write_all(write_fd, to_frame([notice for notice, _ in batch]))
                self._sent_bytes += sum(weight for _, weight in batch)
        except OSError:
            self.is_broken = True
        finally:
            os.close(write_fd)

    def _next_batch(self) -> list[tuple[Notice, int]]:
        """Wait for a notice and take what lies behind it; empty at the end."""
        batch: list[tuple[Notice, int]] = []
        waiting_bytes = 0
        queued = self._queue.get()
        if queued is not None and self._put_bytes - self._sent_bytes < BATCH_LIMIT_BYTES:
            time.sleep(GATHER_S)
        while queued is not None:
            batch.append(queued)
            waiting_bytes += queued[1]
            if waiting_bytes > BATCH_LIMIT_BYTES:
                return batch
            try:
                queued = self._queue.get_nowait()
            except Empty:
                return batch
        if batch:
            self._queue.put(None)
        return batch


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
