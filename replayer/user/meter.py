"""Where outcomes go: one recorder per series, emptied once a second into a second-slot. Pure.

Recording is on the path of every answer, so a recorder is a plain object with the buckets of the current second, and
the buckets of the usual latencies stand in a table: looking one up costs a third of ``analysis.histogram.bucket_of``.
"""

from __future__ import annotations

from analysis.histogram import bucket_of
from analysis.slots import Measure, SecondSlot, SeriesKey
from analysis.steplog import StepRecord
from replayer.failures import TIMEOUTS
from replayer.user.pushes import Pushes

KEPT_STEPS = 1_000
"""Whole records kept of one sampled user at most: a user that never rests would fill the run file."""
KEPT_STEPS_PER_S = 500
"""Whole records kept per worker and second at most: packing one costs the worker 1 µs, and the run file 6 bytes."""
KEPT_FAILURES = 5
"""Whole records kept per worker, series and failure class, besides those of sampled users."""
_N_TABLED = 1 << 14
_BUCKETS = [bucket_of(us) for us in range(_N_TABLED)]
"""Buckets of the usual latencies, below 16 ms."""


class Recorder:
    """One series of one worker; times are monotonic ns, stored in µs."""

    __slots__ = ("key", "measure")

    def __init__(self, key: SeriesKey) -> None:
        self.key = key
        self.measure = Measure()

    def ok(self, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int) -> None:
        """Count a success with its latency and service time."""
        self.took(end_ns - intended_ns)
        measure = self.measure
        measure.bytes_in += n_bytes
        us = (end_ns - actual_ns) // 1000
        if us < 0:
            us = 0
        measure.service_sum_us += us
        if us > measure.service_max_us:
            measure.service_max_us = us
        bucket = _BUCKETS[us] if us < _N_TABLED else bucket_of(us)
        buckets = measure.service
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def took(self, ns: int) -> None:
        """Count a success that took so long since it was intended, or a time that nobody intended, such as a gap.

        A recorder that is told nothing else takes its latency for service time too, when the second is over.
        """
        measure = self.measure
        measure.ok += 1
        us = ns // 1000
        if us < 0:
            us = 0
        measure.latency_sum_us += us
        if us > measure.latency_max_us:
            measure.latency_max_us = us
        bucket = _BUCKETS[us] if us < _N_TABLED else bucket_of(us)
        buckets = measure.latency
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def failed(self, failure: str, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        """Count a failure; a timeout enters the latency series at its limit, others only their own histogram."""
        measure = self.measure
        measure.errors[failure] = measure.errors.get(failure, 0) + 1
        if failure not in TIMEOUTS:
            _add(measure.failed, intended_ns, end_ns)
            return
        self.ok(intended_ns, actual_ns, end_ns, 0)
        measure.ok -= 1

    def mismatched(self, kind: str, intended_ns: int, end_ns: int, n_bytes: int) -> None:
        """Count a wrong answer apart, so that fast wrong answers cannot improve the latency series."""
        measure = self.measure
        measure.mismatches[kind] = measure.mismatches.get(kind, 0) + 1
        measure.bytes_in += n_bytes
        _add(measure.mismatched, intended_ns, end_ns)


def _add(buckets: dict[int, int], start_ns: int, end_ns: int) -> None:
    bucket = bucket_of((end_ns - start_ns) // 1000)
    buckets[bucket] = buckets.get(bucket, 0) + 1


class Meter:
    """All that one worker measures.

    Attributes:
        messages_in, bytes_in: WebSocket messages received in the current second, and their payload; plain numbers,
            because a call for each message would cost as much as reading it.
        pushes: what is measured of messages that the server pushes.
        dues: when sends were due that timers have set off since the last ``due_written``.
    """

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._recorders: dict[SeriesKey, Recorder] = {}
        self._kept: dict[tuple[SeriesKey, str], int] = {}
        self._slot = SecondSlot(worker=worker, second=0)
        self.messages_in = 0
        self.bytes_in = 0
        self.pushes = Pushes()
        self.dues: list[int] = []
        self._pool = self.recorder("lag.pool")
        self._connect = self.recorder("lag.connect")

    def recorder(self, name: str, **labels: str) -> Recorder:
        """Return the recorder of a series, made at the first call."""
        key = (name, tuple(sorted(labels.items())))
        if key not in self._recorders:
            self._recorders[key] = Recorder(key)
        return self._recorders[key]

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter of the current second."""
        counts = self._slot.counts
        counts[name] = counts.get(name, 0) + n

    def due_written(self, now_ns: int) -> None:
        """Take the generator lag of the sends in ``dues``, the last of which has just been written."""
        buckets = self._slot.lag
        for due_ns in self.dues:
            us = (now_ns - due_ns) // 1000
            bucket = _BUCKETS[us] if us < _N_TABLED else bucket_of(us)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        self.dues.clear()

    def waited(self, since_ns: int, sent_ns: int, dialed_ns: int) -> None:
        """Take how long a request waited for a connection: for one to be free, and for a new one to be open.

        Args:
            dialed_ns: when the connection it got was asked for, 0 where it was there before.
        """
        connect_ns = sent_ns - max(since_ns, dialed_ns) if dialed_ns else 0
        self._pool.took(sent_ns - since_ns - connect_ns)
        self._connect.took(connect_ns)

    def loop_late(self, late_ns: int) -> None:
        """Take how late one heartbeat of the event loop was."""
        _add(self._slot.loop, 0, late_ns)

    def keep(self, record: StepRecord, *, is_sampled: bool) -> None:
        """Keep a whole step where its user is sampled, or where it is among the first failures of its kind."""
        if self.wants(record.series, record.outcome):
            kind = (record.series, record.outcome)
            self._kept[kind] = self._kept.get(kind, 0) + 1
        elif not is_sampled:
            return
        self._slot.steps.append(record)

    def has_room(self) -> bool:
        """Tell whether this second may still hold whole records of sampled users."""
        return len(self._slot.steps) < KEPT_STEPS_PER_S

    def wants(self, series: SeriesKey, outcome: str) -> bool:
        """Tell whether a record is among the first failures of its kind, which are kept whoever has them."""
        return outcome != "ok" and self._kept.get((series, outcome), 0) < KEPT_FAILURES

    def take_slot(self, second: int, gauges: dict[str, int], cpu_ns: int) -> SecondSlot:
        """Return what was measured since the last call, as the slot of ``second``, and begin the next."""
        slot, self._slot = self._slot, SecondSlot(worker=self._worker, second=second + 1)
        slot.second = second
        self._take_messages(slot)
        slot.gauges = gauges
        slot.cpu_ns = cpu_ns
        slot.broadcasts = self.pushes.take_broadcasts()
        empty = Measure()
        for key, recorder in self._recorders.items():
            measure = recorder.measure
            if measure != empty:
                if not measure.service:  # ``took``
                    measure.service = measure.latency.copy()
                    measure.service_sum_us, measure.service_max_us = measure.latency_sum_us, measure.latency_max_us
                slot.measures[key] = measure
                recorder.measure = Measure()
                self._sum_up(slot, measure)
        return slot

    def _take_messages(self, slot: SecondSlot) -> None:
        for name in ("messages_in", "bytes_in"):
            n = getattr(self, name)
            if n:
                slot.counts[name] = slot.counts.get(name, 0) + n
                setattr(self, name, 0)

    def _sum_up(self, slot: SecondSlot, measure: Measure) -> None:
        if measure.eligible:
            counts = slot.counts
            counts["verify_eligible"] = counts.get("verify_eligible", 0) + measure.eligible
            counts["verify_checked"] = counts.get("verify_checked", 0) + measure.checked
