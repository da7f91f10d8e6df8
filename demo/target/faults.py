"""What goes wrong on purpose. Pure: the clock and the dice come as arguments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults in force.

    Attributes:
        latency_ns: added to every answer, upgrade and acknowledgement.
        stall_ns: length of the time in which nothing is answered and nothing pushed, 0 for none.
        stall_after_ns: how long after the first request (of an admin's order: after the order) it begins.
        error_rate: share of API requests that end with 500, 0 to 1.
        refuses_upgrades: every upgrade is answered with 503.
    """

    latency_ns: int = 0
    stall_ns: int = 0
    stall_after_ns: int = 0
    error_rate: float = 0.0
    refuses_upgrades: bool = False


class FaultClock:
    """Knows, at any time, how long an answer has to wait."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._stall_from_ns: int | None = None

    def change(self, faults: Faults, now_ns: int) -> None:
        """Put other faults in force; a stall among them is counted from ``now_ns``."""
        self.faults = faults
        self._stall_from_ns = now_ns + faults.stall_after_ns

    def delay_ns(self, now_ns: int) -> int:
        """Give the wait of an answer that would leave at ``now_ns``; the first call starts the clock of a stall."""
        faults = self.faults
        if self._stall_from_ns is None:
            self._stall_from_ns = now_ns + faults.stall_after_ns
        return self.stall_left_ns(now_ns) + faults.latency_ns

    def stall_left_ns(self, now_ns: int) -> int:
        """Give what is left of a stall, 0 outside of one."""
        begin_ns = self._stall_from_ns
        if begin_ns is None or not begin_ns <= now_ns < begin_ns + self.faults.stall_ns:
            return 0
        return begin_ns + self.faults.stall_ns - now_ns
