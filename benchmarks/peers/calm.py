"""Whether the machine was this benchmark's own during one turn: a rate means nothing where others took the cores.

Of all that the cores did, what the tool and the servers used is subtracted; the rest is others'. Source: proc(5).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

MOST_FOREIGN = 0.12
"""Share of a core that others may take; interrupts and the kernel's own threads come to some hundredths of it."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT = 3, 4


class Watch:
    """Begins when it is made.

    Args:
        servers: process ids of what serves; their children count too.
    """

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._started_s = time.monotonic()
        self._before_s = self._foreign_s()

    def foreign_ratio(self) -> float:
        """Return how much of a core others have used since."""
        return max(0.0, self._foreign_s() - self._before_s) / (time.monotonic() - self._started_s)

    def _foreign_s(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return _busy_s() - used.ru_utime - used.ru_stime - sum(_used_s(pid) for pid in self._servers)


def _busy_s() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[_IDLE] - fields[_IOWAIT]) / _TICKS_PER_S


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S + sum(_used_s(int(child)) for child in children)
