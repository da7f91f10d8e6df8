"""The measured samples as Markdown: what is held to what, then a table for each part."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers import rivals
from benchmarks.peers.figures import Figure, Row
from benchmarks.peers.measured import Measured
from benchmarks.peers.works import OURS, Work


def setting(seconds: int) -> dict[str, object]:
    """Return what all samples must have in common."""
    described = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in described if "model name" in line), platform.machine())
    return {
        "machine": f"{cpu}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "seconds": seconds,
        "versions": rivals.versions(),
    }


def text(measured: Measured, works: Sequence[Work], figures: Sequence[Figure], seconds: int) -> str:
    """Return the whole document."""
    parts = [_head(seconds), "\n".join(_goals(measured, works, figures))]
    parts += ["\n".join(_work(measured, work)) for work in works if measured.names(work.name)]
    parts += ["\n".join(_figure(measured, figure)) for figure in figures if measured.names(figure.name)]
    return "\n\n".join(parts) + "\n"


def _head(seconds: int) -> str:
    common = setting(seconds)
    lines = [
        "# Measured against its peers",
        "",
        f"`make bench`. {common['machine']}, Python {common['python']}. Client pinned to one core, servers to another;",
        f"turns of {seconds} s, the tools alternate; {rivals.CONNECTIONS} connections unless said otherwise; medians.",
        "Rushhour's core carries its controller too, and its users check every answer; k6 and Locust send the same",
        "requests with the same headers and check the status; wrk, hey, autocannon and h2load repeat one request and",
        "check nothing.",
        "",
        *(f"- {name}: {version}" for name, version in rivals.versions().items()),
    ]
    return "\n".join(lines)


def _goals(measured: Measured, works: Sequence[Work], figures: Sequence[Figure]) -> Iterator[str]:
    yield "## What is held to what"
    yield ""
    yield "| work | measured | must reach | aim | |"
    yield "|---|---|---|---|---|"
    for work in works:
        ours = measured.median(work.name, OURS)
        for goal in work.goals:
            peer = measured.median(work.name, goal.peer)
            if ours is None or peer is None:
                yield f"| {work.what} | not measured | ≥ {goal.must:g} × {goal.peer} | {goal.aim:g} | |"
                continue
            ratio = ours / peer
            verdict = _verdict(ratio >= goal.aim, ratio >= goal.must)
            reached, must = f"{ratio:.2f} × {goal.peer}", f"≥ {goal.must:g} × {goal.peer}"
            yield f"| {work.what} | {reached} | {must} | {goal.aim:g} | {verdict} |"
    for figure in figures:
        for row in figure.rows:
            if row.must is not None:
                yield _held(measured.median(figure.name, row.key), row, row.must)


def _held(value: float | None, row: Row, must: float) -> str:
    aim = f"{row.aim:g}" if row.aim else ""
    if value is None:
        return f"| {row.what} | not measured | ≤ {must:g} {row.unit} | {aim} | |"
    verdict = _verdict(row.aim is not None and value <= row.aim, value <= must)
    return f"| {row.what} | {value:.2f} {row.unit} | ≤ {must:g} {row.unit} | {aim} | {verdict} |"


def _verdict(reaches_aim: bool, is_met: bool) -> str:
    return "aim reached" if reaches_aim else "met" if is_met else "**missed**"


def _work(measured: Measured, work: Work) -> Iterator[str]:
    yield f"## {work.name}: {work.what}"
    yield ""
    yield f"{measured.origin(work.name)}."
    yield ""
    yield "| tool | per second, median | lowest | highest | rushhour ÷ tool |"
    yield "|---|---|---|---|---|"
    ours = measured.median(work.name, OURS)
    medians = {name: measured.median(work.name, name) or 0.0 for name in measured.names(work.name)}
    for name in sorted(medians, key=lambda name: -medians[name]):
        values = measured.values(work.name, name)
        times = f"{ours / medians[name]:.2f}" if ours and medians[name] else ""
        yield f"| {name} | {medians[name]:,.0f} | {min(values):,.0f} | {max(values):,.0f} | {times} |"


def _figure(measured: Measured, figure: Figure) -> Iterator[str]:
    yield f"## {figure.name}: {figure.what}"
    yield ""
    yield f"{measured.origin(figure.name)}."
    yield ""
    yield "| what | median | lowest | highest |"
    yield "|---|---|---|---|"
    for row in figure.rows:
        values, middle = measured.values(figure.name, row.key), measured.median(figure.name, row.key)
        if middle is not None:
            told = " | ".join(f"{value:,.2f} {row.unit}" for value in (middle, min(values), max(values)))
            yield f"| {row.what} | {told} |"
