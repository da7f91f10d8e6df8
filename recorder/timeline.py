"""Places the proxy's wall-clock stamps on the capture's monotonic timeline; pure."""

from __future__ import annotations

from captures.records import Anchor

MAX_STAMP_AGE_NS = 5_000_000_000
"""A stamp older than this, or from the future, is a step of the wall clock and not an age."""

_NS_PER_S = 1_000_000_000


class Timeline:
    """Time of the capture: int nanoseconds since the anchor.

    An event's time is the monotonic clock of its hook, less the age of the proxy's own stamp (wall now - stamp): a step
    of the wall clock cannot bend the recorded timeline.
    """

    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor
        self._wall_ns = anchor.wall_ns
        self.now_ns = 0

    def move(self, monotonic_ns: int, wall_ns: int) -> None:
        """Go to the moment of a hook."""
        self.now_ns = monotonic_ns - self._anchor.monotonic_ns
        self._wall_ns = wall_ns

    def time_of(self, at_s: float | None) -> int:
        """Place a stamp (float seconds, wall clock), or the hook itself where there is none.

        ``t = monotonic now - (wall now - stamp) - anchor``; with an anchor of 0, monotonic 10 s, wall 100 s and a stamp
        of 99.5 s it is 9.5 s.
        """
        age_ns = self._wall_ns - round(at_s * _NS_PER_S) if at_s is not None else 0
        return self.now_ns - age_ns if 0 < age_ns <= MAX_STAMP_AGE_NS else self.now_ns


def connect_after_ns(request_end_s: float | None, start_s: float | None, end_s: float | None) -> int:
    """Give the part of an upstream connect that fell after the request's end, in nanoseconds.

    The server is not to blame for it: ``max(0, end - max(start, request end))``, all stamps float seconds. A connection
    that stood before the request gives 0.
    """
    if request_end_s is None or start_s is None or end_s is None:
        return 0
    return max(0, round((end_s - max(start_s, request_end_s)) * _NS_PER_S))
