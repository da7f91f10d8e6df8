"""One connection before the run, through the dialer of the run itself: does the target let us in, and on what terms?

TCP, proxy and TLS are gone through; nothing is asked over the connection, so that the target's own count of requests
stays ours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import uvloop

from captures.units import NS_PER_S
from replayer.reach import Offers, Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """How a target received us.

    Attributes:
        failure: class of the taxonomy, "" where the connection stood.
        alpn: what the target chose of ``h2`` and ``http/1.1``; "" for nothing.
    """

    failure: str = ""
    alpn: str = ""


class _Visitor(asyncio.Protocol):
    """Says what was agreed on, and leaves."""

    def __init__(self, alpn: str, received: asyncio.Future[Greeting]) -> None:
        self._alpn = alpn
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
        if not self._received.done():
            self._received.set_result(Greeting(alpn=self._alpn))


def greet(target: TargetSpec, reach: Reach, *, timeout_ns: int) -> Greeting:
    """Connect once, as the run will, offering HTTP/2 and HTTP/1.1, and leave."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_greet(target, reach, timeout_ns / NS_PER_S))


async def _greet(target: TargetSpec, reach: Reach, timeout_s: float) -> Greeting:
    loop = asyncio.get_running_loop()
    received: asyncio.Future[Greeting] = loop.create_future()

    def fail(failure: str) -> None:
        if not received.done():
            received.set_result(Greeting(failure=failure))

    def stumble(exc: BaseException) -> None:
        if not received.done():
            received.set_exception(exc)

    dialer = Dialer(loop, reach, stumble)
    try:
        attempt = dialer.dial(lambda alpn: _Visitor(alpn, received), target, fail, offers=Offers.BOTH)
        loop.call_later(timeout_s, attempt.expire)
        return await received
    finally:
        await dialer.aclose()
