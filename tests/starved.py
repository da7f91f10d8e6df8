"""``rushhour`` with workers whose loop stands still on purpose: ``python -m tests.starved EVERY HELD ARGUMENT …``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import replayer.replay
import rushhour
from replayer.pool import worker

if TYPE_CHECKING:
    from multiprocess.connection import Connection

_HELD = "RUSHHOUR_TEST_HELD"


def main(pipe: Connection) -> None:
    """Be a worker whose loop stands still for ``held`` of every ``every`` ms, once it has begun to play."""
    every_s, held_s = (float(text) / 1000 for text in os.environ[_HELD].split())
    begin = worker.Worker._begin

    def hold(loop: asyncio.AbstractEventLoop) -> None:
        until_s = time.monotonic() + held_s
        while time.monotonic() < until_s:
            pass
        loop.call_later(max(0.0, every_s - held_s), hold, loop)

    def begin_held(self: worker.Worker, t0_ns: int) -> None:
        begin(self, t0_ns)
        loop = asyncio.get_running_loop()
        loop.call_later(every_s, hold, loop)

    worker.Worker._begin = begin_held  # type: ignore[method-assign]
    worker.main(pipe)


if __name__ == "__main__":
    os.environ[_HELD] = " ".join(sys.argv[1:3])
    replayer.replay.replay = partial(replayer.replay.replay, worker_main="tests.starved:main")
    sys.argv[1:3] = []
    rushhour.main()
