"""The HTTP/2 session against the ``h2`` library in memory: every way an answer can arrive, or not."""

from __future__ import annotations

from typing import Any

import h2.errors
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.wire import http2_frames as frames
from replayer.wire.http2_session import MAX_BODY_BYTES, MAX_IDLE_CONTROLS
from tests.replayer.asking import Wanted
from tests.replayer.http2_peers import OK, Fields, Pair, block_of, rendered, sent_frames

ANSWERED = [("response", (1, 200, b"{}"))]


def headers_frame(fields: Fields, *, stream: int = 1, flags: int = frames.END_HEADERS) -> bytes:
    return frames.frame(frames.HEADERS, flags, stream, block_of(fields))


def data_frame(data: bytes, *, stream: int = 1, flags: int = frames.END_STREAM) -> bytes:
    return frames.frame(frames.DATA, flags, stream, data)


def code_of_goodbye(pair: Pair) -> int:
    """Return the error code of the GOAWAY that we sent last."""
    kind, _, _, payload = sent_frames(pair.wire.take())[-1]
    assert (kind, pair.wire.ended) == (frames.GOAWAY, "closed")
    code: int = frames.PAIR.unpack_from(payload)[1]
    return code


def codes_of_resets(pair: Pair) -> list[tuple[int, int]]:
    """Return (stream, error code) of every RST_STREAM that we sent."""
    sent = sent_frames(pair.wire.take())
    return [(stream, *frames.ID.unpack(data)) for kind, _, stream, data in sent if kind == frames.RST_STREAM]


# What is said at the beginning.


def test_greeting_leaves_the_peers_encoder_no_table_and_opens_the_windows() -> None:
    pair = Pair()
    changed = next(event for event in pair.events if isinstance(event, h2.events.RemoteSettingsChanged))
    codes = h2.settings.SettingCodes
    assert changed.changed_settings[codes.HEADER_TABLE_SIZE].new_value == 0
    assert changed.changed_settings[codes.ENABLE_PUSH].new_value == 0
    assert changed.changed_settings[codes.INITIAL_WINDOW_SIZE].new_value == frames.MAX_WINDOW
    assert pair.server.outbound_flow_control_window == frames.MAX_WINDOW


def test_request_arrives_as_it_was_rendered() -> None:
    pair = Pair()
    extra = [(b"x-key", b"a=1"), (b"content-length", b"4")]
    stream = pair.ask(rendered(b"POST", b"/orders?x=1", b"body", extra))
    (request,) = (event for event in pair.events if isinstance(event, h2.events.RequestReceived))
    pseudo = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"shop.example")]
    assert [tuple(field) for field in request.headers] == [*pseudo, (b":path", b"/orders?x=1"), *extra]
    (data,) = (event for event in pair.events if isinstance(event, h2.events.DataReceived))
    assert data.data == b"body" and data.stream_ended is not None and request.stream_id == stream.number == 1


def test_first_block_says_that_our_table_stays_empty_and_so_does_one_after_a_smaller_table() -> None:
    pair = Pair(greets=False)
    stream = pair.stream()
    for expected in (b"\x20", b"\x82", b"\x20", b"\x82"):
        stream.is_busy = False
        stream.send(rendered(), Wanted(keeps_body=False))
        assert sent_frames(pair.wire.take())[-1][3][:1] == expected
        if expected == b"\x82":
            pair.feed(frames.settings_frame({frames.HEADER_TABLE_SIZE: 100}))
            pair.wire.take()


# Answers.


@pytest.mark.parametrize("step", [0, 1, 3, 10])
def test_answers_arrive_whole_however_they_are_cut(step: int) -> None:
    pair = Pair()
    streams = [pair.ask() for _ in range(3)]
    for stream in reversed(streams):
        pair.answer(stream, b"body %d" % stream.number)
    pair.to_us(step=step)
    assert pair.listener.of("response") == [(5, 200, b"body 5"), (3, 200, b"body 3"), (1, 200, b"body 1")]
    assert pair.session.n_answered == 3 and pair.session.is_idle()


