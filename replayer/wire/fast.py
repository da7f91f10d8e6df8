"""The fast wire: our own protocols on bare transports. What ``--wire fast`` means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from replayer.reach import Offers, Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Attempt, Dialer
from replayer.wire.http1 import Http1Connection
from replayer.wire.http2 import Http2Connection
from replayer.wire.outbox import Outbox
from replayer.wire.tally import Tally
from replayer.wire.websocket import WebSocketConnection


class FastWire:
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
        self._dialer = Dialer(loop, reach, on_error, count)
        self._outbox = Outbox(loop.call_soon, time.monotonic_ns)
        self._connections = connections
        self._sockets = sockets
        self._max_message_bytes = max_message_bytes

    def dial(self, owner: Any, target: TargetSpec, on_failed: Callable[[str], None]) -> Attempt:
        """Open an HTTP connection for ``owner``."""
        if target.http == "2":
            multiplexed = Http2Connection(owner, self._connections, self._outbox)
            return self._dialer.dial(multiplexed, target, on_failed, user=owner.user_number, offers=Offers.HTTP2)
        connection = Http1Connection(owner, self._connections, self._outbox)
        return self._dialer.dial(connection, target, on_failed, user=owner.user_number)

    def open_socket(
        self,
        owner: Any,
        spec: TargetSpec,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> tuple[WebSocketConnection, Attempt]:
        """Begin to open a WebSocket for ``owner``."""
        connection = WebSocketConnection(
            owner,
            host=spec.host,
            port=spec.port,
            is_secure=spec.scheme == "https",
            target=target,
            headers=headers,
            subprotocols=subprotocols,
            offers_deflate=offers_deflate,
            tally=self._sockets,
            max_message_bytes=self._max_message_bytes,
        )

        def fail(failure: str) -> None:
            connection.fail(failure, time.monotonic_ns())

        attempt = self._dialer.dial(connection, spec, fail, user=owner.user_number, offers=Offers.WEBSOCKET)
        return connection, attempt

    def flush(self) -> None:
        """Write what waits to be written together with more."""
        self._outbox.flush()

    def warm_up(self, targets: Sequence[TargetSpec]) -> None:
        """Make ready what would cost milliseconds at the first connection to a target."""
        for http in {target.http for target in targets if target.scheme == "https"}:
            self._dialer.warm_up(Offers.HTTP2 if http == "2" else Offers.HTTP1)

    def forget(self, user: int) -> None:
        """Drop what is kept for a user that is over."""
        self._dialer.forget(user)

    async def aclose(self) -> None:
        """Give up every connection attempt that is still under way."""
        await self._dialer.aclose()
