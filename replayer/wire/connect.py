"""Opening connections: TCP, TLS and the check that the address is one the run may use, under one total deadline.

Addresses were resolved and allowed before the run (``replayer.safety``); nothing is resolved here, so that a name that
changes its mind cannot lead a run elsewhere. Addresses are tried in order until one accepts.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from replayer.wire.causes import classify
from replayer.wire.targets import TargetSpec
from replayer.wire.tls import TlsLayer


class Dialer:
    """Opens connections of one run in one worker.

    Args:
        loop: the worker's loop.
        context: TLS settings for targets whose scheme is https.
        on_error: hears of an exception that is no failure of the target: an error of our own.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, on_error: Callable[[BaseException], None]
    ) -> None:
        self._loop = loop
        self._context = context
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(self, app: asyncio.Protocol, target: TargetSpec, on_failed: Callable[[str], None]) -> asyncio.Task[None]:
        """Begin to connect ``app``; its ``connection_made`` is called, or ``on_failed`` with a failure class, once.

        Cancelling the returned task gives up; then neither is called.
        """
        task = self._loop.create_task(self._connect(app, target, on_failed))
        self._tasks.add(task)
        task.add_done_callback(self._dialed)
        return task

    def _dialed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._on_error(exc)

    async def _connect(self, app: asyncio.Protocol, target: TargetSpec, on_failed: Callable[[str], None]) -> None:
        error: BaseException | None = None
        for address in target.addresses:
            try:
                if target.scheme == "https":
                    await self._connect_tls(app, address, target)
                else:
                    await self._loop.create_connection(lambda: app, address, target.port)
            except (OSError, EOFError) as exc:
                error = exc
            else:
                return
        on_failed(classify(error))

    async def _connect_tls(self, app: asyncio.Protocol, address: str, target: TargetSpec) -> None:
        handshake: asyncio.Future[None] = self._loop.create_future()
        layer = TlsLayer(app, self._context, target.host, handshake)
        transport, _ = await self._loop.create_connection(lambda: layer, address, target.port)
        try:
            await handshake
        except BaseException:
            transport.abort()
            raise

    async def aclose(self) -> None:
        """Give up every connection attempt that is still under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
