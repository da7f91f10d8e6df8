"""What recording costs the recorded: mitmdump with the addon against the same mitmdump without, in turns.

The mitmdump without is there twice: how far the two are apart says how much of a ratio is the machine's own noise.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.capture_traffic import json_document
from benchmarks.echo import HOST, Frames, connect, flooded, framed, paced
from captures.sessions import load_capture

ROOT = Path(__file__).resolve().parent.parent
MESSAGE_BYTES = 2048
RATE_PER_S = 200.0
WINDOW = 32
FLOOD_S = 0.7
FLOOD_EVERY = 3
SETTLE_S = 0.5
_START_TIMEOUT_S = 40.0
_MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"
# As ``rushhour record`` starts it.
_SETTINGS = ("anticache=true", "validate_inbound_headers=false", "connection_strategy=eager")


@dataclass(slots=True)
class Side:
    """One way to the echo server, and its figures.

    Attributes:
        pid: of its proxy, 0 for none.
        trips_us: round trips of paced messages, all slices together.
        per_s: messages per second when there is always one more to send, per slice.
        cpu_s: CPU time of its proxy during the paced messages.
        n_sent: messages sent on it.
    """

    sock: socket.socket
    frames: Frames
    pid: int
    trips_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    n_sent: int = 0

    @property
    def cpu_us(self) -> float:
        """CPU time of the proxy's process per message there and back."""
        return 1e6 * self.cpu_s / len(self.trips_us)


@dataclass(frozen=True, slots=True)
class Relay:
    """Each way, the echoed messages that went through the recording one, and those that are in its capture.

    ``bare`` and ``control`` are the same thing.
    """

    direct: Side
    bare: Side
    control: Side
    recording: Side
    n_relayed: int
    n_recorded: int


def measure_relay(directory: Path, *, slices: int) -> Relay:
    """Measure on 127.0.0.1: slices of a second, each way in turn, so that none has the better minute."""
    random = Random(7)
    messages = [framed(json_document(random, MESSAGE_BYTES), masked=True) for _ in range(200)]
    out = directory / "relay.rush"
    with (
        _echo_server() as port,
        _mitmdump(directory) as plain,
        _mitmdump(directory) as plain_too,
        _mitmdump(directory, out) as addon,
    ):
        ways = ((None, 0), plain, plain_too, addon)
        sides = [Side(*connect(port, proxy_port), pid) for proxy_port, pid in ways]
        for number in range(slices + 1):
            first = number % len(sides)
            for side in sides[first:] + sides[:first]:
                _slice(side, messages, is_warm=number > 0, is_flooded=number % FLOOD_EVERY == 0)
        for side in sides:
            side.sock.close()
    direct, bare, control, recording = sides
    capture = load_capture(out, allow_damage=True)
    sockets = [exchange.socket for session in capture.sessions for exchange in session.exchanges]
    n_recorded = sum(len(each.messages) for each in sockets if each is not None)
    return Relay(direct, bare, control, recording, 2 * recording.n_sent, n_recorded)


def _slice(side: Side, messages: list[bytes], *, is_warm: bool, is_flooded: bool) -> None:
    planned = [messages[number % len(messages)] for number in range(int(RATE_PER_S))]
    start_cpu_s = _cpu_s(side.pid)
    trips_ns = paced(side.sock, side.frames, planned, RATE_PER_S)
    cpu_s = _cpu_s(side.pid) - start_cpu_s
    side.n_sent += len(planned)
    if is_warm:
        side.trips_us += [trip_ns / 1e3 for trip_ns in trips_ns]
        side.cpu_s += cpu_s
    if is_flooded:
        n_sent, per_s = flooded(side.sock, side.frames, messages, FLOOD_S, WINDOW)
        side.n_sent += n_sent
        side.per_s += [per_s] * is_warm
        # What the recorder has yet to write after a flood is not what the next way is measured against.
        time.sleep(SETTLE_S)


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far, in its own ticks (``proc_pid_stat(5)``: utime and stime)."""
    if not pid:
        return 0.0
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The value below which a share (0 to 1) of them lies."""
    return sorted(values)[int(len(values) * share)]


@contextmanager
def _echo_server() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.echo"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(10)


@contextmanager
def _mitmdump(directory: Path, out: Path | None = None) -> Iterator[tuple[int, int]]:
    """Its port and its process id."""
    port = _free_port()
    settings = [*_SETTINGS, f"confdir={directory / 'conf'}"]
    if out is not None:
        settings += [f"rushhour_out={out}", f"rushhour_url=http://{HOST}/"]
    command = [sys.executable, "-P", "-c", _MITMDUMP, "-q", "--mode", f"regular@{HOST}:{port}"]
    command += [part for setting in settings for part in ("--set", setting)]
    if out is not None:
        command += ["-s", str(ROOT / "recorder" / "addon.py")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("mitmdump does not come up")
