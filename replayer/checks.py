"""What replaying needs of this machine: cores, descriptors, ports, clock, event loop."""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
import time
from pathlib import Path

from captures.checks import Check
from replayer.load.capacity import Machine
from replayer.wire.sources import N_LOOPBACK_SOURCES

ENOUGH_DESCRIPTORS = 4096
"""One socket per connection of a thousand users with a few connections each, and room for files."""
ENOUGH_PORTS = 10_000
ASSUMED_PORTS = 16_384
"""Where the system does not say: the dynamic range of RFC 6335 §6 (49152 to 65535)."""
COARSEST_CLOCK_NS = 1_000_000
"""Twice the grid of a worker's timers."""

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_N_CLOCK_STEPS = 20


def checks() -> list[Check]:
    """Return what was found, one finding per need."""
    return [_cores(), _descriptors(), _ports(), _clock(), _event_loop()]


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def n_workers_of(asked: int | None, *, users: int, is_loopback: bool) -> int:
    """Return how many workers a run gets: as asked, else cores, minus one for a target on this machine; at most users.

    Args:
        asked: with ``--workers``, or None.
    """
    return max(1, min(users, asked or usable_cores() - is_loopback))


def machine_of(*, n_workers: int, is_loopback: bool) -> Machine:
    """Return what this machine gives a run of so many workers against a target here or elsewhere."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        descriptors=None if hard == resource.RLIM_INFINITY else hard,
        ports=_n_ports(),
        sources=1 + N_LOOPBACK_SOURCES if is_loopback and sys.platform == "linux" else 1,
        n_workers=n_workers,
    )


def _n_ports() -> int:
    if not _PORT_RANGE.is_file():
        return ASSUMED_PORTS
    first, last = map(int, _PORT_RANGE.read_text().split())
    return last - first + 1


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of descriptors to the hard one, which workers inherit; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _cores() -> Check:
    n_cores = usable_cores()
    return Check(
        name="cores",
        ok=n_cores >= 2,
        found=f"{n_cores} usable",
        fix="load a target on another machine: with one core it competes with its own load",
    )


def _descriptors() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Check(
        name="descriptors",
        ok=hard >= ENOUGH_DESCRIPTORS,
        found=f"{hard} for one process (raised from {soft} during a replay)",
        fix=f"ulimit -Hn {ENOUGH_DESCRIPTORS} or more, in limits.conf or the container's settings",
    )


def _ports() -> Check:
    if not _PORT_RANGE.is_file():
        return Check(name="ports", ok=True, found="unknown on this system", fix="")
    n_ports = _n_ports()
    return Check(
        name="ports",
        ok=n_ports >= ENOUGH_PORTS,
        found=f"{n_ports} for connections to one address",
        fix='sysctl -w net.ipv4.ip_local_port_range="16384 60999"',
    )


def _clock() -> Check:
    """Measure the smallest step of CLOCK_MONOTONIC, whatever it promises."""
    steps_ns = []
    for _ in range(_N_CLOCK_STEPS):
        before_ns = after_ns = time.monotonic_ns()
        while after_ns == before_ns:
            after_ns = time.monotonic_ns()
        steps_ns.append(after_ns - before_ns)
    step_ns = min(steps_ns)
    return Check(
        name="clock",
        ok=step_ns <= COARSEST_CLOCK_NS,
        found=f"the monotonic clock moves in steps of {step_ns} ns",
        fix="use a clock source with a finer step (tsc, kvm-clock)",
    )


def _event_loop() -> Check:
    is_there = importlib.util.find_spec("uvloop") is not None
    return Check(
        name="event loop",
        ok=is_there,
        found="uvloop" if is_there else "uvloop is missing",
        fix="pip install uvloop",
    )
