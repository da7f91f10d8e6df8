"""What the machine under the workers gave them: cores. Pure.

Where something else runs beside the load generator, a worker that is ready to go on waits for a core, and its sends are
late although it was never busy. Workers count these waits where the system tells them (Linux).
"""

from __future__ import annotations

from analysis.run import Run

NOTED_RATIO = 0.05
"""Waiting for a core for less of the time is ordinary: the kernel's own work takes turns with the worker's."""


def cpu_ratio(run: Run) -> float:
    """Return the share of a core that workers used."""
    return _share(run, run.whole.cpu_ns / 1e9)


def core_wait_ratio(run: Run) -> float:
    """Return the share of their time that workers were ready and had no core; 0 where nobody counted."""
    return _share(run, run.whole.counts.get("core_wait_ms", 0) / 1000)


def _share(run: Run, spent_s: float) -> float:
    # The last second of a run is seldom a whole one.
    worker_s = sum(len(who) * min(1.0, max(0.0, run.duration_s - second)) for second, who in run.workers.items())
    return round(spent_s / worker_s, 4) if worker_s else 0.0
