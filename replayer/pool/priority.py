"""The controller gives way to the workers where they share a core: what it does can wait, a send cannot.

A process of the kernel's batch class takes no core away from one that runs when it wakes; else it gets the same share,
so that leases are renewed in time. Unlike a higher nice value it can be taken back without privileges. Children inherit
it. Where the kernel has no such class (macOS), nothing is done.

Source: sched(7), SCHED_BATCH.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """Disturb no other process by waking up; a class that somebody else chose for us is left alone."""
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
