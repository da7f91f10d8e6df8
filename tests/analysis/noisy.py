"""Runs with the noise of real ones, for tests and simulations of comparisons: seeded, and made without waiting.

Requests are lognormal; a run is as a whole a few percent faster or slower than the next; and some windows of requests
are two to five times slower, as a pause of the target makes them (measurement method §5.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from analysis.run import RUN_FILE, Run, RunEnd, open_run
from analysis.slots import Measure, SecondSlot
from analysis.steplog import StepRecord
from tests.analysis.runs import FINISHED, QUOTES, REPLY, a_run, sessions
from tests.analysis.synthetic_run import facts, record

WINDOW = 20
PLANNED = {"http": 100, "ws.reply": 50, "session": 20}


def noisy_slot(
    seed: int,
    *,
    n: int = 1_000,
    median_ms: float = 40.0,
    slower: float = 1.0,
    errors: int = 0,
    run_noise: float = 0.05,
    pauses: float = 0.01,
    n_replies: int = 1_000,
    users: int = 20,
) -> SecondSlot:
    """Return the one slot of a run: requests, replies and whole steps of all of its users.

    Args:
        slower: factor on everything.
        run_noise: standard deviation of the logarithm of a run's own factor.
        pauses: share of windows that are slow.
    """
    random = Random(seed)
    factor = slower * random.lognormvariate(0, run_noise)
    slot = SecondSlot(worker=0, second=0, counts=sessions(users), lag={200: 100}, loop={100: 100}, cpu_ns=10**8)
    for key, count, centre_ms in ((QUOTES, n, median_ms), (REPLY, n_replies, median_ms / 4)):
        measure = slot.measures[key] = Measure(planned=count)
        pause = 1.0
        for number in range(count):
            if number % WINDOW == 0:
                pause = random.uniform(2, 5) if random.random() < pauses else 1.0
            us = int(1000 * centre_ms * factor * pause * random.lognormvariate(0, 0.4))
            record(measure, us, us)
            slot.steps.append(
                StepRecord(
                    user=number * users // count,
                    session=0,
                    step=number,
                    series=key,
                    intended_ns=0,
                    actual_ns=0,
                    end_ns=1000 * us,
                    outcome="ok",
                )
            )
    if errors:
        slot.measures[QUOTES].errors["status_503"] = errors
        slot.measures[QUOTES].planned += errors
    return slot


def noisy_run(seed: int, *, environment: dict[str, object] | None = None, **changes: float) -> Run:
    """Return a run in memory; ``changes`` are those of ``noisy_slot``."""
    known = {"environment": environment} if environment is not None else {}
    return a_run([noisy_slot(seed, **changes)], run_facts=facts(planned=PLANNED, **known))  # type: ignore[arg-type]


def write_noisy(directory: Path, seed: int, *, end: RunEnd = FINISHED, **changes: object) -> Path:
    """Write a run file; ``changes`` of ``noisy_slot`` by their names, all others of the run's facts."""
    ours = {"n", "median_ms", "slower", "errors", "run_noise", "pauses", "n_replies", "users"}
    of_slot = {name: value for name, value in changes.items() if name in ours}
    of_facts = {name: value for name, value in changes.items() if name not in ours}
    writer = open_run(directory, facts(**{"planned": PLANNED, **of_facts}))
    writer.add(noisy_slot(seed, **of_slot))  # type: ignore[arg-type]
    writer.finish(end)
    assert (directory / RUN_FILE).is_file()
    return directory


def write_side(parent: Path, name: str, seeds: Sequence[int], **changes: object) -> list[str]:
    """Write several runs and return the names of their directories."""
    return [str(write_noisy(parent / f"{name}-{seed}", seed, **changes)) for seed in seeds]  # type: ignore[arg-type]
