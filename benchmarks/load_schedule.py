"""What making the schedule costs: ``python -m benchmarks.load_schedule [--arrivals N]``.

Every worker generates the whole schedule lazily and keeps its own users. So for each shape this prints how long one
worker takes to walk through all arrivals, and how much its memory grows meanwhile; neither may depend on how many users
there are but linearly in time. Each shape runs in a process of its own, so that memory is its own too.
"""

from __future__ import annotations

import resource
import sys
import time

import click
import multiprocess

from captures.units import NS_PER_S
from replayer.load.partition import share_of
from replayer.load.schedule import LoadOptions, ScriptTiming, arrivals, implied_users
from replayer.load.shapes import parse_shape

LIMIT_S = 5.0
"""The schedule for 1,000,000 arrivals is made in less."""
LIMIT_MIB = 16.0
"""It is not held in memory: 1,000,000 arrivals would be above 100 MiB."""
N_WORKERS = 2
SCRIPTS = [
    ScriptTiming(
        start_ns=number * NS_PER_S, duration_ns=10 * NS_PER_S, sends_ns=tuple(range(0, 10 * NS_PER_S, NS_PER_S))
    )
    for number in range(3)
]
SHAPES = ("recorded", "ramp:60s", "burst", "align", "rate:10000/s", "stages:60s@{n},60s@0", "stages:100s@{double}/s")


def walk(text: str, n_arrivals: int) -> tuple[int, float, float]:
    """Return how many arrivals the shape has, how long walking through them took (s), and growth of memory (MiB)."""
    shape = parse_shape(text)
    implied = implied_users(shape, seed=0, for_ns=None)
    load = LoadOptions(users=n_arrivals if implied is None else implied, shape=shape)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    n_own = sum(1 for _ in share_of(arrivals(SCRIPTS, load), worker=0, n_workers=N_WORKERS))
    took_s = time.perf_counter() - started
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert abs(n_own - load.users / N_WORKERS) <= 1
    return load.users, took_s, grown_mib


@click.command()
@click.option("--arrivals", "n_arrivals", default=1_000_000, show_default=True)
def main(n_arrivals: int) -> None:
    """Print one line per shape; exit 1 where a figure misses its limit."""
    missed = False
    with multiprocess.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for pattern in SHAPES:
            text = pattern.format(n=n_arrivals, double=2 * n_arrivals // 100)
            n, took_s, grown_mib = pool.apply(walk, (text, n_arrivals))
            is_missed = took_s * 1_000_000 / n > LIMIT_S or grown_mib > LIMIT_MIB
            missed |= is_missed
            verdict = "MISSED" if is_missed else "ok"
            click.echo(f"{verdict:<6} {text:<28} {n:>9,} arrivals  {took_s:6.2f} s  {grown_mib:6.1f} MiB more")
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