@given(st.lists(st.integers(1, 40), max_size=30), st.data())
def test_interleaved_streams_come_apart_wherever_the_bytes_are_cut(cuts: list[int], data: st.DataObject) -> None:
    pair = Pair()
    streams = [pair.ask() for _ in range(3)]
    bodies = {stream.number: data.draw(st.binary(min_size=1, max_size=30)) for stream in streams}
    for stream in streams:
        pair.server.send_headers(stream.number, list(OK))
    for at in range(30):
        for number, body in bodies.items():
            if at < len(body):
                padding = data.draw(st.sampled_from([None, 0, 5]))
                pair.server.send_data(number, body[at : at + 1], pad_length=padding)
    for number in bodies:
        pair.server.end_stream(number)
    wire = pair.server.data_to_send()
    for cut in cuts:
        pair.feed(wire[:cut])
        wire = wire[cut:]
    pair.feed(wire)
    assert sorted(pair.listener.of("response")) == [(number, 200, body) for number, body in bodies.items()]


def test_equal_heads_are_one_object_once_the_table_is_gone() -> None:
    pair = Pair()
    heads = []
    for _ in range(3):
        stream = pair.ask()
        pair.answer(stream)
        pair.to_us()
        heads.append(stream.head)
    assert heads[1] is heads[2], "the first block began with the new size of the table"
    assert heads[0].headers == ((b"content-type", b"application/json"),) and heads[0].content_type == OK[1][1]


def test_peer_may_use_its_table_until_it_has_acknowledged_ours() -> None:
    pair = Pair(greets=False)
    streams = [pair.stream() for _ in range(3)]
    for stream in streams:
        stream.send(rendered(), Wanted())
    greeting = frames.settings_frame({})
    field = (b"x-trace", b"7")
    from hpack import Encoder

    library = Encoder()
    blocks = [library.encode([(b":status", b"200"), field]) for _ in range(2)]
    assert len(blocks[1]) == 2 and library.header_table.dynamic_entries, "the second block names the table's entry"
    done = frames.END_HEADERS | frames.END_STREAM
    for stream, block in zip(streams, blocks, strict=False):
        greeting += frames.frame(frames.HEADERS, done, stream.number, block)
    pair.feed(greeting, step=7)
    assert [stream.head.headers for stream in streams[:2]] == [(field,), (field,)]
    late = frames.frame(frames.SETTINGS, frames.ACK, 0) + frames.frame(frames.HEADERS, done, 5, blocks[1])
    pair.wire.take()
    pair.feed(late)
    assert pair.listener.of("failed") == [(5, "protocol")]
    assert code_of_goodbye(pair) == frames.COMPRESSION_ERROR


def test_header_that_nobody_wanted_and_nobody_can_decode_spoils_no_answer() -> None:
    pair = Pair()
    stream = pair.ask()
    broken = b"\x88\x0f\x27\x82\xff\xff"  # An etag whose string is nothing but padding.
    pair.feed(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, broken) + data_frame(b"{}"))
    assert pair.listener.told == ANSWERED and stream.head.headers == ()


def test_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    pair = Pair()
    stream = pair.ask(rendered(b"HEAD"), is_head=True)
    pair.answer(stream, b"", [*OK, (b"content-length", b"500")])
    pair.to_us()
    assert pair.listener.of("response") == [(1, 200, b"")]


def test_interim_heads_and_trailers_are_no_answers_of_their_own() -> None:
    pair = Pair()
    pair.ask()
    pair.feed(headers_frame([(b":status", b"100")]) + headers_frame([(b":status", b"103"), (b"link", b"</a>")]))
    assert pair.listener.told == []
    pair.feed(headers_frame(OK) + data_frame(b"{}", flags=0))
    pair.feed(headers_frame([(b"x-checksum", b"1")], flags=frames.END_HEADERS | frames.END_STREAM))
    assert pair.listener.told == ANSWERED


