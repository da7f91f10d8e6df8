"""What a crowd costs and whether storms come as ordered: memory per socket, recovery curves, lag of arrivals, slope.

``python -m benchmarks.load_sockets [PART …]`` with the parts memory, storms, truth, arrivals and slope (default: all;
about five minutes) prints what it measures and writes it to ``benchmarks/RESULTS-load.md``. The server
(``tests.upgrade_server``) runs in a process of its own on this machine; worker and server share its cores. Where it may
(root), it raises its priority, so that what else runs on the machine is not measured; how long the worker had to wait
for a core stands beside its lag.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import socket
import ssl
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme
import uvloop

from analysis.histogram import Histogram
from analysis.run import Run
from analysis.storms import storm_reports
from captures.units import NS_PER_S
from replayer.load.shapes import Burst, Ramp, Rate, Shape
from replayer.pool.executors.local import LocalExecutor
from replayer.reach import Reach, TlsSettings
from tests.storm_runs import (
    Server,
    expected_recoveries,
    identities,
    play,
    request_plan,
    socket_plan,
    upgrade_server,
)

RESULTS = Path(__file__).with_name("RESULTS-load.md")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PRIORITY = -20
"""The highest priority there is; workers and server inherit it."""
AUTOGROUP = Path("/proc/self/autogroup")
"""Where Linux schedules sessions against each other, a process's own niceness counts only within its session (sched(7),
"The autogroup feature")."""
ALL_CORES = os.sched_getaffinity(0)
N_SOCKETS = 10_000
RAMP_S = 8
TLS_RAMP_S = 20
"""A handshake costs client and server about a millisecond each."""
N_ARRIVALS = 6_000
ARRIVALS_S = 8
SLOPE_S = 7
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def main() -> None:
    """Measure the parts that were named, or all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "memory": memory,
        "storms": storms,
        "truth": truth,
        "arrivals": arrivals,
        "slope": slope,
    }
    chosen = sys.argv[1:] or list(parts)
    with preferred() as is_preferred:
        priority = f", at priority {PRIORITY}" if is_preferred else ""
        lines = [f"Measured with `make bench-load` on {machine()}{priority}.", ""]
        for name in chosen:
            for line in (f"## {name.capitalize()}", "", *parts[name](), ""):
                say(line)
                lines.append(line)
    if chosen == list(parts):
        RESULTS.write_text("\n".join(("# Load: sockets, storms, arrivals", "", *lines)), encoding="utf-8")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def preferred() -> Iterator[bool]:
    """Go before everything else on this machine where that is allowed; yield whether it is."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    except PermissionError:
        yield False
        return
    if not AUTOGROUP.exists():
        yield True
        return
    before = AUTOGROUP.read_text().split()[-1]  # "/autogroup-38 nice 0"
    AUTOGROUP.write_text(str(PRIORITY))
    try:
        yield True
    finally:
        AUTOGROUP.write_text(before)


@contextmanager
def on_cores(*, first_half: bool) -> Iterator[None]:
    """Start what is started meanwhile on one half of the cores, so that server and worker do not take turns on one."""
    before = os.sched_getaffinity(0)
    cores = sorted(ALL_CORES)
    middle = len(cores) // 2
    os.sched_setaffinity(0, (cores[:middle] if first_half else cores[middle:]) or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine() -> str:
    """Return what figures depend on."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load average {load:.1f}"


class Probe:
    """Looks at the memory of the only worker, and at its waits for a core, while a run goes on."""

    def __init__(self, executor: LocalExecutor, at_s: float) -> None:
        self._executor = executor
        self._at_s = at_s
        self.before_bytes = 0
        self.after_bytes = 0
        self.waited_s = 0.0

    def __call__(self, now_s: float) -> None:
        for pid in self._executor.pids().values():
            if now_s < 0 or not self.before_bytes:
                self.before_bytes = resident_bytes(pid)
            elif now_s > self._at_s and not self.after_bytes:
                self.after_bytes = resident_bytes(pid)
            self.waited_s = waited_s(pid)


