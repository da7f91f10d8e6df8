"""Requests as templates: what is dropped, what follows the target, what is expected of the answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.records import Body, Origin, Peer
from replayer.plan.compile import compile_explained, compile_plan
from replayer.plan.records import Expectation, Script, Step, StepKind
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player

TARGET = b"http://target.test:9"


def _first(tape: Tape) -> tuple[Script, Step, Player]:
    script = compile_plan(capture_of(tape)).scripts[0]
    return script, script.steps[0], Player(script, TARGET)


@pytest.mark.parametrize(
    "name",
    [
        # Of one hop, or made by the wire.
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "Host",
        "Expect",
        "HTTP2-Settings",
        "Priority",
        ":path",
        "Sec-WebSocket-Key",
        # What the browser's cache asked.
        "If-None-Match",
        "If-Modified-Since",
        "If-Range",
        "If-Unmodified-Since",
        # Named by Connection.
        "X-Hop",
    ],
)
def test_headers_of_the_connection_and_of_the_cache_are_dropped(name: str) -> None:
    tape = Tape()
    tape.get("/", sent=[("Connection", "close, X-Hop"), (name, "1"), ("X-Kept", "yes")])
    _, step, player = _first(tape)
    assert player.header(step, name.lower()) is None
    assert player.header(step, "x-kept") == b"yes"


def test_a_precondition_of_a_write_is_kept_and_follows_its_etag() -> None:
    tape = Tape()
    tape.get("/doc", answer_json={"a": 1}, headers=[("ETag", '"8f3a9c1b7e5d4021"')])
    tape.request("PUT", "/doc", sent=[("If-Match", '"8f3a9c1b7e5d4021"')], send_json={"a": 2})
    script, page, player = _first(tape)
    player.answer(page, headers=((b"etag", b'"live"'),))
    assert player.header(script.steps[1], "if-match") == b'"live"'


# A header's recorded value, and what it becomes.
ORIGINS = [
    ("http://shop.example:8000", b"http://target.test:9"),
    ("http://shop.example:8000/a?b=1", b"http://target.test:9/a?b=1"),
    ("x=http%3A%2F%2Fshop.example%3A8000%2Fcb", b"x=http%3A%2F%2Ftarget.test%3A9%2Fcb"),
    # Another port, another host that begins alike: not ours.
    ("http://shop.example:80001/", b"http://shop.example:80001/"),
    ("http://shop.example:8000.evil.test/", b"http://shop.example:8000.evil.test/"),
    ("http://other.example/", b"http://other.example/"),
]


@pytest.mark.parametrize(("recorded", "sent"), ORIGINS)
def test_recorded_origins_follow_the_target(recorded: str, sent: bytes) -> None:
    tape = Tape()
    tape.post(f"/go?u={recorded}", sent=[("Referer", recorded), ("Origin", recorded)], send_json={"u": recorded})
    _, step, player = _first(tape)
    assert player.header(step, "referer") == player.header(step, "origin") == sent
    assert player.target(step) == b"/go?u=" + sent
    assert json.loads(player.body(step)) == {"u": sent.decode()}


def test_the_default_port_is_part_of_an_origin_although_it_is_not_written() -> None:
    page = Origin("https", "shop.example", 443)
    tape = Tape()
    tape.get("/", origin=page, sent=[("Referer", "https://shop.example/"), ("X-Other", "https://shop.example:8443/")])
    script = compile_plan(capture_of(tape, url="https://shop.example/")).scripts[0]
    player = Player(script, TARGET)
    assert player.header(script.steps[0], "referer") == TARGET + b"/"
    assert player.header(script.steps[0], "x-other") == b"https://shop.example:8443/"


def test_a_handshake_keeps_what_the_application_asked_for() -> None:
    tape = Tape()
    asked = [
        ("Sec-WebSocket-Protocol", "graphql-ws, chat"),
        ("Sec-WebSocket-Key", "x"),
        ("Origin", "http://shop.example:8000"),
    ]
    tape.socket("/ws", [], sent=asked, extensions=b"permessage-deflate; server_no_context_takeover", close_ms=50)
    tape.socket("/ws", [], close_ms=50)
    script = compile_plan(capture_of(tape)).scripts[0]
    first, second = (step.request for step in script.steps if step.kind is StepKind.CONNECT)
    assert first is not None and second is not None
    assert (first.subprotocols, first.offers_deflate) == (("graphql-ws", "chat"), True)
    assert [name for name, _ in first.headers] == [b"Origin"]
    assert (second.subprotocols, second.offers_deflate) == ((), False)


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=30) | st.integers(), min_size=1, max_size=4),
    st.lists(st.sampled_from(["8f3a9c1b7e5d4021aa", "ord_17af9c", "a/b c+d?=&%é"]), max_size=3),
)
def test_recorded_values_render_to_what_was_recorded(document: dict[str, object], tokens: list[str]) -> None:
    tape = Tape()
    sent = {**document, "tokens": tokens}
    tape.get("/boot", answer_json=sent)
    exchange = tape.post("/act", send_json=sent)
    script, _, player = _first(tape)
    player.fill_recorded()
    assert json.loads(player.body(script.steps[1])) == json.loads(exchange.request_body.data)


def test_statuses_and_sizes_are_those_of_all_examples_of_the_route() -> None:
    tape = Tape()
    for size, status in ((1000, 200), (3000, 200), (10, 404)):
        tape.get("/x", status=status, headers=[("Content-Type", "text/plain; charset=utf-8")], answer=b"x" * size)
    expected = [step.expectation for step in compile_plan(capture_of(tape)).scripts[0].steps]
    assert {each.statuses for each in expected} == {(200, 404)}
    assert [(each.min_bytes, each.max_bytes) for each in expected] == [
        (500, 1_000_000),
        (500, 1_000_000),
        (0, 1_000_000),
    ]
    assert expected[0].content_type == b"text/plain"


def test_required_paths_end_inside_arrays_at_depth_three_and_at_dictionaries_of_data() -> None:
    answer = {
        "quotes": [{"a": 1}],
        "empty": [],
        "a": {"b": {"c": {"d": 1}}},
        "prices": {"KIT": 1, "MOA": 2, "PEN": 3},
        "by_id": {"c0ffee00-1234-4abc-8def-0123456789ab": {"x": 1}},
    }
    tape = Tape()
    tape.get("/x", answer_json=answer)
    _, step, _ = _first(tape)
    assert set(step.expectation.required) == {
        ("quotes",),
        ("quotes", 0, "a"),
        ("empty",),
        ("a",),
        ("a", "b"),
        ("a", "b", "c"),
        ("prices",),
        ("by_id",),
    }
    assert step.expectation.non_empty == (("quotes",),)  # One example tells nothing of objects.


def test_only_what_all_examples_have_is_required() -> None:
    tape = Tape()
    tape.get("/x", answer_json={"a": 1, "b": [1], "c": 1})
    tape.get("/x", answer_json={"a": 1, "b": []})
    _, step, _ = _first(tape)
    assert (step.expectation.required, step.expectation.non_empty) == ((("a",), ("b",)), ())


def test_an_answer_that_the_cache_spared_may_come_whole() -> None:
    tape = Tape()
    tape.get("/x", status=304, sent=[("If-None-Match", '"1"')])
    _, step, _ = _first(tape)
    assert step.expectation == Expectation(statuses=(200, 304))


def test_of_a_body_that_was_cut_neither_size_nor_shape_is_expected() -> None:
    tape = Tape()
    tape.get(
        "/x", headers=[("Content-Type", "application/json")], response_body=Body(data=b'{"a": 1', size_bytes=90_000)
    )
    _, step, _ = _first(tape)
    assert step.expectation == Expectation(statuses=(200,), content_type=b"application/json")


# Fields of an exchange that never ended as usual · kept open · duration in ms · statuses expected.
UNUSUAL: list[tuple[dict[str, object], bool, int, tuple[int, ...]]] = [
    # The server was gone: sent, nothing expected.
    ({"status": None, "error": "[Errno 111] Connect call failed", "end_ns": 40_000_000}, False, 0, ()),
    # The page gave up on it: kept open for as long.
    ({"status": None, "error": "Client disconnected.", "end_ns": 700_000_000}, True, 700, ()),
    # A stream of events that was open to the end of the recording, 60 s later.
    ({"status": 200, "end_ns": None, "headers": [("Content-Type", "text/event-stream")]}, True, 60_000, (200,)),
    # A long poll.
    ({"status": 200, "took_ms": 25_000}, True, 25_000, (200,)),
    # A slow answer is an answer.
    ({"status": 200, "took_ms": 9_000}, False, 9_000, (200,)),
]


@pytest.mark.parametrize(("fields", "kept_open", "duration_ms", "statuses"), UNUSUAL)
def test_exchanges_that_ended_in_other_ways(
    fields: dict[str, object], kept_open: bool, duration_ms: int, statuses: tuple[int, ...]
) -> None:
    tape = Tape()
    tape.get("/x", at_ms=0, **fields)
    tape.get("/end", at_ms=59_990, took_ms=10)
    compiled = compile_explained(capture_of(tape))
    step = compiled.plan.scripts[0].steps[0]
    assert (step.kept_open, step.duration_ns // 1_000_000) == (kept_open, duration_ms)
    assert step.expectation.statuses == statuses


@pytest.mark.parametrize(("ends_ms", "kept_open"), [(2_000, False), (15_000, True)])
def test_what_was_pending_for_long_when_the_recording_stopped_is_a_long_poll(ends_ms: int, kept_open: bool) -> None:
    tape = Tape()
    tape.get("/x", at_ms=0, status=None)
    tape.get("/end", at_ms=ends_ms, took_ms=10)
    step = compile_plan(capture_of(tape)).scripts[0].steps[0]
    assert (step.kept_open, step.duration_ns > 0) == (kept_open, kept_open)


def test_an_upgrade_that_was_refused_is_left_out_and_told() -> None:
    tape = Tape()
    tape.get("/", html="<p>")
    tape.get("/ws", status=403, sent=[("Upgrade", "websocket"), ("Connection", "Upgrade")])
    compiled = compile_explained(capture_of(tape))
    assert len(compiled.plan.scripts[0].steps) == 1
    assert "left out: /ws" in compiled.evidence[0].notes[0]


def test_a_socket_that_its_client_left_without_a_code_is_closed_with_a_code_that_may_be_sent() -> None:
    for recorded, sent in ((1000, 1000), (1005, 1000), (1006, 1001), (4001, 4001)):
        tape = Tape()
        tape.socket("/ws", [], close_ms=100, closed_by=Peer.CLIENT, close_code=recorded)
        assert compile_plan(capture_of(tape)).scripts[0].steps[-1].close_code == sent
