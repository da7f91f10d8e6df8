"""How long a message is waited for: the deadline, or three times the longest recorded wait where that is more."""

from __future__ import annotations

import dataclasses

import pytest

from replayer.plan.records import MessageKind, Pairing, Plan, RequestTemplate, SocketScript, Step, StepKind
from replayer.user.awaited import patience_of
from tests.fakes_port import MS, FakePort, plan_of, user_of

S = 1000 * MS
KINDS = (
    MessageKind(name="result", route=0, value="result", is_sent=False, n_recorded=2),
    MessageKind(name="run", route=0, value="run", is_sent=True, n_recorded=2),
    MessageKind(name="news", route=0, value="news", is_sent=False, n_recorded=2),
)


def _step(index: int, kind: StepKind, at_s: int, **more: object) -> Step:
    return Step(index=index, kind=kind, route=0, origin=0, at_ns=at_s * S, socket=0, **more)  # type: ignore[arg-type]


def _slow_plan(*, answered_after_s: int) -> Plan:
    """One send whose answer took so long in the recording; the page left a minute later."""
    handshake = RequestTemplate(method=b"GET", target=(b"/ws",), headers=())
    pairing = Pairing(send_path=("id",), reply_path=("id",))
    sent = {"needs": (0,), "payload": (b'{"type":"run","id":7}',), "reply": 2, "message_kind": 1}
    return plan_of(
        _step(0, StepKind.CONNECT, 0, request=handshake),
        _step(1, StepKind.SEND, 0, **sent),
        _step(2, StepKind.RECEIVE, answered_after_s, needs=(1,), reply_to=1, message_kind=0, pairing=pairing),
        _step(3, StepKind.CLOSE, 60, needs=(0,), think_ns=60 * S),
        sockets=(SocketScript(route=0, connect=0, discriminator=("type",)),),
        kinds=KINDS,
    )


@pytest.mark.parametrize(
    ("recorded_s", "live_s", "failure"),
    [
        (12, 30, {}),  # Three times what was recorded.
        (12, 40, {"timeout_message": 1}),
        (1, 9, {}),  # The deadline of 10 s, which is more.
        (1, 12, {"timeout_message": 1}),
    ],
)
def test_a_reply_is_waited_for_three_times_as_long_as_it_took_in_the_recording(
    recorded_s: int, live_s: int, failure: dict[str, int]
) -> None:
    port = FakePort()
    user = user_of(_slow_plan(answered_after_s=recorded_s), port)
    began_ms = port.clock_ns / MS
    user.start(port.clock_ns)
    port.play(until_ms=began_ms + live_s * 1000)
    port.sockets[0].push(b'{"type":"result","id":7}')
    port.play()
    reply = user._run.meter.take_slot(0, {}, 0).measures["ws.reply", (("message", "result"), ("route", "route 0"))]
    assert (reply.errors, reply.ok) == (failure, 0 if failure else 1)


def test_the_longest_wait_for_a_kind_counts_for_all_of_it() -> None:
    answers = [_step(1, StepKind.RECEIVE, 2, reply_to=0), _step(3, StepKind.RECEIVE, 9, reply_to=2)]
    steps = [
        _step(0, StepKind.SEND, 0, reply=1),
        dataclasses.replace(answers[0], message_kind=0),
        _step(2, StepKind.SEND, 4, reply=3),
        dataclasses.replace(answers[1], message_kind=0),
        _step(4, StepKind.RECEIVE, 20, message_kind=2, think_ns=7 * S),
        _step(5, StepKind.RECEIVE, 21, message_kind=2, think_ns=S),
    ]
    assert [patience // S for patience in patience_of(steps)] == [15, 0, 15, 0, 21, 21]


def test_an_answer_is_no_silence_of_its_own() -> None:
    steps = _slow_plan(answered_after_s=12).scripts[0].steps
    assert [patience // S for patience in patience_of(steps)] == [0, 36, 0, 0]
