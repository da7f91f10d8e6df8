"""Messages: their kinds, which answers which, heartbeats."""

from __future__ import annotations

from typing import Any

import pytest

from replayer.plan.compile import compile_plan
from replayer.plan.pairing import are_related
from replayer.plan.records import Plan, Script, SlotKind, StepKind
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player

Messages = list[tuple[float, str, Any]]


def _plan(messages: Messages, *, lasts_ms: float = 60_000) -> tuple[Plan, Script]:
    tape = Tape()
    tape.socket("/ws", sorted(messages, key=lambda message: message[0]), at_ms=0, close_ms=lasts_ms)
    plan = compile_plan(capture_of(tape))
    return plan, plan.scripts[0]


def _kinds(plan: Plan, *, is_sent: bool) -> dict[str, int]:
    return {kind.name: kind.n_recorded for kind in plan.message_kinds if kind.is_sent is is_sent}


def _pairs(plan: Plan, script: Script) -> list[tuple[str, str, str]]:
    return [
        (_name(plan, step.message_kind), _name(plan, script.steps[step.reply].message_kind), reply.pairing.rule)
        for step in script.steps
        if step.kind is StepKind.SEND and step.reply >= 0
        for reply in (script.steps[step.reply],)
        if reply.pairing is not None and reply.reply_to == step.index
    ]


def _name(plan: Plan, kind: int) -> str:
    return plan.message_kinds[kind].name


# What the messages of a socket look like, and where they name their kind.
DISCRIMINATORS: list[tuple[list[Any], tuple[str, ...]]] = [
    # The usual name.
    ([{"type": "tick", "n": 1}, {"type": "status", "n": 2}] * 5, ("type",)),
    # Another of convention.
    ([{"event": "tick", "data": {}}, {"event": "status", "data": {}}] * 5, ("event",)),
    # One level down.
    ([{"header": {"msg_type": "status"}}, {"header": {"msg_type": "reply"}}] * 5, ("header", "msg_type")),
    # No name of convention, but few values that tell messages apart.
    ([{"x": "alpha", "id": f"u{n}"} for n in range(5)] + [{"x": "beta", "id": f"v{n}"} for n in range(5)], ("x",)),
    # A text that is different every time is no kind.
    ([{"type": f"message number {n}", "body": str(n)} for n in range(40)], ()),
    # No JSON.
    (["tick 1", "tick 2"], ()),
    # The virtual user searches for the key from the front; here it would find another one first.
    ([{"inner": {"type": f"t{n}"}, "type": "outer"} for n in range(30)], ()),
]


@pytest.mark.parametrize(("contents", "place"), DISCRIMINATORS)
def test_where_messages_name_their_kind_is_learned(contents: list[Any], place: tuple[str, ...]) -> None:
    _, script = _plan([(20 + 10 * n, "<", content) for n, content in enumerate(contents)])
    assert script.sockets[0].discriminator == place


def test_kinds_are_counted_and_pushes_are_no_steps() -> None:
    pushes: Messages = [(100.0 * n, "<", {"type": "tick", "n": n}) for n in range(1, 31)]
    plan, script = _plan([*pushes, (250, "<", {"type": "status", "open": True})])
    assert _kinds(plan, is_sent=False) == {"tick": 30, "status": 1}
    assert [step.kind for step in script.steps] == [StepKind.CONNECT, StepKind.CLOSE]


def test_a_kind_expects_what_all_its_messages_have() -> None:
    messages: Messages = [
        (20, "<", {"type": "tick", "quotes": [1], "note": "x", "extra": {"a": 1}}),
        (30, "<", {"type": "tick", "quotes": [1, 2], "extra": {"a": 1, "b": 2}}),
        (40, "<", {"type": "tick", "quotes": [3], "note": "y", "extra": {"b": 1}}),
    ]
    plan, _ = _plan(messages)
    (tick,) = [kind for kind in plan.message_kinds if kind.name == "tick"]
    assert set(tick.expectation.required) == {("type",), ("quotes",), ("extra",)}
    assert set(tick.expectation.non_empty) == {("quotes",), ("extra",)}


