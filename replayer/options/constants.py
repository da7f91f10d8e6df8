"""The numbers that decide how a run behaves and are no options, for ``--print-config``: read where they are defined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from captures.units import NS_PER_MS, NS_PER_S


class Constant(NamedTuple):
    """One number: ``unit`` and ``meaning`` are for people."""

    name: str
    value: int | float
    unit: str
    meaning: str


def constants() -> Iterator[Constant]:
    """Generate the numbers in the order in which a run meets them."""
    yield from _of_the_load()
    yield from _of_users()
    yield from _of_processes()


def _of_the_load() -> Iterator[Constant]:
    from replayer.load.capacity import MESSAGES_PER_S, REQUESTS_PER_S, SAFE_SHARE
    from replayer.load.schedule import MAX_START_SPREAD_NS
    from replayer.pool.crowd import MIN_REFILL_NS

    yield Constant("longest-default-start-spread", MAX_START_SPREAD_NS // NS_PER_S, "s", "copies of a session start")
    yield Constant("refill-pause", MIN_REFILL_NS / NS_PER_S, "s", "with asap, before a failed user is followed")
    yield Constant("requests-per-core", REQUESTS_PER_S, "/s", "measured, for warnings")
    yield Constant("messages-per-core", MESSAGES_PER_S, "/s", "measured, for warnings")
    yield Constant("safe-share-of-a-core", SAFE_SHARE, "ratio", "above it a warning")


def _of_users() -> Iterator[Constant]:
    from replayer.pool.assignment import SAMPLED_USERS
    from replayer.user.connections import CONNECTIONS_PER_ORIGIN
    from replayer.user.meter import KEPT_FAILURES, KEPT_STEPS
    from replayer.user.pacing import Deadlines

    yield Constant("connections-per-origin", CONNECTIONS_PER_ORIGIN, "connections", "of one user, HTTP/1.1")
    yield Constant("drain", Deadlines().drain_ns / NS_PER_S, "s", "for steps in flight, after the end")
    yield Constant("sampled-users", SAMPLED_USERS, "users", "whose steps are kept whole")
    yield Constant("kept-steps", KEPT_STEPS, "steps", "of each of them at most")
    yield Constant("kept-failures", KEPT_FAILURES, "steps", "of each kind of failure and worker")


def _of_processes() -> Iterator[Constant]:
    from analysis.verdict import LAG_FLOOR_MS, LAG_SHARE
    from replayer.pool.controller import Patience
    from replayer.pool.protocol import LEASE_RENEWAL_S, LEASE_S
    from replayer.pool.timers import GRID_NS

    patience = Patience()
    yield Constant("lease", LEASE_S, "s", "a worker sends without hearing of its controller")
    yield Constant("lease-renewal", LEASE_RENEWAL_S, "s", "between two leases")
    yield Constant("timer-grid", GRID_NS / NS_PER_MS, "ms", "sends start on it, never early")
    yield Constant("ready-timeout", patience.ready_ns / NS_PER_S, "s", "from launch to ready workers")
    yield Constant("allowed-lag", LAG_FLOOR_MS, "ms", "of sends and loops at p99, or more by the next line")
    yield Constant("allowed-lag-share", LAG_SHARE, "ratio", "of the smallest latency limit in force")
    yield Constant("start-lead", patience.lead_ns / NS_PER_MS, "ms", "from the word go to the common start")
