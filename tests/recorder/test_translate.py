"""Conversations: what the proxy's hooks say, and what the capture is told."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.records import EventType, Opcode, Peer
from recorder.notices import Kind
from recorder.translate import Ending
from tests.recorder.conversations import MS, Conversation, notes, types

EVENT_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"),)


def test_an_exchange_is_told_as_it_happens() -> None:
    talk = Conversation()
    talk.connect()
    assert types(talk.ask()) == ["CONNECTION_OPEN", "SESSION", "REQUEST_HEAD"]
    assert types(talk.asked()) == ["REQUEST_END"]
    assert types(talk.answer()) == ["RESPONSE_HEAD"]
    assert types(talk.answered(data=b"ok")) == ["RESPONSE_BODY", "RESPONSE_END"]
    head = next(event for event in talk.events if event.type is EventType.REQUEST_HEAD)
    assert (head.connection, head.exchange) == (1, 1)
    assert head.fields["host"] == "shop.example"
    assert head.fields["target"] == "/a?x=1"


def test_events_are_numbered_in_order() -> None:
    talk = Conversation()
    talk.connect()
    talk.open_socket()
    talk.finish()
    assert [event.seq for event in talk.events] == list(range(1, len(talk.events) + 1))


def test_a_connection_is_told_with_its_first_request_and_at_the_time_it_was_made() -> None:
    talk = Conversation()
    assert talk.connect("unused") == []
    assert talk.connect("used") == []
    talk.now_ms = 30
    opened = talk.ask(connection_id="used")[0]
    assert (opened.type, opened.t_ns, opened.connection) == (EventType.CONNECTION_OPEN, 0, 1)
    assert types(talk.ask("f2", connection_id="used")) == ["REQUEST_HEAD"]
    assert talk.say(Kind.DISCONNECTED, connection_id="unused") == []
    assert types(talk.say(Kind.DISCONNECTED, connection_id="used")) == ["CONNECTION_CLOSE"]


def test_each_listener_is_a_session_and_so_is_each_user_of_the_proxy() -> None:
    talk = Conversation()
    for connection, listener, user in (("a", 1, ""), ("b", 2, ""), ("c", 1, ""), ("d", 1, "ann")):
        talk.connect(connection, listener=listener)
        talk.ask(f"f{connection}", connection, browser=(connection, "", "", user))
    bound = [
        (event.connection, event.fields["session"], event.fields["rule"])
        for event in talk.events
        if "rule" in event.fields
    ]
    assert bound == [(1, 1, "listener"), (2, 2, "listener"), (3, 1, "listener"), (4, 3, "proxy user")]


def test_a_stamp_is_placed_by_its_age_on_the_monotonic_clock() -> None:
    talk = Conversation()
    talk.connect()
    talk.now_ms = 50
    head = talk.ask(at_s=talk.wall_s(42))[-1]
    assert head.t_ns == pytest.approx(42 * MS, abs=1000)


@pytest.mark.parametrize("step_ns", [-3_600_000_000_000, 3_600_000_000_000, 100 * MS])
def test_a_step_of_the_wall_clock_does_not_bend_the_timeline(step_ns: int) -> None:
    talk = Conversation()
    talk.connect()
    talk.ask()
    talk.now_ms, talk.wall_shift_ns = 20, step_ns
    assert talk.asked()[-1].t_ns == pytest.approx(20 * MS, abs=1000)


def test_cookie_crumbs_of_http2_are_joined_where_the_first_one_stood() -> None:
    talk = Conversation()
    crumbs = ((b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"), (b"cookie", b"c=3"))
    head = talk.ask(http_version="HTTP/2.0", headers=crumbs)[-1]
    assert head.fields["headers"] == ((b"cookie", b"a=1; b=2; c=3"), (b"accept", b"*/*"))


def test_headers_keep_their_order_case_and_repetitions() -> None:
    headers = ((b"X-B", b"1"), (b"x-a", b"\xff"), (b"X-B", b"2"))
    assert Conversation().ask(headers=headers)[-1].fields["headers"] == headers


def test_a_target_keeps_every_byte() -> None:
    head = Conversation().ask(target=bytes(range(128, 256)))[-1]
    assert str(head.fields["target"]).encode("latin-1") == bytes(range(128, 256))


def test_a_streamed_body_is_told_chunk_by_chunk_with_its_times() -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer(headers=EVENT_STREAM)
    chunks = []
    for talk.now_ms in (10, 30, 60):
        chunks += talk.say(Kind.RESPONSE_CHUNK, flow_id="f1", data=b"data: %d\n\n" % talk.now_ms)
    assert [event.t_ns for event in chunks] == [10 * MS, 30 * MS, 60 * MS]
    end = talk.answered(data=None)[-1]
    whole = b"data: 10\n\ndata: 30\n\ndata: 60\n\n"
    assert end.fields == {"size_bytes": len(whole), "hash": blake2b(whole, digest_size=16).digest()}


@given(chunks=st.lists(st.binary(max_size=40), max_size=8), limit=st.integers(0, 100))
def test_a_body_keeps_its_first_bytes_and_the_size_and_hash_of_the_whole(chunks: list[bytes], limit: int) -> None:
    talk = Conversation(max_body_bytes=limit)
    talk.ask()
    kept = b"".join(
        bytes(event.fields["data"])  # type: ignore[call-overload]
        for chunk in chunks
        for event in talk.say(Kind.REQUEST_CHUNK, flow_id="f1", data=chunk)
    )
    whole = b"".join(chunks)
    end = talk.asked(data=None)[-1]
    assert kept == whole[:limit]
    assert end.fields["size_bytes"] == len(whole)
    assert end.fields["hash"] == (blake2b(whole, digest_size=16).digest() if whole else b"")


# Request end · connect start, end · part after the request's end, all ms.
CONNECTS = [
    (10, None, None, 0),  # no connection of its own
    (10, 2, 5, 0),  # stood before
    (10, 12, 19, 7),  # made for this request
    (10, 8, 19, 9),  # begun before the body had ended
]


@pytest.mark.parametrize(("ended_ms", "start_ms", "end_ms", "after_ms"), CONNECTS)
def test_only_connecting_after_the_request_counts(
    ended_ms: int, start_ms: int | None, end_ms: int | None, after_ms: int
) -> None:
    talk = Conversation()
    talk.ask()
    talk.now_ms = ended_ms
    talk.asked()
    connect = tuple(None if at_ms is None else talk.wall_s(at_ms) for at_ms in (start_ms, end_ms))
    head = talk.answer(connect=connect)[-1]
    assert head.fields["connect_ns"] == pytest.approx(after_ms * MS, abs=1000)


def test_an_error_before_the_answer_leaves_no_answer() -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    told = talk.say(Kind.BROKEN, flow_id="f1", at_s=None, message="Connect call failed")
    assert types(told) == ["ERROR"]
    assert talk.answered() == []
    assert "RESPONSE_HEAD" not in types(talk.events)
    assert talk.translator.counts.n_errors == 1


# What the proxy says · whether the browser did it.
LEAVINGS = [
    ("Client disconnected.", True),
    ("peer closed connection", True),
    ("stream reset by client (CANCEL)", True),
    ("server closed connection", False),
    ("stream reset by server (INTERNAL_ERROR)", False),
]


@pytest.mark.parametrize(("message", "is_leaving"), LEAVINGS)
def test_a_page_that_leaves_an_event_stream_ends_it_without_error(message: str, is_leaving: bool) -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer(headers=EVENT_STREAM)
    told = talk.say(Kind.BROKEN, flow_id="f1", at_s=None, message=message)
    assert types(told) == (["NOTE", "RESPONSE_END"] if is_leaving else ["ERROR"])


def test_a_page_that_leaves_a_download_breaks_it() -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer()
    assert types(talk.say(Kind.BROKEN, flow_id="f1", at_s=None, message="Client disconnected.")) == ["ERROR"]


def test_a_socket_is_told_message_by_message() -> None:
    talk = Conversation(max_body_bytes=4)
    opened = talk.open_socket()[-1]
    assert opened.fields == {"extensions": b"permessage-deflate", "subprotocol": b"v1"}
    talk.now_ms = 5
    sent = talk.message("f1", b"subscribe")[-1]
    assert sent.t_ns == pytest.approx(5 * MS, abs=1000)
    assert sent.fields == {
        "sender": Peer.CLIENT,
        "opcode": Opcode.TEXT,
        "data": b"subs",
        "size_bytes": 9,
        "dropped": False,
    }
    line = "Received WebSocket pong from server (payload: b'\\x00hb')"
    heard = talk.say(Kind.CONTROL, flow_id="f1", line=line)[-1]
    assert heard.fields == {"sender": Peer.SERVER, "opcode": Opcode.PONG, "data": b"\0hb"}
    closed = talk.say(Kind.SOCKET_DONE, flow_id="f1", at_s=None, sender=2, code=4002, reason="done")[-1]
    assert closed.fields == {"sender": Peer.SERVER, "code": 4002, "reason": "done"}
    assert talk.message("f1", b"late") == []


def test_what_is_open_at_the_end_is_told_as_open_and_nothing_is_invented() -> None:
    talk = Conversation()
    talk.connect()
    talk.open_socket("socket")
    talk.ask("asked")
    talk.asked("asked")
    last = talk.finish()
    assert [(event.exchange, event.fields["value"]) for event in last if event.fields["name"] == "open_at_stop"] == [
        (1, "socket"),
        (2, "exchange"),
    ]
    assert not {"SOCKET_CLOSE", "ERROR"} & set(types(talk.events))
    assert types(talk.events).count("RESPONSE_END") == 1


@pytest.mark.parametrize("ending", list(Ending))
def test_the_ending_is_the_last_word(ending: Ending) -> None:
    talk = Conversation()
    talk.ask()
    last = talk.finish(ending)[-1]
    assert last.fields == {"name": "ending", "value": ending.value}


def test_what_is_left_out_is_counted_by_origin() -> None:
    talk = Conversation()
    for origin in ("https://cdn.example", "http://ads.example", "https://cdn.example"):
        assert talk.say(Kind.LEFT_OUT, origin=origin) == []
    values = [event.fields["value"] for event in talk.finish() if event.fields["name"] == "left_out_origin"]
    assert values == [["http://ads.example", 1], ["https://cdn.example", 2]]


def test_a_gap_in_a_body_is_told_and_leaves_it_without_hash() -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer()
    talk.say(Kind.RESPONSE_CHUNK, flow_id="f1", data=b"before")
    assert notes(talk.say(Kind.LOST, flow_id="f1", n_notices=2, n_bytes=100)) == {"lost": [2, 100]}
    assert talk.say(Kind.RESPONSE_CHUNK, flow_id="f1", data=b"after") == []
    assert talk.answered(data=None)[-1].fields == {"size_bytes": 111, "hash": b""}
    assert notes(talk.finish())["lost_notices"] == 2


@pytest.mark.parametrize("kind", [Kind.RESPONSE_CHUNK, Kind.REQUEST_CHUNK])
def test_what_follows_a_lost_request_is_passed_over(kind: Kind) -> None:
    assert Conversation().say(kind, flow_id="never seen", data=b"x") == []


def test_troubles_of_the_proxy_become_notes() -> None:
    talk = Conversation()
    talk.say(Kind.CA_REFUSED, host="shop.example")
    talk.say(Kind.CONNECT_FAILED, address="shop.example:443", message="refused")
    talk.say(Kind.HOOK_FAILED, hook="request", message="KeyError()")
    talk.say(Kind.TLS_FAILED, host="shop.example", message="unsupported protocol")
    assert notes(talk.events) == {
        "ca_refused": "shop.example",
        "connect_failed": ["shop.example:443", "refused"],
        "hook_failed": ["request", "KeyError()"],
        "tls_failed": ["shop.example", "unsupported protocol"],
    }
    counts = talk.translator.counts
    assert (counts.n_ca_refused, counts.n_connect_failed, counts.n_tls_failed, counts.n_lost) == (1, 1, 1, 1)


def test_text_that_is_not_unicode_is_carried_all_the_same() -> None:
    talk = Conversation()
    talk.ask()
    head = talk.answer(reason="caf\udce9")[-1]
    assert head.fields["reason"] == "caf?"
