"""What captures cost: reading a large one, and being recorded. Writes ``benchmarks/RESULTS-captures.md``.

``python -m benchmarks.captures [--mib 1024] [--slices 20] [--only files|relay]``. Takes a little more disk than the
capture's size, in a temporary directory that is removed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from benchmarks.capture_har import write_har
from benchmarks.capture_relay import MESSAGE_BYTES, RATE_PER_S, measure_relay, percentile
from benchmarks.capture_traffic import SMALL_BYTES, write_capture, write_small_messages

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS-captures.md"
MIB = 1024 * 1024
REPEATS = 3
SMALL_MESSAGES = 500_000
HAR_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, and the limit it is held against (``<=`` or ``>=``), or None."""

    what: str
    value: float
    unit: str
    limit: tuple[str, float] | None = None

    @property
    def is_met(self) -> bool:
        """Whether the limit holds."""
        if self.limit is None:
            return True
        sign, bound = self.limit
        return self.value <= bound if sign == "<=" else self.value >= bound

    def markdown(self) -> str:
        """A row of the table."""
        wanted = f"{self.limit[0]} {self.limit[1]:g} {self.unit}" if self.limit else ""
        verdict = ("met" if self.is_met else "**missed**") if self.limit else ""
        return f"| {self.what} | {self.value:.3g} {self.unit} | {wanted} | {verdict} |"


