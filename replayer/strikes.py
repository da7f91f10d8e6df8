"""Which strikes of its storms a run will see, and which storms will find nothing to take. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from captures.units import NS_PER_S, format_duration
from replayer.load.storms import Storm, strikes_of
from replayer.plan.records import Plan


def strikes_within(number: int, storm: Storm, duration_s: float) -> list[float]:
    """Return when, in s after the start, the storm with a 1-based number strikes in a run of that length."""
    strikes = takewhile(lambda strike: strike.at_ns < duration_s * NS_PER_S, strikes_of(number, storm))
    return [strike.at_ns / NS_PER_S for strike in strikes]


def strike_notes(storms: Sequence[Storm], plan: Plan, duration_s: float) -> Iterator[str]:
    """Say which storms will take nothing.

    Args:
        duration_s: planned, of the run; 0 where nobody knows.
    """
    has_sockets = any(script.sockets for script in plan.scripts)
    for number, storm in enumerate(storms, 1):
        if not has_sockets:
            yield f"storm {number} will take nothing: nobody opens a socket"
        elif duration_s and not strikes_within(number, storm, duration_s):
            over = format_duration(round(duration_s) * NS_PER_S)
            yield f"storm {number} will never strike: the run is planned to be over after {over}"
