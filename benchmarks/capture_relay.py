"""What recording costs the recorded: mitmdump with the addon against the same mitmdump without, in turns."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.capture_traffic import json_document
from benchmarks.echo import HOST, Frames, connect, flooded, framed, paced
from captures.sessions import load_capture

ROOT = Path(__file__).resolve().parent.parent
MESSAGE_BYTES = 2048
RATE_PER_S = 200.0
WINDOW = 32
FLOOD_S = 0.7
_START_TIMEOUT_S = 40.0
_MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"
# As ``rushhour record`` starts it.
_SETTINGS = ("anticache=true", "validate_inbound_headers=false", "connection_strategy=eager")


@dataclass(slots=True)
class Side:
    """One way to the echo server, and its figures: a value per slice, round trips in µs and messages per second.

    Attributes:
        n_sent: messages sent on it.
    """

    sock: socket.socket
    frames: Frames
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    n_sent: int = 0


@dataclass(frozen=True, slots=True)
class Relay:
    """Each way, the echoed messages that went through the recording one, and those that are in its capture."""

    direct: Side
    bare: Side
    recording: Side
    n_relayed: int
    n_recorded: int


def measure_relay(directory: Path, *, slices: int) -> Relay:
    """Measure on 127.0.0.1: slices of a second, each way in turn, so that none has the better minute."""
    random = Random(7)
    messages = [framed(json_document(random, MESSAGE_BYTES), masked=True) for _ in range(200)]
    out = directory / "relay.rush"
    with _echo_server() as port, _mitmdump(directory) as plain, _mitmdump(directory, out) as addon:
        sides = [Side(*connect(port, proxy_port)) for proxy_port in (None, plain, addon)]
        for number in range(slices + 1):
            for side in sides if number % 2 else reversed(sides):
                _slice(side, messages, is_warm=number > 0)
        for side in sides:
            side.sock.close()
    direct, bare, recording = sides
    capture = load_capture(out, allow_damage=True)
    sockets = [exchange.socket for session in capture.sessions for exchange in session.exchanges]
    n_recorded = sum(len(each.messages) for each in sockets if each is not None)
    return Relay(direct, bare, recording, 2 * recording.n_sent, n_recorded)


def _slice(side: Side, messages: list[bytes], *, is_warm: bool) -> None:
    planned = [messages[number % len(messages)] for number in range(int(RATE_PER_S))]
    trips_ns = sorted(paced(side.sock, side.frames, planned, RATE_PER_S))
    n_sent, per_s = flooded(side.sock, side.frames, messages, FLOOD_S, WINDOW)
    side.n_sent += n_sent + len(planned)
    if is_warm:
        side.p50_us.append(trips_ns[len(trips_ns) // 2] / 1e3)
        side.p99_us.append(trips_ns[len(trips_ns) * 99 // 100] / 1e3)
        side.per_s.append(per_s)


def ratio(over: list[float], under: list[float]) -> float:
    """Ratio of the medians of two lists of figures, one per round."""
    return median(over) / median(under)


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
def _mitmdump(directory: Path, out: Path | None = None) -> Iterator[int]:
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
        yield port
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