def test_padding_and_priority_are_taken_off() -> None:
    pair = Pair()
    pair.ask()
    flags = frames.END_HEADERS | frames.PADDED | frames.PRIORITISED
    head = frames.frame(frames.HEADERS, flags, 1, b"\x04" + b"\0" * 5 + block_of(OK) + b"\0" * 4)
    body = frames.frame(frames.DATA, frames.END_STREAM | frames.PADDED, 1, b"\x03{}\0\0\0")
    pair.feed(head + body, step=5)
    assert pair.listener.told == ANSWERED


@pytest.mark.parametrize("size", [2, 7, 30])
def test_head_may_come_in_many_frames(size: int) -> None:
    pair = Pair()
    pair.ask()
    block = block_of([*OK, (b"x-large", b"v" * 200)])
    pieces = [block[at : at + size] for at in range(0, len(block), size)]
    wire = frames.frame(frames.HEADERS, 0, 1, pieces[0])
    for number, piece in enumerate(pieces[1:], 2):
        wire += frames.frame(frames.CONTINUATION, frames.END_HEADERS if number == len(pieces) else 0, 1, piece)
    pair.feed(wire + data_frame(b"{}"), step=11)
    assert pair.listener.told == ANSWERED


def test_event_stream_is_told_event_by_event_and_kept_nowhere() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.feed(headers_frame([(b":status", b"200"), (b"content-type", b"text/event-stream")]))
    pair.feed(data_frame(b"data: 1\n\ndata: 2\n\nda", flags=0) + data_frame(b"ta: 3\n\n", flags=0))
    told = [("events", []), ("events", [b"1", b"2"]), ("events", [b"3"])]
    assert pair.listener.told == told and stream.is_busy, "first that it has begun"
    assert stream.body == b"" and stream.body_bytes == 27
    pair.feed(data_frame(b""))
    assert pair.listener.of("response") == [(1, 200, b"")]


# Room.


def test_bodies_wait_for_the_peers_windows_and_no_byte_is_lost() -> None:
    pair = Pair(INITIAL_WINDOW_SIZE=1000)
    body = bytes(range(256)) * 1000
    stream = pair.ask(rendered(b"POST", body=body))
    got = bytearray()
    while not any(isinstance(event, h2.events.StreamEnded) for event in pair.events):
        events = [event for event in pair.events if isinstance(event, h2.events.DataReceived)]
        pair.events.clear()
        assert events, "the windows are open and nothing came"
        for event in events:
            got += event.data
            pair.server.acknowledge_received_data(event.flow_controlled_length, stream.number)
        pair.exchange()
    got += b"".join(event.data for event in pair.events if isinstance(event, h2.events.DataReceived))
    assert bytes(got) == body


def test_smaller_window_in_flight_is_obeyed_and_a_larger_one_resumes() -> None:
    pair = Pair()
    pair.ask(rendered(b"POST", body=b"x" * 100_000))  # The library would refuse a byte beyond 65,535.
    pair.server.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    pair.exchange()
    pair.server.increment_flow_control_window(100_000)
    pair.exchange()
    assert not any(isinstance(event, h2.events.StreamEnded) for event in pair.events)
    pair.server.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
    pair.exchange()
    received = sum(len(event.data) for event in pair.events if isinstance(event, h2.events.DataReceived))
    assert received == 100_000 and any(isinstance(event, h2.events.StreamEnded) for event in pair.events)


def test_request_heads_larger_than_a_frame_are_continued() -> None:
    pair = Pair()
    pair.server.local_settings.max_header_list_size = 1 << 20
    pair.server.decoder.max_header_list_size = 1 << 20
    pair.ask(rendered(extra=[(b"x-large", b"v" * 40_000)]))
    (request,) = (event for event in pair.events if isinstance(event, h2.events.RequestReceived))
    assert (b"x-large", b"v" * 40_000) in [tuple(field) for field in request.headers]


