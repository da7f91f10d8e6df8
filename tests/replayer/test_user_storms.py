"""Virtual users in a storm, without sockets: what they lose, how they come back, what is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.histogram import NEVER_BUCKET
from analysis.series import UNASKED
from analysis.slots import Measure, SecondSlot
from replayer.load.storms import Mode, parse_storm
from replayer.plan.records import (
    Extractor,
    MessageKind,
    Pairing,
    Plan,
    RequestTemplate,
    Slot,
    SlotKind,
    SocketScript,
    Source,
    Step,
    StepKind,
)
from replayer.user.steps import User
from replayer.user.storm import Storms
from tests.fakes_port import MS, FakePort, Reply, plan_of, user_of

KINDS = (
    MessageKind(name="ack", route=2, value="ack", is_sent=False, n_recorded=2),
    MessageKind(name="subscribe", route=2, value="subscribe", is_sent=True, n_recorded=2),
    MessageKind(name="say", route=2, value="say", is_sent=True, n_recorded=1),
    MessageKind(name="said", route=2, value="said", is_sent=False, n_recorded=1),
    MessageKind(name="news", route=2, value="news", is_sent=False, n_recorded=5),
)
BY_ID = Pairing(send_path=("id",), reply_path=("id",))
SLOTS = (
    Slot(name="password", kind=SlotKind.INPUT, detail="password"),
    Slot(name="token", kind=SlotKind.EXTRACTED),
    Slot(name="ticket", kind=SlotKind.EXTRACTED),
    Slot(name="seq", kind=SlotKind.EXTRACTED),
)


def step(
    index: int, kind: StepKind, at_ms: int, *, needs: tuple[int, ...] = (), think_ms: int = 0, **more: Any
) -> Step:
    fields = {"route": index, "origin": 0, "at_ns": at_ms * MS, "duration_ns": 5 * MS, "think_ns": think_ms * MS}
    return Step(index=index, kind=kind, needs=needs, **(fields | more))


def message(kind: str, number: int) -> tuple[bytes]:
    return (json.dumps({"type": kind, "id": number}, separators=(",", ":")).encode(),)


def log_in() -> Step:
    """A login that brings the token, and needs the password of the identities."""
    request = RequestTemplate(method=b"POST", target=(b"/login",), headers=(), body=(b"pw=", 0))
    brings = (Extractor(slot=1, source=Source.JSON, path=("token",)),)
    return step(0, StepKind.REQUEST, 0, request=request, extractors=brings, is_unsafe=True)


def fetch_ticket() -> Step:
    request = RequestTemplate(method=b"GET", target=(b"/ticket",), headers=((b"authorization", (b"Bearer ", 1)),))
    brings = (Extractor(slot=2, source=Source.JSON, path=("ticket",)),)
    return step(1, StepKind.REQUEST, 50, needs=(0,), think_ms=1, request=request, extractors=brings)


def visit(*, last_ms: int = 9000) -> Plan:
    """Log in, fetch a ticket, open the socket, subscribe twice, say something, poll, close."""
    on_socket: dict[str, Any] = {"socket": 0, "route": 2}

    def ask(index: int, at_ms: int, kind: str, number: int, *, needs: int, think_ms: int) -> tuple[Step, Step]:
        sends, answers = {"subscribe": (1, 0), "say": (2, 3)}[kind]
        asks = {"payload": message(kind, number), "reply": index + 1, "message_kind": sends, **on_socket}
        sent = step(index, StepKind.SEND, at_ms, needs=(needs,), think_ms=think_ms, **asks)
        says = {"reply_to": index, "pairing": BY_ID, "message_kind": answers, **on_socket}
        return sent, step(index + 1, StepKind.RECEIVE, at_ms + 10, needs=(index,), **says)

    handshake = RequestTemplate(method=b"GET", target=(b"/ws?ticket=", 2), headers=())
    poll = RequestTemplate(method=b"GET", target=(b"/poll",), headers=())
    steps = (
        log_in(),
        fetch_ticket(),
        step(2, StepKind.CONNECT, 100, needs=(1,), think_ms=10, request=handshake, **on_socket),
        *ask(3, 120, "subscribe", 1, needs=2, think_ms=2),
        *ask(5, 3000, "subscribe", 2, needs=4, think_ms=2900),
        *ask(7, 5000, "say", 3, needs=6, think_ms=1900),
        step(9, StepKind.REQUEST, 7000, request=poll),
        step(10, StepKind.CLOSE, last_ms, needs=(8, 9), think_ms=last_ms - 7000, **on_socket),
    )
    socket = SocketScript(route=2, connect=2, discriminator=("type",))
    return plan_of(*steps, slots=SLOTS, sockets=(socket,), kinds=KINDS)


class Server:
    """Answers as the recorded one did; hands out a fresh ticket each time and lets each open one socket."""

    def __init__(self) -> None:
        self.tickets: list[bytes] = []
        self.port = FakePort(answer=self.answer, answer_message=self.answer_message)

    def answer(self, data: bytes, _connection: object) -> Reply:
        if data.startswith(b"POST /login"):
            return Reply(body=b'{"token":"t1"}')
        if data.startswith(b"GET /ticket"):
            self.tickets.append(b"ticket-%d" % len(self.tickets))
            return Reply(body=b'{"ticket":"%s"}' % self.tickets[-1])
        return Reply()

    def answer_message(self, data: bytes) -> list[bytes]:
        said = json.loads(data)
        kind = {"subscribe": "ack", "say": "said"}[said["type"]]
        return [json.dumps({"type": kind, "id": said["id"]}).encode()]

    @property
    def handshakes(self) -> list[bytes]:
        return [socket.target for socket in self.port.sockets]

    def asked(self, path: bytes) -> int:
        return sum(path in data.split(b"\r\n")[0] for _, data in self.port.sent)


def stormy(plan: Plan, port: FakePort, *storms: str, seed: int = 1, **options: Any) -> tuple[User, Storms]:
    """Return a user in these storms, not yet started; storm times count from the port's present."""
    user = user_of(plan, port, inputs={"password": "pw"}, **options)
    run = user._run
    run.storms = Storms(
        [parse_storm(text) for text in storms],
        seed=seed,
        plan=plan,
        meter=run.meter,
        port=port,
        users=lambda: [] if user.is_over else [user],
        is_stopping=lambda: run.is_stopping,
    )
    run.storms.arm(port.clock_ns)
    return user, run.storms


