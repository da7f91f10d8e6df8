"""One WebSocket of a virtual user, without sockets: pairing, heartbeats, readiness, and every way it ends."""

from __future__ import annotations

import pytest

from replayer.plan.records import (
    Expectation,
    Extractor,
    MessageKind,
    Pairing,
    Plan,
    RequestTemplate,
    Responder,
    Slot,
    SlotKind,
    SocketScript,
    Source,
    Step,
    StepKind,
)
from tests.fakes_port import MS, FakePort, plan_of, played, user_of

KINDS = (
    MessageKind(name="ack", route=0, value="ack", is_sent=False, n_recorded=2),
    MessageKind(name="subscribe", route=0, value="subscribe", is_sent=True, n_recorded=2),
    MessageKind(name="ping", route=0, value="ping", is_sent=False, n_recorded=2),
    MessageKind(
        name="snapshot",
        route=0,
        value="snapshot",
        is_sent=False,
        n_recorded=9,
        expectation=Expectation(required=(("quotes",),), non_empty=(("quotes",),)),
    ),
)
PONG = Responder(
    message_kind=2,
    payload=(b'{"type":"pong","id":', 0, b"}"),
    extractors=(Extractor(slot=0, source=Source.JSON, path=("id",)),),
)


def socket_plan(*, offers_deflate: bool = False, **socket: object) -> Plan:
    def step(index: int, kind: StepKind, at_ms: int, **more: object) -> Step:
        return Step(index=index, kind=kind, route=0, origin=0, at_ns=at_ms * MS, socket=0, **more)  # type: ignore[arg-type]

    handshake = RequestTemplate(method=b"GET", target=(b"/ws",), headers=(), offers_deflate=offers_deflate)
    steps = (
        step(0, StepKind.CONNECT, 0, request=handshake),
        step(
            1,
            StepKind.SEND,
            10,
            needs=(0,),
            think_ns=MS,
            payload=(b'{"type":"subscribe","id":7}',),
            reply=2,
            message_kind=1,
        ),
        step(
            2,
            StepKind.RECEIVE,
            20,
            needs=(1,),
            reply_to=1,
            message_kind=0,
            pairing=Pairing(send_path=("id",), reply_path=("id",)),
        ),
        step(3, StepKind.CLOSE, 5000, needs=(0,), think_ns=5000 * MS),
    )
    script = SocketScript(route=0, connect=0, discriminator=("type",), responders=(PONG,), **socket)  # type: ignore[arg-type]
    return plan_of(*steps, slots=(Slot(name="ping", kind=SlotKind.EXTRACTED),), sockets=(script,), kinds=KINDS)


@pytest.mark.parametrize("offers_deflate", [True, False])
def test_a_socket_that_comes_without_the_recorded_compression_is_counted(offers_deflate: bool) -> None:
    port = FakePort()
    user = user_of(socket_plan(offers_deflate=offers_deflate), port)
    user.start(port.clock_ns)
    port.play()
    assert user._run.meter.take_slot(0, {}, 0).counts.get("deflate_refused", 0) == offers_deflate


def test_reply_is_paired_by_its_id_and_heartbeats_are_answered() -> None:
    port = FakePort(
        answer_message=lambda d: [b'{"type":"ack","id":6}', b'{"type":"ack","id":7}'] if b"sub" in d else []
    )
    user = user_of(socket_plan(), port)
    user.start(port.clock_ns)
    port.play(until_ms=3000)
    port.sockets[0].push(b'{"type": "ping", "id": 42}')
    port.sockets[0].push(b'{"type":"snapshot","quotes":[]}')
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert port.sockets[0].sent == [b'{"type":"subscribe","id":7}', b'{"type":"pong","id":42}']
    reply = slot.measures[("ws.reply", (("message", "ack"), ("route", "route 0")))]
    assert (reply.planned, reply.ok, reply.latency_max_us) == (1, 1, 5000)
    assert slot.measures[("ws.message", (("message", "snapshot"), ("route", "route 0")))].mismatches == {"empty": 1}
    assert slot.counts["sessions_completed"] == 1


