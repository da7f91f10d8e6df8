"""One request over a wire, as a worker sends it: with deadlines, and an owner that notes what it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvloop

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.frames import MAX_MESSAGE_BYTES
from replayer.wire.heads import NO_HEAD, Head
from replayer.wire.kinds import WireKind
from replayer.wire.tally import Tally
from replayer.wire.wires import Wire, open_wire

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ENOUGH_S = 20.0
"""No test waits so long: what should have ended has not."""


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine as a worker would."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def target_at(port: int, *, scheme: str = "http", host: str = "localhost", via: int = -1) -> TargetSpec:
    """Return a target on 127.0.0.1."""
    return TargetSpec(scheme=scheme, host=host, port=port, addresses=("127.0.0.1",), via=via)


@dataclass(slots=True, kw_only=True)
class Wanted:
    """Implements ``replayer.wire.heads.Asked``."""

    is_head: bool = False
    keeps_body: bool = True
    good_head: Head = NO_HEAD


@dataclass(frozen=True)
class Outcome:
    """How a request ended: with an answer, or with a failure class."""

    failure: str = ""
    status: int = 0
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    keeps_alive: bool = False


@dataclass(slots=True)
class Asker:
    """Owns the connections of one user to one target; implements ``http1.Owner``."""

    wire: Wire
    target: TargetSpec
    user_number: int = 0
    told: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    waiting: tuple[bytes, float] | None = None

    def connection_opened(self, connection: Any) -> None:
        if self.waiting is None:
            self.told.put_nowait(("opened", connection))
        else:
            data, request_s = self.waiting  # As a user does: what waits is sent at once.
            self._send(connection, data, request_s)

    def response_received(self, connection: Any, end_ns: int) -> None:
        self.told.put_nowait(("response", connection))

    def request_failed(self, connection: Any, failure: str, end_ns: int) -> None:
        self.told.put_nowait(("failed", failure))

    def events_received(self, connection: Any, events: Any, end_ns: int) -> None:
        self.told.put_nowait(("events", events))

    def connection_closed(self, connection: Any) -> None:
        self.told.put_nowait(("closed", connection))

    async def next(self) -> tuple[str, Any]:
        """Return what is told next.

        Raises:
            TimeoutError: nothing was.
        """
        return await asyncio.wait_for(self.told.get(), ENOUGH_S)

    async def connected(self, *, connect_s: float = ENOUGH_S) -> tuple[str, Any]:
        """Return ("opened", connection) or ("failed", failure)."""
        attempt = self.wire.dial(self, self.target, lambda failure: self.told.put_nowait(("failed", failure)))
        asyncio.get_running_loop().call_later(connect_s, attempt.expire)
        return await self.next()

    async def asked(
        self, data: bytes = GET, *, connect_s: float = ENOUGH_S, request_s: float = ENOUGH_S, connection: Any = None
    ) -> Outcome:
        """Return the outcome of one request, on a connection of its own where none is given."""
        if connection is None:
            self.waiting = data, request_s
            kind, what = await self.connected(connect_s=connect_s)
        else:
            self._send(connection, data, request_s)
            kind, what = await self.next()
        if kind == "failed":
            return Outcome(failure=what)
        assert kind == "response", kind
        outcome = outcome_of(what)
        if connection is None:
            what.close()
        return outcome

    def _send(self, connection: Any, data: bytes, request_s: float) -> None:
        connection.send(data, Wanted(is_head=data.startswith(b"HEAD ")))
        asyncio.get_running_loop().call_later(request_s, _expire, connection)


def _expire(connection: Any) -> None:
    if connection.is_busy:
        connection.expire(time.monotonic_ns())


def outcome_of(connection: Any) -> Outcome:
    """Return what a connection received last."""
    head = connection.head
    return Outcome(
        status=head.status, body=connection.body, headers=tuple(head.headers), keeps_alive=connection.keeps_alive
    )


class AskingWire:
    """A wire that raises what went wrong in itself when it is left."""

    def __init__(self, kind: WireKind = WireKind.FAST, reach: Reach | None = None) -> None:
        self._errors: list[BaseException] = []
        self.counts: dict[str, int] = {}
        self.connections, self.sockets = Tally(), Tally()
        self._kind = kind
        self._reach = reach or Reach()
        self._wire: Wire

    async def __aenter__(self) -> AskingWire:
        self._wire = open_wire(
            self._kind,
            asyncio.get_running_loop(),
            self._reach,
            connections=self.connections,
            sockets=self.sockets,
            on_error=self._errors.append,
            count=self._count,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, tb: object) -> None:
        await self._wire.aclose()
        if exc is None and self._errors:
            raise self._errors[0]

    def asker(self, target: TargetSpec, *, user: int = 0) -> Asker:
        """Return the owner of one user's connections to a target."""
        return Asker(self._wire, target, user)

    @property
    def wire(self) -> Wire:
        """The wire itself."""
        return self._wire

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
