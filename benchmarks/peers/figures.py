"""Figures of this tool alone: what a second worker costs, how late sends are, how true its clock is, its memory.

What a request costs by number of users stands beside what it costs wrk, since the kernel's part of it grows with the
number of connections whoever asks.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers import recordings, rivals
from benchmarks.peers.ground import CLIENT_CORE, HOST, SERVER_CORE, Ground
from captures.units import NS_PER_MS

KNOWN_DELAY_MS = 20.0
FLAT = (10, 100, 1_000, 10_000)
LAG_USERS = 500
_FEW, _MANY = 100, 2_100
_START_EXCHANGES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value of a figure; ``must`` and ``aim`` are upper limits, in ``unit``."""

    key: str
    what: str
    unit: str
    must: float | None = None
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured together; ``measure`` returns a value for every row's key."""

    name: str
    what: str
    rows: tuple[Row, ...]
    measure: Callable[[], Mapping[str, float]]


def figures(ground: Ground, directory: Path) -> list[Figure]:
    """Return all figures; captures are written into ``directory`` when they are needed."""
    return [
        Figure(
            "workers",
            "two workers on the core of one, closed loop",
            (Row(key="ratio", what="CPU seconds per request, two workers ÷ one", unit="×", must=1.1, aim=1.03),),
            partial(_workers, ground, directory),
        ),
        Figure(
            "lag",
            f"{LAG_USERS} users on a timeline, at half of what the same users reached in a closed loop just before",
            (
                Row(key="p99", what="send lag p99 at half of capacity", unit="ms", must=2, aim=1.5),
                Row(key="p50", what="send lag p50", unit="ms"),
                Row(key="max", what="largest send lag", unit="ms"),
                Row(key="rate", what="requests", unit="/s"),
                Row(key="cpu", what="CPU of the worker", unit="of a core"),
                Row(key="waited", what="of that worker, ready and without a core", unit="ms/s"),
                Row(key="lost", what="what the machine took of that core from a loop just before", unit="ms/s"),
                Row(key="swing", what="how unevenly that loop ran, p90 ÷ p10", unit="×"),
            ),
            partial(_lag, ground, directory),
        ),
        Figure(
            "delay",
            "a server that answers exactly 20 ms after it was asked",
            (
                Row(key="p50", what="error of p50 against a known delay of 20 ms", unit="ms", must=1, aim=0.5),
                Row(key="p99", what="error of p99 against a known delay of 20 ms", unit="ms", must=1, aim=0.5),
                Row(key="server", what="how late the server's own answers were, p99", unit="ms"),
            ),
            partial(_delay, directory),
        ),
        Figure(
            "memory",
            f"peak memory of the worker, {_MANY - _FEW:,} users more, all connected at once",
            (
                Row(key="plain", what="memory per virtual user, plaintext", unit="KiB", must=16, aim=8),
                Row(key="tls", what="memory per virtual user, TLS", unit="KiB"),
                Row(key="more", what="memory of TLS above plaintext", unit="KiB", must=32),
            ),
            partial(_memory, ground, directory),
        ),
        Figure(
            "flat",
            "CPU of a request by number of users, closed loop, connecting included",
            (
                *(Row(key=str(n), what=f"CPU of a request, {n:,} users", unit="µs") for n in FLAT),
                *(Row(key=f"wrk {n}", what=f"wrk's, {n:,} connections", unit="µs") for n in FLAT),
                Row(key="spread", what="the dearest ÷ the cheapest", unit="×"),
                Row(key="wrk spread", what="wrk's dearest ÷ its cheapest", unit="×"),
                *(Row(key=f"times {n}", what=f"a request ÷ wrk's, {n:,}", unit="×") for n in FLAT),
                Row(key="flat", what="a request ÷ wrk's, most ÷ least", unit="×"),
            ),
            partial(_flat, ground, directory),
        ),
        Figure(
            "start",
            f"from the command to the first byte of a request, {_START_EXCHANGES:,} exchanges",
            (
                Row(key="cached", what="from command to first byte, plan cached", unit="s", must=1.5),
                Row(key="first", what="from command to first byte, plan compiled", unit="s"),
            ),
            partial(_start, directory),
        ),
    ]


def _replay(directory: Path, capture: Path, url: str, *arguments: str) -> dict[str, Any]:
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-m", "rushhour", "replay", str(capture)]
    command += ["--target", url, "--json", "--allow-lag", "--allow-inconclusive", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=300, check=False)
    try:
        summary: dict[str, Any] = json.loads(ended.stdout)
    except ValueError as exc:
        raise SystemExit(f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}") from exc
    if summary["totals"]["failed"] or not summary["totals"]["ok"]:
        raise SystemExit(f"{' '.join(command)}\n{summary['totals']}")
    return summary


def _recorded(directory: Path, n_exchanges: int, gap_ms: int = 2) -> Path:
    capture = directory / f"polling-{n_exchanges}-{gap_ms}.rush"
    if not capture.exists():
        recordings.polling(capture, n_exchanges, gap_ns=gap_ms * NS_PER_MS)
    return capture


