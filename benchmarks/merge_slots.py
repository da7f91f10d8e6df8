"""What the controller pays per second of a run: decoding, storing and showing the slots of its workers.

``python -m benchmarks.merge_slots [WORKERS] [SERIES] [STEPS_PER_SERIES]``: 8 workers × 100 series × 25 steps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import msgpack

from analysis.histogram import bucket_of
from analysis.progress import ProgressModel
from analysis.run import CaptureFacts, RunFacts, open_run
from analysis.slotcodec import slot_from_body, slot_to_body
from analysis.slots import Measure, SecondSlot
from analysis.thresholds import DEFAULTS

N_SECONDS = 15
FACTS = RunFacts(
    capture=CaptureFacts(path="none", sha256="", sessions=1),
    plan_sha256="",
    options={},
    environment={},
    started_at="",
    target="",
    users_planned=1,
    workers=1,
    planned={"http": 1, "session": 1},
)


def a_slot(random: Random, worker: int, second: int, n_series: int, n_steps: int) -> SecondSlot:
    """Return the slot of a busy second."""
    slot = SecondSlot(worker=worker, second=second, counts={"messages_in": 9}, gauges={"users_active": 50})
    for index in range(n_series):
        measure = slot.measures["http", (("kind", "api"), ("route", f"GET /api/{index}"))] = Measure(
            planned=n_steps, ok=n_steps
        )
        for buckets in (measure.latency, measure.service):
            for _ in range(n_steps):
                bucket = bucket_of(int(8_000 * random.lognormvariate(0, 0.6)))
                buckets[bucket] = buckets.get(bucket, 0) + 1
    slot.lag = {bucket_of(int(200 * random.lognormvariate(0, 0.6))): 5 for _ in range(200)}
    slot.loop = dict(slot.lag)
    return slot


def main() -> None:
    """Print milliseconds per second of the run, and the share of a core."""
    n_workers, n_series, n_steps = (int(text) for text in (*sys.argv[1:], *("8", "100", "25")[len(sys.argv) - 1 :]))
    random = Random(1)
    seconds = [
        [msgpack.packb(slot_to_body(a_slot(random, worker, second, n_series, n_steps))) for worker in range(n_workers)]
        for second in range(N_SECONDS)
    ]
    with tempfile.TemporaryDirectory() as directory:
        writer, model = open_run(Path(directory), FACTS), ProgressModel(FACTS, DEFAULTS)
        start_s = time.process_time()
        slots = [[slot_from_body(msgpack.unpackb(body, strict_map_key=False)) for body in bodies] for bodies in seconds]
        decoded_s = time.process_time()
        for arrived in slots:
            for slot in arrived:
                writer.add(slot)
        stored_s = time.process_time()
        for arrived in slots:
            for slot in arrived:
                model.update(slot)
            model.lights(1.0)
            for _ in range(4):
                model.progress(1.0)
        shown_s = time.process_time()
        writer.close()
    parts_s = (decoded_s - start_s, stored_s - decoded_s, shown_s - stored_s)
    decode, store, show = (1000 * part_s / N_SECONDS for part_s in parts_s)
    share = (shown_s - start_s) / N_SECONDS
    sys.stdout.write(
        f"{n_workers} workers x {n_series} series x {n_steps} steps, {len(seconds[0][0])} bytes a slot: "
        f"decode {decode:.1f} ms, store {store:.1f} ms, show {show:.1f} ms, {share:.1%} of a core\n"
    )


if __name__ == "__main__":
    main()