# Sent and received messages, and the pairs that they teach: (sent kind, received kind, rule).
PAIRINGS: list[tuple[Messages, list[tuple[str, str, str]]]] = [
    # The id of a subscription comes back once; the pushes in between carry none of ours.
    (
        [
            (20, ">", {"type": "subscribe", "id": 1}),
            (25, "<", {"type": "tick", "id": 77}),
            (30, "<", {"type": "ack", "id": 1}),
            (40, ">", {"type": "subscribe", "id": 2}),
            (50, "<", {"type": "ack", "id": 2}),
        ],
        [("subscribe", "ack", "id")] * 2,
    ),
    # Answers that overtake each other.
    (
        [
            (20, ">", {"op": "get", "req": "r1"}),
            (21, ">", {"op": "get", "req": "r2"}),
            (30, "<", {"op": "got", "request_id": "r2"}),
            (31, "<", {"op": "got", "request_id": "r1"}),
        ],
        [],  # ``req`` is no name that ids have, and r1 no token
    ),
    # The same with names that ids have, in different places.
    (
        [
            (20, ">", {"op": "get", "reqId": "r1"}),
            (21, ">", {"op": "get", "reqId": "r2"}),
            (30, "<", {"op": "got", "meta": {"inReplyTo": "r2"}}),
            (31, "<", {"op": "got", "meta": {"inReplyTo": "r1"}}),
        ],
        [("get", "got", "id")] * 2,
    ),
    # JSON-RPC: the reply names no method.
    (
        [
            (20, ">", {"jsonrpc": "2.0", "id": 5, "method": "sum"}),
            (30, "<", {"jsonrpc": "2.0", "id": 5, "result": 3}),
            (40, "<", {"jsonrpc": "2.0", "method": "tick", "params": {}}),
        ],
        [("sum", "message", "JSON-RPC id")],
    ),
    # Phoenix: arrays, with the reference in the second place; pushes have none.
    (
        [
            (20, ">", ["1", "1", "room:1", "phx_join", {}]),
            (30, "<", ["1", "1", "room:1", "phx_reply", {"status": "ok"}]),
            (35, "<", ["1", None, "room:1", "presence", {}]),
            (40, ">", ["1", "2", "room:1", "shout", {}]),
            (50, "<", ["1", "2", "room:1", "phx_reply", {"status": "ok"}]),
        ],
        [("phx_join", "phx_reply", "Phoenix reference"), ("shout", "phx_reply", "Phoenix reference")],
    ),
    # A stream of results under one subscription: the first of them is the answer.
    (
        [
            (20, ">", {"type": "subscribe", "id": "s1"}),
            (30, "<", {"type": "next", "id": "s1", "payload": 1}),
            (40, "<", {"type": "next", "id": "s1", "payload": 2}),
        ],
        [("subscribe", "next", "id")],
    ),
    # No ids, but names that belong together.
    (
        [
            (20, ">", {"type": "ping"}),
            (30, "<", {"type": "pong"}),
            (40, ">", {"type": "ping"}),
            (50, "<", {"type": "pong"}),
        ],
        [("ping", "pong", "names and order")] * 2,
    ),
    # No ids, no names, but ten strict alternations.
    (
        [m for n in range(10) for m in ((20 + 100 * n, ">", {"op": "buy"}), (50 + 100 * n, "<", {"op": "filled"}))],
        [("buy", "filled", "order")] * 10,
    ),
    # Three alternations are coincidence.
    (
        [m for n in range(3) for m in ((20 + 100 * n, ">", {"op": "buy"}), (50 + 100 * n, "<", {"op": "filled"}))],
        [],
    ),
    # An unsolicited message of the kind spoils the order.
    (
        [
            (10, "<", {"op": "filled"}),
            *[
                m
                for n in range(10)
                for m in ((20 + 100 * n, ">", {"op": "buy"}), (50 + 100 * n, "<", {"op": "filled"}))
            ],
        ],
        [],
    ),
    # Ids of the server's own that happen to be ours are strangers all the same.
    (
        [
            (20, ">", {"op": "buy", "id": 1}),
            *[(30 + n, "<", {"op": "trade", "id": n}) for n in range(1, 9)],
        ],
        [],
    ),
]


@pytest.mark.parametrize(("messages", "expected"), PAIRINGS)
def test_answers_are_paired_where_there_is_evidence(messages: Messages, expected: list[tuple[str, str, str]]) -> None:
    plan, script = _plan(messages)
    assert _pairs(plan, script) == expected


def test_a_paired_answer_names_its_rule_its_paths_and_its_support() -> None:
    plan, script = _plan(PAIRINGS[2][0])
    replies = [step for step in script.steps if step.pairing is not None]
    assert {(r.pairing.send_path, r.pairing.reply_path, r.pairing.support) for r in replies if r.pairing} == {
        (("reqId",), ("meta", "inReplyTo"), 2)
    }
    assert [(reply.reply_to, reply.needs) for reply in replies] == [(2, (2,)), (1, (1,))]


def test_the_answer_of_several_that_says_so_is_taken() -> None:
    messages: Messages = [
        (20, ">", {"msg_type": "execute_request", "msg_id": "a1b2c3d4e5f60718"}),
        (22, "<", {"msg_type": "status", "parent": {"msg_id": "a1b2c3d4e5f60718"}}),
        (24, "<", {"msg_type": "execute_input", "parent": {"msg_id": "a1b2c3d4e5f60718"}}),
        (90, "<", {"msg_type": "execute_reply", "parent": {"msg_id": "a1b2c3d4e5f60718"}}),
        (92, "<", {"msg_type": "status", "parent": {"msg_id": "a1b2c3d4e5f60718"}}),
    ]
    plan, script = _plan(messages)
    assert _pairs(plan, script) == [("execute_request", "execute_reply", "id")]


