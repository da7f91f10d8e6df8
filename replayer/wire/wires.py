"""Which implementation speaks to the target: the seam between a worker and a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.frames import MAX_MESSAGE_BYTES
from replayer.wire.kinds import WireKind
from replayer.wire.tally import Tally


class Attempting(Protocol):
    """A connection on its way."""

    def expire(self) -> bool:
        """End it as timed out, in the class of its phase; tell whether it was under way."""


class Opening(Protocol):
    """A WebSocket on its way."""

    def expire_handshake(self, now_ns: int) -> None:
        """End the handshake as timed out if it is still under way."""


class Wire(Protocol):
    """What a worker asks of a wire. Owners are told as ``http1.Owner`` and ``websocket.SocketOwner`` describe."""

    def dial(self, owner: Any, target: TargetSpec, on_failed: Callable[[str], None]) -> Attempting:
        """Open an HTTP connection for ``owner``, or call ``on_failed`` with a failure class."""

    def open_socket(
        self,
        owner: Any,
        spec: TargetSpec,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> tuple[Any, Attempting]:
        """Begin to open a WebSocket for ``owner``."""

    def flush(self) -> None:
        """Write what waits to be written together with more."""

    def warm_up(self, targets: Sequence[TargetSpec]) -> None:
        """Make ready what would cost milliseconds at the first connection to a target."""

    def forget(self, user: int) -> None:
        """Drop what is kept for a user that is over."""

    async def aclose(self) -> None:
        """Give up every connection attempt that is still under way."""


def open_wire(
    kind: WireKind,
    loop: asyncio.AbstractEventLoop,
    reach: Reach,
    *,
    connections: Tally,
    sockets: Tally,
    on_error: Callable[[BaseException], None],
    count: Callable[[str], None],
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> Wire:
    """Return the wire of a worker.

    Args:
        connections, sockets: count what is open.
        on_error: hears of an error of our own.
        count: adds one to a counter of the run.
        max_message_bytes: of one received WebSocket message, inflated.
    """
    if kind is WireKind.REFERENCE:
        from replayer.wire.reference import ReferenceWire  # httpx costs 0.2 s of every other worker's start.

        return ReferenceWire(
            loop,
            reach,
            connections=connections,
            sockets=sockets,
            on_error=on_error,
            count=count,
            max_message_bytes=max_message_bytes,
        )
    from replayer.wire.fast import FastWire

    return FastWire(
        loop,
        reach,
        connections=connections,
        sockets=sockets,
        on_error=on_error,
        count=count,
        max_message_bytes=max_message_bytes,
    )