def _cpu_us_per_request(summary: dict[str, Any]) -> float:
    cpu_s = float(summary["generator"]["cpu_ratio"]) * float(summary["workers"]) * float(summary["duration_s"])
    return cpu_s / float(summary["totals"]["ok"]) * 1e6


def _closed(ground: Ground, directory: Path, *arguments: str, users: int = 50) -> dict[str, Any]:
    url = f"http://{HOST}:{ground.plain}"
    flags = ("--users", str(users), "--pacing", "asap", *arguments)
    return _replay(directory, _recorded(directory, 10_000), url, *flags)


def _workers(ground: Ground, directory: Path) -> dict[str, float]:
    one, two = (_cpu_us_per_request(_closed(ground, directory, "--for", "8s", "--workers", n)) for n in ("1", "2"))
    return {"ratio": two / one}


def _lag(ground: Ground, directory: Path) -> dict[str, float]:
    closed = _closed(ground, directory, "--for", "4s", "--workers", "1", users=LAG_USERS)
    lost, swing = _steadiness()
    half_per_s = closed["totals"]["ok"] / closed["duration_s"] / 2
    gap_ms = round(LAG_USERS / half_per_s * 1000)
    paced = _recorded(directory, 5_000 // gap_ms, gap_ms)
    flags = ("--users", str(round(half_per_s * gap_ms / 1000)), "--workers", "1", "--start-spread", "1s")
    summary = _replay(directory, paced, f"http://{HOST}:{ground.plain}", *flags)
    generator = summary["generator"]
    return {
        **generator["lag_ms"],
        "rate": half_per_s,
        "cpu": generator["cpu_ratio"],
        "waited": generator["core_wait_ratio"] * 1000,
        "lost": lost,
        "swing": swing,
    }


def _steadiness() -> tuple[float, float]:
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-m", "benchmarks.peers.steadiness"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lost, swing = map(float, told.stdout.split())
    return lost, swing


def _delay(directory: Path) -> dict[str, float]:
    capture = _recorded(directory, 100, 50)
    with _delaying_server() as (port, server):
        summary = _replay(directory, capture, f"http://{HOST}:{port}", "--users", "20", "--workers", "1")
    assert server.stdout is not None
    whole = next(e for e in summary["series"] if e["name"] == "http" and not e["labels"])
    errors = {name: abs(whole["latency_ms"][name] - KNOWN_DELAY_MS) for name in ("p50", "p99")}
    return {**errors, "server": float(server.stdout.read())}


@contextlib.contextmanager
def _delaying_server() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Answers every request exactly 20 ms after it came, on the servers' core; says at the end how late it was."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.peers.delay_server", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                break
            threading.Event().wait(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)


def _memory(ground: Ground, directory: Path) -> dict[str, float]:
    places = {
        "plain": (f"http://{HOST}:{ground.plain}", ()),
        "tls": (f"https://{HOST}:{ground.tls}", ("--ca", str(ground.ca_file))),
    }
    found = {}
    for name, (url, extra) in places.items():
        few, many = (_peak_kib(directory, url, users, extra) for users in (_FEW, _MANY))
        found[name] = (many - few) / (_MANY - _FEW)
    return {**found, "more": found["tls"] - found["plain"]}


def _peak_kib(directory: Path, url: str, users: int, extra: tuple[str, ...]) -> float:
    flags = ("--users", str(users), "--workers", "1", "--start-spread", "6s", *extra)
    return float(_replay(directory, _recorded(directory, 8, 1_000), url, *flags)["generator"]["memory_kib"])


def _flat(ground: Ground, directory: Path) -> dict[str, float]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours, theirs, times = {}, {}, {}
    for n in [n for n in FLAT if n < hard - 500]:
        theirs[f"wrk {n}"] = rivals.wrk_cpu_us(f"http://{HOST}:{ground.plain}/", n, 4)
        ours[str(n)] = _cpu_us_per_request(_closed(ground, directory, "--for", "8s", "--workers", "1", users=n))
        times[f"times {n}"] = ours[str(n)] / theirs[f"wrk {n}"]
    found = {"spread": _spread(ours), "wrk spread": _spread(theirs), "flat": _spread(times)}
    return {**ours, **theirs, **times, **found}


def _spread(values: Mapping[str, float]) -> float:
    return max(values.values()) / min(values.values())


def _start(directory: Path) -> dict[str, float]:
    """The first run makes the bytecode, which an installed package has."""
    capture = _recorded(directory, _START_EXCHANGES)
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as before:
        _first_byte_s(directory, capture, before)
        first, cached = (_first_byte_s(directory, capture, cache) for _ in range(2))
    return {"cached": cached, "first": first}


def _first_byte_s(directory: Path, capture: Path, cache: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"XDG_CACHE_HOME": cache, "PYTHONPYCACHEPREFIX": str(directory / "bytecode")}
    with socket.create_server((HOST, 0)) as server:
        url = f"http://{HOST}:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "rushhour", "replay", str(capture), "--target", url, "--users", "1"]
        quiet = subprocess.DEVNULL
        started_s = time.perf_counter()
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=quiet, stderr=quiet)
        try:
            while True:
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1):  # The probe before the run connects and says nothing.
                        return time.perf_counter() - started_s
        finally:
            process.terminate()
            process.wait(20)
