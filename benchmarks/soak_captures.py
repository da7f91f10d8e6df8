"""Kills a writing process at random times, again and again, and counts the sealed events that are lost.

``python -m benchmarks.soak_captures [--kills 1000] [--seed N]``: exits 1 where one event that was sealed is not there.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import click

from captures.format.reader import open_capture
from captures.format.recover import recover
from tests.captures.test_kill import LONGEST_S, is_right, killed_recording


def killed_once(directory: Path, delay_s: float) -> tuple[int, int, int]:
    """Events that were sealed, sealed events that are lost, and events that are not as they were written."""
    path, out = directory / "killed.rush", directory / "whole.rush"
    try:
        n_sealed = killed_recording(path, delay_s)
        with open_capture(path) as reader:
            events = list(reader.events())
        n_wrong = sum(event.seq != seq or not is_right(event) for seq, event in enumerate(events))
        n_recovered = recover(path, out).events
        return n_sealed, max(0, n_sealed - min(len(events), n_recovered)), n_wrong
    finally:
        path.unlink(missing_ok=True)
        out.unlink(missing_ok=True)


@click.command()
@click.option("--kills", default=1000, show_default=True)
@click.option("--seed", type=int, help="Repeats a run.  [default: a new one]")
def main(kills: int, seed: int | None) -> None:
    """Kill, look, and tell."""
    seed = secrets.randbits(32) if seed is None else seed
    random = Random(seed)
    n_sealed = n_lost = n_wrong = 0
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rushhour-soak-") as directory:
        for number in range(1, kills + 1):
            sealed, lost, wrong = killed_once(Path(directory), random.uniform(0, LONGEST_S))
            n_sealed, n_lost, n_wrong = n_sealed + sealed, n_lost + lost, n_wrong + wrong
            if number % 50 == 0 or number == kills or lost or wrong:
                click.echo(
                    f"{number} kills in {time.monotonic() - start_s:.0f} s: {n_sealed} events sealed, {n_lost} lost,"
                    f" {n_wrong} wrong (seed {seed})"
                )
    sys.exit(1 if n_lost or n_wrong or not n_sealed else 0)


if __name__ == "__main__":
    main()