def test_limit_of_streams_holds_and_its_growth_is_told() -> None:
    pair = Pair(MAX_CONCURRENT_STREAMS=2)
    streams = [pair.ask(), pair.ask()]
    assert not pair.session.has_room()
    pair.answer(streams[0])
    pair.to_us()
    assert pair.session.has_room()
    pair.ask()
    pair.server.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 10})
    pair.exchange()
    assert pair.listener.of("room")[-1] is True and pair.session.has_room()


def test_connection_window_is_opened_again_before_it_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.wire.http2_session.WINDOW_STEP", 1000)
    pair = Pair()
    stream = pair.ask(keeps_body=False)
    before = pair.server.outbound_flow_control_window
    pair.server.send_headers(stream.number, list(OK))
    for _ in range(3):
        pair.server.send_data(stream.number, b"x" * 500, pad_length=99)  # Padding counts too.
    pair.exchange()
    assert before - pair.server.outbound_flow_control_window < 1000 and stream.body_bytes == 1500
    for _ in range(5):
        stream = pair.ask(keeps_body=False)
        pair.answer(stream, b"x" * 500, [*OK, (b"content-length", b"500")])
        pair.exchange()
    assert before - pair.server.outbound_flow_control_window < 1000 and pair.session.n_answered == 5


# Ends.


def test_refused_stream_is_marked_and_another_reset_is_not() -> None:
    pair = Pair()
    refused, reset, kept = pair.ask(), pair.ask(), pair.ask()
    pair.server.reset_stream(refused.number, h2.errors.ErrorCodes.REFUSED_STREAM)
    pair.server.reset_stream(reset.number, h2.errors.ErrorCodes.INTERNAL_ERROR)
    pair.answer(kept)
    pair.to_us()
    assert pair.listener.told == [("failed", (1, "reset")), ("failed", (3, "reset")), ("response", (5, 200, b"{}"))]
    assert refused.is_refused and not reset.is_refused


def test_goaway_in_flight_lets_old_streams_end_and_refuses_the_others() -> None:
    pair = Pair()
    first, second = pair.ask(), pair.ask()
    pair.feed(frames.frame(frames.GOAWAY, 0, 0, frames.PAIR.pack(first.number, frames.NO_ERROR)))
    assert pair.listener.told == [("failed", (3, "eof")), ("room", False)] and second.is_refused
    assert (pair.session.has_room(), pair.wire.ended) == (False, "")
    pair.answer(first)
    pair.to_us()
    assert (pair.listener.of("response"), pair.wire.ended) == ([(1, 200, b"{}")], "closed")


def test_early_answer_is_taken_and_the_rest_of_the_body_is_not_sent() -> None:
    pair = Pair()
    stream = pair.ask(rendered(b"POST", body=b"x" * 1_000_000))
    pair.answer(stream, fields=[(b":status", b"413")])
    pair.to_us()
    assert pair.listener.told == [("response", (1, 413, b"{}"))]
    assert codes_of_resets(pair) == [(1, frames.NO_ERROR)]
    pair.server.increment_flow_control_window(1_000_000)
    pair.to_us()
    assert not pair.wire.written


def test_expired_stream_is_reset_and_what_comes_late_for_it_is_nobodys() -> None:
    pair = Pair()
    late, other = pair.ask(), pair.ask()
    late.expire(9)
    assert codes_of_resets(pair) == [(1, frames.CANCEL)]
    for stream in (late, other):
        pair.answer(stream)
    pair.to_us()
    assert pair.listener.told == [("failed", (1, "timeout_request")), ("response", (3, 200, b"{}"))]


def test_session_that_leaves_ends_with_the_failure_of_its_last_stream() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.session.retire()
    assert (pair.session.has_room(), pair.wire.ended) == (False, "")
    pair.server.reset_stream(stream.number, h2.errors.ErrorCodes.INTERNAL_ERROR)
    pair.to_us()
    assert (pair.listener.told, pair.wire.ended) == ([("failed", (1, "reset"))], "closed")