def waited_s(pid: int) -> float:
    """Return how long a process was ready to run and had no core (Linux, Documentation/scheduler/sched-stats)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def memory() -> Iterator[str]:
    """Memory per open socket, its virtual user included."""
    yield f"{N_SOCKETS:,} open sockets in one worker, resident memory per socket with its virtual user:"
    yield ""
    yield "| sockets | open at the server | KiB each | limit |"
    yield "|---|---|---|---|"
    with certificate() as (pem, ca):
        secure = {"reach": Reach(tls=TlsSettings(ca_file=str(ca)))}
        kinds: list[tuple[str, tuple[str, ...], bool, dict[str, Any], int, int]] = [
            ("plain", (), False, {}, RAMP_S, 20),
            ("permessage-deflate", ("--deflate",), True, {}, RAMP_S, 64),
            ("TLS", ("--certificate", str(pem)), False, secure, TLS_RAMP_S, 52),
        ]
        for name, arguments, deflates, assigned, ramp_s, limit_kib in kinds:
            n_open, each_kib = socket_memory(arguments, deflates, assigned, ramp_s)
            yield f"| {name} | {n_open:,} | {each_kib:.1f} | {limit_kib} |"


def socket_memory(
    arguments: tuple[str, ...], deflates: bool, assigned: dict[str, Any], ramp_s: int
) -> tuple[int, float]:
    """Return how many sockets were open, and the KiB of each."""
    executor = LocalExecutor()
    probe = Probe(executor, ramp_s + 1.5)
    with upgrade_server(*arguments) as server, tempfile.TemporaryDirectory() as directory:
        run, _ = play(
            Path(directory),
            socket_plan(open_s=ramp_s + 3, offers_deflate=deflates),
            server,
            users=N_SOCKETS,
            shape=Ramp(duration_ns=ramp_s * NS_PER_S),
            executor=executor,
            on_turn=probe,
            is_secure="reach" in assigned,
            **assigned,
        )
    n_open = max(slot.gauges.get("sockets_open", 0) for slot in run.seconds.values())
    return n_open, (probe.after_bytes - probe.before_bytes) / 1024 / max(1, n_open)


@contextmanager
def certificate() -> Iterator[tuple[Path, Path]]:
    """Make a certificate for 127.0.0.1 and the authority that vouches for it."""
    with tempfile.TemporaryDirectory() as directory:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        pem, ca = Path(directory) / "server.pem", Path(directory) / "ca.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(str(pem))
        authority.cert_pem.write_to_path(str(ca))
        ssl.create_default_context(cafile=str(ca))
        yield pem, ca


def storms() -> Iterator[str]:
    """5,000 sockets lost at once, policy immediate, against servers of known and of unlimited pace."""
    n = 5_000
    yield f"{n:,} sockets lost at once, `policy=immediate`, one worker. What the server takes at most: so many upgrades"
    yield "a second, or what a bare client of one write and one read per socket gets from the same server."
    yield ""
    yield "| server accepts | T100 of the server | T50 | T95 | T100 | ratio | attempts | loop p99 |"
    yield "|---|---|---|---|---|---|---|---|"
    for rate in (1000, 2000, 0):
        least_s = n / rate if rate else bare_storm_s(n)
        report, run = storm(n, rate=rate, connect_s=60.0, open_s=9.0, at_s=8.0)
        pace = f"{rate}/s" if rate else "as fast as it can"
        times = " | ".join(seconds(report[name]) for name in ("t50_s", "t95_s", "t100_s"))
        loop_ms = (Histogram(run.whole.loop).quantile(0.99) or 0) / 1000
        ratio = report["t100_s"] / least_s
        yield f"| {pace} | {least_s:.2f} s | {times} | {ratio:.2f} | {report['attempts']:,} | {loop_ms:.1f} ms |"


def bare_storm_s(n: int) -> float:
    """Return how long a client without users needs to lose n sockets and open them again."""
    with upgrade_server() as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bare_storm(server.port, n))


async def bare_storm(port: int, n: int) -> float:
    """Open n sockets, reset them all, and time their reopening."""
    loop = asyncio.get_running_loop()
    clients = [BareClient() for _ in range(n)]
    for begin in range(0, n, 500):
        await asyncio.gather(*(client.open(port) for client in clients[begin : begin + 500]))
    again = [BareClient() for _ in range(n)]
    started_s = loop.time()
    for client in clients:
        client.reset()
    await asyncio.gather(*(client.open(port) for client in again))
    took_s = loop.time() - started_s
    for client in again:
        client.reset()
    return took_s


class BareClient(asyncio.Protocol):
    """Sends an upgrade and waits for the first bytes of its answer."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: Any = None

    async def open(self, port: int) -> None:
        """Connect and wait for the 101."""
        plain = socket.socket()
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, ("127.0.0.1", port))
        await loop.create_connection(lambda: self, sock=plain)
        await self._answered

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        if not self._answered.done():
            self._answered.set_result(None)

    def reset(self) -> None:
        """Cut the connection with RST."""
        plain = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
        self._transport.abort()


def truth() -> Iterator[str]:
    """1,000 sockets lost at once against 50 upgrades a second, by arithmetic and by measurement."""
    n, rate = 1000, 50
    yield f"{n:,} sockets lost at once, `policy=immediate`, a server that takes {rate} upgrades a second from one queue"
    yield "and spends a turn on clients that have given up; computed by an independent model of the queue:"
    yield ""
    yield "| connect timeout | | T50 | T95 | T100 | attempts |"
    yield "|---|---|---|---|---|---|"
    for connect_s in (60.0, 15.0):
        times, attempts = expected_recoveries(n, rate=rate, timeout_s=connect_s)
        computed = " | ".join(seconds(times[int(share * n) - 1]) for share in (0.5, 0.95, 1.0))
        yield f"| {connect_s:.0f} s | computed | {computed} | {attempts:,} |"
        report, _ = storm(n, rate=rate, connect_s=connect_s, open_s=5.0, at_s=4.0)
        measured = " | ".join(seconds(report[name]) for name in ("t50_s", "t95_s", "t100_s"))
        yield f"| | measured | {measured} | {report['attempts']:,} |"


