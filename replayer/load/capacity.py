"""What one core can do, as measured, and what a crowd needs of the machine. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

REQUESTS_PER_S = 30_000
"""Requests a second of one worker with checks and histograms, HTTP/1.1 over loopback.

Measured with ``--pacing asap`` and 50 users against nginx on the other of two cores (x86-64, CPython 3.11): 30,800 to
34,800.
"""
MESSAGES_PER_S = 20_000
"""Messages a second of one worker that come one by one.

Measured with demo/scenarios/burst.toml: 1,830 messages and 460 requests a second took 10 % of a core with all timers,
so at most 44 µs each. Streams whose messages come many in one read are several times cheaper.
"""
ARRIVALS_PER_S = 10_000
"""Users a second of one worker who come, open a connection of their own, send one request and go.

Measured with ``python -m benchmarks.load_sockets arrivals``: 9,700 to 11,700.
"""
SAFE_SHARE = 0.5
"""Above this share of the capacity arrivals and sends start late."""
SPARE_DESCRIPTORS = 64
"""What a process has open besides its connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine gives a run.

    Attributes:
        descriptors: hard limit of one process, or None where there is none.
        ports: local ports towards one address from one address.
        sources: local addresses that connections may come from.
        n_workers: processes of the run.
    """

    descriptors: int | None
    ports: int
    sources: int
    n_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The most that a crowd needs at one time: users, connections, arrivals/s, requests/s and messages/s."""

    users: int
    connections: int
    arrivals_per_s: float
    requests_per_s: float
    messages_per_s: float


def warnings_of(demand: Demand, machine: Machine) -> Iterator[str]:
    """Say where the machine will not do."""
    per_worker = -(-demand.connections // machine.n_workers) + SPARE_DESCRIPTORS
    if machine.descriptors is not None and per_worker > machine.descriptors:
        yield (
            f"about {demand.connections:,} connections need {per_worker:,} descriptors in each worker, the limit is"
            f" {machine.descriptors:,}: raise it (ulimit -Hn), or use more workers"
        )
    ports = machine.ports * machine.sources
    if demand.connections > ports:
        yield (
            f"about {demand.connections:,} connections to one address, but only {ports:,} local ports: widen"
            " net.ipv4.ip_local_port_range, or spread the target over more addresses"
        )
    for what, needed, capacity in (
        ("arrivals", demand.arrivals_per_s, ARRIVALS_PER_S),
        ("requests", demand.requests_per_s, REQUESTS_PER_S),
        ("messages", demand.messages_per_s, MESSAGES_PER_S),
    ):
        usable = capacity * machine.n_workers * SAFE_SHARE
        if needed > usable:
            yield (
                f"up to {needed:,.0f} {what} a second, but workers keep their times up to about"
                f" {usable:,.0f} ({machine.n_workers} of them): use more, or expect an invalid run"
            )


def all_of(demands: Sequence[Demand]) -> Demand:
    """Return the demand of several populations together, as if all peaks came at once."""
    return Demand(
        users=sum(demand.users for demand in demands),
        connections=sum(demand.connections for demand in demands),
        arrivals_per_s=sum(demand.arrivals_per_s for demand in demands),
        requests_per_s=sum(demand.requests_per_s for demand in demands),
        messages_per_s=sum(demand.messages_per_s for demand in demands),
    )
