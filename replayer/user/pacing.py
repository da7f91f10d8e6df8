"""When a user's steps go, and how long they may take. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from captures.units import NS_PER_S


class Pacing(Enum):
    """When a step goes (measurement.md §1.2)."""

    THINK = "think"
    """At the end of the steps it needs plus recorded think time ÷ speed, else at its place on the timeline."""
    TIMELINE = "timeline"
    """At its place on the timeline, never before the steps it needs have ended."""
    ASAP = "asap"
    """When every step that had ended before its recorded send has ended: a closed loop, for capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Total deadlines of every wait, ns.

    Attributes:
        connect_ns: DNS, TCP, TLS and upgrade together.
        request_ns: from send to the last byte of the response.
        message_ns: for a reply or trigger that is due, at least (``replayer.user.awaited.patience_of``).
        drain_ns: after STOP, for the steps in flight.
    """

    connect_ns: int = 15 * NS_PER_S
    request_ns: int = 60 * NS_PER_S
    message_ns: int = 10 * NS_PER_S
    drain_ns: int = 10 * NS_PER_S
