"""A world without sockets for virtual users: a clock that jumps, connections that answer what a test says."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from analysis.slots import SecondSlot
from captures.records import Origin
from replayer.plan.records import MessageKind, Plan, Route, RouteKind, Script, Slot, SocketScript, Step
from replayer.targets import TargetSpec
from replayer.user.checks import Budget
from replayer.user.ending import AtEnd
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.pacing import Deadlines, Pacing
from replayer.user.port import Run
from replayer.user.steps import User
from replayer.wire.heads import NO_HEAD, Asked, Head
from replayer.wire.sse import EventReader

MS = 1_000_000
TARGET = TargetSpec(scheme="http", host="127.0.0.1", port=8080, addresses=("127.0.0.1",))


@dataclass
class Reply:
    """What a fake connection answers, ``after_ms`` after the request was sent."""

    status: int = 200
    body: bytes = b"{}"
    content_type: bytes = b"application/json"
    content_encoding: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    set_cookies: tuple[bytes, ...] = ()
    after_ms: float = 10
    keeps_alive: bool = True
    failure: str = ""

    def to_head(self) -> Head:
        """Return the head that says this."""
        framed = (b"content-type", self.content_type), (b"content-encoding", self.content_encoding)
        cookies = ((b"set-cookie", value) for value in self.set_cookies)
        headers = (*(pair for pair in framed if pair[1]), *self.headers, *cookies)
        return Head(self.status, headers, keeps_alive=self.keeps_alive)


class FakeConnection:
    """Implements ``replayer.user.port.Connection``."""

    def __init__(self, port: FakePort, owner: Any) -> None:
        self._port, self._owner = port, owner
        self.sent: list[bytes] = []
        self.is_busy = self.is_watched = self.closed = False
        self.is_alive = True
        self.is_retry = self.keeps_alive = False
        self.n_sent = self.deadline_ns = self.index = self.intended_ns = self.actual_ns = self.body_bytes = 0
        self.has_answer_bytes = False
        self.head = NO_HEAD
        self.events: EventReader | None = None
        self.body = b""
        self.request: Any = None

    def send(self, data: bytes, request: Asked) -> None:
        assert not self.is_busy and not self.closed
        self.request = request
        self.is_busy = True
        self.n_sent += 1
        self.has_answer_bytes = False
        self._port.sent.append((self._port.clock_ns // MS, data))
        reply = self._port.answer(data, self)
        if reply is not None:
            self._port.call_at(self._port.clock_ns + int(reply.after_ms * MS), self._answer, reply)

    def _answer(self, reply: Reply, due_ns: int) -> None:
        if self.closed:
            return
        self.is_busy = False
        if reply.failure:
            self.close()
            self._owner.request_failed(self, reply.failure, due_ns)
            return
        self.has_answer_bytes = True
        self.body, self.body_bytes = reply.body, len(reply.body)
        self.head = reply.to_head()
        self.keeps_alive = reply.keeps_alive
        self._owner.response_received(self, due_ns)

    def close(self) -> None:
        self.closed, self.is_alive = True, False

    def expire(self, now_ns: int) -> None:
        self.is_busy = False
        self.close()
        self._owner.request_failed(self, "timeout_request", now_ns)


class FakeSocket:
    """Implements ``replayer.user.port.SocketConnection``; a test plays the server through it."""

    def __init__(self, port: FakePort, owner: Any, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self._port, self._owner = port, owner
        self.target, self.headers = target, headers
        self.set_cookies: list[bytes] = []
        self.sent: list[bytes] = []
        self.opened = self.silenced = self.was_reset = self.is_deflated = False
        self.close_code = 0
        self.failure = ""

    def send(self, data: bytes, *, is_text: bool) -> None:
        self.sent.append(data)
        self._port.sent.append((self._port.clock_ns // MS, data))
        for answer in self._port.answer_message(data):
            self.push(answer, after_ms=5)

    def push(self, data: bytes, after_ms: float = 0) -> None:
        self._port.call_at(self._port.clock_ns + int(after_ms * MS), self._receive, data)

    def _receive(self, data: bytes, due_ns: int) -> None:
        self._owner.message_received(self, data, due_ns, is_text=True)

    def accept(self, _: None, due_ns: int) -> None:
        self.opened = True
        self._owner.socket_opened(self, due_ns)

    def end(self, code: int) -> None:
        self.opened = False
        self._owner.socket_closed(self, code, self._port.clock_ns)

    def is_open(self) -> bool:
        return self.opened

    def close(self, code: int) -> None:
        self.close_code = code
        if self._port.closes_politely:
            self._port.call_at(self._port.clock_ns + MS, lambda _a, _d: self.end(code), None)

    def reset(self) -> None:
        self.was_reset = True
        self.abort()

    def silence(self) -> None:
        self.opened, self.silenced = False, True

    def abort(self) -> None:
        if self.opened:
            self._port.call_at(self._port.clock_ns, lambda _a, _d: self.end(1006), None)


@dataclass
class FakePort:
    """Implements ``replayer.user.port.Port``; ``answer`` and ``answer_message`` are the server."""

    answer: Callable[[bytes, FakeConnection], Reply | None] = lambda data, connection: Reply()
    answer_message: Callable[[bytes], list[bytes]] = lambda data: []
    clock_ns: int = 1_000 * MS
    connect_ms: float = 0
    refuse: str = ""
    closes_politely: bool = True
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    sockets: list[FakeSocket] = field(default_factory=list)
    connections: list[FakeConnection] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)
    _heap: list[tuple[int, int, Callable[[Any, int], None], Any]] = field(default_factory=list)
    _n: int = 0

    def now_ns(self) -> int:
        return self.clock_ns

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + self.clock_ns

    def may_send(self, now_ns: int) -> bool:
        return True

    def call_at(self, due_ns: int, call: Callable[[Any, int], None], argument: Any) -> None:
        self._n += 1
        heapq.heappush(self._heap, (max(due_ns, 0), self._n, call, argument))

    def dial(self, owner: Any, origin: int, on_failed: Callable[[str], None]) -> None:
        due_ns = self.clock_ns + int(self.connect_ms * MS)
        if self.refuse:
            self.call_at(due_ns, lambda failure, _due: on_failed(failure), self.refuse)
            return
        connection = FakeConnection(self, owner)
        self.connections.append(connection)
        self.call_at(due_ns, lambda opened, _due: owner.connection_opened(opened), connection)

    def open_socket(
        self,
        owner: Any,
        origin: int,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> FakeSocket:
        socket = FakeSocket(self, owner, target, headers)
        self.sockets.append(socket)
        if self.refuse:
            self.call_at(self.clock_ns, lambda f, due: owner.socket_refused(socket, f, 503, due), self.refuse)
        else:
            self.call_at(self.clock_ns + int(self.connect_ms * MS), socket.accept, None)
        return socket

    def watch(self, connection: Any) -> None:
        if not connection.is_watched:
            connection.is_watched = True
            self.call_at(connection.deadline_ns, self._expire, connection)

    def _expire(self, connection: Any, due_ns: int) -> None:
        connection.is_watched = False
        if connection.is_busy and connection.deadline_ns <= due_ns:
            connection.expire(due_ns)
        elif connection.is_busy:
            self.watch(connection)

    def user_ended(self, user: Any) -> None:
        self.ended.append(user)
        user._run.meter.count(f"sessions_{user.ending.value}")  # as the worker's crowd does

    def play(self, until_ms: float = 10_000_000) -> None:
        """Let time pass until nothing is left to happen or the clock reaches ``until_ms``."""
        while self._heap and self._heap[0][0] <= until_ms * MS:
            due_ns, _, call, argument = heapq.heappop(self._heap)
            self.clock_ns = max(self.clock_ns, due_ns)
            call(argument, due_ns)


def plan_of(
    *steps: Step,
    slots: tuple[Slot, ...] = (),
    sockets: tuple[SocketScript, ...] = (),
    kinds: tuple[MessageKind, ...] = (),
) -> Plan:
    """Return a plan of one script; step i is measured under route i."""
    end_ns = max((step.at_ns + step.duration_ns for step in steps), default=0)
    script = Script(session=1, start_ns=0, duration_ns=end_ns, steps=steps, slots=slots, sockets=sockets)
    routes = tuple(Route(name=f"route {i}", kind=RouteKind.API, origin=0, n_recorded=1) for i in range(len(steps)))
    return Plan(
        capture_sha256="0" * 64,
        origins=(Origin("http", "shop.example", 80),),
        routes=routes,
        message_kinds=kinds,
        scripts=(script,),
    )


def user_of(plan: Plan, port: FakePort, *, pacing: Pacing = Pacing.THINK, speed: float = 1.0, **options: Any) -> User:
    """Return a user of the plan's only script, not yet started."""
    meter = Meter(0)
    run = Run(
        plan=plan,
        port=port,
        meter=meter,
        budget=Budget(lambda: 0),
        clock=port.now_ns,
        request_ns=Deadlines().request_ns,
        pacing=pacing,
        deadlines=Deadlines(),
        speed=speed,
        max_gap_ns=options.get("max_gap_ns"),
        max_failures=options.get("max_failures", 10),
        start_ns=port.clock_ns,
        key=b"k" * 32,
        at_end=options.get("at_end", AtEnd.END),
    )
    script = LinkedScript(
        plan,
        plan.scripts[0],
        targets=(options.get("target", TARGET),) * len(plan.origins),
        added=options.get("added", ()),
        meter=meter,
        speed=speed,
        max_gap_ns=options.get("max_gap_ns"),
        pacing=pacing,
        at_end=options.get("at_end", AtEnd.END),
    )
    return User(0, script, run, options.get("inputs", {}), is_sampled=True)


def played(plan: Plan, port: FakePort, **options: Any) -> SecondSlot:
    """Play a plan to its end and return what was measured."""
    user = user_of(plan, port, **options)
    user.start(port.clock_ns)
    port.play()
    return user._run.meter.take_slot(0, {}, 0)
