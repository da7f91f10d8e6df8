"""Events become exchanges, sockets and sessions; whatever is half done assembles too."""

from __future__ import annotations

from pathlib import Path

from captures.records import EventType, Exchange, Opcode, Origin, Peer, Session
from captures.sessions import load_capture, load_sessions
from tests.captures.samples import (
    BIG,
    HEADERS,
    Spec,
    connection_open,
    message,
    request,
    response,
    shop_session,
    socket_open,
    write,
)


def sessions_of(directory: Path, specs: list[Spec]) -> list[Session]:
    """Write events and load them as sessions."""
    return load_sessions(write(directory / "events.rush", specs))


def exchange_of(directory: Path, *specs: Spec) -> Exchange:
    """The one exchange that these events amount to."""
    (session,) = sessions_of(directory, list(specs))
    (exchange,) = session.exchanges
    return exchange


def test_a_whole_exchange_has_all_its_times_headers_and_bodies(tmp_path: Path) -> None:
    exchange = exchange_of(tmp_path, *request(10, 1, 1, "/a?b=1"), *response(20, 1, 1, b'{"ok":1}'))
    assert (exchange.method, exchange.target, exchange.path) == ("GET", "/a?b=1", "/a")
    assert exchange.origin == Origin("http", "shop.example", 80)
    assert (exchange.start_ns, exchange.request_end_ns, exchange.response_start_ns, exchange.end_ns) == (10, 11, 20, 22)
    assert (exchange.status, exchange.response_body.data, exchange.response_body.size_bytes) == (200, b'{"ok":1}', 8)
    assert exchange.request_headers == exchange.response_headers == HEADERS
    assert exchange.chunks == [] and exchange.error == "" and exchange.socket is None


def test_a_request_without_an_answer_has_no_end(tmp_path: Path) -> None:
    exchange = exchange_of(tmp_path, *request(10, 1, 1))
    assert (exchange.status, exchange.response_start_ns, exchange.end_ns) == (None, None, None)


def test_an_upload_that_was_still_going_keeps_what_came(tmp_path: Path) -> None:
    head = request(10, 1, 1, method="POST")[0]
    bodies: list[Spec] = [(EventType.REQUEST_BODY, at, 1, 1, {"data": b"part"}) for at in (15, 18)]
    exchange = exchange_of(tmp_path, head, *bodies)
    assert exchange.request_body.data == b"partpart"
    assert exchange.request_end_ns == 18


def test_a_streamed_answer_keeps_the_arrival_of_its_chunks(tmp_path: Path) -> None:
    events = request(10, 1, 1)
    head, body, end = response(20, 1, 1, b"data: 1\n\n")
    more: Spec = (EventType.RESPONSE_BODY, 30, 1, 1, {"data": b"data: 22\n\n"})
    exchange = exchange_of(tmp_path, *events, head, body, more, end)
    assert exchange.chunks == [(21, 9), (30, 10)]
    assert exchange.response_body.data == b"data: 1\n\ndata: 22\n\n"


def test_an_event_stream_is_streamed_even_with_a_single_chunk_and_no_end(tmp_path: Path) -> None:
    head, body, _ = response(20, 1, 1, b"data: 1\n\n")
    head[4]["headers"] = ((b"content-type", b"text/event-stream; charset=utf-8"),)
    exchange = exchange_of(tmp_path, *request(10, 1, 1), head, body)
    assert exchange.chunks == [(21, 9)]
    assert exchange.end_ns is None


def test_an_answer_may_begin_before_its_request_has_ended(tmp_path: Path) -> None:
    head, end = request(10, 1, 1)
    exchange = exchange_of(tmp_path, head, *response(12, 1, 1), (end[0], 50, *end[2:]))
    assert exchange.response_start_ns == 12 and exchange.request_end_ns == 50


def test_an_error_ends_the_exchange(tmp_path: Path) -> None:
    exchange = exchange_of(tmp_path, *request(10, 1, 1), (EventType.ERROR, 30, 1, 1, {"message": "connection reset"}))
    assert (exchange.error, exchange.end_ns, exchange.status) == ("connection reset", 30, None)


def test_a_body_of_which_only_a_part_was_kept_is_cut(tmp_path: Path) -> None:
    head, body, _ = response(20, 1, 1, b"first part")
    end: Spec = (EventType.RESPONSE_END, 25, 1, 1, {"size_bytes": 5000, "hash": b"h"})
    exchange = exchange_of(tmp_path, *request(10, 1, 1), head, body, end)
    assert exchange.response_body.is_cut and exchange.response_body.size_bytes == 5000