def played(plan: Plan, port: FakePort, *storms: str, **options: Any) -> SecondSlot:
    user, _ = stormy(plan, port, *storms, **options)
    user.start(port.clock_ns)
    port.play()
    assert user.is_over
    return user._run.meter.take_slot(0, {}, 0)


def storm(slot: SecondSlot, name: str, label: str = "1") -> Measure:
    return slot.measures.get((name, (("storm", label),)), Measure())


def check_conservation(slot: SecondSlot) -> None:
    steps = [measure for key, measure in slot.measures.items() if key[0] not in UNASKED]
    planned = sum(measure.planned for measure in steps)
    ended = sum(m.ok + sum(m.errors.values()) + sum(m.mismatches.values()) for m in steps)
    assert planned == ended + sum(n for name, n in slot.counts.items() if name.startswith("not_sent:"))
    for name in ("storm.recovery", "storm.attempt", "storm.request"):
        found = [measure for key, measure in slot.measures.items() if key[0] == name]
        assert all(m.planned == m.ok + sum(m.errors.values()) for m in found), name


def test_resume_fetches_a_fresh_ticket_but_does_not_log_in_again() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4s,policy=fixed:500ms")
    assert server.asked(b"/login") == 1
    assert server.handshakes == [b"/ws?ticket=ticket-0", b"/ws?ticket=ticket-1"]
    assert server.port.sockets[0].was_reset
    assert slot.counts["sessions_completed"] == 1
    assert storm(slot, "storm.recovery").ok == 1
    check_conservation(slot)


def test_cold_goes_the_whole_way_again() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4s,policy=immediate,mode=cold")
    assert server.asked(b"/login") == 2
    assert server.asked(b"/ticket") == 2
    assert server.asked(b"/poll") == 1, "what came after the handshake is not part of the way"
    routes = {dict(key[1])["route"]: m.ok for key, m in slot.measures.items() if key[0] == "storm.request"}
    assert routes == {"route 0": 1, "route 1": 1}
    check_conservation(slot)


def test_subscriptions_are_sent_again_and_what_the_user_said_is_not() -> None:
    server = Server()
    played(visit(), server.port, "at=6s,policy=immediate")
    assert [json.loads(data)["id"] for data in server.port.sockets[1].sent] == [1, 2]


