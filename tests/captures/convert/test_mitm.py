"""Files of mitmproxy, old and new, whole and cut short."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from captures.convert import tnetstrings
from captures.convert.inputs import Input
from captures.convert.tape import KEPT_BYTES
from captures.convert.tnetstrings import Broken, TnetReader
from captures.errors import CaptureError
from captures.records import Opcode, Origin, Peer
from tests.captures.convert_samples.flows import START_S, flow, socket_flow, tnetstring
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported


def _write(path: Path, *flows: Any) -> Path:
    path.write_bytes(b"".join(map(tnetstring, flows)))
    return path


def test_a_flow_becomes_an_exchange_at_its_times(tmp_path: Path) -> None:
    capture, conversion = imported(_write(tmp_path / "a.mitm", flow()))
    exchange = exchange_of(capture)
    assert (exchange.method, exchange.origin, exchange.target) == (
        "POST",
        Origin("https", "shop.example", 443),
        "/api/orders",
    )
    assert (exchange.request_body.data, exchange.status, exchange.reason) == (b'{"n":1}', 201, "Created")
    assert exchange.response_body.data == b'{"id":7}'
    times = [exchange.request_end_ns, exchange.response_start_ns, exchange.end_ns]
    assert [(t_ns or 0) - exchange.start_ns for t_ns in times] == [1_000_000, 30_000_000, 31_000_000]
    anchor: Any = capture.header["anchor"]
    assert anchor.wall_ns == 1_700_000_000_250_000_000
    assert conversion.not_held == conversion.damage == []


def test_flows_are_put_in_order_of_their_start(tmp_path: Path) -> None:
    capture, _ = imported(_write(tmp_path / "a.mitm", flow(3), flow(1), flow(2)))
    starts = [exchange.start_ns for exchange in exchanges_of(capture)]
    assert starts == sorted(starts)
    assert [exchange.id for exchange in exchanges_of(capture)] == [1, 2, 3]


def test_clients_are_sessions_and_their_connections_stay_apart(tmp_path: Path) -> None:
    other = {"id": "c2", "peername": ["127.0.0.1", 50001]}
    away = {"id": "c3", "peername": ["192.0.2.7", 50001]}
    flows = [flow(1), flow(2, client_conn=other), flow(3, client_conn=away), flow(4)]
    capture, _ = imported(_write(tmp_path / "a.mitm", *flows))
    assert [(session.id, session.rule) for session in capture.sessions] == [
        (1, "client address"),
        (2, "client address"),
    ]
    assert [exchange.connection for exchange in capture.sessions[0].exchanges] == [1, 2, 1]


def test_sockets_keep_messages_and_how_they_closed(tmp_path: Path) -> None:
    messages = [
        [1, True, b"hi", START_S + 2, False, False],
        [2, False, b"\x00\xff", START_S + 3, False, False],
        [1, False, b"dropped", START_S + 3, True, False],
        [1, False, b"injected", START_S + 3, False, True],
    ]
    close = {"close_code": 4000, "close_reason": "bye", "closed_by_client": False, "timestamp_end": START_S + 9}
    capture, conversion = imported(_write(tmp_path / "a.mitm", socket_flow(1, messages, **close)))
    socket = exchange_of(capture).socket
    assert socket is not None
    assert [(m.sender, m.opcode, m.data) for m in socket.messages] == [
        (Peer.CLIENT, Opcode.TEXT, b"hi"),
        (Peer.SERVER, Opcode.BINARY, b"\x00\xff"),
    ]
    assert (socket.close_code, socket.close_reason, socket.closed_by) == (4000, "bye", Peer.SERVER)
    assert socket.subprotocol == b"v1"
    assert len(conversion.not_held) == 1


def test_an_error_is_an_error(tmp_path: Path) -> None:
    error = {"msg": "Client disconnected.", "timestamp": START_S + 2}
    exchange = exchange_of(imported(_write(tmp_path / "a.mitm", flow(response=None, error=error)))[0])
    assert (exchange.status, exchange.error) == (None, "Client disconnected.")


def test_a_connect_after_the_request_is_not_the_servers_time(tmp_path: Path) -> None:
    server = {"timestamp_start": START_S + 1.002, "timestamp_tls_setup": START_S + 1.012}
    exchange = exchange_of(imported(_write(tmp_path / "a.mitm", flow(server_conn=server)))[0])
    assert exchange.connect_ns == 10_000_000


def _of_version_0_13(state: dict[str, Any]) -> dict[str, Any]:
    """As Python 2 wrote it: keys are bytes, fields have their old names."""
    old = copy.deepcopy(state)
    old["version"] = [0, 13]
    for part in (old["request"], old["response"]):
        del part["http_version"]
        part["httpversion"] = [1, 1]
        part["body"] = part.pop("content")
    old["request"]["host"] = b"shop.example"
    old["response"]["code"] = old["response"].pop("status_code")
    old["response"]["msg"] = old["response"].pop("reason")
    old["client_conn"] = {"address": {"address": ["127.0.0.1", 50000], "use_ipv6": False}, "timestamp_start": START_S}
    old["server_conn"] = {"address": {"address": ["shop.example", 443], "use_ipv6": False}}

    def with_bytes(value: Any) -> Any:
        if isinstance(value, dict):
            return {key.encode(): with_bytes(item) for key, item in value.items()}
        return value.encode() if isinstance(value, str) else value

    renamed: dict[str, Any] = with_bytes(old)
    return renamed


def test_a_file_of_mitmproxy_0_13_reads_as_one_of_today(tmp_path: Path) -> None:
    old = exchange_of(imported(_write(tmp_path / "old.mitm", _of_version_0_13(flow())))[0])
    today = exchange_of(imported(_write(tmp_path / "today.mitm", flow()))[0])
    assert old == today


def test_a_version_of_tomorrow_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    capture, conversion = imported(_write(tmp_path / "a.mitm", flow(version=99, surprise={"a": [1.5]})))
    assert exchange_of(capture).status == 201
    assert conversion.not_held == ["flows of a version newer than 21, read as far as they are known: 1 (first: flow 1)"]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"type": "dns", "version": 21}, "dns flows, which are not HTTP: 1 (first: flow 2)"),
        ({"type": "http", "version": 21}, "flows left out: 1 (first: flow 2: it has no request)"),
        (flow(2, request={"method": b"CONNECT"}), "flows left out: 1 (first: flow 2: a tunnel, not a request)"),
        (flow(2, request={"host": "a b"}), "flows left out: 1 (first: flow 2: no host: 'a b')"),
        ([1, 2], "flows left out: 1 (first: flow 2: no dict)"),
    ],
)
def test_what_is_no_http_is_left_out_and_told_of(bad: Any, sentence: str, tmp_path: Path) -> None:
    capture, conversion = imported(_write(tmp_path / "a.mitm", flow(1), bad, flow(3)))
    assert len(exchanges_of(capture)) == 2
    assert conversion.not_held == [sentence]


def test_of_a_file_cut_anywhere_the_whole_flows_are_good(tmp_path: Path) -> None:
    first = tnetstring(flow(1))
    data = first + tnetstring(socket_flow(2, [[1, True, b"hi", START_S + 3, False, False]])) + tnetstring(flow(3))
    ends = [len(first), len(data) - len(tnetstring(flow(3))), len(data)]
    for size in range(1, len(data), 7):
        path = tmp_path / f"{size}.mitm"
        path.write_bytes(data[:size])
        n_whole = sum(end <= size for end in ends)
        if not n_whole:
            with pytest.raises(CaptureError, match="is no file of mitmproxy: it is cut short|no size stands"):
                imported(path)
            continue
        capture, conversion = imported(path)
        assert len(exchanges_of(capture)) == n_whole
        assert bool(conversion.damage) == (size not in ends)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"99999999999999:", b"5:hello?", b"3:abc#", b"4:true!", b"5:3:abc,}", b"4:9:ab,]", b"0:}" * 3],
)
def test_what_is_no_file_of_mitmproxy_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mitm"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        imported(path)
    assert str(path) in str(caught.value)
    assert not Path(f"{path}.rush").exists()


def test_nesting_stops_at_the_limit(tmp_path: Path) -> None:
    value: bytes = b"0:]"
    for _ in range(tnetstrings.MAX_DEPTH + 1):
        value = str(len(value)).encode() + b":" + value + b"]"
    path = tmp_path / "deep.mitm"
    path.write_bytes(value)
    with Input(str(path)) as source, pytest.raises(Broken, match="nested deeper"):
        list(TnetReader(source).values())


def test_bodies_over_the_limit_are_cut_and_what_follows_is_read(tmp_path: Path) -> None:
    data = b"0123456789abcdef" * (KEPT_BYTES // 16 + 10)
    path = _write(tmp_path / "a.mitm", flow(1, response={"content": data}), flow(2))
    capture, conversion = imported(path)
    first, second = exchanges_of(capture)
    assert (len(first.response_body.data), first.response_body.size_bytes) == (KEPT_BYTES, len(data))
    assert second.response_body.data == b'{"id":7}'
    assert len(conversion.not_held) == 1


def test_many_messages_in_one_flow_are_read(tmp_path: Path) -> None:
    messages = [[1, True, b"x" * 50, START_S + 2 + number / 1000, False, False] for number in range(20_000)]
    _, conversion = imported(_write(tmp_path / "a.mitm", socket_flow(1, messages)))
    assert conversion.counts.messages == 20_000
