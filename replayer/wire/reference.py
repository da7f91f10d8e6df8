"""The reference wire: the same seam on ``httpx`` and on ``websockets``' asyncio client: ``--wire reference``.

It is the oracle that the fast wire is compared with: slow, and written by others. What differs by nature stands in
docs/wires.md. It never resolves a name, never follows a redirect and trusts no variable of the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from replayer.reach import Offers, Reach
from replayer.targets import TargetSpec
from replayer.wire.contexts import TlsContexts
from replayer.wire.reference_attempt import ReferenceAttempt
from replayer.wire.reference_http import ReferenceConnection
from replayer.wire.reference_sockets import ReferenceSocket
from replayer.wire.tally import Tally


class Tasks:
    """The tasks of a wire; what one of them raises is an error of ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_error: Callable[[BaseException], None]) -> None:
        self._loop = loop
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work``."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._on_error(exc)

    async def aclose(self) -> None:
        """Cancel what still runs."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # Subtle: since Python 3.12 a gather of what is done does not let ``_ended`` run.


class ReferenceWire:
    """Implements ``replayer.wire.wires.Wire``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reach: Reach,
        *,
        connections: Tally,
        sockets: Tally,
        on_error: Callable[[BaseException], None],
        count: Callable[[str], None],
        max_message_bytes: int,
    ) -> None:
        self._loop = loop
        self._reach = reach
        self._contexts = TlsContexts(reach.tls)
        self._tasks = Tasks(loop, on_error)
        self._connections = connections
        self._sockets = sockets
        self._max_message_bytes = max_message_bytes
        self._count = count
        self._live: set[ReferenceConnection] = set()

    def dial(self, owner: Any, target: TargetSpec, on_failed: Callable[[str], None]) -> ReferenceAttempt:
        """Open an HTTP connection for ``owner``: httpx connects when the first request is sent."""
        connection = ReferenceConnection(
            owner,
            target,
            proxy=self._reach.proxies[target.via] if target.via >= 0 else None,
            context=self._context(target, Offers.HTTP2 if target.http == "2" else Offers.HTTP1),
            start=self._tasks.start,
            live=self._live,
            tally=self._connections,
            count=self._count,
        )
        self._loop.call_soon(connection.open)
        return connection.attempt

    def open_socket(
        self,
        owner: Any,
        spec: TargetSpec,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> tuple[ReferenceSocket, ReferenceAttempt]:
        """Begin to open a WebSocket for ``owner``."""
        socket = ReferenceSocket(
            owner,
            spec,
            proxy=self._reach.proxies[spec.via] if spec.via >= 0 else None,
            context=self._context(spec, Offers.WEBSOCKET),
            target=target,
            headers=headers,
            subprotocols=subprotocols,
            offers_deflate=offers_deflate,
            tally=self._sockets,
            max_message_bytes=self._max_message_bytes,
            start=self._tasks.start,
        )
        return socket, socket.attempt

    def flush(self) -> None:
        """Nothing waits here: httpx writes when its turn comes."""

    def warm_up(self, targets: Sequence[TargetSpec]) -> None:
        """Make ready what would cost milliseconds at the first connection to a target."""
        for target in targets:
            self._context(target, Offers.HTTP2 if target.http == "2" else Offers.HTTP1)

    def forget(self, user: int) -> None:
        """Nothing is kept for a user: httpx resumes no TLS session."""

    async def aclose(self) -> None:
        """Give up everything that is under way."""
        await self._tasks.aclose()
        for connection in list(self._live):
            await connection.aclose()

    def _context(self, target: TargetSpec, offers: Offers) -> Any:
        return self._contexts.context(offers) if target.scheme == "https" else None
