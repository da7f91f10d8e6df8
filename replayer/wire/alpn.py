"""Which HTTP a target chooses when it may: one TLS handshake before the run, through the dialer of the run itself.

Nothing is asked over the connection, so that the target's own count of requests stays ours.
"""

from __future__ import annotations

import asyncio

import uvloop

from captures.units import NS_PER_S
from replayer.reach import Offers, Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer


class _Visitor(asyncio.Protocol):
    """Says what was agreed on, and leaves."""

    def __init__(self, alpn: str, agreed: asyncio.Future[str]) -> None:
        self._alpn = alpn
        self._agreed = agreed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
        if not self._agreed.done():
            self._agreed.set_result(self._alpn)


def negotiated(target: TargetSpec, reach: Reach, *, timeout_ns: int) -> str:
    """Return what an https target chooses of ``h2`` and ``http/1.1``.

    Returns:
        an ALPN protocol, or "" where it names none, or where no handshake came about: the run will tell why.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_negotiate(target, reach, timeout_ns / NS_PER_S))


async def _negotiate(target: TargetSpec, reach: Reach, timeout_s: float) -> str:
    loop = asyncio.get_running_loop()
    agreed: asyncio.Future[str] = loop.create_future()
    broken: list[BaseException] = []

    def fail(_failure: str) -> None:
        if not agreed.done():
            agreed.set_result("")

    def stumble(exc: BaseException) -> None:
        broken.append(exc)
        fail("")

    dialer = Dialer(loop, reach, stumble)
    try:
        dialer.dial(lambda alpn: _Visitor(alpn, agreed), target, fail, offers=Offers.BOTH)
        async with asyncio.timeout(timeout_s):
            alpn = await agreed
    except TimeoutError:
        return ""
    finally:
        await dialer.aclose()
    if broken:
        raise broken[0]
    return alpn