def farewell_plan(*, close_ms: int) -> Plan:
    handshake = RequestTemplate(method=b"GET", target=(b"/ws",), headers=())
    steps = (
        Step(index=0, kind=StepKind.CONNECT, route=0, origin=0, at_ns=0, socket=0, request=handshake),
        Step(
            index=1,
            kind=StepKind.SEND,
            route=0,
            origin=0,
            at_ns=100 * MS,
            socket=0,
            needs=(0,),
            think_ns=100 * MS,
            payload=(b'{"type":"bye"}',),
            message_kind=1,
        ),
        Step(
            index=2,
            kind=StepKind.CLOSE,
            route=0,
            origin=0,
            at_ns=close_ms * MS,
            socket=0,
            needs=(1,),
            think_ns=(close_ms - 100) * MS,
        ),
    )
    return plan_of(*steps, sockets=(SocketScript(route=0, connect=0, discriminator=("type",)),), kinds=KINDS)


@pytest.mark.parametrize(("close_ms", "ending"), [(300, "sessions_completed"), (5000, "sessions_failed")])
def test_a_server_may_end_a_socket_on_the_goodbye_just_before_its_client_would(close_ms: int, ending: str) -> None:
    port = FakePort()
    user = user_of(farewell_plan(close_ms=close_ms), port)
    user.start(port.clock_ns)
    port.play(until_ms=port.clock_ns / MS + 200)
    port.sockets[0].end(1006)
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert slot.counts.get(ending) == 1
    lifetimes = slot.measures[("ws.lifetime", (("route", "route 0"),))]
    is_lost = ending == "sessions_failed"
    assert (lifetimes.ok, lifetimes.errors) == ((0, {"ws_close_1006": 1}) if is_lost else (1, {}))


def test_silent_socket_is_a_timeout_of_the_reply_and_fails_the_session() -> None:
    slot = played(socket_plan(), FakePort())
    reply = slot.measures[("ws.reply", (("message", "ack"), ("route", "route 0")))]
    assert reply.errors == {"timeout_message": 1} and reply.latency_max_us >= 10_000_000
    assert slot.counts["sessions_failed"] == 1


def test_a_server_that_speaks_first_is_ready_when_it_does() -> None:
    port = FakePort(answer_message=lambda d: [b'{"type":"ack","id":7}'], connect_ms=20)
    user = user_of(socket_plan(greets=True), port)
    user.start(port.clock_ns)
    port.play()
    ready = user._run.meter.take_slot(0, {}, 0).measures["ws.ready", (("route", "route 0"),)]
    assert (ready.planned, ready.ok) == (1, 1)
    assert ready.latency_max_us == 6_000, "the answer to what was sent 1 ms after the 101"


def test_a_server_that_spoke_first_and_is_silent_is_never_ready() -> None:
    slot = played(socket_plan(greets=True), FakePort())
    ready = slot.measures["ws.ready", (("route", "route 0"),)]
    assert ready.errors == {"timeout_message": 1} and ready.latency_max_us > 1_000_000


def test_refused_upgrade_fails_the_connect_and_its_messages_are_not_sent() -> None:
    slot = played(socket_plan(), FakePort(refuse="status_503"))
    assert slot.measures[("ws.connect", (("route", "route 0"),))].errors == {"status_503": 1}
    assert slot.counts["not_sent:socket_closed"] == 2
    assert slot.counts["sessions_failed"] == 1


def test_socket_that_the_server_ends_early_is_counted_with_its_code() -> None:
    port = FakePort(answer_message=lambda d: [b'{"type":"ack","id":7}'])
    user = user_of(socket_plan(), port)
    user.start(port.clock_ns)
    port.play(until_ms=3000)
    port.sockets[0].end(1012)
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert slot.measures[("ws.lifetime", (("route", "route 0"),))].errors["ws_close_1012"] == 1
    assert slot.counts["sessions_failed"] == 1


def test_close_that_nobody_answers_ends_by_its_deadline() -> None:
    port = FakePort(answer_message=lambda d: [b'{"type":"ack","id":7}'], closes_politely=False)
    slot = played(socket_plan(), port)
    assert slot.measures[("ws.lifetime", (("route", "route 0"),))].errors == {"timeout_close": 1}
