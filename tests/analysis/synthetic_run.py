"""A run that never happened, with figures as a real one has them: for tests of reports and for looking at them.

``python -m tests.analysis.synthetic_run DIRECTORY`` writes its run file, summary and report.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import exp
from pathlib import Path
from random import Random

from analysis.histogram import bucket_of
from analysis.outputs import write_outputs
from analysis.recorded import PairingRule, Recorded, RecordedSession, RecordedStep
from analysis.run import CaptureFacts, Ended, RunEnd, RunFacts, open_run
from analysis.slots import Buckets, Measure, SecondSlot, SeriesKey
from analysis.steplog import StepLog, StepRecord
from analysis.thresholds import DEFAULTS, in_force, parse_threshold

# route, kind, share of requests, median service time in µs
ROUTES = (
    ("POST /api/login", "api", 0.03, 38_000),
    ("POST /api/token/refresh", "api", 0.02, 9_000),
    ("GET /api/quotes", "api", 0.30, 12_000),
    ("GET /api/quotes/{id}", "api", 0.26, 6_500),
    ("GET /api/indices", "api", 0.13, 4_200),
    ("GET /api/foreign-flow", "api", 0.10, 22_000),
    ("POST /api/orders", "api", 0.04, 31_000),
    ("GET /api/orders/{id}", "api", 0.04, 8_000),
    ("GET /", "document", 0.03, 3_000),
    ("GET /static/app.js", "asset", 0.03, 1_100),
    ("GET /static/app.css", "asset", 0.02, 900),
)
N_USERS = 240
N_KEPT = 12
"""Users whose steps are kept whole; user i plays recorded session i mod 3."""
BURST_S = 34
STALL_S = 61
SPEED = 5
ROUTE_OF_STEP = (8, 9, 10, 0, 2, 4, 5, 3, 2, 6, 7, 3, 5, 2)
"""The session that everybody plays, as positions in ``ROUTES``."""


def facts(**changes: object) -> RunFacts:
    """Return facts as a replay of the demo has them."""
    fields: dict[str, object] = {
        "capture": CaptureFacts(path="captures/golden/demo/market.rush", sha256="9f2c" * 16, sessions=3),
        "plan_sha256": "51ab" * 16,
        "options": {"scale": 80, "speed": 5.0, "shape": "recorded", "pacing": "think", "seed": 7, "at_end": "end"},
        "environment": {"rushhour": "0.1.0", "python": "3.12.7", "host": "ci-runner-4", "cores": 8, "system": "Linux"},
        "started_at": "2026-03-14T09:26:53+00:00",
        "target": "https://staging.example.test",
        "users_planned": N_USERS,
        "workers": 4,
        "planned": {"http": 61, "ws.connect": 1, "ws.ready": 1, "ws.reply": 6, "session": 1},
        "routes": tuple(route for route, _, _, _ in ROUTES) + ("WS /ws/market",),
        "dropped_origins": {"https://fonts.example.test": 4},
        "duration_planned_s": 96.0,
    }
    return RunFacts(**{**fields, **changes})  # type: ignore[arg-type]


def recorded() -> Recorded:
    """Return what the recording of such a run was like: faster, and nobody waited."""
    steps = []
    for index, route in enumerate(ROUTE_OF_STEP):
        name, kind, _, median_us = ROUTES[route]
        steps.append(
            RecordedStep(
                index=index,
                series=("http", (("kind", kind), ("route", name))),
                at_ns=index * 3 * 10**9 // SPEED,
                duration_ns=median_us * 700,
            )
        )
    times: dict[SeriesKey, Buckets] = {}
    for step in steps:
        buckets = times.setdefault(step.series, {})
        for factor in (0.8, 1.0, 1.3):
            bucket = bucket_of(int(step.duration_ns / 1000 * factor))
            buckets[bucket] = buckets.get(bucket, 0) + 1
    times["ws.reply", (("route", "WS /ws/market"),)] = {bucket_of(3_000): 4, bucket_of(4_100): 2}
    rule = PairingRule(route="WS /ws/market", sent="subscribe", reply="ack", rule="id", support=12)
    sessions = tuple(RecordedSession(number=number, steps=tuple(steps)) for number in range(3))
    return Recorded(times=times, sessions=sessions, pairings=(rule,))


def kept_sessions(seed: int = 2) -> Iterator[StepRecord]:
    """Yield the steps of users who were kept whole; the last of them fails at the end."""
    random = Random(seed)
    for user in range(N_KEPT):
        at_ns = (5 + 6 * user) * 10**9
        for index, step in enumerate(recorded().sessions[user % 3].steps):
            took_ns = int(step.duration_ns * _slowness(at_ns // 10**9) * random.lognormvariate(0.4, 0.4))
            is_bad = user == N_KEPT - 1 and index == len(ROUTE_OF_STEP) - 1
            yield StepRecord(
                user=user,
                session=user % 3,
                step=index,
                series=step.series,
                intended_ns=at_ns,
                actual_ns=at_ns + int(random.expovariate(1 / 4e6)),
                end_ns=at_ns + 8_000_000 + took_ns,
                outcome="status_503" if is_bad else "ok",
                status=503 if is_bad else 200,
                detail="status 503, text/plain, 41 bytes" if is_bad else "",
                recorded="status 200, application/json" if is_bad else "",
            )
            at_ns += took_ns + 3 * 10**9 // SPEED


def record(measure: Measure, latency_us: int, service_us: int) -> None:
    """Count a success."""
    measure.ok += 1
    for buckets, us in ((measure.latency, latency_us), (measure.service, service_us)):
        buckets[bucket_of(us)] = buckets.get(bucket_of(us), 0) + 1
    measure.latency_sum_us += latency_us
    measure.service_sum_us += service_us
    measure.latency_max_us = max(measure.latency_max_us, latency_us)
    measure.service_max_us = max(measure.service_max_us, service_us)


def _load(second: int) -> float:
    """Requests per second of one worker: a ramp, a burst that fades, an end."""
    ramp = min(1.0, second / 20) * (1.0 if second < 84 else max(0.0, (96 - second) / 12))
    return 110 * ramp + (190 * exp(-(second - BURST_S) / 6) if second >= BURST_S else 0) * ramp


def _slowness(second: int) -> float:
    burst = 2.6 * exp(-(second - BURST_S) / 7) if second >= BURST_S else 0.0
    return 1.0 + burst + (9.0 if STALL_S <= second < STALL_S + 3 else 0.0)


def _lag(random: Random, n: int, median_us: float) -> Buckets:
    buckets: Buckets = {}
    for _ in range(n):
        bucket = bucket_of(int(random.lognormvariate(0, 0.7) * median_us))
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


def slots(n_workers: int = 4, n_seconds: int = 97, seed: int = 1) -> Iterator[SecondSlot]:
    """Yield the second-slots of a run with a burst, a stall and some failures."""
    random = Random(seed)
    kept = list(kept_sessions())
    for second in range(n_seconds):
        for worker in range(n_workers):
            slot = _slot(random, worker, second)
            slot.steps += StepLog(s for s in kept if s.end_ns // 10**9 == second and s.user % n_workers == worker)
            yield slot


def _slot(random: Random, worker: int, second: int) -> SecondSlot:
    slot = SecondSlot(worker=worker, second=second)
    load = _load(second)
    n = int(load + random.random())
    for route, kind, share, median_us in ROUTES:
        measure = Measure(planned=round(n * share * random.uniform(0.9, 1.1)))
        key: SeriesKey = ("http", (("kind", kind), ("route", route)))
        for _ in range(measure.planned):
            _request(random, slot, key, measure, median_us)
        if measure.planned:
            slot.measures[key] = measure
    _socket(random, slot, load)
    slot.lag = _lag(random, n, 180)
    slot.loop = _lag(random, 100, 120)
    users = int(N_USERS / 4 * min(1.0, second / 20) * (1.0 if second < 84 else max(0.0, (96 - second) / 12)))
    started = 3 if second < 20 else 0
    ended = 5 if 84 <= second < 96 else 0
    slot.gauges = {"users_active": users, "connections_open": users * 4, "sockets_open": users}
    slot.counts = {
        "users_started": started,
        "users_completed": ended,
        "sessions_started": started,
        "sessions_completed": ended,
        "messages_in": int(users * random.uniform(3.6, 4.4)),
        "messages_out": int(load * 0.11),
        "verify_eligible": n,
        "verify_checked": n,
    }
    slot.cpu_ns = int(1e9 * (0.05 + load / 900))
    return slot


def _request(random: Random, slot: SecondSlot, key: SeriesKey, measure: Measure, median_us: int) -> None:
    second = slot.second
    service_us = int(median_us * _slowness(second) * random.lognormvariate(0, 0.45))
    if random.random() < 0.004:
        service_us += int(random.uniform(60_000, 240_000))
    if BURST_S <= second < BURST_S + 8 and random.random() < 0.012:
        measure.errors["status_503"] = measure.errors.get("status_503", 0) + 1
        _keep(random, slot, key, "status_503", 503, "503 Service Unavailable, 41 bytes of text/plain", service_us)
    elif STALL_S <= second < STALL_S + 3 and random.random() < 0.02:
        measure.errors["reset"] = measure.errors.get("reset", 0) + 1
        _keep(random, slot, key, "reset", 0, "connection reset by peer after 0 bytes", service_us)
    elif key[1][1][1] == "GET /api/foreign-flow" and random.random() < 0.01:
        measure.mismatches["empty"] = measure.mismatches.get("empty", 0) + 1
        _keep(random, slot, key, "mismatch_empty", 200, "$.rows is empty, recorded with 12 to 40 items", service_us)
    else:
        record(measure, service_us + int(random.expovariate(1 / 300)), service_us)


def _keep(
    random: Random, slot: SecondSlot, series: SeriesKey, outcome: str, status: int, detail: str, service_us: int
) -> None:
    start_ns = slot.second * 10**9 + random.randrange(10**9)
    user = random.randrange(N_KEPT, N_USERS)
    slot.steps.append(
        StepRecord(
            user=user,
            session=user % 3,
            step=random.randrange(60),
            series=series,
            intended_ns=start_ns - 200_000,
            actual_ns=start_ns,
            end_ns=start_ns + service_us * 1000,
            outcome=outcome,
            status=status,
            detail=detail,
            request=dict(series[1])["route"],
            recorded="status 200, application/json, 1,204 bytes",
        )
    )


def _socket(random: Random, slot: SecondSlot, load: float) -> None:
    route = (("route", "WS /ws/market"),)
    if slot.second < 20:
        for name, median_us in (("ws.connect", 7_000), ("ws.ready", 3_000)):
            measure = slot.measures[(name, route)] = Measure(planned=3)
            for _ in range(3):
                us = int(median_us * random.lognormvariate(0, 0.4))
                record(measure, us + 200, us)
    n = int(load * 0.1 + random.random())
    if n:
        measure = slot.measures[("ws.reply", route)] = Measure(planned=n)
        for _ in range(n):
            us = int(5_000 * _slowness(slot.second) * random.lognormvariate(0, 0.5))
            record(measure, us + 150, us)


def write(directory: Path, *expressions: str) -> None:
    """Write the run, its summary and its report."""
    writer = open_run(directory, facts())
    writer.tell_recorded(recorded())
    for slot in slots():
        writer.add(slot)
    writer.finish(RunEnd(duration_s=96.4, ended=Ended.FINISHED))
    own = [parse_threshold(expression) for expression in expressions]
    write_outputs(directory, in_force(own) if own else DEFAULTS)


if __name__ == "__main__":
    write(Path(sys.argv[1]), *sys.argv[2:])
