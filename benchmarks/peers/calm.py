"""Whether the machine was this benchmark's own during one turn: a rate means nothing where others took the cores.

Of what the client's core did, the part that no tool of ours used is others'; a server that was ready to run and had to
wait says the same of its core. Source: proc(5), and ``/proc/PID/schedstat`` in the kernel's sched-stats.rst.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

MOST_TAKEN = 0.05
"""Share of the time that others may take of either core; interrupts and the kernel's threads come to a hundredth."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT = 3, 4


class Watch:
    """Begins when it is made.

    Args:
        client_core: where the measured tools run, one after the other.
        servers: process ids of what serves; their children count too.
    """

    def __init__(self, client_core: int, servers: Sequence[int]) -> None:
        self._client_core = client_core
        self._servers = [each for pid in servers for each in _family(pid)]
        self._started_s = time.monotonic()
        self._before = self._taken_s()

    def taken_ratio(self) -> float:
        """Return which share of the time others have taken since, of the core that suffered more."""
        elapsed_s = time.monotonic() - self._started_s
        return max(0.0, *(now - before for now, before in zip(self._taken_s(), self._before, strict=True))) / elapsed_s

    def _taken_s(self) -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        foreign_s = _busy_s(self._client_core) - used.ru_utime - used.ru_stime
        return foreign_s, sum(map(_waited_s, self._servers))


def _busy_s(core: int) -> float:
    line = Path("/proc/stat").read_text().splitlines()[1 + core]
    fields = [int(field) for field in line.split()[1:9]]
    return (sum(fields) - fields[_IDLE] - fields[_IOWAIT]) / _TICKS_PER_S


def _waited_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))
