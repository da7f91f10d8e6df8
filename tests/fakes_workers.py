"""Workers that misbehave on request: real processes that speak the real protocol over the real socket pair.

The assignment's body is a dict with ``worker``, ``mode`` and ``log`` (a file that gets one line per thing that
happened); a fake second lasts ``SECOND_S``.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.slotcodec import slot_to_body
from analysis.slots import SecondSlot
from replayer.pool.protocol import FrameBuffer, Kind, encode

if TYPE_CHECKING:
    from multiprocess.connection import Connection

SECOND_S = 0.05
N_SECONDS = 6


class _Fake:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.fd = connection.fileno()
        self.frames = FrameBuffer()
        self.body: dict[str, Any] = {}
        self.lease_ns = 0
        self.log_path = Path(os.devnull)

    def log(self, line: str) -> None:
        with self.log_path.open("a") as log:
            log.write(f"{line}\n")

    def say(self, kind: Kind, body: Any = None) -> None:
        data = encode(kind, body)
        while data:
            data = data[os.write(self.fd, data) :]

    def hear(self, timeout_s: float) -> list[tuple[Kind, Any]]:
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return []
        data = os.read(self.fd, 1 << 16)
        if not data:
            self.end("controller is gone")
        return self.frames.feed(data)

    def end(self, why: str) -> None:
        self.log(f"end {why}")
        sys.exit(0)

    def run(self) -> None:
        while not self.body:
            for kind, body in self.hear(10):
                assert kind is Kind.ASSIGN
                self.body = body
        self.log_path = Path(self.body["log"])
        self.log(
            f"path {os.getcwd() in sys.path} main {sys.modules['__main__'].__name__} click {'click' in sys.modules}"
        )
        getattr(self, self.body["mode"])()

    # Modes: each is a whole life after ASSIGN.

    def plays(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": ["few descriptors"]})
        self._play(N_SECONDS)

    def plays_on(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._play(1 << 30)

    def repeats_itself(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._play(N_SECONDS, copies=3)

    def fails_to_prepare(self) -> None:
        self.say(Kind.FAILED, {"text": "too few descriptors"})

    def never_gets_ready(self) -> None:
        time.sleep(60)

    def is_ready_twice(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._play(N_SECONDS)

    def talks_nonsense(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._await_go()
        os.write(self.fd, b"\0\0\0\1\xc1")
        time.sleep(60)

    def fails_while_running(self) -> None:
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._await_go()
        self.say(Kind.FAILED, {"text": "descriptors are exhausted"})

    def ignores_everything(self) -> None:
        """Plays on whatever it is told, and never reads again after GO."""
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._await_go()
        for second in range(1 << 30):
            time.sleep(SECOND_S)
            self._say_slot(second)

    def reads_late(self) -> None:
        """Reads nothing for a while after GO, then finds everything in the pipe."""
        self.say(Kind.READY, {"pid": os.getpid(), "warnings": []})
        self._await_go()
        for second in range(N_SECONDS):
            time.sleep(SECOND_S)
            self._say_slot(second)
        self.say(Kind.DONE, {})

    def _await_go(self) -> list[tuple[Kind, Any]]:
        while True:
            messages = self.hear(10)
            for position, (kind, body) in enumerate(messages):
                if kind is Kind.GO:
                    self.log(f"go {body['t0_ns']}")
                    return messages[position + 1 :]
                self._obey(kind, body)

    def _play(self, n_seconds: int, copies: int = 1) -> None:
        for kind, body in self._await_go():
            self._obey(kind, body)
        for second in range(n_seconds):
            until_s = time.monotonic() + SECOND_S
            while (left_s := until_s - time.monotonic()) > 0:
                for kind, body in self.hear(left_s):
                    self._obey(kind, body)
            if time.monotonic_ns() > self.lease_ns:
                self.end("lease ran out")
            self.log(f"send {time.monotonic_ns()}")
            for _ in range(copies):
                self._say_slot(second)
        self.say(Kind.DONE, {})

    def _say_slot(self, second: int) -> None:
        slot = SecondSlot(worker=self.body["worker"], second=second, counts={"users_started": 1})
        self.say(Kind.SLOT, slot_to_body(slot))

    def _obey(self, kind: Kind, body: Any) -> None:
        match kind:
            case Kind.LEASE:
                self.lease_ns = body["until_ns"]
            case Kind.STOP:
                self.say(Kind.DONE, {})
                self.end("stop")
            case Kind.ABORT:
                self.end("abort")
            case _:
                self.log(f"unexpected {kind.name}")


def main(connection: Connection) -> None:
    """Be the worker that the assignment asks for."""
    _Fake(connection).run()


def dies_at_birth(connection: Connection) -> None:
    """End before the first word."""
    sys.exit(7)
