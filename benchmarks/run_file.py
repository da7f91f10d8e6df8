"""How large the run file of an hour is, and how long it takes to read back. ``python -m benchmarks.run_file``.

One hour of one worker (workers are merged before anything is stored), 100 routes with 20 answers each a second, 200
users whose steps are kept whole, a socket route with pushes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from analysis.histogram import bucket_of
from analysis.outputs import rebuild_outputs
from analysis.run import RUN_FILE, Ended, RunEnd, open_run, read_run
from analysis.slots import Measure, SecondSlot
from analysis.steplog import StepLog, StepRecord
from benchmarks.merge_slots import FACTS
from replayer.user.meter import KEPT_STEPS

N_SECONDS, N_ROUTES, N_STEPS = 3_600, 100, 20
SAMPLED_USERS = 200


def a_second(random: Random, second: int, times: list[list[int]]) -> SecondSlot:
    """Return the slot of one second; ``times`` are what answers take, by route, in µs."""
    slot = SecondSlot(worker=0, second=second, gauges={"users_active": 500, "sockets_open": 500})
    slot.counts = {"messages_in": 5_000, "bytes_in": 2_500_000, "verify_checked": 2_000, "verify_eligible": 2_000}
    for route in range(N_ROUTES):
        key = ("http", (("kind", "api"), ("route", f"GET /api/things-{route}/{{id}}")))
        measure = slot.measures[key] = Measure(planned=N_STEPS, ok=N_STEPS, bytes_in=170 * N_STEPS)
        for us in random.choices(times[route], k=N_STEPS):
            for buckets, value in ((measure.latency, us + 200), (measure.service, us)):
                bucket = bucket_of(value)
                buckets[bucket] = buckets.get(bucket, 0) + 1
            measure.latency_sum_us += us + 200
            measure.service_sum_us += us
    for name in ("lag", "loop"):
        setattr(slot, name, {bucket_of(int(200 * random.lognormvariate(0, 0.6))): 5 for _ in range(60)})
    slot.steps = StepLog(_steps(random, second))
    return slot


def _steps(random: Random, second: int) -> list[StepRecord]:
    """As many as the sampled users of an hour may have kept, spread over it."""
    n = SAMPLED_USERS * KEPT_STEPS // N_SECONDS
    steps = []
    for number in range(n):
        start_ns = second * 10**9 + number * 10**7
        route = random.randrange(N_ROUTES)
        series = ("http", (("kind", "api"), ("route", f"GET /api/things-{route}/{{id}}")))
        took_ns = int(8e6 * random.lognormvariate(0, 0.6))
        steps.append(
            StepRecord(number, 1, route, series, start_ns, start_ns + 200_000, start_ns + took_ns, "ok", status=200)
        )
    return steps


def main() -> None:
    """Write the hour, read it, report it, and print size and times."""
    random = Random(1)
    times = [[int(8_000 * random.lognormvariate(0, 0.6)) for _ in range(500)] for _ in range(N_ROUTES)]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "run"
        writer = open_run(directory, FACTS)
        for second in range(N_SECONDS):
            writer.add(a_second(random, second, times))
        writer.finish(RunEnd(duration_s=float(N_SECONDS), ended=Ended.FINISHED))
        size_mb = (directory / RUN_FILE).stat().st_size / 1e6
        read_s = _timed(lambda: read_run(directory))
        report_s = _timed(lambda: rebuild_outputs(directory))
    sys.stdout.write(
        f"one hour, {N_ROUTES} routes, {SAMPLED_USERS} whole users: {size_mb:.1f} MB, read in {read_s:.2f} s of CPU, "
        f"all outputs again in {report_s:.2f} s\n"
    )


def _timed(call: Callable[[], object]) -> float:
    started_s = time.process_time()
    call()
    return time.process_time() - started_s


if __name__ == "__main__":
    main()
