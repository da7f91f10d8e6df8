"""What the machine under the workers gave them: cores. Pure.

Where something else runs beside the load generator, a worker that is ready to go on waits for a core, and its sends are
late although it was never busy. Workers count these waits where the system tells them (Linux).
"""

from __future__ import annotations

from analysis.run import Run
from analysis.slots import WORKER_CPU_MS

NOTED_RATIO = 0.05
"""Waiting for a core for less of the time is ordinary: the kernel's own work takes turns with the worker's."""


def cpu_ratio(run: Run) -> float:
    """Return the share of a core that workers used."""
    return _share(run, run.whole.cpu_ns / 1e9)


def core_wait_ratio(run: Run) -> float:
    """Return the share of their time that workers were ready and had no core; 0 where nobody counted."""
    return _share(run, run.whole.counts.get("core_wait_ms", 0) / 1000)


def cpu_by_worker(run: Run) -> dict[int, float]:
    """Return by worker the share of a core that it used; of runs that did not count it nothing.

    The mean hides a worker that is full while others idle.
    """
    found = {}
    for name, cpu_ms in run.whole.counts.items():
        number = name.removeprefix(WORKER_CPU_MS)
        if name.startswith(WORKER_CPU_MS) and number.isdecimal():
            seconds = [second for second, who in run.workers.items() if int(number) in who]
            alive_s = sum(min(1.0, max(0.0, run.duration_s - second)) for second in seconds)
            found[int(number)] = round(cpu_ms / 1000 / alive_s, 4) if alive_s else 0.0
    return dict(sorted(found.items()))


def _share(run: Run, spent_s: float) -> float:
    # The last second of a run is seldom a whole one.
    worker_s = sum(len(who) * min(1.0, max(0.0, run.duration_s - second)) for second, who in run.workers.items())
    return round(spent_s / worker_s, 4) if worker_s else 0.0
