"""The controller gives way to the workers where they share a core: what it does can wait, a send cannot.

A process of the kernel's batch class takes no core away from one that runs when it wakes; else it gets the same share,
so that leases are renewed in time. Unlike a higher nice value it can be taken back without privileges. Where the
kernel has no such class (macOS), nothing is done.

Source: sched(7), SCHED_BATCH.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def giving_way() -> contextlib.AbstractContextManager[None]:
    """Disturb no other process by waking up; a class that somebody else chose for us is left alone."""
    return _in_class("SCHED_BATCH", instead_of="SCHED_OTHER")


def as_before() -> contextlib.AbstractContextManager[None]:
    """Start a process that is none of ours: it would inherit our class, and may be the target."""
    return _in_class("SCHED_OTHER", instead_of="SCHED_BATCH")


@contextlib.contextmanager
def _in_class(name: str, *, instead_of: str) -> Iterator[None]:
    if sys.platform != "linux" or os.sched_getscheduler(0) != getattr(os, instead_of):
        yield
        return
    os.sched_setscheduler(0, getattr(os, name), os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, getattr(os, instead_of), os.sched_param(0))
