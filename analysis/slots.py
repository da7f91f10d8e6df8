"""Second-slots: what one worker measured in one second, the only thing that flows from workers to the analysis.

A slot is a *delta*, keyed by (worker, second); merging each key once makes the run. Outcomes count in the second of
their end, offered load (``planned``) in the second of the intended start. Pure data; the worker writes, the
controller merges and stores, everything in ``analysis`` reads.

Histograms are sparse dicts bucket → count with the buckets of ``analysis.histogram``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.steplog import StepLog

# A series: its name and its sorted labels, e.g. ("http", (("kind", "api"), ("route", "GET /api/quotes"))).
SeriesKey = tuple[str, tuple[tuple[str, str], ...]]

Buckets = dict[int, int]


@dataclass(slots=True)
class Measure:
    """One series in one second.

    Attributes:
        planned: steps whose intended start fell into this second.
        ok: steps that ended as recorded.
        latency, service: buckets (µs) of end − intended start and of end − actual start. Successes, and timeouts at
            their limit; nothing else.
        failed, mismatched: buckets (µs) of the latency of other failures and of wrong answers.
        errors: failures by class of ``replayer.failures``; a timeout counts here too.
        mismatches: wrong answers by kind, of ``verification.MISMATCHES``.
        latency_sum_us, latency_max_us, service_sum_us, service_max_us: over the values in ``latency`` / ``service``.
        bytes_in: payload bytes received.
        eligible, checked: answers whose inside can be checked, and those of them for which the budget allowed it.
        warnings: by kind, demands of severity ``warn`` that were not met; the answers count as they would without.
        items: elements of the arrays in the documents that were ``checked``.
        due_milli: of ``ws.completeness``: messages that were to come, in thousandths.
    """

    planned: int = 0
    ok: int = 0
    latency: Buckets = field(default_factory=dict)
    service: Buckets = field(default_factory=dict)
    failed: Buckets = field(default_factory=dict)
    mismatched: Buckets = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    mismatches: dict[str, int] = field(default_factory=dict)
    latency_sum_us: int = 0
    latency_max_us: int = 0
    service_sum_us: int = 0
    service_max_us: int = 0
    bytes_in: int = 0
    eligible: int = 0
    checked: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    items: int = 0
    due_milli: int = 0


class Broadcast(NamedTuple):
    """One pushed message that several sockets of a worker may have received: when each of them did.

    Attributes:
        digest: of its bytes; equal bytes of one route and kind are one broadcast.
        first_ns: its first arrival, relative to the run's start.
        late_us: of every arrival, after the first, as little-endian unsigned 32-bit numbers.
    """

    route: str
    message: str
    digest: bytes
    first_ns: int
    late_us: bytes


WORKER_CPU_MS = "worker_cpu_ms:"
"""How the name of the count begins that says how much CPU one worker used; slots of all workers are added up."""


@dataclass(slots=True)
class SecondSlot:
    """What one worker measured in one second.

    Attributes:
        worker, second: the key; second counts from the run's start.
        measures: by series.
        lag: buckets (µs) of generator lag, actual − due, of every send.
        loop: buckets (µs) of how late the 10 ms heartbeat of the event loop was.
        counts: deltas by name: ``users_started``, ``users_completed``, ``users_failed``, ``users_dropped``,
            ``sessions_started``, ``sessions_completed``, ``sessions_failed``, ``sessions_cut``,
            ``sessions_retired``, ``passes_started``, ``messages_in``, ``messages_out``, ``bytes_in``,
            ``bytes_out``, ``connects``, ``stale_reconnect``, ``not_sent:<reason>``, ``correlation_misses``,
            ``verify_eligible``, ``verify_checked``, ``worker_cpu_ms:<worker>``.
            Those of one population carry its name behind an ``@``.
        gauges: values at the end of the second: ``users_active``, ``connections_open``, ``sockets_open``,
            ``sockets_paused``, and ``memory_kib``, the most memory that the process has held.
        cpu_ns: CPU time of the worker's process in this second.
        steps: whole records, as sampled.
        broadcasts: pushed messages whose arrivals are all in.
    """

    worker: int
    second: int
    measures: dict[SeriesKey, Measure] = field(default_factory=dict)
    lag: Buckets = field(default_factory=dict)
    loop: Buckets = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, int] = field(default_factory=dict)
    cpu_ns: int = 0
    steps: StepLog = field(default_factory=StepLog)
    broadcasts: list[Broadcast] = field(default_factory=list)
