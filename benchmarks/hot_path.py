"""Where the nanoseconds go: one request of one virtual user without a kernel below it, and its parts.

``python -m benchmarks.hot_path [--instructions]``. A connection is handed answers as the transport would hand them;
what it writes goes nowhere. So the figures are this project's own share of a request; the loop and the kernel cost the
rest. The smallest of many rounds is told, since whatever else runs on the machine can only add. ``--instructions``
counts those of a whole user's request by callgrind instead: the same on a busy machine, half a minute each.
"""

from __future__ import annotations

import heapq
import os
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.peers import recordings
from benchmarks.peers.ground import BODY
from captures.records import Origin
from captures.sessions import load_capture
from replayer.plan.compile import compile_plan
from replayer.plan.push import Push
from replayer.plan.records import (
    MessageKind,
    Plan,
    RequestTemplate,
    Route,
    RouteKind,
    Script,
    SocketScript,
    Step,
    StepKind,
)
from replayer.targets import TargetSpec
from replayer.user.checks import Budget
from replayer.user.ending import AtEnd
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.pacing import Deadlines, Pacing
from replayer.user.port import Run
from replayer.user.render import Rendered
from replayer.user.sockets import UserSocket
from replayer.user.steps import User
from replayer.wire.heads import parse_head, remembered_heads
from replayer.wire.http1 import Http1Connection
from replayer.wire.outbox import Outbox
from replayer.wire.tally import Tally

ROUNDS = 25
EXCHANGES = 2_000
_SOCKETS = 1_000
_LONG, _CROWD, _STRETCH = 10_000, 50, 160
"""Requests of a script, its users, and requests of each in one round."""
_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 03:44:18 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n"
)
_TARGET = TargetSpec(scheme="http", host="127.0.0.1", port=1, addresses=("127.0.0.1",))


class Nowhere:
    """A transport that takes everything."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing to close."""

    abort = close


