"""Carries notices out of the proxy's process without ever holding up a hook.

A hook packs its notice and goes on; a background thread hands what has gathered to the pipe of the writer's process.
The queue is bounded in bytes: where the writer cannot keep up, notices are dropped and the loss is told in their place.
Knows neither mitmproxy nor the capture format.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread

from recorder.notices import Kind, NoticePacker, frame_head

QUEUE_LIMIT_BYTES = 128 << 20
BATCH_LIMIT_BYTES = 1 << 20
GATHER_S = 0.1
"""How long notices gather before they are handed on: a thread that woke for each would compete with the proxy's own
loop for the interpreter at every message, and so would one that packed them all at once: a message that came then would
wait for it. Handing on is one system call, outside of the interpreter (``benchmarks/capture_relay.py``). A killed proxy
loses at most this much more."""
_VECTOR_LIMIT = min(1024, os.sysconf("SC_IOV_MAX"))
NOTICE_OVERHEAD_BYTES = 200
"""What a notice is taken to weigh beside its data."""

_Queued = tuple[bytes, int] | None


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
        self._packer = NoticePacker()
        self._closing = Event()
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
        self._closing.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _append(self, kind: Kind, fields: dict[str, object], weight: int) -> None:
        notice = self._packer.pack((int(kind), time.monotonic_ns(), time.time_ns(), fields))
        self._put_bytes += weight
        self._queue.put((notice, weight))

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
                packed, weights = zip(*batch, strict=True)
                _write_all(write_fd, (frame_head(packed), *packed))
                self._sent_bytes += sum(weights)
        except OSError:
            self.is_broken = True
        finally:
            os.close(write_fd)

    def _next_batch(self) -> list[tuple[bytes, int]]:
        """Wait for a notice and take what lies behind it; empty at the end."""
        batch: list[tuple[bytes, int]] = []
        waiting_bytes = 0
        queued = self._queue.get()
        if queued is not None and self._put_bytes - self._sent_bytes < BATCH_LIMIT_BYTES:
            self._closing.wait(GATHER_S)
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


def _write_all(fd: int, parts: Sequence[bytes]) -> None:
    """Write parts without joining them: neither copy nor system call holds the interpreter's lock."""
    for first in range(0, len(parts), _VECTOR_LIMIT):
        vector = [memoryview(part) for part in parts[first : first + _VECTOR_LIMIT]]
        while vector:
            n_bytes = os.writev(fd, vector)
            while vector and n_bytes >= len(vector[0]):
                n_bytes -= len(vector.pop(0))
            if n_bytes:
                vector[0] = vector[0][n_bytes:]