PINGS: Messages = [
    (1000, "<", {"type": "ping", "id": "a1b2c3d4e5f6"}),
    (1004, ">", {"type": "pong", "id": "a1b2c3d4e5f6"}),
    (3000, "<", {"type": "ping", "id": "0f0e0d0c0b0a"}),
    (3005, ">", {"type": "pong", "id": "0f0e0d0c0b0a"}),
    (5000, "<", {"type": "ping", "id": "deadbeef0001"}),  # the recording ended before its pong
]


@pytest.mark.parametrize("n_messages", [2, 4, 5])
def test_a_pong_that_repeats_what_the_ping_said_is_a_responder_and_no_step(n_messages: int) -> None:
    plan, script = _plan(PINGS[:n_messages])
    assert [step.kind for step in script.steps] == [StepKind.CONNECT, StepKind.CLOSE]
    (responder,) = script.sockets[0].responders
    assert _name(plan, responder.message_kind) == "ping"
    (extractor,) = responder.extractors
    player = Player(script)
    player.fill(extractor.slot, b"live")
    assert (extractor.path, player.render(responder.payload)) == (("id",), b'{"type": "pong", "id": "live"}')


def test_a_pong_that_says_nothing_is_a_responder_too() -> None:
    messages: Messages = [
        m for n in range(3) for m in ((1000.0 * n + 100, "<", {"op": "ping"}), (1000.0 * n + 103, ">", {"op": "pong"}))
    ]
    plan, script = _plan(messages)
    (responder,) = script.sockets[0].responders
    assert (responder.payload, responder.extractors) == ((b'{"op": "pong"}',), ())


def test_heartbeats_of_the_client_are_ticks_of_a_timer() -> None:
    messages: Messages = [
        m for n in range(1, 7) for m in ((5000.0 * n, ">", {"op": "ping"}), (5000.0 * n + 4, "<", {"op": "pong"}))
    ]
    plan, script = _plan(messages)
    (ticker,) = script.sockets[0].tickers
    assert (ticker.payload, ticker.every_ns, ticker.n_recorded) == ((b'{"op": "ping"}',), 5_000_000_000, 6)
    assert plan.message_kinds[ticker.reply_kind].name == "pong"
    assert [step.kind for step in script.steps] == [StepKind.CONNECT, StepKind.CLOSE], "no tick is a step"


def test_what_grows_from_tick_to_tick_is_counted_on_above_what_was_recorded() -> None:
    messages: Messages = []
    for n in range(1, 7):
        messages.append((5000.0 * n, ">", [None, str(n), "phoenix", "heartbeat", {}]))
        messages.append((5000.0 * n + 4, "<", [None, str(n), "phoenix", "phx_reply", {"status": "ok"}]))
    _, script = _plan(messages)
    (ticker,) = script.sockets[0].tickers
    assert ticker.payload == (b'[null, "', 0, b'", "phoenix", "heartbeat", {}]')
    assert (script.slots[0].kind, script.slots[0].detail) == (SlotKind.GENERATED, "counter:1006")
    assert ticker.pairing is not None and ticker.pairing.reply_path == ("ref",)


def test_a_message_that_answers_once_is_a_step_and_no_responder() -> None:
    messages: Messages = [
        (30, "<", {"type": "welcome", "nonce": "5e884898da28047151d0e56f8dc62927"}),
        (40, ">", {"type": "login", "nonce": "5e884898da28047151d0e56f8dc62927"}),
    ]
    _, script = _plan(messages)
    assert not script.sockets[0].responders
    assert [step.kind.name for step in script.steps] == ["CONNECT", "RECEIVE", "SEND", "CLOSE"]


def test_binary_messages_stay_as_they_were() -> None:
    _, script = _plan([(30, ">", b"\x00\x01binary"), (40, "<", b"\x02")])
    send = script.steps[1]
    assert (send.payload, send.is_text) == ((b"\x00\x01binary",), False)


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        ("ping", "pong", True),
        ("subscribe", "subscribed", True),
        ("connection_init", "connection_ack", True),
        ("execute_request", "execute_reply", True),
        ("get", "got", False),
        ("status", "status", False),
        ("subscribe", "unsubscribed", False),
    ],
)
def test_names_that_belong_together(asked: str, answered: str, expected: bool) -> None:
    assert are_related(asked, answered) is expected


def test_pairings_are_learned_from_all_sessions_of_a_route() -> None:
    tapes = []
    for number in (1, 2):
        tape = Tape(number)
        tape.socket(
            f"/rooms/{number}00/ws",
            [(20, ">", {"type": "join", "ref": f"{number}"}), (30, "<", {"type": "joined", "ref": f"{number}"})],
            close_ms=100,
        )
        tapes.append(tape)
    plan = compile_plan(capture_of(*tapes))
    assert [route.name for route in plan.routes] == ["WS /rooms/{id}/ws"]
    supports = {step.pairing.support for script in plan.scripts for step in script.steps if step.pairing}
    assert supports == {2}
