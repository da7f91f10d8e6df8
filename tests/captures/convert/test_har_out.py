"""A capture that goes through a HAR and back is the same, to a HAR's precision; what is not, is said."""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.bodies import decoded_body
from captures.convert.formats import Conversion, convert_file
from captures.convert.spool import Spool
from captures.convert.tape import Tape, new_body
from captures.errors import ConfigError
from captures.format.writer import CaptureWriter
from captures.records import Body, EventType, Exchange, Headers, Message, Opcode, Origin, Peer, Socket
from captures.sessions import Capture, load_capture
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported
from tests.captures.samples import ANCHOR, FACTS, connection_open, disk_of, message, request, response, socket_open

_WALL_NS = 1_790_000_000_000_000_000
_PRECISION_NS = 2_000
_TOKENS = st.text(st.sampled_from("abcXYZ019-_"), min_size=1, max_size=12)
_VALUES = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n\0").strip())
_SPANS = st.integers(0, 3_000_000_000)


def _write(path: Path, *specs: Any) -> Path:
    with CaptureWriter(path, facts=FACTS, anchor=ANCHOR) as writer:
        for event_type, t_ns, connection, exchange, fields in specs:
            writer.add(event_type, t_ns, connection, exchange, **fields)
    return path


def _there_and_back(path: Path) -> tuple[Capture, dict[str, Any], Conversion]:
    har, again = path.with_suffix(".har"), path.with_suffix(".again.rush")
    conversion = convert_file(str(path), str(har))
    convert_file(str(har), str(again))
    return load_capture(again), json.loads(har.read_text(encoding="utf-8")), conversion


@st.composite
def _headers(draw: st.DrawFn) -> Headers:
    names = draw(st.lists(_TOKENS.filter(lambda name: name.lower() != "cookie"), max_size=4))
    return tuple((name.encode(), draw(_VALUES)) for name in names)


@st.composite
def _sockets(draw: st.DrawFn, open_ns: int) -> Socket:
    at_ns, socket = open_ns, Socket(open_ns=open_ns)
    for _ in range(draw(st.integers(0, 6))):
        at_ns += draw(_SPANS)
        opcode = draw(st.sampled_from(Opcode))
        data = draw(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
        item = Message(t_ns=at_ns, sender=draw(st.sampled_from(Peer)), opcode=opcode, data=data, size_bytes=len(data))
        item.size_bytes += draw(st.sampled_from([0, 0, 5])) * (opcode in (Opcode.TEXT, Opcode.BINARY))
        (socket.messages if opcode in (Opcode.TEXT, Opcode.BINARY) else socket.controls).append(item)
    if draw(st.booleans()):
        socket.close_ns = at_ns + draw(_SPANS)
        socket.close_code = draw(st.none() | st.integers(1000, 4999))
        socket.close_reason = draw(st.text(st.characters(codec="utf-8"), max_size=10))
        socket.closed_by = draw(st.none() | st.sampled_from(Peer))
    return socket


@st.composite
def _exchanges(draw: st.DrawFn) -> Exchange:
    start_ns = _WALL_NS + draw(st.integers(0, 10**10))
    request_end_ns = start_ns + draw(_SPANS)
    origin = Origin(draw(st.sampled_from(["http", "https"])), draw(st.sampled_from(["a.example", "::1"])), 8443)
    media_type = draw(
        st.sampled_from([b"application/json", b"text/html; charset=latin-1", b"text/plain; charset=utf-16"])
    )
    target = "/" + draw(
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="#\x7f"), max_size=9)
    )
    made = Exchange(
        id=0,
        connection=draw(st.integers(1, 3)),
        method=draw(st.sampled_from(["GET", "POST", "PROPFIND"])),
        origin=origin,
        target=target,
        http_version=draw(st.sampled_from(["HTTP/1.1", "HTTP/2.0", "HTTP/3"])),
        request_headers=((b"content-type", media_type), *draw(_headers())),
        request_body=_body(draw),
        start_ns=start_ns,
        request_end_ns=request_end_ns,
    )
    if not draw(st.integers(0, 4)):
        made.error = draw(st.sampled_from(["", "Client disconnected."]))
        made.end_ns = request_end_ns + draw(_SPANS) if made.error else None
        return made
    made.connect_ns = draw(st.sampled_from([0, 12_345]))
    made.response_start_ns = request_end_ns + made.connect_ns + draw(_SPANS)
    made.end_ns = made.response_start_ns + draw(_SPANS)
    made.response_http_version = made.http_version
    made.response_headers = ((b"Content-Type", media_type), *draw(_headers()))
    made.reason = draw(st.sampled_from(["", "OK", "naïve"]))
    if draw(st.booleans()):
        made.status = draw(st.sampled_from([200, 404, 503]))
        made.response_body = _body(draw)
        made.error = draw(st.sampled_from(["", "", "cut off"]))
        if not made.error and not draw(st.integers(0, 3)):
            made.end_ns = None
    else:
        made.status, made.end_ns = 101, made.response_start_ns
        made.socket = draw(_sockets(made.end_ns + draw(_SPANS)))
    return made


