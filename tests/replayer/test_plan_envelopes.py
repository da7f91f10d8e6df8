"""Values inside of envelopes: recorded conversations of several protocols, played with live answers."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from captures.envelopes import Framing, is_protocol_name, jupyter_framed, open_document
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script, SlotKind, StepKind
from replayer.user.framing import rendered_payload
from replayer.user.slots import Answer
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player, literals_of

TICKET = "TkT81kQpTeyW0mBv7_JrXa-99"
ORDER = "5f0c9a3be1d24c77"
MSG_ID = "8b7dbb3e-2f6f-4ae0-9d2f-0d6a3b1c5e11"
KERNEL = "c0ffee00-1234-4abc-8def-0123456789ab"
V1 = "v1.kernel.websocket.jupyter.org"


def _compiled(tape: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(tape))
    return plan, plan.scripts[0], Player(plan.scripts[0])


def _take(player: Player, script: Script, step: int, message: bytes) -> None:
    framing = script.sockets[script.steps[step].socket].framing
    answer = Answer((), (), lambda: message, framing)
    for extractor in script.steps[step].extractors:
        value = answer.find(extractor)
        assert value is not None, extractor
        player.fill(extractor.slot, value)


# Target · subprotocol · what the server says with the order's id in it, recorded and live · what the client answers.
CONVERSATIONS: list[tuple[str, str, Any, Any, Any, Any]] = [
    (
        "/socket.io/?EIO=4&transport=websocket",
        "",
        f'42["created",{{"order":{{"id":"{ORDER}"}}}}]',
        '42["created",{"order":{"id":"live"}}]',
        f'42["watch",{{"order_id":"{ORDER}"}}]',
        '42["watch",{"order_id":"live"}]',
    ),
    (
        "/stomp",
        "v12.stomp",
        f'MESSAGE\ndestination:/topic/orders\n\n{{"orderId":"{ORDER}"}}\0',
        'MESSAGE\ndestination:/topic/orders\n\n{"orderId":"live"}\0',
        f'SEND\ndestination:/app/watch\ncontent-length:30\n\n{{"orderId":"{ORDER}"}}\0',
        'SEND\ndestination:/app/watch\n\n{"orderId":"live"}\0',
    ),
    (
        "/live/websocket",
        "",
        f'[null,null,"orders","created",{{"id":"{ORDER}"}}]',
        '[null,null,"orders","created",{"id":"live"}]',
        f'["1","2","orders","watch",{{"id":"{ORDER}"}}]',
        '["1","2","orders","watch",{"id":"live"}]',
    ),
    (
        "/hub",
        "",
        f'{{"type":1,"target":"Created","arguments":[{{"id":"{ORDER}"}}]}}\x1e',
        '{"type":1,"target":"Created","arguments":[{"id":"live"}]}\x1e',
        f'{{"type":1,"target":"Watch","arguments":["{ORDER}"]}}\x1e',
        '{"type":1,"target":"Watch","arguments":["live"]}\x1e',
    ),
    (
        "/echo/000/abc/websocket",
        "",
        f'a["{{\\"type\\":\\"created\\",\\"id\\":\\"{ORDER}\\"}}"]',
        'a["{\\"type\\":\\"created\\",\\"id\\":\\"live\\"}"]',
        f'["{{\\"type\\":\\"watch\\",\\"id\\":\\"{ORDER}\\"}}"]',
        '["{\\"type\\":\\"watch\\",\\"id\\":\\"live\\"}"]',
    ),
    (
        "/pack",
        "",
        msgpack.packb({"type": "created", "id": ORDER}),
        msgpack.packb({"type": "created", "id": "a longer live id than any that was recorded"}),
        msgpack.packb({"type": "watch", "id": ORDER}),
        msgpack.packb({"type": "watch", "id": "a longer live id than any that was recorded"}),
    ),
    (
        "/plain",
        "",
        json.dumps({"type": "created", "id": ORDER}).encode(),
        b'{"type": "created", "id": "live"}',
        json.dumps({"type": "watch", "id": ORDER}).encode(),
        b'{"type": "watch", "id": "live"}',
    ),
]


@pytest.mark.parametrize(("target", "subprotocol", "shown", "live", "sent", "expected"), CONVERSATIONS)
def test_a_value_in_an_envelope_follows_the_live_one(
    target: str, subprotocol: str, shown: Any, live: Any, sent: Any, expected: Any
) -> None:
    tape = Tape()
    opening: list[tuple[float, str, Any]] = [(15, "<", "o")] if "echo" in target else []
    headers = [("Sec-WebSocket-Protocol", subprotocol)] if subprotocol else []
    messages = [*opening, (20, "<", shown), (600, ">", sent)]
    tape.socket(target, messages, close_ms=900, sent=headers, headers=headers)
    plan, script, player = _compiled(tape)
    receive, send = (
        next(step for step in script.steps if step.kind is kind) for kind in (StepKind.RECEIVE, StepKind.SEND)
    )
    assert receive.index in send.needs
    _take(player, script, receive.index, live.encode() if isinstance(live, str) else live)
    assert player.render(send.payload) == (expected.encode() if isinstance(expected, str) else expected)
    assert ORDER.encode() not in literals_of(plan)


def test_a_ticket_of_a_page_goes_into_a_kernel_message_and_the_offsets_are_made_again() -> None:
    header = {"msg_id": MSG_ID, "msg_type": "execute_request", "session": "s", "username": ""}
    reply = {"msg_id": "x", "msg_type": "execute_reply"}
    sent = jupyter_framed([b"shell", json.dumps(header).encode(), b"{}", b"{}", json.dumps({"key": TICKET}).encode()])
    answer = jupyter_framed(
        [b"shell", json.dumps(reply).encode(), json.dumps(header).encode(), b"{}", b'{"status":"ok"}']
    )
    tape = Tape()
    tape.post("/api/kernels", status=201, answer_json={"id": KERNEL, "key": TICKET})
    headers = [("Sec-WebSocket-Protocol", V1)]
    tape.socket(
        f"/api/kernels/{KERNEL}/channels",
        [(30, ">", sent), (60, "<", answer)],
        close_ms=900,
        sent=headers,
        headers=headers,
    )
    plan, script, player = _compiled(tape)
    send = next(step for step in script.steps if step.kind is StepKind.SEND)
    received = script.steps[send.reply]
    assert received.pairing is not None and received.pairing.reply_path == ("parent_header", "msg_id")
    assert plan.message_kinds[send.message_kind].name == "execute_request"
    player.answer(script.steps[0], document={"id": KERNEL, "key": "a key of another length"})
    message = rendered_payload(send, {}).render(player.values)
    opened = open_document(Framing.JUPYTER, message)
    assert opened["content"] == {"key": "a key of another length"}
    assert opened["header"]["msg_id"].startswith("minted"), "the client's own id is minted afresh"


def test_an_acknowledgement_is_preferred_to_what_everybody_is_told() -> None:
    say = f'427["say",{{"text":"hi","nonce":"{MSG_ID}"}}]'
    told, ack = f'42["said",{{"id":"{ORDER}"}}]', f'437[{{"id":"{ORDER}"}}]'
    tape = Tape()
    tape.socket(
        "/socket.io/?EIO=4&transport=websocket",
        [(20, ">", say), (30, "<", told), (31, "<", ack), (700, ">", f'42["like",{{"id":"{ORDER}"}}]')],
        close_ms=900,
    )
    plan, script, _ = _compiled(tape)
    (producer,) = [step for step in script.steps if step.extractors]
    assert plan.message_kinds[producer.message_kind].name == "ack" and producer.reply_to >= 0
    assert producer.pairing is not None and producer.pairing.rule == "Socket.IO acknowledgement"


def test_engine_io_heartbeats_are_answered_though_none_was_recorded() -> None:
    tape = Tape()
    tape.socket("/socket.io/?EIO=4&transport=websocket", [(20, ">", '42["hi"]')], close_ms=900)
    plan, script, _ = _compiled(tape)
    (responder,) = script.sockets[0].responders
    assert (plan.message_kinds[responder.message_kind].name, responder.payload) == ("ping", (b"3",))


def test_a_subscription_over_graphql_is_a_stream_and_a_query_has_an_answer() -> None:
    headers = [("Sec-WebSocket-Protocol", "graphql-transport-ws")]
    query = {"id": "2", "type": "subscribe", "payload": {"query": "query Q { me { name } }"}}
    stream = {"id": "1", "type": "subscribe", "payload": {"query": "subscription S { orders { id } }"}}
    for asked, is_paired in ((stream, False), (query, True)):
        tape = Tape()
        answer = {"id": asked["id"], "type": "next", "payload": {"data": {}}}
        tape.socket("/graphql", [(20, ">", asked), (90, "<", answer)], close_ms=900, sent=headers, headers=headers)
        _, script, _ = _compiled(tape)
        assert any(step.pairing is not None for step in script.steps) is is_paired


def test_a_token_among_the_subprotocols_follows() -> None:
    tape = Tape()
    tape.post("/login", answer_json={"token": TICKET})
    tape.socket(
        "/ws", [(30, "<", {"type": "hi"})], close_ms=500, sent=[("Sec-WebSocket-Protocol", f"bearer, {TICKET}")]
    )
    plan, script, player = _compiled(tape)
    login, connect = script.steps[:2]
    assert connect.request is not None and login.index in connect.needs
    player.answer(login, document={"token": "live"})
    offered = [player.render(template) for template in connect.request.subprotocol_templates]
    assert offered == [b"bearer", b"live"]


def test_names_of_protocols_are_no_tokens() -> None:
    offered = "graphql-transport-ws, v12.stomp, v1.kernel.websocket.jupyter.org, soap"
    tape = Tape()
    tape.socket("/ws", [(30, "<", {"type": "hi"})], close_ms=500, sent=[("Sec-WebSocket-Protocol", offered)])
    _, script, _ = _compiled(tape)
    assert script.steps[0].request is not None
    assert script.steps[0].request.subprotocol_templates == ()


def test_a_value_of_a_socket_goes_into_a_request_and_one_of_another_socket() -> None:
    tape = Tape()
    tape.socket("/ws/a", [(20, "<", {"type": "hello", "session": TICKET})], close_ms=2000)
    tape.get(f"/api/join?session={TICKET}", at_ms=100, answer_json={"ok": True})
    tape.socket("/ws/b", [(30, ">", {"type": "attach", "session": TICKET})], at_ms=300, close_ms=900)
    plan, script, _ = _compiled(tape)
    hello = next(step for step in script.steps if step.extractors)
    join = next(step for step in script.steps if step.kind is StepKind.REQUEST)
    attach = next(step for step in script.steps if step.kind is StepKind.SEND)
    assert hello.index in join.needs and hello.index in attach.needs
    assert TICKET.encode() not in literals_of(plan)


def test_messages_that_are_not_in_order_of_time_compile() -> None:
    tape = Tape()
    tape.socket(
        "/ws",
        [(400, ">", {"type": "b", "id": 2}), (100, "<", {"type": "a", "id": 2}), (90, ">", {"type": "c"})],
        close_ms=900,
    )
    _, script, _ = _compiled(tape)
    assert [step.kind.name for step in script.steps][0] == "CONNECT"


def test_a_slot_of_kind_generated_is_made_once_for_all_that_repeats_it() -> None:
    tape = Tape()
    tape.post("/api/orders", send_json={"ref": MSG_ID}, answer_json={"ref": MSG_ID}, status=201)
    tape.socket("/ws", [(30, ">", {"type": "watch", "ref": MSG_ID})], close_ms=500)
    plan, script, _ = _compiled(tape)
    assert [slot.kind for slot in script.slots] == [SlotKind.GENERATED]
    assert MSG_ID.encode() not in literals_of(plan)


def test_byte_strings_of_messagepack_follow_and_numbered_fields_have_paths() -> None:
    blob, live = bytes(range(0xF0, 0x100)), b"\xff\x00live"
    hello, again = {1: "hello", 2: blob}, {1: "again", 2: blob, "at": msgpack.Timestamp(1)}
    tape = Tape()
    tape.socket(
        "/mp",
        [
            (20, ">", msgpack.packb({1: "auth"})),
            (40, "<", msgpack.packb(hello)),
            (600, ">", msgpack.packb(again)),
            (700, "<", msgpack.packb({1: "end", 2: msgpack.Timestamp(1)})),
        ],
        close_ms=900,
    )
    _, script, player = _compiled(tape)
    received = next(step for step in script.steps if step.extractors)
    _take(player, script, received.index, msgpack.packb({1: "hello", 2: live}))
    send = [step for step in script.steps if step.kind is StepKind.SEND][1]
    assert player.render(send.payload) == msgpack.packb({**again, 2: live})


def test_what_an_acknowledgement_brought_while_engine_io_still_polled_is_used_on_the_socket() -> None:
    polling, joined = "/socket.io/?EIO=4&transport=polling&sid=q8Zr5TnX1mQ2", b'40{"sid":"x"}\x1e430[{"memberId":6}]'
    tape = Tape()
    tape.post("/rooms", send_json={"name": "den"}, answer_json={"id": 5}, status=201)
    tape.post(polling, sent=[("Content-Type", "text/plain")], data=b'40\x1e420["join",{"room":5}]', answer=b"ok")
    tape.get(polling, headers=[("Content-Type", "text/plain")], answer=joined)
    socket = "/socket.io/?EIO=4&transport=websocket&sid=q8Zr5TnX1mQ2"
    tape.socket(socket, [(300, ">", '42["say",{"memberId":6}]')], close_ms=900)
    _, script, player = _compiled(tape)
    room, join, poll = script.steps[:3]
    player.answer(room, document={"id": 31})
    assert player.body(join) == b'40\x1e420["join",{"room":31}]'
    player.answer(poll, body=b'430[{"memberId":77}]')
    say = next(step for step in script.steps if step.kind is StepKind.SEND)
    assert player.render(say.payload) == b'42["say",{"memberId":77}]'


def test_an_acknowledgement_answers_only_what_asked_for_it() -> None:
    tape = Tape()
    messages = [(20, ">", '42["say",{"id":1}]'), (40, ">", '421["like",{"n":2}]'), (60, "<", '431[{"ok":true}]')]
    tape.socket("/socket.io/?EIO=4&transport=websocket", messages, close_ms=900)
    plan, script, _ = _compiled(tape)
    replies = [plan.message_kinds[step.message_kind].name for step in script.steps if step.reply >= 0]
    assert replies == ["event like"]


def test_an_argument_without_a_name_follows() -> None:
    tape = Tape()
    end = "\x1e"
    messages = [
        (20, ">", f'{{"protocol":"json","version":1}}{end}'),
        (30, "<", f"{{}}{end}"),
        (40, ">", f'{{"type":1,"invocationId":"0","target":"Create","arguments":[]}}{end}'),
        (60, "<", f'{{"type":3,"invocationId":"0","result":{{"gameId":31}}}}{end}'),
        (400, ">", f'{{"type":1,"invocationId":"1","target":"Move","arguments":[31,"e4"]}}{end}'),
    ]
    tape.socket("/hub", messages, close_ms=900)
    _, script, player = _compiled(tape)
    producer = next(step for step in script.steps if step.extractors)
    _take(player, script, producer.index, b'{"type":3,"invocationId":"0","result":{"gameId":7}}\x1e')
    move = [step for step in script.steps if step.kind is StepKind.SEND][-1]
    assert b'"arguments":[7,"e4"]' in player.render(move.payload)


# A GraphQL operation that asks for cart 7 in one way or another.
ASKED: list[tuple[str, dict[str, str]]] = [
    ("query C($c: ID!) { cart(id: $c) { total } }", {"c": "7"}),
    ("mutation M($x: ID!) { addLine(cartId: $x) { id } }", {"x": "7"}),
    ('query { cart(id: "7") { total } }', {}),
    ("mutation { checkout(cartId: 7) { id } }", {}),
]


@pytest.mark.parametrize(("query", "variables"), ASKED)
def test_an_id_in_graphql_is_told_by_its_argument(query: str, variables: dict[str, str]) -> None:
    tape = Tape()
    created = {"data": {"createCart": {"id": "7"}}}
    tape.post("/graphql", send_json={"query": "mutation Create { createCart { id } }"}, answer_json=created)
    tape.post("/graphql", send_json={"query": query, "variables": variables}, answer_json={"data": {}})
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document={"data": {"createCart": {"id": "55"}}})
    document = json.loads(player.body(script.steps[1]))
    assert "55" in document["query"] or list(document["variables"].values()) == ["55"]


# What the server says and, after it, the client: recorded · both with live values. Topics, and what calls return.
SPOKEN: list[tuple[Any, Any, Any, Any]] = [
    (
        {"jsonrpc": "2.0", "id": 1, "result": 63},
        {"jsonrpc": "2.0", "id": 1, "result": 5},
        {"jsonrpc": "2.0", "id": 2, "method": "read", "params": [63]},
        {"jsonrpc": "2.0", "id": 2, "method": "read", "params": [5]},
    ),
    (
        {"type": "hello", "session": "4fdbbba4"},
        {"type": "hello", "session": "live"},
        {"type": "subscribe", "to": "/queue/reply-user4fdbbba4"},
        {"type": "subscribe", "to": "/queue/reply-userlive"},
    ),
    (
        {"type": "made", "order": {"id": 63}},
        {"type": "made", "order": {"id": 5}},
        {"command": "subscribe", "identifier": '{"channel":"OrderChannel","order_id":63}'},
        {"command": "subscribe", "identifier": '{"channel":"OrderChannel","order_id":5}'},
    ),
]


@pytest.mark.parametrize(("said", "said_live", "sent", "sent_live"), SPOKEN)
def test_what_the_server_said_stands_in_what_the_client_says(
    said: Any, said_live: Any, sent: Any, sent_live: Any
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "open", "params": ["f"]} if "jsonrpc" in said else {"type": "hi"}
    tape = Tape()
    tape.socket("/ws", [(20, ">", call), (40, "<", said), (600, ">", sent)], close_ms=900)
    _, script, player = _compiled(tape)
    producer = next(step for step in script.steps if step.extractors)
    _take(player, script, producer.index, json.dumps(said_live).encode())
    send = [step for step in script.steps if step.kind is StepKind.SEND][-1]
    assert json.loads(player.render(send.payload)) == sent_live


@pytest.mark.parametrize(
    "name", ["actioncable-v1-json", "actioncable-unsupported", "graphql-transport-ws", "v12.stomp"]
)
def test_names_of_protocols_are_told_from_tokens(name: str) -> None:
    assert is_protocol_name(name.encode())
    assert not is_protocol_name(TICKET.encode()) and not is_protocol_name(f"{name}.{KERNEL}".encode())
