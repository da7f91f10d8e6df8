"""Storms for real: a server of our own, a plan of sockets, real workers, and the run that came of it."""

from __future__ import annotations

import heapq
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.run import CaptureFacts, Ended, Run, RunEnd, RunFacts, open_run, read_run
from analysis.slots import SecondSlot
from captures.records import Origin
from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst, Shape
from replayer.load.storms import Storm, parse_storm, storm_facts
from replayer.plan.codec import plan_to_bytes
from replayer.plan.records import (
    Plan,
    RequestTemplate,
    Route,
    RouteKind,
    Script,
    Slot,
    SlotKind,
    SocketScript,
    Step,
    StepKind,
)
from replayer.pool.assignment import Assignment, assignment_to_body
from replayer.pool.executors.local import LocalExecutor
from replayer.pool.hooks import Hooks
from replayer.pool.onloss import OnLoss
from replayer.pool.run import Outcome, run_workers
from replayer.targets import TargetSpec
from replayer.user.pacing import Deadlines

ROOT = Path(__file__).resolve().parents[1]


class Server:
    """A running ``tests.upgrade_server``."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ledger(self) -> dict[str, Any]:
        """What it has seen."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ledger", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def upgrade_server(*arguments: str) -> Iterator[Server]:
    """Run a server for as long as the context lasts."""
    command = [sys.executable, "-m", "tests.upgrade_server", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(30)


def socket_plan(*, open_s: float, offers_deflate: bool = False) -> Plan:
    """Return the plan of a user who opens one socket, leaves it open so long, and closes it."""
    request = RequestTemplate(method=b"GET", target=(b"/ws",), headers=(), offers_deflate=offers_deflate)
    open_ns = int(open_s * NS_PER_S)
    steps = (
        Step(index=0, kind=StepKind.CONNECT, route=0, origin=0, at_ns=0, request=request, socket=0),
        Step(index=1, kind=StepKind.CLOSE, route=0, origin=0, at_ns=open_ns, needs=(0,), think_ns=open_ns, socket=0),
    )
    script = Script(
        session=1,
        start_ns=0,
        duration_ns=open_ns,
        steps=steps,
        slots=(),
        sockets=(SocketScript(route=0, connect=0),),
    )
    return Plan(
        capture_sha256="0" * 64,
        origins=(Origin("http", "shop.example", 80),),
        routes=(Route(name="WS /ws", kind=RouteKind.SOCKET, origin=0, n_recorded=1),),
        message_kinds=(),
        scripts=(script,),
    )


def request_plan(*, n_requests: int, every_s: float) -> Plan:
    """Return the plan of a user who sends so many requests, each with the user's own ``id`` in its path."""
    every_ns = int(every_s * NS_PER_S)

    def step(index: int) -> Step:
        request = RequestTemplate(method=b"GET", target=(b"/r/", 0, b"/%d" % index), headers=())
        return Step(
            index=index,
            kind=StepKind.REQUEST,
            route=0,
            origin=0,
            at_ns=index * every_ns,
            duration_ns=NS_PER_MS,
            request=request,
        )

    script = Script(
        session=1,
        start_ns=0,
        duration_ns=n_requests * every_ns,
        steps=tuple(step(index) for index in range(n_requests)),
        slots=(Slot(name="id", kind=SlotKind.INPUT, detail="id"),),
        sockets=(),
    )
    return Plan(
        capture_sha256="0" * 64,
        origins=(Origin("http", "shop.example", 80),),
        routes=(Route(name="GET /r/{id}/{id2}", kind=RouteKind.API, origin=0, n_recorded=1),),
        message_kinds=(),
        scripts=(script,),
    )


def identities(users: int) -> tuple[dict[str, str], ...]:
    """Return a row for every user of ``request_plan``: user i has the id i."""
    return tuple({"id": str(user)} for user in range(users))


def play(
    directory: Path,
    plan: Plan,
    server: Server,
    *,
    users: int,
    storms: Sequence[str] = (),
    shape: Shape | None = None,
    workers: int = 1,
    connect_s: float = 15.0,
    on_turn: Callable[[float], None] = lambda _: None,
    on_loss: OnLoss = OnLoss.ABORT,
    executor: LocalExecutor | None = None,
    is_secure: bool = False,
    **assigned: Any,
) -> tuple[Run, Outcome]:
    """Play a plan against a server with real workers, and read back what was measured."""
    parsed = tuple(parse_storm(text) for text in storms)
    scheme = "https" if is_secure else "http"
    target = TargetSpec(scheme=scheme, host="127.0.0.1", port=server.port, addresses=("127.0.0.1",))
    fields: dict[str, Any] = {
        "plan": plan_to_bytes(plan),
        "targets": (target,),
        "load": LoadOptions(users=users, shape=shape or Burst(), seed=7),
        "per_run_key": b"k" * 16,
        "deadlines": Deadlines(connect_ns=int(connect_s * NS_PER_S)),
        "storms": parsed,
    }
    bodies = [
        assignment_to_body(Assignment(worker=worker, n_workers=workers, **(fields | assigned)))
        for worker in range(workers)
    ]
    writer = open_run(directory, facts_of(plan, users=users, workers=workers, storms=parsed))

    def add(slot: SecondSlot) -> None:
        writer.add(slot)

    outcome = run_workers(
        bodies,
        executor=executor or LocalExecutor(),
        on_ready=lambda _: None,
        on_slot=add,
        on_turn=on_turn,
        on_loss=on_loss,
        hooks=Hooks(parsed),
    )
    writer.finish(RunEnd(duration_s=outcome.duration_s, ended=Ended.FINISHED, lost_workers=outcome.lost))
    return read_run(directory), outcome


def facts_of(plan: Plan, *, users: int, workers: int, storms: Sequence[Storm]) -> RunFacts:
    """Return facts for a run that no capture was made for."""
    return RunFacts(
        capture=CaptureFacts(path="sockets.rush", sha256=plan.capture_sha256, sessions=1),
        plan_sha256="0" * 64,
        options={},
        environment={"rushhour": "0"},
        started_at="2026-01-01T00:00:00+00:00",
        target="http://127.0.0.1",
        users_planned=users,
        workers=workers,
        planned={"ws.connect": users, "session": users},
        storms=storm_facts(storms),
    )


def expected_recoveries(n: int, *, rate: float, timeout_s: float) -> tuple[list[float], int]:
    """Compute when each of n sockets that are lost at once is open again, and how many attempts that takes.

    An independent model of a wasteful ``tests.upgrade_server`` and clients with policy ``immediate``: the server takes
    one upgrade from its queue every 1/rate s. A client whose upgrade is not accepted within ``timeout_s`` gives up and
    stands at the end of the queue again; the server spends a turn on the one it has left behind.
    """
    queue = [(0.0, client) for client in range(n)]  # (when it entered, who)
    heapq.heapify(queue)
    opened: dict[int, float] = {}
    attempts, now_s = n, 0.0
    while len(opened) < n:
        entered_s, client = heapq.heappop(queue)
        now_s = max(now_s, entered_s) + 1 / rate
        if now_s - entered_s <= timeout_s:
            opened[client] = now_s
        else:
            attempts += 1
            heapq.heappush(queue, (entered_s + timeout_s, client))
    return sorted(opened.values()), attempts