class Silent:
    """A WebSocket that takes everything; implements ``replayer.user.port.SocketConnection``."""

    set_cookies: list[bytes] = []
    failure = ""

    def send(self, data: bytes, *, is_text: bool) -> None:
        """Forget it."""

    def is_open(self) -> bool:
        """As far as anybody asks."""
        return True

    def close(self, code: int) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to end."""

    reset = silence = abort


@dataclass
class NoWorker:
    """Implements ``replayer.user.port.Port`` as far as a closed loop of requests needs it."""

    heap: list[tuple[int, int, Callable[[Any, int], None], Any]] = field(default_factory=list)
    connections: list[Http1Connection] = field(default_factory=list)
    outbox: Outbox = field(default_factory=lambda: Outbox(lambda call: None, time.monotonic_ns))

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def may_send(self, now_ns: int) -> bool:
        return now_ns > 0

    def call_at(self, due_ns: int, call: Callable[[Any, int], None], argument: Any) -> None:
        heapq.heappush(self.heap, (due_ns, len(self.heap), call, argument))

    def dial(self, owner: Any, origin: int, on_failed: Callable[[str], None]) -> None:
        connection = Http1Connection(owner, Tally(), self.outbox)
        self.connections.append(connection)
        connection.connection_made(Nowhere())

    def watch(self, connection: Any) -> None:
        connection.is_watched = True

    def user_ended(self, user: User) -> None:
        """It is over."""


def _answer(extra: str = "") -> bytes:
    body = (BODY % extra).encode()
    return _HEAD % len(body) + body


def whole_user(path: Path, answers: list[bytes], rounds: int = ROUNDS) -> float:
    """Return ns per request of a user that plays a capture, answered with ``answers`` in turn."""
    port = NoWorker()
    run, script = _run_of(compile_plan(load_capture(path)), port)
    return min(_played(script, run, port, answers) for _ in range(rounds))


def _run_of(plan: Plan, port: NoWorker) -> tuple[Run, LinkedScript]:
    meter, clock = Meter(0), time.monotonic_ns
    budget = Budget(clock)
    budget.left_ns = 0  # A busy worker: of the parsing checks a sample is made, everything else is done.
    run = Run(
        plan=plan,
        port=port,  # type: ignore[arg-type]  # What a socket would need is not here.
        meter=meter,
        budget=budget,
        pacing=Pacing.ASAP,
        deadlines=Deadlines(),
        speed=1.0,
        max_gap_ns=None,
        max_failures=10,
        start_ns=0,
        key=bytes(16),
        clock=clock,
        request_ns=Deadlines().request_ns,
        lease_until_ns=1 << 62,
    )
    script = LinkedScript(
        plan,
        plan.scripts[0],
        targets=(_TARGET,),
        added=(),
        meter=meter,
        speed=1.0,
        max_gap_ns=None,
        pacing=Pacing.ASAP,
        trusts_clock=(True,),
    )
    return run, script


def _played(script: LinkedScript, run: Run, port: NoWorker, answers: list[bytes]) -> float:
    port.heap.clear()
    port.connections.clear()
    user = User(0, script, run, {}, is_sampled=False)
    user.start(time.monotonic_ns())
    while not port.connections:
        due_ns, _, call, argument = heapq.heappop(port.heap)
        call(argument, due_ns)
    connection, n = port.connections[0], 0
    started_ns = time.perf_counter_ns()
    while connection.is_busy:
        connection.data_received(answers[n % len(answers)])
        port.outbox.flush()
        n += 1
    took_ns = time.perf_counter_ns() - started_ns
    if n != EXCHANGES:
        raise SystemExit(f"{n} of {EXCHANGES} requests were played")
    run.meter.take_slot(0, {}, 0)
    return took_ns / n


def parts() -> dict[str, float]:
    """Return ns of the parts that every request has."""
    answer = _answer()
    end = answer.find(b"\r\n\r\n") + 4
    head = parse_head(answer[:end])
    recorder = Meter(0).recorder("http", route="GET /")
    filled = Rendered([b"GET /a?x=", 0, b"&y=", 1, b"&z=", 2, b" HTTP/1.1\r\nA: ", 3, b"\r\nB: ", 4, b"\r\n\r\n"])
    values = [b"value-%d" % number for number in range(5)]

    def forgotten() -> None:
        remembered_heads.clear()
        parse_head(answer[:end])

    def known() -> object:
        return remembered_heads.get(answer[: answer.find(b"\r\n\r\n") + 4])

    return {
        "a head that this request was answered with before: compared": _ns(lambda: answer.startswith(head.data)),
        "another head that was seen before: found, looked up": _ns(known),
        "a head that was not: parsed by httptools": _ns(forgotten),
        "latency and service time into their histograms": _ns(lambda: recorder.ok(0, 1_000, 900_000, 170)),
        "a request with 5 slots rendered": _ns(lambda: filled.render(values)),
        "the clock": _ns(time.monotonic_ns),
        "(an empty call, contained in the above)": _ns(lambda: head),
    }


def messages() -> dict[str, float]:
    """Return ns of what a received message costs its user: of a kind that is not measured, and of pushed ones."""
    push = Push(n=60, gap_ns=10**9, longest_gap_ns=10**9, due_ns=10**9)
    kinds = {
        "a message of a kind that is not pushed": None,
        "a pushed message: rhythm and completeness": push,
        "the same, stamped": replace(push, stamp="ts"),
        "the same, one broadcast to 1,000 sockets": replace(push, is_distinct=True),
        "the same, stamped and broadcast": replace(push, stamp="ts", is_distinct=True),
    }
    return {what: _message_ns(kind) for what, kind in kinds.items()}


def _message_ns(push: Push | None) -> float:
    """Deliver rounds of one message to 1,000 sockets, as the wire would."""
    kind = MessageKind(name="quote", route=0, value="quote", is_sent=False, n_recorded=60, push=push)
    handshake = RequestTemplate(method=b"GET", target=(b"/feed",), headers=())
    connect = Step(index=0, kind=StepKind.CONNECT, route=0, origin=0, at_ns=0, request=handshake, socket=0)
    socket = SocketScript(route=0, connect=0, discriminator=("type",), pushes=(0,) if push else ())
    plan = Plan(
        capture_sha256="0" * 64,
        origins=(Origin("http", "bench.example", 80),),
        routes=(Route(name="WS /feed", kind=RouteKind.SOCKET, origin=0, n_recorded=1),),
        message_kinds=(kind,),
        scripts=(Script(session=1, start_ns=0, duration_ns=0, steps=(connect,), slots=(), sockets=(socket,)),),
    )
    run, script = _run_of(plan, NoWorker())
    run.at_end = AtEnd.HOLD  # The sockets stay open when the script is over.
    run.meter.pushes.wall_offset_ns = time.time_ns() - time.monotonic_ns()
    sockets = [_opened(User(number, script, run, {}, is_sampled=False), run) for number in range(_SOCKETS)]
    best_ns = 1e9
    for number in range(ROUNDS):
        # Fresh bytes, as of every message that a socket reads; a copy each, so that no hash is remembered.
        text = b'{"type":"quote","ts":%d,"seq":%d,"data":"%s"}' % (time.time_ns() // 10**6, number, b"x" * 200)
        copies = [bytes(bytearray(text)) for _ in sockets]
        now_ns = time.monotonic_ns()
        started_ns = time.perf_counter_ns()
        for each, data in zip(sockets, copies, strict=True):
            each.message_received(each.connection, data, now_ns, is_text=True)  # type: ignore[arg-type]
        best_ns = min(best_ns, (time.perf_counter_ns() - started_ns) / len(sockets))
    return best_ns


def _opened(user: User, run: Run) -> UserSocket:
    socket = UserSocket(user, run, 0)
    socket.connection = Silent()
    socket._connect = (0, 0, 0)
    socket.socket_opened(socket.connection, time.monotonic_ns())
    return socket


def _ns(call: Callable[[], object]) -> float:
    timer, n = timeit.Timer(call), 20_000
    return min(timer.repeat(ROUNDS, n)) / n * 1e9


def plain(rounds: int) -> float:
    """A user of requests without slots."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "polling.rush"
        recordings.polling(path, EXCHANGES)
        return whole_user(path, [_answer()], rounds)


