"""Runs made by hand, for tests: a few lines say what was measured."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.merge import SlotMerge
from analysis.run import Ended, Run, RunEnd, RunFacts
from analysis.slots import Measure, SecondSlot, SeriesKey
from tests.analysis.synthetic_run import facts, record

QUOTES: SeriesKey = ("http", (("kind", "api"), ("route", "GET /api/quotes")))
ASSET: SeriesKey = ("http", (("kind", "asset"), ("route", "GET /app.js")))
CONNECT: SeriesKey = ("ws.connect", (("route", "WS /ws/market"),))
MESSAGE: SeriesKey = ("ws.message", (("message", "snapshot"), ("route", "WS /ws/market")))
REPLY: SeriesKey = ("ws.reply", (("route", "WS /ws/market"),))

FINISHED = RunEnd(duration_s=10.0, ended=Ended.FINISHED)
PLAN_OF_HTTP = {"http": 3, "session": 1}


def measured(
    *latencies_ms: float,
    errors: dict[str, int] | None = None,
    mismatches: dict[str, int] | None = None,
) -> Measure:
    """Return a measure of successes with these latencies, and of other outcomes."""
    measure = Measure(errors=dict(errors or {}), mismatches=dict(mismatches or {}))
    for latency_ms in latencies_ms:
        record(measure, round(latency_ms * 1000), round(latency_ms * 1000))
    measure.planned = measure.ok + sum(measure.errors.values()) + sum(measure.mismatches.values())
    return measure


def a_slot(
    measures: dict[SeriesKey, Measure] | None = None,
    *,
    worker: int = 0,
    second: int = 0,
    counts: dict[str, int] | None = None,
    lag_ms: float = 0.2,
    loop_ms: float = 0.1,
) -> SecondSlot:
    """Return a second-slot with a hundred sends and heartbeats that were this late."""
    from analysis.histogram import bucket_of

    return SecondSlot(
        worker=worker,
        second=second,
        measures=dict(measures or {}),
        lag={bucket_of(round(lag_ms * 1000)): 100},
        loop={bucket_of(round(loop_ms * 1000)): 100},
        counts=dict(counts or {}),
        cpu_ns=100_000_000,
    )


def sessions(started: int, completed: int | None = None, **others: int) -> dict[str, int]:
    """Return the counters of a run in which so many sessions were played."""
    done = started if completed is None else completed
    return {
        "users_started": started,
        "users_completed": done,
        "sessions_started": started,
        "sessions_completed": done,
        "sessions_failed": started - done,
        "verify_checked": 1000,
        "verify_eligible": 1000,
        **others,
    }


def a_run(slots: Iterable[SecondSlot], *, end: RunEnd | None = FINISHED, run_facts: RunFacts | None = None) -> Run:
    """Return the run of some slots."""
    run = Run(facts=run_facts or facts(planned=PLAN_OF_HTTP), end=end)
    merge = SlotMerge()
    for slot in slots:
        merge.add(slot)
    for total in merge.rest():
        run.add(total)
    return run


def a_good_run(end: RunEnd | None = FINISHED, **changes: object) -> Run:
    """Return a run that meets every default."""
    slot = a_slot({QUOTES: measured(*[20.0] * 2000)}, counts=sessions(20))
    return a_run([slot], end=end, run_facts=facts(planned=PLAN_OF_HTTP, **changes))
