"""Heartbeats of one user: their cadence, their answers, their end."""

from __future__ import annotations

import json

from analysis.slots import SecondSlot
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan
from tests.fakes_captures import Tape, capture_of
from tests.fakes_port import FakePort, user_of


def _plan(*, every_ms: int = 1000, n: int = 6) -> Plan:
    tape = Tape()
    messages = [
        m
        for k in range(1, n + 1)
        for m in (
            (every_ms * k, ">", {"op": "ping", "id": k, "at": 1_790_000_000_123 + every_ms * k}),
            (every_ms * k + 4, "<", {"op": "pong", "id": k}),
        )
    ]
    tape.socket("/ws", messages, close_ms=every_ms * n + 500)
    return compile_plan(capture_of(tape))


def _pong(data: bytes) -> list[bytes]:
    return [json.dumps({"op": "pong", "id": json.loads(data)["id"]}).encode()]


def _played(plan: Plan, port: FakePort, speed: float = 1.0) -> SecondSlot:
    user = user_of(plan, port, speed=speed)
    user.start(port.clock_ns)
    port.play()
    assert user.is_over
    return user._run.meter.take_slot(0, {}, 0)


def _pings(port: FakePort) -> list[tuple[int, dict[str, object]]]:
    return [(ms - 1000, json.loads(data)) for ms, data in port.sent if b"ping" in data]


def test_ticks_keep_their_cadence_and_are_made_anew() -> None:
    port = FakePort(answer_message=_pong)
    slot = _played(_plan(), port)
    pings = _pings(port)
    assert [b[0] - a[0] for a, b in zip(pings, pings[1:], strict=False)] == [1000] * 5
    ids = [int(str(ping["id"])) for _, ping in pings]
    assert ids == sorted(set(ids)) and min(ids) > 1000, "numbers that no recorded message has"
    assert len({ping["at"] for _, ping in pings}) == 6, "the time of each tick"
    (replies,) = [m for key, m in slot.measures.items() if key[0] == "ws.reply"]
    assert (replies.planned, replies.ok) == (6, 6)


def test_the_speed_of_a_run_leaves_the_cadence_alone() -> None:
    port = FakePort(answer_message=_pong)
    _played(_plan(), port, speed=3.0)
    pings = _pings(port)
    assert [b[0] - a[0] for a, b in zip(pings, pings[1:], strict=False)] == [1000]


def test_a_tick_that_nobody_answers_has_failed_and_the_last_one_is_not_counted() -> None:
    port = FakePort()
    slot = _played(_plan(every_ms=8000), port)
    (replies,) = [m for key, m in slot.measures.items() if key[0] == "ws.reply"]
    assert replies.errors == {"timeout_message": 4} and replies.planned == 4


def test_a_socket_that_is_gone_ticks_no_more() -> None:
    port = FakePort(answer_message=_pong)
    user = user_of(_plan(), port)
    user.start(port.clock_ns)
    port.play(until_ms=1000 + 2500)
    port.sockets[0].end(1006)
    port.play()
    assert len(_pings(port)) == 2