def test_the_recovery_time_has_a_wait_and_a_server_part() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4s,policy=fixed:500ms")
    recovery, opened = storm(slot, "storm.recovery"), storm(slot, "storm.open")
    # 500 ms of waiting, 10 ms for the ticket, no time for the handshake, 5 ms for the acknowledgements
    assert recovery.latency_sum_us == 515_000
    assert recovery.service_sum_us == 15_000
    assert opened.latency_sum_us == 510_000
    assert opened.service_sum_us == 10_000


def test_steps_that_need_the_socket_wait_for_it_and_their_intended_start_moves() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4800ms,policy=fixed:2s")
    (said,) = [data for data in server.port.sockets[1].sent if b"say" in data]
    at_ms = next(ms for ms, data in server.port.sent if data == said)
    assert at_ms - 1000 == 4800 + 2000 + 10 + 5
    replies = next(m for key, m in slot.measures.items() if key[0] == "ws.reply" and ("message", "said") in key[1])
    assert replies.latency_max_us == 5000
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


def test_a_close_waits_until_the_socket_is_back() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=8900ms,policy=fixed:3s")
    assert server.port.sockets[1].close_code == 1000
    assert server.port.clock_ns >= (1000 + 8900 + 3000) * MS
    assert slot.counts["sessions_completed"] == 1


def test_an_answer_that_the_storm_took_is_nobodys_failure() -> None:
    server = Server()
    server.port.answer_message = lambda data: [] if b"say" in data else server.answer_message(data)
    slot = played(visit(), server.port, "at=6s,policy=immediate")
    assert slot.counts["not_sent:storm"] == 1
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


def test_an_acknowledgement_that_the_storm_took_comes_with_the_subscription_that_is_sent_again() -> None:
    server = Server()
    seen: list[bytes] = []

    def answer_message(data: bytes) -> list[bytes]:
        seen.append(data)
        is_first = seen.count(data) == 1 and b'"id":2' in data
        return [] if is_first else server.answer_message(data)

    server.port.answer_message = answer_message
    slot = played(visit(), server.port, "at=4s,policy=immediate")
    assert "not_sent:storm" not in slot.counts
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


@pytest.mark.parametrize("how", ["close:1012", "close:4000", "silent,notice=2s"])
def test_each_way_of_losing_a_socket_comes_back(how: str) -> None:
    server = Server()
    slot = played(visit(), server.port, f"at=4s,how={how},policy=fixed:100ms")
    first = server.port.sockets[0]
    assert storm(slot, "storm.recovery").ok == 1
    if how.startswith("close"):
        assert first.close_code == int(how.partition(":")[2])
        assert storm(slot, "storm.recovery").latency_sum_us == 115_000
    else:
        assert first.silenced
        assert storm(slot, "storm.recovery").latency_sum_us == 2_115_000, "the outage begins before it is noticed"
    check_conservation(slot)


def test_a_server_that_drops_sockets_after_a_hook_finds_them_coming_back() -> None:
    server = Server()
    user, _ = stormy(visit(), server.port, "at=2s,how=hook:restart,policy=fixed:100ms")
    user.start(server.port.clock_ns)
    server.port.play(until_ms=1000 + 4000)
    server.port.clock_ns = (1000 + 4000) * MS
    server.port.sockets[0].end(1012)
    server.port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert storm(slot, "storm.recovery").latency_sum_us == 115_000, "counted from the loss, not from the command"
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


def test_without_a_storm_a_dropped_socket_is_a_failure() -> None:
    server = Server()
    user, _ = stormy(visit(), server.port, "at=8s,policy=immediate")
    user.start(server.port.clock_ns)
    server.port.play(until_ms=1000 + 4000)
    server.port.sockets[0].end(1012)
    server.port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert len(server.port.sockets) == 1
    assert slot.counts["sessions_failed"] == 1


def refusing(server: Server, n_times: int, status: int = 503) -> None:
    """Let the server refuse the next upgrades."""
    accept = server.port.open_socket
    left = [n_times]

    def open_socket(owner: Any, *args: Any, **more: Any) -> Any:
        is_again = bool(server.port.sockets)
        server.port.refuse = f"status_{status}" if is_again and left[0] > 0 else ""
        left[0] -= is_again
        socket = accept(owner, *args, **more)
        server.port.refuse = ""  # Requests are not refused.
        return socket

    server.port.open_socket = open_socket  # type: ignore[method-assign]


def test_refused_attempts_go_on_by_the_policy_and_never_end_the_user() -> None:
    server = Server()
    refusing(server, 25)
    slot = played(visit(), server.port, "at=4s,policy=fixed:200ms", max_failures=3)
    attempts = storm(slot, "storm.attempt")
    assert (attempts.planned, attempts.ok, attempts.errors) == (26, 1, {"status_503": 25})
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