def test_large_answer_that_comes_although_it_was_given_up_is_no_flood() -> None:
    pair = Pair()
    pair.ask().expire(9)
    for _ in range(MAX_IDLE_CONTROLS // 100 + 1):
        pair.feed(data_frame(b"x", flags=0) * 100)
    assert pair.session.has_room()


def test_lost_connection_fails_what_is_in_flight_once() -> None:
    pair = Pair()
    pair.ask()
    pair.session.lose("reset", 9)
    assert pair.listener.told == [("failed", (1, "reset")), ("closed", pair.session)]
    assert not pair.session.has_room() and not pair.wire.written


def test_close_says_goodbye_when_idle_and_aborts_when_busy() -> None:
    idle, busy = Pair(), Pair()
    stream = busy.ask()
    idle.session.close()
    busy.session.close()
    assert code_of_goodbye(idle) == frames.NO_ERROR
    assert busy.wire.ended == "aborted" and not stream.is_busy and not busy.listener.told


def test_pings_are_answered() -> None:
    pair = Pair()
    pair.server.ping(b"12345678")
    pair.exchange()
    assert any(isinstance(event, h2.events.PingAckReceived) for event in pair.events)


# What a peer must not do.

MALFORMED: dict[str, bytes] = {
    "no status": headers_frame([(b"content-type", b"text/plain")]),
    "two states": headers_frame([(b":status", b"200"), (b":status", b"404")]),
    "no number": headers_frame([(b":status", b"abc")]),
    "switching": headers_frame([(b":status", b"101")]),
    "interim end": headers_frame([(b":status", b"100")], flags=frames.END_HEADERS | frames.END_STREAM),
    "body first": data_frame(b"{}"),
    "too short": headers_frame([*OK, (b"content-length", b"5")]) + data_frame(b"{}"),
    "too long": headers_frame([*OK, (b"content-length", b"1")]) + data_frame(b"{}"),
    "two lengths": headers_frame([*OK, (b"content-length", b"1"), (b"content-length", b"2")]),
    "unended trailers": headers_frame(OK) + headers_frame([(b"x", b"y")]),
    "no window": frames.frame(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\0"),
}


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_answer_ends_its_stream_and_no_other(wire: bytes) -> None:
    pair = Pair()
    pair.ask()
    other = pair.ask()
    pair.feed(wire)
    assert pair.listener.told == [("failed", (1, "protocol"))]
    assert [number for number, _ in codes_of_resets(pair)] == [1]
    pair.feed(headers_frame(OK, stream=3) + data_frame(b"{}", stream=3))
    assert pair.listener.of("response") == [(3, 200, b"{}")] and not other.is_busy


BREACHES: dict[str, tuple[bytes, int]] = {
    "frame too large": (frames.HEADER.pack(16_385 << 8, 0, 1) + b"x", frames.FRAME_SIZE_ERROR),
    "data of no stream": (data_frame(b"x", stream=99), frames.PROTOCOL_ERROR),
    "data of the connection": (data_frame(b"x", stream=0), frames.PROTOCOL_ERROR),
    "head of no stream": (headers_frame(OK, stream=4), frames.PROTOCOL_ERROR),
    "too much padding": (frames.frame(frames.DATA, frames.PADDED, 1, b"\x09xx"), frames.PROTOCOL_ERROR),
    "padded nothing": (frames.frame(frames.DATA, frames.PADDED, 1), frames.FRAME_SIZE_ERROR),
    "push": (frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2"), frames.PROTOCOL_ERROR),
    "stray continuation": (frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1), frames.PROTOCOL_ERROR),
    "interrupted head": (headers_frame(OK, flags=0) + data_frame(b"x"), frames.PROTOCOL_ERROR),
    "head of another": (headers_frame(OK, flags=0) + headers_frame(OK, stream=3), frames.PROTOCOL_ERROR),
    "cut reset": (frames.frame(frames.RST_STREAM, 0, 1, b"\0"), frames.FRAME_SIZE_ERROR),
    "reset of no stream": (frames.frame(frames.RST_STREAM, 0, 9, b"\0" * 4), frames.PROTOCOL_ERROR),
    "cut window": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0"), frames.FRAME_SIZE_ERROR),
    "no window": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0" * 4), frames.FLOW_CONTROL_ERROR),
    "endless window": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), frames.FLOW_CONTROL_ERROR),
    "cut settings": (frames.frame(frames.SETTINGS, 0, 0, b"\0"), frames.FRAME_SIZE_ERROR),
    "settings of a stream": (frames.frame(frames.SETTINGS, 0, 1), frames.FRAME_SIZE_ERROR),
    "talkative ack": (frames.frame(frames.SETTINGS, frames.ACK, 0, b"\0" * 6), frames.FRAME_SIZE_ERROR),
    "push enabled": (frames.settings_frame({frames.ENABLE_PUSH: 1}), frames.PROTOCOL_ERROR),
    "window setting": (frames.settings_frame({frames.INITIAL_WINDOW_SIZE: 1 << 31}), frames.FLOW_CONTROL_ERROR),
    "frame setting": (frames.settings_frame({frames.MAX_FRAME_SIZE: 100}), frames.PROTOCOL_ERROR),
    "cut ping": (frames.frame(frames.PING, 0, 0, b"\0"), frames.FRAME_SIZE_ERROR),
    "cut goaway": (frames.frame(frames.GOAWAY, 0, 0, b"\0"), frames.FRAME_SIZE_ERROR),
    "broken block": (frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x80"), frames.COMPRESSION_ERROR),
    "flood": (frames.frame(frames.PING, 0, 0, b"12345678") * (MAX_IDLE_CONTROLS + 1), frames.ENHANCE_YOUR_CALM),
    "empty data": (
        headers_frame(OK) + data_frame(b"", flags=0) * (MAX_IDLE_CONTROLS + 1),
        frames.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize(("wire", "code"), BREACHES.values(), ids=BREACHES.keys())
def test_breach_of_the_protocol_ends_the_connection_with_its_code(wire: bytes, code: int) -> None:
    pair = Pair()
    pair.ask()
    pair.ask()
    pair.feed(wire)
    assert code_of_goodbye(pair) == code
    assert pair.listener.told == [("failed", (1, "protocol")), ("failed", (3, "protocol"))]
    pair.feed(headers_frame(OK))  # Whatever comes afterwards is not looked at.
    assert len(pair.listener.told) == 2


def test_another_protocol_is_told_by_its_first_bytes() -> None:
    pair = Pair(greets=False)
    pair.ask()
    pair.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert pair.listener.told == [("failed", (1, "protocol"))]


_ENDLESS = frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.CONTINUATION, 0, 1, b"") * 1000
_BOMB = frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.CONTINUATION, 0, 1, b"\x88" * 16_000) * 20
_MANY = frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88" + b"\x90" * 16_000)


@pytest.mark.parametrize("wire", [_ENDLESS, _BOMB, _MANY], ids=["frames without end", "bytes without end", "fields"])
def test_heads_that_grow_are_stopped_and_only_their_request_was_too_large(wire: bytes) -> None:
    pair = Pair()
    pair.ask()
    pair.ask()
    pair.feed(wire)
    assert code_of_goodbye(pair) == frames.ENHANCE_YOUR_CALM
    assert pair.listener.told == [("failed", (1, "too_large")), ("failed", (3, "protocol"))]


def test_body_that_grows_ends_its_stream_as_too_large() -> None:
    pair = Pair()
    pair.ask(keeps_body=False)
    pair.feed(headers_frame(OK))
    piece = data_frame(b"x" * 16_384, flags=0)
    for _ in range(MAX_BODY_BYTES // 16_384 + 1):
        pair.feed(piece)
    assert pair.listener.told == [("failed", (1, "too_large"))] and pair.session.has_room()


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_make_a_session_raise(data: bytes, greets: bool) -> None:
    pair = Pair(greets=greets)
    stream = pair.ask() if greets else None
    pair.feed(data if greets else frames.settings_frame({}) + data)
    told: list[tuple[str, Any]] = [what for what in pair.listener.told if what[0] in ("response", "failed")]
    assert stream is None or stream.is_busy is not bool(told)