def correlated(rounds: int) -> float:
    """A user whose every fourth answer brings what the three following requests carry."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "correlated.rush"
        recordings.correlated(path, EXCHANGES)
        token = _answer(',"id":"1f0cc94e3b7d4a6f8e21d5b7c3a9e6f4"')
        return whole_user(path, [token, *[_answer()] * 3], rounds)


def side_by_side(rounds: int) -> float:
    """As ``plain``, by 50 users who are at different places of a long script; the smallest over some thousand."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "polling.rush"
        recordings.polling(path, _LONG)
        port = NoWorker()
        run, script = _run_of(compile_plan(load_capture(path)), port)
    users = [User(number, script, run, {}, is_sampled=False) for number in range(_CROWD)]
    for user in users:
        user.start(time.monotonic_ns())
    while len(port.connections) < _CROWD:
        due_ns, _, call, argument = heapq.heappop(port.heap)
        call(argument, due_ns)
    answer, best_ns = _answer(), 1e9
    for place, connection in enumerate(port.connections):
        for _ in range(place * _LONG // (2 * _CROWD)):
            connection.data_received(answer)
            port.outbox.flush()
    for _ in range(rounds):
        started_ns = time.perf_counter_ns()
        for _ in range(_STRETCH):
            for connection in port.connections:
                connection.data_received(answer)
            port.outbox.flush()
        best_ns = min(best_ns, (time.perf_counter_ns() - started_ns) / (_STRETCH * _CROWD))
    return best_ns


_USERS = {
    "a request of a whole user": plain,
    "the same, 50 users side by side in a script of 10,000 requests": side_by_side,
    "the same, 3 slots and 1 extraction per 4 requests": correlated,
}


def instructions(user: Callable[[int], float]) -> float:
    """Return instructions per request: what five rounds more of a user cost."""
    few, many = (_collected(user.__name__, rounds) for rounds in (1, 6))
    return (many - few) / (5 * EXCHANGES)


def _collected(user: str, rounds: int) -> int:
    code = f"from benchmarks import hot_path; hot_path.{user}({rounds})"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return int(ended.stderr.rpartition("Collected : ")[2].split()[0])


@click.command()
@click.option("--instructions", "counts", is_flag=True, help="Count instructions; needs valgrind.")
def main(*, counts: bool) -> None:
    """Measure and print."""
    if counts:
        for what, user in _USERS.items():
            if user is side_by_side:
                continue  # It does the same work; what differs is where the memory is.
            click.echo(f"{instructions(user):8,.0f} instructions  {what}")
        return
    rows = {what: user(ROUNDS) for what, user in _USERS.items()} | parts() | messages()
    for what, ns in rows.items():
        click.echo(f"{ns:8.0f} ns  {what}")


if __name__ == "__main__":
    main()