def storm(n: int, *, rate: int, connect_s: float, open_s: float, at_s: float) -> tuple[dict[str, Any], Run]:
    """Return the report of a storm, and its run."""
    arguments = ("--rate", str(rate), "--free", str(n), "--wasteful")
    with upgrade_server(*arguments) as server, tempfile.TemporaryDirectory() as directory:
        run, _ = play(
            Path(directory),
            socket_plan(open_s=open_s),
            server,
            users=n,
            shape=Ramp(duration_ns=int((at_s - 2) * 1e9)),
            storms=[f"at={at_s}s,policy=immediate"],
            connect_s=connect_s,
        )
    (report,) = storm_reports(run)
    return report, run


def arrivals() -> Iterator[str]:
    """How far arrivals stray from plan at half of the capacity."""
    capacity_per_s = arrival_capacity()
    yield "Capacity of one worker's core, a virtual user that sends one request on a connection of its own:"
    yield f"{capacity_per_s:,.0f} arrivals/s (CPU of a burst of {N_ARRIVALS:,}). Lag of sends against plan at half of"
    yield "it, Poisson arrivals, server and worker on cores of their own:"
    yield ""
    yield "| arrivals/s | p50 | p99 | max | limit of p99 | waited for a core |"
    yield "|---|---|---|---|---|---|"
    per_s = capacity_per_s / 2
    executor = LocalExecutor()
    probe = Probe(executor, ARRIVALS_S)
    with on_cores(first_half=True), upgrade_server() as server, on_cores(first_half=False):
        run = play_requests(
            server, users=int(per_s * ARRIVALS_S), shape=Rate(per_s=per_s), executor=executor, on_turn=probe
        )
    lag = Histogram(run.whole.lag)
    p50, p99 = ((lag.quantile(q) or 0) / 1000 for q in (0.5, 0.99))
    most_ms = (lag.maximum() or 0) / 1000
    waited = f"{probe.waited_s:.2f} s of {ARRIVALS_S} s"
    yield f"| {per_s:,.0f} | {p50:.2f} ms | {p99:.2f} ms | {most_ms:.1f} ms | 2.5 ms | {waited} |"


def arrival_capacity() -> float:
    """Return how many users a second one worker's core gets through, from the CPU that a burst of them costs."""
    with upgrade_server() as server:
        run = play_requests(server, users=N_ARRIVALS, shape=Burst())
    return N_ARRIVALS / (run.whole.cpu_ns / 1e9)


def play_requests(server: Server, *, users: int, shape: Shape, **played: Any) -> Run:
    """Let users come who send one request each."""
    with tempfile.TemporaryDirectory() as directory:
        run, _ = play(
            Path(directory),
            request_plan(n_requests=1, every_s=0.1),
            server,
            users=users,
            shape=shape,
            identities=identities(users),
            sampled_users=0,
            **played,
        )
    return run


def slope() -> Iterator[str]:
    """Cost over the number of users, each with the same work."""
    yield "CPU of the worker and resident memory over the number of users, each with one socket open for the same time:"
    yield ""
    yield "| users | CPU s | CPU ms per user | KiB per user |"
    yield "|---|---|---|---|"
    points = []
    for users in (100, 1000, N_SOCKETS):
        cpu_s, each_kib = cost(users)
        points.append((users, cpu_s))
        yield f"| {users:,} | {cpu_s:.2f} | {cpu_s * 1000 / users:.3f} | {each_kib:.1f} |"
    gradient, offset = fit(points)
    yield ""
    yield f"Least squares: {gradient * 1000:.3f} ms of CPU per user and {offset:.2f} s for any run."


def cost(users: int) -> tuple[float, float]:
    """Return CPU seconds of the worker, and KiB per user."""
    executor = LocalExecutor()
    probe = Probe(executor, SLOPE_S + 0.5)
    with upgrade_server() as server, tempfile.TemporaryDirectory() as directory:
        run, _ = play(
            Path(directory),
            socket_plan(open_s=SLOPE_S + 1),
            server,
            users=users,
            shape=Ramp(duration_ns=SLOPE_S * NS_PER_S),
            executor=executor,
            on_turn=probe,
            sampled_users=0,
        )
    return run.whole.cpu_ns / 1e9, (probe.after_bytes - probe.before_bytes) / 1024 / users


def fit(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Return slope and offset of the least squares line."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    gradient = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return gradient, mean_y - gradient * mean_x


def seconds(value_s: float | None) -> str:
    """Write a time, or never."""
    return "never" if value_s is None else f"{value_s:.2f} s"


if __name__ == "__main__":
    started_s = time.monotonic()
    main()
    say(f"{time.monotonic() - started_s:.0f} s")