@pytest.mark.parametrize(("limit", "n_attempts"), [("give_up=1s", 5), ("attempts=3", 3)])
def test_who_gives_up_counts_as_never_and_fails(limit: str, n_attempts: int) -> None:
    server = Server()
    refusing(server, 1_000)
    slot = played(visit(), server.port, f"at=4s,policy=fixed:190ms,{limit}")
    recovery = storm(slot, "storm.recovery")
    assert (recovery.planned, recovery.ok, recovery.errors) == (1, 0, {"gave_up": 1})
    assert recovery.latency == {NEVER_BUCKET: 1}
    assert storm(slot, "storm.attempt").planned == n_attempts
    assert slot.counts["sessions_failed"] == 1
    assert slot.counts["not_sent:socket_closed"] >= 2
    check_conservation(slot)


def test_a_socket_that_ends_before_it_is_ready_is_a_failed_attempt() -> None:
    server = Server()
    server.port.answer_message = lambda data: [] if len(server.port.sockets) == 2 else server.answer_message(data)
    user, _ = stormy(visit(), server.port, "at=4s,policy=fixed:100ms")
    user.start(server.port.clock_ns)
    server.port.play(until_ms=1000 + 4500)
    server.port.sockets[1].end(1013)
    server.port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert storm(slot, "storm.attempt").errors == {"ws_close_1013": 1}
    assert storm(slot, "storm.recovery").ok == 1
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


def test_subscriptions_that_are_not_acknowledged_in_time_fail_the_attempt() -> None:
    server = Server()
    server.port.answer_message = lambda data: [] if len(server.port.sockets) == 2 else server.answer_message(data)
    slot = played(visit(last_ms=30_000), server.port, "at=4s,policy=fixed:100ms")
    assert storm(slot, "storm.attempt").errors == {"timeout_message": 1}
    assert storm(slot, "storm.recovery").ok == 1
    check_conservation(slot)


def test_several_acknowledgements_that_fail_together_fail_one_attempt() -> None:
    server = Server()
    server.port.answer_message = lambda data: [] if len(server.port.sockets) == 2 else server.answer_message(data)
    slot = played(visit(last_ms=40_000), server.port, "at=4s,policy=fixed:100ms,attempts=1")
    assert storm(slot, "storm.attempt").errors == {"timeout_message": 1}
    assert storm(slot, "storm.recovery").errors == {"gave_up": 1}
    check_conservation(slot)


def test_failed_requests_on_the_way_fail_the_attempt_with_their_class() -> None:
    server = Server()
    failing = [Reply(status=500), Reply(failure="reset")]

    def answer(data: bytes, connection: object) -> Reply:
        if data.startswith(b"GET /ticket") and server.tickets and failing:
            return failing.pop(0)
        return server.answer(data, connection)

    server.port.answer = answer
    slot = played(visit(), server.port, "at=4s,policy=fixed:200ms")
    assert storm(slot, "storm.attempt").errors == {"status_500": 1, "reset": 1}
    assert slot.counts["sessions_completed"] == 1
    check_conservation(slot)


def test_a_run_that_ends_cuts_who_waits_and_lets_an_attempt_end() -> None:
    for until_ms, errors, ok in ((4200, {"cut": 1}, 0), (4505, {}, 1)):
        server = Server()
        user, _ = stormy(visit(), server.port, "at=4s,policy=fixed:500ms")
        user.start(server.port.clock_ns)
        server.port.play(until_ms=1000 + until_ms)
        user._run.is_stopping = True
        user.stop()
        server.port.play()
        assert user.is_over
        slot = user._run.meter.take_slot(0, {}, 0)
        assert storm(slot, "storm.recovery").errors == errors
        assert storm(slot, "storm.recovery").ok == ok
        check_conservation(slot)


def test_a_second_strike_does_not_take_a_socket_that_is_not_there() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4s,policy=fixed:3s", "at=5s,policy=immediate")
    assert storm(slot, "storm.recovery", "1").planned == 1
    assert storm(slot, "storm.recovery", "2").planned == 0
    assert slot.counts["storm_strikes:2"] == 1


def test_every_strike_of_a_repeated_storm_is_kept_apart() -> None:
    server = Server()
    slot = played(visit(), server.port, "every=2s,policy=immediate")
    labels = {dict(key[1])["storm"] for key, m in slot.measures.items() if key[0] == "storm.recovery" and m.ok}
    assert labels == {"1.1", "1.2", "1.3", "1.4"}
    assert len(server.port.sockets) == 5


