"""What this process has used of its machine, and had to wait for."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")
"""Time on a core and time ready without one, ns (Linux, Documentation/scheduler/sched-stats.rst)."""
_IS_COUNTED = _SCHEDSTAT.is_file()


def peak_kib() -> int:
    """Return the most memory this process has held; macOS counts it in bytes (getrusage(2))."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def core_wait_ns() -> int:
    """Return how long this process was ready to run and had no core; 0 where the system does not count it."""
    return int(_SCHEDSTAT.read_text().split()[1]) if _IS_COUNTED else 0
