"""A virtual user over HTTP/2 in memory: sessions of ours, the ``h2`` library as the server, a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import h2.errors
import h2.events
import pytest

from analysis.slots import SecondSlot
from captures.units import NS_PER_MS, NS_PER_S
from replayer.plan.records import Plan
from replayer.wire import http2_frames as frames
from replayer.wire.outbox import Outbox
from tests.fakes_port import TARGET, FakePort, plan_of, user_of
from tests.replayer.http2_peers import OK, Pair
from tests.replayer.test_user_steps import request, totals

TARGET_2 = replace(TARGET, scheme="https", http="2")
Requests = list[h2.events.RequestReceived]
Serve = Callable[["Server", h2.events.RequestReceived], None]


class Server:
    """One connection's other end; ``serve`` is told every request that arrives on it."""

    def __init__(self, port: Http2Port, pair: Pair, number: int) -> None:
        self._port = port
        self.pair = pair
        self.number = number
        self.requests: Requests = []
        self.is_lost = False

    def answer(self, request: h2.events.RequestReceived, *, after_ms: float = 0) -> None:
        self._port.after(after_ms, lambda: self._answer(request.stream_id))

    def _answer(self, stream: int) -> None:
        if not self.is_lost and self.pair.server.streams[stream].open:
            self.pair.server.send_headers(stream, list(OK))
            self.pair.server.send_data(stream, b"{}", end_stream=True)
            self._port.move(self)

    def reset(self, request: h2.events.RequestReceived, code: int) -> None:
        self.pair.server.reset_stream(request.stream_id, code)

    def leave(self, last: int) -> None:
        """Say GOAWAY; the library would forget its streams, so the frame is our own."""
        self._port.after(0, lambda: self.pair.feed(frames.frame(frames.GOAWAY, 0, 0, frames.PAIR.pack(last, 0))))

    def lose(self, failure: str, *, after_ms: float = 0) -> None:
        self._port.after(after_ms, lambda: self._lose(failure))

    def _lose(self, failure: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.pair.session.lose(failure, self._port.clock_ns)


@dataclass
class Http2Port(FakePort):
    """A port whose connections are HTTP/2."""

    serve: Serve = lambda server, request: server.answer(request, after_ms=10)
    servers: list[Server] = field(default_factory=list)
    settings: dict[str, int] = field(default_factory=dict)

    def after(self, ms: float, call: Callable[[], object]) -> None:
        def due(_argument: None, _due_ns: int) -> None:
            call()

        self.call_at(self.clock_ns + int(ms * NS_PER_MS), due, None)

    def dial(self, owner: Any, origin: int, on_failed: Callable[[str], None]) -> None:
        if self.refuse:
            self.after(0, lambda: on_failed(self.refuse))
            return
        outbox = Outbox(lambda write: write(), self.now_ns)
        server = Server(self, Pair(owner=owner, greets=False, outbox=outbox, **self.settings), len(self.servers))
        self.servers.append(server)
        wire, write = server.pair.wire, server.pair.wire.write

        def written(data: bytes) -> None:
            write(data)
            self.after(1, lambda: self.move(server))

        wire.write = written  # type: ignore[method-assign]
        self.after(0, lambda: self._open(owner, server))

    def _open(self, owner: Any, server: Server) -> None:
        server.pair.to_server()
        server.pair.to_us()
        owner.connection_opened(server.pair.session)
        self.move(server)

    def move(self, server: Server) -> None:
        """Let the server read and act, then let the user read."""
        pair = server.pair
        if server.is_lost:
            return
        for event in pair.to_server():
            if isinstance(event, h2.events.RequestReceived):
                server.requests.append(event)
                self.sent.append((self.clock_ns // NS_PER_MS, dict(event.headers)[b":path"]))
                self.serve(server, event)
        if data := pair.server.data_to_send():
            pair.session.receive(data, self.clock_ns)
        if pair.wire.ended:
            server._lose("eof")


def played(plan: Plan, port: Http2Port, **options: Any) -> SecondSlot:
    user = user_of(plan, port, target=TARGET_2, **options)
    user.start(port.clock_ns)
    port.play()
    assert user.is_over
    slot: SecondSlot = user._run.meter.take_slot(0, {}, 0)
    return slot


def paths(port: Http2Port) -> list[str]:
    return [path.decode() for _, path in port.sent]


def counted(slot: SecondSlot, failure: str) -> int:
    return sum(measure.errors.get(failure, 0) for measure in slot.measures.values())


def burst(n: int, method: bytes = b"GET", at_ms: int = 0) -> Plan:
    """A script of n requests that start at once."""
    return plan_of(*(request(i, at_ms=at_ms, method=method) for i in range(n)))


def test_requests_that_start_together_share_one_connection() -> None:
    port = Http2Port()
    slot = played(burst(20), port)
    assert totals(slot)["ok"] == 20 and len(port.servers) == 1
    sent_ms = [at_ms for at_ms, _ in port.sent]
    assert max(sent_ms) - min(sent_ms) < 10, "they were all on their way at once"


def test_limit_of_streams_makes_the_rest_wait_in_order() -> None:
    port = Http2Port(settings={"MAX_CONCURRENT_STREAMS": 2})
    slot = played(burst(6), port)
    assert totals(slot)["ok"] == 6 and paths(port) == [f"/{i}" for i in range(6)] and len(port.servers) == 1
    assert [round((at_ms - port.sent[0][0]) / 10) for at_ms, _ in port.sent] == [0, 0, 1, 1, 2, 2]


def test_connection_is_kept_between_requests() -> None:
    port = Http2Port()
    plan = plan_of(*(request(i, at_ms=i * 100) for i in range(5)))
    slot = played(plan, port)
    assert totals(slot)["ok"] == 5 and len(port.servers) == 1


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_goaway_hands_over_to_a_new_connection_without_a_failure(method: bytes) -> None:
    def serve(server: Server, event: h2.events.RequestReceived) -> None:
        if server.number == 0 and event.stream_id == 5:
            server.leave(last=3)
        elif server.number > 0 or event.stream_id < 5:
            server.answer(event, after_ms=10)

    port = Http2Port(serve=serve)
    slot = played(burst(5, method), port)
    assert totals(slot)["ok"] == 5 and slot.counts["refused_stream"] == 3
    assert [len(server.requests) for server in port.servers] == [5, 3]
    assert port.servers[0].pair.wire.ended == "closed"


def test_refused_stream_is_sent_once_more_and_no_oftener() -> None:
    def refuse(n: int) -> Serve:
        left = [n]

        def serve(server: Server, event: h2.events.RequestReceived) -> None:
            if left[0]:
                left[0] -= 1
                server.reset(event, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                server.answer(event)

        return serve

    once, twice = Http2Port(serve=refuse(1)), Http2Port(serve=refuse(2))
    slot = played(burst(1, b"POST"), once)
    assert totals(slot)["ok"] == 1 and slot.counts["refused_stream"] == 1
    slot = played(burst(1, b"POST"), twice)
    assert counted(slot, "reset") == 1 and len(twice.sent) == 2


def test_other_resets_are_never_tried_again() -> None:
    port = Http2Port(serve=lambda server, event: server.reset(event, h2.errors.ErrorCodes.INTERNAL_ERROR))
    slot = played(burst(1), port)
    assert counted(slot, "reset") == 1 and len(port.sent) == 1 and "refused_stream" not in slot.counts


@pytest.mark.parametrize(("method", "ok", "retries"), [(b"GET", 2, 1), (b"POST", 1, 0)])
def test_reused_connection_that_ends_without_a_byte_is_stale_for_a_get_only(
    method: bytes, ok: int, retries: int
) -> None:
    def serve(server: Server, event: h2.events.RequestReceived) -> None:
        if server.number == 0 and len(server.requests) == 2:
            server.lose("eof")
        else:
            server.answer(event)

    port = Http2Port(serve=serve)
    plan = plan_of(*(request(i, at_ms=i * 100, method=method) for i in range(2)))
    slot = played(plan, port)
    assert totals(slot)["ok"] == ok and slot.counts.get("stale_reconnect", 0) == retries
    assert counted(slot, "eof") == 2 - ok


def test_first_requests_of_a_new_connection_are_not_stale() -> None:
    port = Http2Port(serve=lambda server, event: server.lose("reset"))
    slot = played(burst(2), port)
    assert counted(slot, "reset") == 2 and len(port.servers) == 1


def test_failed_connect_fails_all_that_waited_for_it() -> None:
    port = Http2Port(refuse="tls_alpn")
    slot = played(burst(4), port)
    assert counted(slot, "tls_alpn") == 4


def test_late_answer_ends_its_request_only_and_a_silent_connection_is_replaced() -> None:
    def serve(server: Server, event: h2.events.RequestReceived) -> None:
        path = dict(event.headers)[b":path"]
        if server.number or path in (b"/1", b"/2"):
            server.answer(event, after_ms=20_000)

    port = Http2Port(serve=serve)
    silent_ms = 100_000
    plan = plan_of(
        request(0, at_ms=0),
        request(1, at_ms=0),
        request(2, at_ms=silent_ms),
        request(3, at_ms=silent_ms + 50_000),
        request(4, at_ms=silent_ms + 200_000),
    )
    slot = played(plan, port)
    assert counted(slot, "timeout_request") == 2 and totals(slot)["ok"] == 3
    by_server = [[dict(event.headers)[b":path"] for event in server.requests] for server in port.servers]
    assert by_server == [[b"/0", b"/1", b"/2", b"/3"], [b"/4"]], "/3 got not a byte, so /4 went elsewhere"


def test_request_that_never_finds_room_ends_at_its_deadline() -> None:
    port = Http2Port(settings={"MAX_CONCURRENT_STREAMS": 0})
    started_ns = port.clock_ns
    slot = played(burst(3), port)
    assert counted(slot, "timeout_request") == 3 and not port.sent
    assert (port.clock_ns - started_ns) // NS_PER_S == 60


def test_end_of_a_user_closes_its_connection() -> None:
    port = Http2Port()
    played(burst(1), port)
    assert port.servers[0].pair.wire.ended == "closed"
    cut = user_of(burst(1), port, target=TARGET_2)
    cut.start(port.clock_ns)
    port.play(until_ms=port.clock_ns / NS_PER_MS + 5)
    cut.cut()
    port.play()
    assert port.servers[1].pair.wire.ended == "aborted"
