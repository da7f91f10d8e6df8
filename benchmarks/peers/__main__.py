"""Times this tool against every load tool that is there, in turns, on one core; writes ``benchmarks/RESULTS.md``.

``python -m benchmarks.peers [--rounds 5] [--seconds 4] [--only NAME ...]``
"""

from __future__ import annotations

import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import click

from benchmarks.peers import figures, rivals
from benchmarks.peers.ground import ground
from benchmarks.peers.works import OURS, Work, works

RESULTS = rivals.ROOT / "benchmarks" / "RESULTS.md"


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Turns; medians of them are told.")
@click.option("--seconds", default=4, show_default=True, help="Length of one turn of one tool.")
@click.option("--only", multiple=True, help="Works or figures by name; nothing is written then.")
def main(rounds: int, seconds: int, only: tuple[str, ...]) -> None:
    """Measure, print, and write the results."""
    rivals.install()
    with tempfile.TemporaryDirectory() as name, ground(Path(name)) as listening:
        chosen = [work for work in works(listening, Path(name), seconds) if not only or work.name in only]
        tables = [_table(work, _measure(work, Path(name), rounds, seconds)) for work in chosen]
        tables += [figures.table(listening, Path(name), only)]
    text = "\n\n".join([_head(rounds, seconds), *filter(None, tables)]) + "\n"
    click.echo(text)
    if not only:
        RESULTS.write_text(text, encoding="utf-8")


def _measure(work: Work, directory: Path, rounds: int, seconds: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in work.calls}
    for number in range(rounds):
        for name, call in work.calls.items():
            rates[name].append(call.run(directory, seconds * 5 + 60))
            click.echo(f"{work.name} {number + 1}/{rounds} {name}: {rates[name][-1]:,.0f}/s", err=True)
    return rates


def _table(work: Work, rates: dict[str, list[float]]) -> str:
    ours = median(rates[OURS])
    rows = [
        f"## {work.name}: {work.what}",
        "",
        "| tool | per second, median | lowest | highest | rushhour ÷ tool |",
        "|---|---|---|---|---|",
    ]
    for name, measured in sorted(rates.items(), key=lambda item: -median(item[1])):
        times = "1" if name == OURS else f"{ours / median(measured):.2f}"
        rows.append(f"| {name} | {median(measured):,.0f} | {min(measured):,.0f} | {max(measured):,.0f} | {times} |")
    rows.append("")
    for goal in work.goals:
        if goal.peer not in rates:
            rows.append(f"- {goal.must:g} × {goal.peer}: not measured, {goal.peer} is not there")
            continue
        ratio = ours / median(rates[goal.peer])
        verdict = "aim reached" if ratio >= goal.aim else "met" if ratio >= goal.must else "**missed**"
        rows.append(f"- at least {goal.must:g} × {goal.peer} (aim {goal.aim:g}): {ratio:.2f}, {verdict}")
    return "\n".join(rows)


def _head(rounds: int, seconds: int) -> str:
    described = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in described if "model name" in line), platform.machine())
    lines = [
        "# Measured against its peers",
        "",
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d}. {cpu}, {platform.system()} {platform.release()},",
        f"Python {platform.python_version()}. Client pinned to one core, servers to another;",
        f"{rounds} rounds of {seconds} s in turn; {rivals.CONNECTIONS} connections unless said otherwise.",
        "Rushhour's core carries its controller too, and its users check every answer; k6 and Locust send the same",
        "requests with the same headers and check the status; wrk, hey, autocannon and h2load repeat one request and",
        "check nothing.",
        "",
        *(f"- {name}: {version}" for name, version in rivals.versions().items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
