"""Whether the crowd came as ordered: planned arrivals and users, and those that were there, second by second. Pure.

``users`` are those at the end of each second, ``arrivals`` those who began within it. In the summary several seconds
share an entry where a run is long: arrivals are added up, of the users the last count stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import Any

from analysis.run import Run

MOST_ENTRIES = 240


def attendance_report(run: Run) -> dict[str, Any]:
    """Return planned and achieved side by side, by ``step_s`` seconds.

    ``arrivals_behind`` is by how many arrivals the crowd was behind its plan at the end of a second, at the most.
    Empty lists stand where nobody knows what was planned.
    """
    arrivals, users = planned_of(run, "arrivals"), planned_of(run, "users")
    n_seconds = max(max(run.seconds, default=-1) + 1, len(arrivals))
    came = [_count(run, second) for second in range(n_seconds)]
    there = [_present(run, second) for second in range(n_seconds)]
    step_s = max(1, ceil(n_seconds / MOST_ENTRIES))
    return {
        "step_s": step_s,
        "arrivals": {"planned": _summed(arrivals, step_s), "achieved": _summed(came, step_s)},
        "users": {"planned": _last(users, step_s), "achieved": _last(there, step_s)},
        "arrivals_behind": _behind(arrivals, came),
    }


def planned_of(run: Run, name: str) -> list[int]:
    """Return the planned ``arrivals`` or ``users`` by second, empty where nobody knows."""
    return list(run.facts.attendance.get(name, ()))


def _count(run: Run, second: int) -> int:
    slot = run.seconds.get(second)
    return slot.counts.get("users_started", 0) if slot is not None else 0


def _present(run: Run, second: int) -> int:
    slot = run.seconds.get(second)
    return slot.gauges.get("users_active", 0) if slot is not None else 0


def _behind(planned: Sequence[int], came: Sequence[int]) -> int:
    pairs = zip(accumulate(planned), accumulate(came), strict=False)
    return max((due - there for due, there in pairs), default=0)


def _summed(values: Sequence[int], step_s: int) -> list[int]:
    return [sum(values[at : at + step_s]) for at in range(0, len(values), step_s)]


def _last(values: Sequence[int], step_s: int) -> list[int]:
    return [values[min(at + step_s, len(values)) - 1] for at in range(0, len(values), step_s)]
