"""Figures of this tool alone: what a second worker costs, how late sends are, how true its clock is, its memory."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers import recordings
from benchmarks.peers.ground import CLIENT_CORE, HOST, Ground
from captures.units import NS_PER_MS

ROUNDS = 5
KNOWN_DELAY_S = 0.020


def table(ground: Ground, directory: Path, only: tuple[str, ...]) -> str:
    """Return the measured figures as a table; those named, or all."""
    measures: dict[str, Callable[[Ground, Path], list[str]]] = {
        "workers": _workers,
        "lag": _lag,
        "delay": _delay,
        "memory": _memory,
        "flat": _flat,
        "start": _start,
    }
    rows = [row for name, measure in measures.items() if not only or name in only for row in measure(ground, directory)]
    return "\n".join(["## Alone", "", "| what | measured | must | |", "|---|---|---|---|", *rows]) if rows else ""


def _row(what: str, value: float, unit: str, must: float) -> str:
    return f"| {what} | {value:.2f} {unit} | ≤ {must:g} {unit} | {'met' if value <= must else '**missed**'} |"


def _replay(directory: Path, *arguments: str) -> dict[str, Any]:
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-m", "rushhour", "replay", *arguments]
    command += ["--json", "--allow-lag", "--allow-inconclusive"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=300, check=False)
    try:
        summary: dict[str, Any] = json.loads(ended.stdout)
    except ValueError as exc:
        raise SystemExit(f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}") from exc
    return summary


def _cpu_per_request(summary: dict[str, Any]) -> float:
    cpu_s = float(summary["generator"]["cpu_ratio"]) * float(summary["workers"]) * float(summary["duration_s"])
    return cpu_s / float(summary["totals"]["ok"])


def _workers(ground: Ground, directory: Path) -> list[str]:
    capture = directory / "figures-polling.rush"
    recordings.polling(capture, 4_000)
    url = f"http://{HOST}:{ground.plain}"
    ratios = []
    for _ in range(ROUNDS):
        one, two = (
            _cpu_per_request(
                _replay(directory, str(capture), "--target", url, "--users", "50", "--pacing", "asap", "--workers", n)
            )
            for n in ("1", "2")
        )
        ratios.append(two / one)
    return [_row("CPU seconds per request, two workers ÷ one, the same core", median(ratios), "×", 1.1)]


def _lag(ground: Ground, directory: Path) -> list[str]:
    """Open arrivals at half of what the worker can do: the closed loop says how much that is."""
    url = f"http://{HOST}:{ground.plain}"
    capture, paced = directory / "figures-polling.rush", directory / "figures-paced.rush"
    if not capture.exists():
        recordings.polling(capture, 4_000)
    summary = _replay(directory, str(capture), "--target", url, "--users", "50", "--pacing", "asap", "--workers", "1")
    half_per_s = summary["totals"]["ok"] / summary["duration_s"] / 2
    gap_ms = 20
    recordings.polling(paced, 250, gap_ns=gap_ms * NS_PER_MS)
    users = round(half_per_s * gap_ms / 1000)
    lags = []
    for _ in range(ROUNDS):
        flags = ("--users", str(users), "--workers", "1", "--start-spread", "1s")
        lags.append(_replay(directory, str(paced), "--target", url, *flags)["generator"]["lag_ms"]["p99"])
    return [_row(f"send lag p99 at {half_per_s:,.0f} requests/s, half of capacity", median(lags), "ms", 2)]


def _delay(_ground: Ground, directory: Path) -> list[str]:
    capture = directory / "figures-delay.rush"
    recordings.polling(capture, 100, gap_ns=50 * NS_PER_MS)
    errors: dict[str, list[float]] = {"p50": [], "p99": []}
    with _delaying_server() as port:
        for _ in range(ROUNDS):
            summary = _replay(
                directory, str(capture), "--target", f"http://{HOST}:{port}", "--users", "20", "--workers", "1"
            )
            whole = next(e for e in summary["series"] if e["name"] == "http" and not e["labels"])
            for name, found in errors.items():
                found.append(abs(whole["latency_ms"][name] - KNOWN_DELAY_S * 1000))
    return [
        _row(f"error of the {name} against a server of fixed 20 ms", median(e), "ms", 1) for name, e in errors.items()
    ]


@contextlib.contextmanager
def _delaying_server() -> Iterator[int]:
    """Answers every request exactly 20 ms after it came, in a process of its own on the servers' core."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(["taskset", "-c", "1", sys.executable, "-m", "benchmarks.peers.delay_server", str(port)])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                break
            threading.Event().wait(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _memory(ground: Ground, directory: Path) -> list[str]:
    capture = directory / "figures-idle.rush"
    recordings.polling(capture, 4, gap_ns=2_000 * NS_PER_MS)
    rows = []
    for name, url, must, extra in (
        ("plaintext", f"http://{HOST}:{ground.plain}", 16, ()),
        ("TLS", f"https://{HOST}:{ground.tls}", 48, ("--ca", str(ground.ca_file))),
    ):
        few, many = 100, 2_100
        peaks = [_worker_peak_kib(directory, str(capture), url, users, extra) for users in (few, many)]
        rows.append(_row(f"memory per virtual user, {name}", (peaks[1] - peaks[0]) / (many - few), "KiB", must))
    return rows


def _worker_peak_kib(directory: Path, capture: str, url: str, users: int, extra: tuple[str, ...]) -> float:
    summary = _replay(
        directory, capture, "--target", url, "--users", str(users), "--workers", "1", "--start-spread", "2s", *extra
    )
    return float(summary["generator"]["memory_kib"])


def _flat(ground: Ground, directory: Path) -> list[str]:
    url = f"http://{HOST}:{ground.plain}"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(10_000, hard - 500)
    costs = {}
    for users in (10, 100, 1_000, most):
        capture = directory / f"figures-flat-{users}.rush"
        recordings.polling(capture, max(20, 200_000 // users))
        summary = _replay(
            directory, str(capture), "--target", url, "--users", str(users), "--pacing", "asap", "--workers", "1"
        )
        costs[users] = _cpu_per_request(summary) * 1e6
    spread = max(costs.values()) / min(costs.values())
    told = ", ".join(f"{users:,}: {cost:.1f} µs" for users, cost in costs.items())
    return [f"| CPU per request by users: {told} | {spread:.2f} × | flat | |"]


def _start(_ground: Ground, directory: Path) -> list[str]:
    """From typing the command to the first byte of a request, of a capture of 10,000 exchanges whose plan is cached."""
    capture = directory / "figures-long.rush"
    recordings.polling(capture, 10_000)
    rows = [_first_byte_s(directory, capture) for _ in range(ROUNDS + 1)]
    first, cached = rows[0], median(rows[1:])
    told = f"from command to first byte, 10,000 exchanges, plan cached ({first:.2f} s where it is not)"
    return [_row(told, cached, "s", 1.5)]


def _first_byte_s(directory: Path, capture: Path) -> float:
    with socket.create_server((HOST, 0)) as server:
        url = f"http://{HOST}:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "rushhour", "replay", str(capture), "--target", url, "--users", "1"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(directory / "cache")}
        started_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while True:
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1):  # The probe before the run connects and says nothing.
                        return time.perf_counter() - started_s
        finally:
            process.terminate()
            process.wait(20)