def test_storm_times_are_never_sped_up() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=300ms,policy=fixed:2s", speed=10.0)
    assert storm(slot, "storm.recovery").latency_sum_us == 2_015_000
    assert slot.counts["sessions_completed"] == 1


def test_requests_of_touched_users_count_besides_so_that_the_others_can_be_told() -> None:
    server = Server()
    slot = played(visit(), server.port, "at=4s,policy=immediate")
    touched = slot.measures["storm.touched", (("of", "http"),)]
    assert touched.ok == 1, "the poll after the strike; login and ticket came before it"
    everybody = [m for key, m in slot.measures.items() if key[0] == "http"]
    assert sum(m.ok for m in everybody) == 3


def resumable() -> Plan:
    """The recorded user lost its socket too, and came back with the number of the last message."""
    plain = visit()
    script = plain.scripts[0]
    handshake = RequestTemplate(method=b"GET", target=(b"/ws?ticket=", 2, b"&since=", 3), headers=())
    brings = (Extractor(slot=3, source=Source.JSON, path=("seq",)),)
    last = len(script.steps)
    news = step(last - 1, StepKind.RECEIVE, 9500, needs=(2,), message_kind=4, socket=0, route=2, extractors=brings)
    comes_back: dict[str, Any] = {"request": handshake, "socket": 1, "route": 2}
    again = step(last, StepKind.CONNECT, 60_000, needs=(last - 1,), think_ms=50_000, **comes_back)
    sockets = (*script.sockets, SocketScript(route=2, connect=last, discriminator=("type",)))
    steps = (*script.steps[:-1], news, again)
    return replace(plain, scripts=(replace(script, steps=steps, sockets=sockets),))


def test_a_recorded_resumption_is_played_with_the_token_of_the_latest_message() -> None:
    server = Server()
    user, _ = stormy(resumable(), server.port, "at=4s,policy=immediate")
    user.start(server.port.clock_ns)
    for after_ms, seq in ((1000, 17), (2000, 18), (2500, 19)):
        server.port.play(until_ms=1000 + after_ms)
        server.port.sockets[0].push(b'{"type":"news","seq":%d}' % seq)
    server.port.play(until_ms=1000 + 4500)
    assert server.handshakes[1] == b"/ws?ticket=ticket-1&since=19"


def test_tokens_are_read_from_every_message_only_where_a_storm_may_need_them() -> None:
    plan = resumable()
    user = user_of(plan, FakePort(), inputs={"password": "pw"})
    assert user._socket(0)._tokens == {}


@given(
    data=st.data(),
    policy=st.sampled_from(["immediate", "fixed:300ms", "full-jitter:100ms..2s", "socketio", "phoenix"]),
    mode=st.sampled_from([mode.value for mode in Mode]),
    how=st.sampled_from(["rst", "close:1012", "silent,notice=700ms"]),
    at_ms=st.integers(0, 9500),
)
def test_whatever_the_server_does_planned_is_ok_and_failed_and_not_sent(
    data: st.DataObject, policy: str, mode: str, how: str, at_ms: int
) -> None:
    server = Server()
    flips: Callable[[], bool] = lambda: data.draw(st.integers(0, 4)) == 0  # noqa: E731

    def answer(request: bytes, connection: object) -> Reply:
        if flips():
            return data.draw(st.sampled_from([Reply(status=503), Reply(failure="reset"), Reply(status=401)]))
        return server.answer(request, connection)

    server.port.answer = answer
    server.port.answer_message = lambda sent: [] if flips() else server.answer_message(sent)
    spec = f"at={at_ms}ms,how={how},policy={policy},mode={mode},give_up=5s"
    slot = played(visit(), server.port, spec, f"at={at_ms + 900}ms,policy=immediate,give_up=2s")
    check_conservation(slot)
    assert slot.counts.get("sessions_completed", 0) + slot.counts.get("sessions_failed", 0) == 1


def test_a_strike_at_the_end_of_the_run_takes_nothing() -> None:
    server = Server()
    user, _ = stormy(visit(), server.port, "at=4s,policy=immediate")
    user.start(server.port.clock_ns)
    server.port.play(until_ms=1000 + 3999)
    user._run.is_retiring = True
    server.port.play(until_ms=1000 + 4100)
    assert len(server.port.sockets) == 1
    assert not server.port.sockets[0].was_reset