def probe(name: str, path: Path, repeats: int = REPEATS) -> dict[str, float]:
    """The run of a probe with the median time of a few."""
    command = [sys.executable, "-m", "benchmarks.capture_probe", name, str(path)]
    runs = []
    for _ in range(repeats):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=600)
        runs.append(json.loads(done.stdout))
    middle: dict[str, float] = sorted(runs, key=lambda run: float(run["seconds"]))[repeats // 2]
    return middle


def inspected_s(path: Path) -> float:
    """How long the real command takes, from its start to its end."""
    times_s = []
    for _ in range(REPEATS):
        start_s = time.perf_counter()
        command = [sys.executable, "-m", "rushhour", "inspect", str(path)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=600)
        times_s.append(time.perf_counter() - start_s)
    return median(times_s)


def measure_files(directory: Path, n_mib: int) -> list[Line]:
    """Figures of reading a generated capture."""
    path, small = directory / "large.rush", directory / "small.rush"
    start_s = time.perf_counter()
    write_capture(path, n_mib * MIB)
    written_s = time.perf_counter() - start_s
    listed, session, scan = (probe(name, path) for name in ("list", "session", "scan"))
    edited = probe("edit", path, repeats=1)
    write_small_messages(small, SMALL_MESSAGES)
    smallest = probe("scan", small)
    decoded_mb = probe("weigh", path, repeats=1)["decoded_bytes"] / 1e6
    size = f"{path.stat().st_size / MIB:.0f} MiB"
    peak_mib = max(run["peak_mib"] for run in (listed, session, scan, edited))
    return [
        Line(f"list a capture of {size}, every checksum verified", listed["seconds"], "s", ("<=", 1)),
        Line("the command `rushhour inspect` on it", inspected_s(path), "s", ("<=", 1)),
        Line("read a session of it", session["seconds"], "s", ("<=", 0.2)),
        Line("chunks in which that session lies", 100 * session["share_of_chunks"], "%", ("<=", 1)),
        Line("scan all of it: decoded events per core", decoded_mb / scan["cpu_seconds"], "MB/s", (">=", 100)),
        Line("scan all of it: events per core", scan["events"] / scan["cpu_seconds"], "/s"),
        Line(
            f"scan messages of {SMALL_BYTES} bytes: decoded events per core",
            SMALL_MESSAGES * SMALL_BYTES / 1e6 / smallest["cpu_seconds"],
            "MB/s",
            (">=", 100),
        ),
        Line("decoded size", decoded_mb, "MB"),
        Line("events, sessions", listed["events"], f"events, {listed['sessions']:.0f} sessions"),
        Line("edit: one session in ten to a new file", edited["seconds"], "s"),
        Line("peak resident memory of all of these", peak_mib, "MiB", ("<=", 200)),
        Line("generate and write it", n_mib / written_s, "MiB/s"),
    ]


def measure_imports(directory: Path) -> list[Line]:
    """Figures of importing HARs."""
    lines, peaks_mib = [], []
    for name, has_bodies in (("headers only", False), ("mixed, with bodies", True)):
        path = directory / "made.har"
        write_har(path, HAR_BYTES, has_bodies=has_bodies)
        run = probe("import", path)
        per_s = path.stat().st_size / 1e6 / run["cpu_seconds"]
        lines.append(Line(f"import a HAR of {HAR_BYTES // MIB} MiB, {name}, per core", per_s, "MB/s", (">=", 20)))
        peaks_mib.append(run["peak_mib"])
        path.unlink()
    return [*lines, Line("peak resident memory of it", max(peaks_mib), "MiB", ("<=", 200))]


def measure_recording(directory: Path, slices: int) -> list[Line]:
    """Figures of being recorded."""
    relay = measure_relay(directory, slices=slices)
    bare, control, recording = relay.bare, relay.control, relay.recording
    alone_us = bare.trips_us + control.trips_us
    alone_per_s = median(bare.per_s + control.per_s)
    alone_cpu_us = (bare.cpu_us + control.cpu_us) / 2
    lines = []
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        alone, with_addon = percentile(alone_us, share), percentile(recording.trips_us, share)
        apart = percentile(control.trips_us, share) / percentile(bare.trips_us, share)
        lines += [
            Line(f"round trip through mitmdump alone, {name}", alone, "us"),
            Line(f"with the recorder's addon, {name}", with_addon, "us"),
            Line(f"ratio of the {name}", with_addon / alone, "x", None if name == "p90" else ("<=", 1.1)),
            Line(f"control: the two mitmdumps alone against each other, {name}", apart, "x"),
        ]
    with_addon_per_s = median(recording.per_s)
    return [
        *lines,
        Line("sustained, mitmdump alone", alone_per_s, "messages/s there and back"),
        Line("sustained, with the addon", with_addon_per_s, "messages/s there and back"),
        Line("ratio of the throughput", with_addon_per_s / alone_per_s, "x", (">=", 0.8)),
        Line("control: the two alone against each other", median(control.per_s) / median(bare.per_s), "x"),
        Line("CPU time of the proxy for a message there and back, alone", alone_cpu_us, "us"),
        Line("with the addon", recording.cpu_us, "us"),
        Line("ratio of the CPU time", recording.cpu_us / alone_cpu_us, "x"),
        Line("control: the two alone against each other, CPU time", control.cpu_us / bare.cpu_us, "x"),
        Line("relayed messages that are in the capture", 100 * relay.n_recorded / relay.n_relayed, "%", (">=", 100)),
        Line("round trip without a proxy, p50", percentile(relay.direct.trips_us, 0.5), "us"),
    ]


def _table(title: str, how: str, lines: list[Line]) -> str:
    rows = "\n".join(line.markdown() for line in lines)
    return f"## {title}\n\n{how}\n\n| what | measured | limit | |\n|---|---|---|---|\n{rows}\n"


@click.command()
@click.option("--mib", default=1024, show_default=True, help="Size of the generated capture.")
@click.option("--slices", default=30, show_default=True, help="Slices of a second for each way.")
@click.option("--only", type=click.Choice(["files", "relay"]), help="Measure this alone, and write nothing.")
def main(mib: int, slices: int, only: str | None) -> None:
    """Measure, print, and write the results."""
    tables, lines = [], []
    with tempfile.TemporaryDirectory(prefix="rushhour-bench-") as directory:
        if only != "relay":
            found = measure_files(Path(directory), mib) + measure_imports(Path(directory))
            how = (
                f"Each figure is the median of {REPEATS} processes; the file is in the page cache, as after writing it."
            )
            tables.append(_table("Reading and importing", how, found))
            lines += found
        if only != "files":
            found = measure_recording(Path(directory), slices)
            how = (
                f"{RATE_PER_S:.0f} messages/s of {MESSAGE_BYTES} bytes of JSON, echoed, through three proxies, two"
                f" of them alike, in turns of a second, {slices} each; percentiles are of all turns together. Both ways"
                f" of a message go through the proxy; the recorder writes on the same {os.cpu_count()} cores."
            )
            tables.append(_table("Being recorded", how, found))
            lines += found
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    text = "\n".join([f"# Captures, measured\n\n`make bench-captures`, {machine}.\n", *tables])
    click.echo(text)
    if only is None:
        RESULTS.write_text(text, encoding="utf-8")
    raise SystemExit(0 if all(line.is_met for line in lines) else 1)


if __name__ == "__main__":
    main()
