"""Times this tool against every load tool that is there, in turns, on one core; writes ``benchmarks/RESULTS.md``.

``python -m benchmarks.peers [--rounds 5] [--seconds 4] [--only PART ...] [--within SECONDS]``. What was measured is
kept in ``.bench``: an interrupted run goes on where it was, parts can be measured apart from each other and stand in
the same file. A turn in which other programs took part of the cores is repeated.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from benchmarks.peers import figures, report, rivals
from benchmarks.peers.calm import MOST_TAKEN, Watch
from benchmarks.peers.figures import Figure
from benchmarks.peers.ground import CLIENT_CORE, Ground, ground
from benchmarks.peers.measured import Measured, Sample
from benchmarks.peers.rivals import Call
from benchmarks.peers.works import Work, works

RESULTS = rivals.ROOT / "benchmarks" / "RESULTS.md"
TRIES = 3

Turn = tuple[str, str, Callable[[], Mapping[str, float]]]
"""A part, what is measured in it, and how."""


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Turns; medians of them are told.")
@click.option("--seconds", default=4, show_default=True, help="Length of one turn of one tool.")
@click.option("--only", multiple=True, metavar="PART", help="Measure these parts alone; many.")
@click.option("--within", default=0.0, metavar="SECONDS", help="Begin no turn after so long; the next call goes on.")
@click.option("--afresh", is_flag=True, help="Forget what was measured before.")
def main(*, rounds: int, seconds: int, only: tuple[str, ...], within: float, afresh: bool) -> None:
    """Measure, print, and write the results."""
    stop_s = time.monotonic() + within if within else float("inf")
    rivals.install()
    measured = Measured(rivals.HOME / "measured.jsonl", report.setting(seconds))
    with tempfile.TemporaryDirectory() as name, ground(Path(name)) as listening:
        all_works, all_figures = works(listening, Path(name), seconds), figures.figures(listening, Path(name))
        names = [work.name for work in all_works] + [figure.name for figure in all_figures]
        chosen = list(only) or names
        if unknown := set(chosen) - set(names):
            raise click.UsageError(f"no part {', '.join(sorted(unknown))}: {', '.join(names)}")
        turns = [turn for turn in _turns(all_works, all_figures, Path(name), seconds) if turn[0] in chosen]
        if afresh or not any(_lacking(turns, measured, rounds)):
            measured.forget(chosen)
        is_complete = _measure(_lacking(turns, measured, rounds), measured, listening, stop_s)
    text = report.text(measured, all_works, all_figures, seconds)
    click.echo(text)
    RESULTS.write_text(text, encoding="utf-8")
    if not is_complete:
        click.echo("The time is over; the same command goes on.", err=True)


def _turns(all_works: list[Work], all_figures: list[Figure], directory: Path, seconds: int) -> list[Turn]:
    found: list[Turn] = [
        (work.name, tool, partial(_rate, tool, call, directory, seconds * 5 + 60))
        for work in all_works
        for tool, call in work.calls.items()
    ]
    return found + [(figure.name, figure.rows[0].key, figure.measure) for figure in all_figures]


def _rate(tool: str, call: Call, directory: Path, timeout_s: float) -> dict[str, float]:
    return {tool: call.run(directory, timeout_s)}


def _lacking(turns: list[Turn], measured: Measured, rounds: int) -> Iterator[tuple[int, Turn]]:
    """Give what is still to be measured: part by part, and in each the tools in turn."""
    for part in dict.fromkeys(turn[0] for turn in turns):
        for number in range(rounds):
            for turn in turns:
                if turn[0] == part and not measured.has(part, turn[1], number):
                    yield number, turn


def _measure(lacking: Iterator[tuple[int, Turn]], measured: Measured, listening: Ground, stop_s: float) -> bool:
    """Measure one after the other; tell whether nothing is left."""
    date, revision = f"{datetime.now(UTC):%Y-%m-%d}", _revision()
    for number, (part, _, take) in list(lacking):
        if time.monotonic() > stop_s:
            return False
        values, taken = _calmest(take, listening)
        for name, value in values.items():
            told = f"{part} {number + 1} {name}: {value:,.2f}"
            click.echo(f"{told} ({taken:.0%} of the time others')" if taken > MOST_TAKEN else told, err=True)
            measured.add(
                Sample(part=part, name=name, turn=number, value=value, taken=taken, date=date, revision=revision)
            )
    return True


def _calmest(take: Callable[[], Mapping[str, float]], listening: Ground) -> tuple[Mapping[str, float], float]:
    """Measure until nobody disturbs, a few times at most; return the calmest values and how calm it was."""
    best: tuple[Mapping[str, float], float] = {}, float("inf")
    for _ in range(TRIES):
        watch = Watch(CLIENT_CORE, listening.pids)
        values = take()
        taken = watch.taken_ratio()
        if taken < best[1]:
            best = values, taken
        if taken <= MOST_TAKEN:
            break
    return best


def _revision() -> str:
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