def _body(draw: st.DrawFn) -> Body:
    data = draw(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
    return new_body(data, len(data) + draw(st.sampled_from([0, 0, 7])))


def _put(path: Path, exchanges: list[Exchange]) -> None:
    with Spool(str(path.parent)) as spool:
        tape = Tape(spool)
        for connection in (1, 2, 3):
            tape.new_connection()
            tape.open_connection(_WALL_NS, connection, connection, f"rule {connection}", {"listener": "x"})
        for exchange in exchanges:
            tape.put_exchange(replace(exchange, id=tape.new_exchange()))
        tape.write_capture(str(path), FACTS)


def _comparable(capture: Capture) -> list[Any]:
    """All that a HAR should keep, but times."""
    found = []
    for session in capture.sessions:
        for exchange in session.exchanges:
            is_over = exchange.end_ns is not None and not exchange.error
            found.append(
                (
                    (session.id, session.rule, exchange.id, exchange.method, exchange.origin, exchange.target),
                    (exchange.http_version, exchange.request_headers, exchange.request_body, exchange.status),
                    (exchange.reason, exchange.response_headers, exchange.connect_ns, exchange.error, is_over),
                    exchange.response_body if is_over else exchange.response_body.data,
                    _of_socket(exchange.socket),
                )
            )
    return found


def _of_socket(socket: Socket | None) -> Any:
    if socket is None:
        return None
    frames = [(m.sender, m.opcode, m.data, m.size_bytes) for m in (*socket.messages, *socket.controls)]
    return frames, socket.close_code, socket.close_reason, socket.closed_by, socket.close_ns is None


def _times(capture: Capture) -> list[int | None]:
    times: list[int | None] = []
    for exchange in exchanges_of(capture):
        times += [exchange.start_ns, exchange.request_end_ns, exchange.response_start_ns, exchange.end_ns]
        if exchange.socket is not None:
            times.append(exchange.socket.open_ns)
            times += [frame.t_ns for frame in (*exchange.socket.messages, *exchange.socket.controls)]
            times.append(exchange.socket.close_ns)
    anchor: Any = capture.header["anchor"]
    return [None if t_ns is None else anchor.wall_ns + t_ns for t_ns in times]


@given(exchanges=st.lists(_exchanges(), min_size=1, max_size=6))
@settings(max_examples=120, deadline=None)
def test_what_goes_through_a_har_comes_back(exchanges: list[Exchange]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.rush"
        _put(path, exchanges)
        before = load_capture(path)
        after, _, _ = _there_and_back(path)
    # Two that start within a microsecond of each other may change places.
    starts = sorted(exchange.start_ns // 1000 for exchange in exchanges)
    if len(set(starts)) == len(starts):
        assert _comparable(after) == _comparable(before)
        for was, came in zip(_times(before), _times(after), strict=True):
            assert (was is None) == (came is None)
            assert was is None or came is None or abs(was - came) <= _PRECISION_NS


def test_the_golden_capture_goes_through_a_har_and_back(market: Path) -> None:
    before = load_capture(market)
    after, har, conversion = _there_and_back(market)
    assert [repr(item) for item in _comparable(after)] == [repr(item) for item in _comparable(before)]
    assert len(har["log"]["entries"]) == conversion.counts.exchanges == len(exchanges_of(before))
    assert conversion.counts.messages > 0
    assert conversion.not_held == ["connections: who connected, TLS, ALPN: 1"]
    assert after.left_out == before.left_out
    assert after.header["url"] == before.header["url"]


def test_a_har_is_what_the_specification_wants(market: Path) -> None:
    _, har, _ = _there_and_back(market)
    log = har["log"]
    assert log["version"] == "1.2"
    assert log["creator"].keys() >= {"name", "version"}
    assert log["pages"][0].keys() >= {"startedDateTime", "id", "title", "pageTimings"}
    required = {"startedDateTime", "time", "request", "response", "cache", "timings"}
    of_request = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}
    of_response = {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"}
    for entry in log["entries"]:
        assert entry.keys() >= required
        assert entry["request"].keys() >= of_request
        assert entry["response"].keys() >= of_response
        assert entry["response"]["content"].keys() >= {"size", "mimeType"}
        assert min(entry["timings"][name] for name in ("send", "wait", "receive")) >= 0
        assert entry["time"] >= 0
    assert [entry["startedDateTime"] for entry in log["entries"]] == sorted(
        e["startedDateTime"] for e in log["entries"]
    )


def test_sockets_are_written_as_chrome_writes_them(tmp_path: Path) -> None:
    binary = (EventType.MESSAGE, 5_000, 1, 1, {"sender": 1, "opcode": 2, "data": b"\0\xff", "size_bytes": 2})
    close = (EventType.SOCKET_CLOSE, 9_000, 1, 1, {"sender": Peer.SERVER, "code": 4001, "reason": "bye"})
    specs = [connection_open(1), *socket_open(0, 1, 1), message(4_000, 1, 1, b'{"a":1}'), binary, close]
    _, har, _ = _there_and_back(_write(tmp_path / "a.rush", *specs))
    (entry,) = har["log"]["entries"]
    assert entry["_resourceType"] == "websocket"
    assert entry["request"]["url"].startswith("ws://")
    start_s = ANCHOR.wall_ns / 1e9
    assert [(m["type"], m["opcode"], m["data"]) for m in entry["_webSocketMessages"]] == [
        ("receive", 1, '{"a":1}'),
        ("send", 2, base64.b64encode(b"\0\xff").decode()),
    ]
    assert abs(entry["_webSocketMessages"][0]["time"] - start_s) < 1e-4
    assert (entry["_webSocketClose"]["code"], entry["_webSocketClose"]["reason"]) == (4001, "bye")


def test_compressed_bodies_are_held_decoded_and_come_back_so(tmp_path: Path) -> None:
    text = b'{"price": 12.5}' * 50
    packed = gzip.compress(text)
    specs = [connection_open(1), *request(0, 1, 1), *response(10, 1, 1, packed)]
    specs[3][4]["headers"] = ((b"Content-Type", b"application/json"), (b"Content-Encoding", b"gzip"))
    path = _write(tmp_path / "a.rush", *specs)
    after, har, conversion = _there_and_back(path)
    assert har["log"]["entries"][0]["response"]["content"]["text"] == text.decode()
    body = exchange_of(after).response_body
    assert (body.data, body.encoding, body.size_bytes, body.is_cut) == (text, "gzip", len(packed), False)
    before = exchange_of(load_capture(path))
    assert decoded_body(before.response_headers, before.response_body.data, 1 << 20) == body.data
    assert any(sentence.startswith("compressed bodies, held decoded") for sentence in conversion.not_held)
    # A second time nothing changes.
    again, _, _ = _there_and_back(path.with_suffix(".again.rush"))
    assert exchange_of(again).response_body == body


def test_a_body_that_cannot_be_decoded_is_held_as_it_was(tmp_path: Path) -> None:
    specs = [connection_open(1), *request(0, 1, 1), *response(10, 1, 1, b"no gzip")]
    specs[3][4]["headers"] = ((b"Content-Encoding", b"gzip"),)
    after, _, conversion = _there_and_back(_write(tmp_path / "a.rush", *specs))
    exchange = exchange_of(after)
    assert (exchange.response_body.data, exchange.response_body.encoding) == (b"no gzip", "")
    assert exchange.response_headers == ((b"Content-Encoding", b"gzip"),)
    assert any(sentence.startswith("bodies that cannot be decoded") for sentence in conversion.not_held)


def test_pieces_of_a_stream_keep_their_times(tmp_path: Path) -> None:
    specs = [connection_open(1), *request(0, 1, 1), *response(10_000, 1, 1, b"data: 1\n\n")]
    specs.insert(5, (EventType.RESPONSE_BODY, 900_000, 1, 1, {"data": b"data: 22\n\n"}))
    specs[6] = (EventType.RESPONSE_END, 1_900_000, 1, 1, {"size_bytes": 19, "hash": b""})
    path = _write(tmp_path / "a.rush", *specs)
    after, _, _ = _there_and_back(path)
    start_ns = exchange_of(after).start_ns
    assert [(t_ns - start_ns, n) for t_ns, n in exchange_of(after).chunks] == exchange_of(load_capture(path)).chunks


def test_what_a_har_cannot_hold_is_said(tmp_path: Path) -> None:
    dropped = message(50, 1, 1, b"never arrived")
    dropped[4]["dropped"] = True
    notes = [
        (EventType.NOTE, 60, 0, 0, {"name": "bytes", "value": b"\xff"}),
        (EventType.NOTE, 60, 1, 1, {"name": "bytes", "value": [b"\xff"]}),
        (EventType.RESPONSE_HEAD, 70, 1, 9, {"status": 200, "reason": "", "http_version": "", "headers": ()}),
    ]
    path = _write(tmp_path / "a.rush", connection_open(1), *socket_open(0, 1, 1), dropped, *notes)
    _, _, conversion = _there_and_back(path)
    assert [sentence.partition(":")[0] for sentence in conversion.not_held] == [
        "events of exchanges whose request is missing",
        "connections",
        "notes about exchanges that hold bytes",
        "messages that never reached the other side",
        "notes about the recording that hold bytes",
    ]


def test_of_a_damaged_capture_what_is_good_is_written_and_the_damage_said(market: Path) -> None:
    data = bytearray(market.read_bytes())
    data[len(data) // 2] ^= 0xFF
    market.write_bytes(data)
    out = market.with_suffix(".har")
    conversion = convert_file(str(market), str(out))
    assert conversion.damage
    assert conversion.to_document()["complete"] is False
    assert len(json.loads(out.read_text(encoding="utf-8"))["log"]["entries"]) == conversion.counts.exchanges


def test_a_full_disk_leaves_no_half_of_a_har(market: Path) -> None:
    out = market.with_suffix(".har")
    with disk_of(20_000), pytest.raises(ConfigError, match="cannot"):
        convert_file(str(market), str(out))
    assert not out.exists()
    assert sorted(path.name for path in market.parent.iterdir()) == [market.name]


def test_a_har_is_private_and_names_no_place_of_the_machine(market: Path) -> None:
    out = market.with_suffix(".har")
    convert_file(str(market), str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    assert str(market.parent) not in out.read_text(encoding="utf-8")
    assert imported(out)[0].header["converted_from"]["file"] == out.name  # type: ignore[index]