def test_a_socket_holds_messages_controls_and_its_close(tmp_path: Path) -> None:
    ping: Spec = (EventType.CONTROL, 25, 1, 1, {"sender": Peer.CLIENT, "opcode": Opcode.PING, "data": b"hb"})
    dropped = message(26, 1, 1, b"never delivered")
    dropped[4]["dropped"] = True
    close: Spec = (EventType.SOCKET_CLOSE, 40, 1, 1, {"sender": Peer.SERVER, "code": 1012, "reason": "restart"})
    exchange = exchange_of(tmp_path, *socket_open(10, 1, 1), message(20, 1, 1, b"x", Peer.CLIENT), ping, dropped, close)
    socket = exchange.socket
    assert socket is not None and exchange.origin == Origin("http", "shop.example", 80)
    assert (socket.open_ns, socket.extensions) == (13, b"permessage-deflate")
    assert [(m.t_ns, m.sender, m.opcode, m.data) for m in socket.messages] == [(20, Peer.CLIENT, Opcode.TEXT, b"x")]
    assert [(m.opcode, m.data) for m in socket.controls] == [(Opcode.PING, b"hb")]
    assert (socket.close_ns, socket.close_code, socket.close_reason) == (40, 1012, "restart")
    assert socket.closed_by is Peer.SERVER
    assert exchange.end_ns == 13, "the handshake ends where the socket opens"


def test_a_socket_open_at_the_stop_has_no_close(tmp_path: Path) -> None:
    socket = exchange_of(tmp_path, *socket_open(10, 1, 1), message(20, 1, 1, b"x")).socket
    assert socket is not None
    assert (socket.close_ns, socket.close_code, socket.closed_by) == (None, None, None)


def test_exchanges_of_many_streams_on_one_connection_stay_apart(tmp_path: Path) -> None:
    specs = [spec for number in (3, 1, 2) for spec in request(number, 1, number, f"/{number}")]
    specs += [spec for number in (2, 3, 1) for spec in response(50 + number, 1, number, b"%d" % number)]
    (session,) = sessions_of(tmp_path, specs)
    assert [(exchange.id, exchange.target) for exchange in session.exchanges] == [(1, "/1"), (2, "/2"), (3, "/3")]
    assert [exchange.response_body.data for exchange in session.exchanges] == [b"1", b"2", b"3"]


def test_sessions_bound_after_their_events_are_told_apart(tmp_path: Path) -> None:
    specs: list[Spec] = [connection_open(1), connection_open(2)]
    specs += request(5, 1, 1) + request(6, 2, 2) + request(7, 1, 3)
    specs += [
        (EventType.SESSION, 90, 2, 0, {"session": 2, "rule": "cookie"}),
        (EventType.SESSION, 91, 1, 0, {"session": 1, "rule": "cookie"}),
    ]
    sessions = sessions_of(tmp_path, specs)
    assert [(s.id, s.rule, [e.id for e in s.exchanges]) for s in sessions] == [
        (1, "cookie", [1, 3]),
        (2, "cookie", [2]),
    ]


def test_events_of_unknown_or_unusable_requests_are_left_out(tmp_path: Path) -> None:
    specs = [
        *request(1, 1, 1, scheme="gopher"),
        *request(2, 1, 2, port=0),
        *response(3, 1, 9),
        *request(4, 1, 4),
        *request(5, 1, 4, "/second head of the same exchange"),
        message(6, 1, 4, b"no socket"),
    ]
    exchange = exchange_of(tmp_path, *specs)
    assert (exchange.id, exchange.target) == (4, "/")


def test_a_capture_without_exchanges_has_no_sessions(tmp_path: Path) -> None:
    path = tmp_path / "none.rush"
    write(path, [connection_open(1)])
    capture = load_capture(path)
    assert capture.sessions == [] and capture.complete


def test_a_loaded_capture_tells_its_facts_and_what_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "shop.rush"
    others: Spec = (EventType.NOTE, 1, 0, 0, {"name": "left_out_origin", "value": {"https://ads.example": 2, "x": 1}})
    about: Spec = (EventType.NOTE, 2, 1, 1, {"name": "closed_by", "value": "client"})
    write(path, [*shop_session(), others, about])
    capture = load_capture(path)
    assert capture.header["url"] == "http://shop.example/" and capture.header["format"] == "1.0"
    assert capture.left_out == {"https://ads.example": 5, "x": 1}
    assert [(note.name, note.exchange) for note in capture.notes][-1] == ("closed_by", 1)
    assert [exchange.response_body.data for exchange in capture.sessions[0].exchanges[:2]] == [BIG, BIG]
