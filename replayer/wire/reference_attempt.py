"""A connection of the reference wire on its way."""

from __future__ import annotations

import time
from typing import Protocol

from replayer.wire.connect import Phase


class Connecting(Protocol):
    """What can fail by a deadline.

    Attributes:
        phase: how far it has come; None once it is connected, or over.
    """

    phase: Phase | None

    def fail(self, failure: str, now_ns: int) -> None:
        """End with a failure from outside."""


class ReferenceAttempt:
    """Ends a connection by deadline in the phase that the library has come to; the connection keeps it alive."""

    __slots__ = ("__weakref__", "_connection")

    def __init__(self, connection: Connecting) -> None:
        self._connection = connection

    def expire(self) -> bool:
        """End it as timed out if it is not connected; tell whether that was so."""
        phase: Phase | None = self._connection.phase
        if phase is None:
            return False
        self._connection.fail(phase.value, time.monotonic_ns())
        return True
