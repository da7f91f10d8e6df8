"""Recordings through a real mitmdump, of real servers, by real clients."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from captures.errors import ReplayError
from captures.records import Opcode, Peer
from captures.sessions import Capture
from recorder.authority import spki_hash, state_directory
from recorder.options import RecordOptions, RecordResult, Stop, Upstream
from recorder.record import Watcher, record
from tests.recorder.reading import Recorded, event_names, recorded, trusting
from tests.recorder.servers import LARGE, LARGE_BYTES, STREAM_GAP_S, Site, h2_server, http_server, socket_server

pytestmark = pytest.mark.process

KEPT_BYTES = 1 << 20
OPEN_END_BYTES = 4096
"""At most so much is left out where a body is cut: half a secret is one too."""

PATIENCE_S = 20.0


def _ask_everything(proxy: str, site: Site, sockets: Site, closed_port: int, staying: ExitStack) -> None:
    with httpx.Client(proxy=proxy, trust_env=False, timeout=20) as client:
        client.get(f"{site.url}/plain?x=1", headers=[("X-One", "1"), ("X-One", "2")])
        client.post(f"{site.url}/echo", content=b"order=1")
        client.post(f"{site.url}/upload", content=LARGE[:LARGE_BYTES])
        assert len(client.get(f"{site.url}/large").content) == LARGE_BYTES
        client.get(f"{site.url}/events")
        with client.stream("GET", f"{site.url}/events?forever") as answer:
            next(answer.iter_raw())
        assert client.get(f"{site.url}/hang").status_code == 502
        assert client.get(f"http://127.0.0.1:{closed_port}/nobody").status_code == 502
    with connect(f"{sockets.url}/market", proxy=proxy) as talk:
        for message in ("one", b"\x00two", "three"):
            talk.send(message)
            talk.recv()
        assert talk.ping("heartbeat").wait(10)
        talk.send("close")
        with pytest.raises(ConnectionClosed):
            talk.recv()
    idle = staying.enter_context(connect(f"{sockets.url}/idle", proxy=proxy))
    idle.send("still here")
    idle.recv()


def _is_whole_beginning(data: bytes) -> bool:
    return KEPT_BYTES - OPEN_END_BYTES <= len(data) <= KEPT_BYTES and LARGE.startswith(data)


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RecordResult, Recorded]]:
    """One recording of everything that plain HTTP and WebSocket offer."""
    out = tmp_path_factory.mktemp("conversation") / "a.rush"
    with http_server() as gone:
        pass
    with http_server() as site, socket_server() as sockets, ExitStack() as staying:
        options = RecordOptions(url=f"{site.url}/page", out=out, max_body_bytes=KEPT_BYTES)
        result = record(options, drive=lambda proxy, _: _ask_everything(proxy, site, sockets, gone.port, staying))
    yield result, recorded(out)


def test_the_counts_are_those_of_the_capture(conversation: tuple[RecordResult, Recorded]) -> None:
    result, found = conversation
    assert result.stop is Stop.DRIVEN
    assert not result.sealed_early
    assert result.counts.n_exchanges == len(found.exchanges) == 10
    assert result.counts.n_sockets == 2
    assert result.counts.n_messages == 9
    assert result.counts.n_lost == 0
    assert result.counts.n_file_bytes == result.path.stat().st_size
    assert found.capture.complete
    assert found.notes("ending") == ["complete"]


def test_a_request_is_recorded_as_it_was_sent(conversation: tuple[RecordResult, Recorded]) -> None:
    asked = conversation[1].only("/plain")
    assert asked.target == "/plain?x=1"
    assert [value for name, value in asked.request_headers if name == b"X-One"] == [b"1", b"2"]
    assert (asked.status, asked.response_body.data) == (200, b"this is /plain")
    assert asked.response_start_ns is not None
    assert asked.end_ns is not None
    assert asked.start_ns <= asked.request_end_ns < asked.response_start_ns <= asked.end_ns
    assert asked.connect_ns > 0


def test_request_bodies_are_recorded_in_one_piece_and_streamed(conversation: tuple[RecordResult, Recorded]) -> None:
    found = conversation[1]
    assert found.only("/echo").request_body.data == b"order=1"
    upload = found.only("/upload").request_body
    assert (upload.size_bytes, upload.is_cut) == (LARGE_BYTES, True)
    assert _is_whole_beginning(upload.data)


def test_a_large_body_is_cut_but_measured_whole(conversation: tuple[RecordResult, Recorded]) -> None:
    body = conversation[1].only("/large").response_body
    assert body.size_bytes == LARGE_BYTES
    assert _is_whole_beginning(body.data)
    assert len(body.hash) == 16


def test_server_sent_events_keep_their_times(conversation: tuple[RecordResult, Recorded]) -> None:
    whole, left = [exchange for exchange in conversation[1].exchanges if exchange.path == "/events"]
    assert whole.response_body.data == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    times = [t_ns for t_ns, _ in whole.chunks]
    assert len(times) == 3
    assert times[2] - times[0] > STREAM_GAP_S * 1e9
    assert left.response_body.data.startswith(b"data: 0\n\n")
    assert not left.error
    assert left.end_ns is not None


@pytest.mark.parametrize("path", ["/hang", "/nobody"])
def test_an_answer_that_the_proxy_made_up_is_not_the_servers(
    conversation: tuple[RecordResult, Recorded], path: str
) -> None:
    broken = conversation[1].only(path)
    assert broken.status is None
    assert broken.error


def test_a_socket_is_recorded_in_both_directions(conversation: tuple[RecordResult, Recorded]) -> None:
    handshake = conversation[1].only("/market")
    talk = handshake.socket
    assert handshake.status == 101
    assert talk is not None
    assert [(message.sender, message.opcode, message.data) for message in talk.messages] == [
        (Peer.CLIENT, Opcode.TEXT, b"one"),
        (Peer.SERVER, Opcode.TEXT, b"one"),
        (Peer.CLIENT, Opcode.BINARY, b"\x00two"),
        (Peer.SERVER, Opcode.BINARY, b"\x00two"),
        (Peer.CLIENT, Opcode.TEXT, b"three"),
        (Peer.SERVER, Opcode.TEXT, b"three"),
        (Peer.CLIENT, Opcode.TEXT, b"close"),
    ]
    assert [message.t_ns for message in talk.messages] == sorted(message.t_ns for message in talk.messages)
    assert (talk.closed_by, talk.close_code, talk.close_reason) == (Peer.SERVER, 4002, "done")
    assert b"permessage-deflate" in talk.extensions


def test_pings_and_pongs_are_recorded(conversation: tuple[RecordResult, Recorded]) -> None:
    talk = conversation[1].only("/market").socket
    assert talk is not None
    told = [(control.sender, control.opcode, control.data) for control in talk.controls]
    assert (Peer.CLIENT, Opcode.PING, b"heartbeat") in told
    assert (Peer.SERVER, Opcode.PONG, b"heartbeat") in told


def test_a_socket_that_is_open_at_the_end_stays_open_in_the_capture(
    conversation: tuple[RecordResult, Recorded],
) -> None:
    result, found = conversation
    idle = found.only("/idle").socket
    assert idle is not None
    assert (idle.close_ns, idle.close_code) == (None, None)
    assert len(idle.messages) == 2
    assert found.notes("open_at_stop") == ["socket"]
    assert result.counts.n_open == 1


def test_all_of_one_listener_is_one_session(conversation: tuple[RecordResult, Recorded]) -> None:
    capture: Capture = conversation[1].capture
    assert [session.rule for session in capture.sessions] == ["listener"]


def test_the_capture_names_its_page_and_its_tools(conversation: tuple[RecordResult, Recorded]) -> None:
    header = conversation[1].capture.header
    assert str(header["url"]).endswith("/page")
    assert header["tool"] == "rushhour"
    assert str(header["mitmproxy"])[0].isdigit()


def test_http2_over_tls_is_recorded(tmp_path: Path, authority: trustme.CA, authority_file: Path) -> None:
    out = tmp_path / "a.rush"

    def drive(proxy: str, certificate: Path) -> None:
        with httpx.Client(proxy=proxy, http2=True, verify=trusting(certificate), trust_env=False) as client:
            for number in range(3):
                crumbs = [("cookie", "a=1"), ("cookie", "b=2")]
                answer = client.get(f"{site.url}/quote/{number}?q=1", headers=crumbs)
                assert (answer.text, answer.http_version) == (f"/quote/{number}?q=1", "HTTP/2")

    with h2_server(authority) as site:
        record(RecordOptions(url=site.url, out=out, upstream=Upstream(ca_file=authority_file)), drive=drive)
    found = recorded(out)
    assert [exchange.target for exchange in found.exchanges] == [f"/quote/{number}?q=1" for number in range(3)]
    first = found.exchanges[0]
    assert (first.origin.scheme, first.http_version, first.response_http_version) == ("https", "HTTP/2.0", "HTTP/2.0")
    assert (b"cookie", b"a=1; b=2") in first.request_headers
    assert len({exchange.connection for exchange in found.exchanges}) == 1
    with_tls = "CONNECTION_OPEN"
    assert event_names(out).count(with_tls) == 1


def test_a_server_that_cannot_be_trusted_is_an_error_unless_allowed(tmp_path: Path, authority: trustme.CA) -> None:
    def drive(proxy: str, certificate: Path) -> None:
        with httpx.Client(proxy=proxy, verify=trusting(certificate), trust_env=False) as client:
            statuses.append(client.get(f"{site.url}/plain").status_code)

    statuses: list[int] = []
    with http_server(authority=authority) as site:
        for name, is_verified in (("checked", True), ("unchecked", False)):
            upstream = Upstream(is_verified=is_verified)
            record(RecordOptions(url=site.url, out=tmp_path / name, upstream=upstream), drive=drive)
    assert statuses == [502, 200]
    assert "ertificate" in recorded(tmp_path / "checked").only("/plain").error
    assert recorded(tmp_path / "unchecked").only("/plain").status == 200


def test_what_is_out_of_scope_passes_untouched_and_is_counted(
    tmp_path: Path, authority: trustme.CA, authority_file: Path
) -> None:
    def drive(proxy: str, _: Path) -> None:
        # The client trusts the servers' own CA only: had the proxy opened the TLS, this would fail.
        with httpx.Client(proxy=proxy, verify=trusting(authority_file), trust_env=False) as client:
            assert client.get(f"{tls.url}/a").status_code == 200
            assert client.get(f"{plain.url}/b").status_code == 200
            assert client.get(f"{plain.url}/events").text.count("data:") == 3
        with connect(sockets.url, proxy=proxy) as talk:
            talk.send("x")
            assert talk.recv() == "x"

    with http_server(authority=authority) as tls, http_server() as plain, socket_server() as sockets:
        result = record(RecordOptions(url="http://shop.example/", out=tmp_path / "a.rush"), drive=drive)
    assert result.left_out == {tls.url: 1, plain.url: 2, f"http://127.0.0.1:{sockets.port}": 1}
    assert result.counts.n_exchanges == 0
    assert not result.is_kept
    assert not (tmp_path / "a.rush").exists()


def test_an_added_host_is_recorded(tmp_path: Path, site: Site) -> None:
    options = RecordOptions(url="http://shop.example/", scope=("127.0.0.1",), out=tmp_path / "a.rush")
    result = record(options, drive=lambda proxy, _: httpx.get(f"{site.url}/a", proxy=proxy) and None)
    assert (result.counts.n_exchanges, result.left_out) == (1, {})


def test_each_port_is_a_session_of_its_own(tmp_path: Path, site: Site) -> None:
    addresses: list[str] = []
    out = tmp_path / "a.rush"

    def drive(_proxy: str, _certificate: Path) -> None:
        for number, address in enumerate(addresses):
            httpx.get(f"{site.url}/{number}", proxy=address)

    watcher = Watcher(on_ready=lambda found, _: addresses.extend(found))
    record(RecordOptions(url=site.url, out=out, sessions=2), drive=drive, watcher=watcher)
    capture = recorded(out).capture
    assert [[exchange.path for exchange in session.exchanges] for session in capture.sessions] == [["/0"], ["/1"]]


def _leave_a_handshake(proxy: str, site: Site) -> None:
    """Open a tunnel, begin TLS with nothing that can be agreed upon, and hear the refusal."""
    place = site.url.partition("://")[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # The proxy's certificates are RSA.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    host, port = proxy.partition("://")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as sock:
        sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        assert b" 200 " in sock.recv(4096)
        sock.sendall(outgoing.read())
        while sock.recv(4096):
            pass


def test_a_client_that_does_not_trust_the_ca_is_told_of_and_so_is_one_with_another_trouble(
    tmp_path: Path, authority: trustme.CA, authority_file: Path
) -> None:
    def drive(proxy: str, certificate: Path) -> None:
        with httpx.Client(proxy=proxy, verify=trusting(authority_file), trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                client.get(f"{site.url}/a")
        _leave_a_handshake(proxy, site)
        with httpx.Client(proxy=proxy, verify=trusting(certificate), trust_env=False) as client:
            assert client.get(f"{site.url}/after").status_code == 200

    with http_server(authority=authority) as site:
        options = RecordOptions(url=site.url, out=tmp_path / "a.rush", upstream=Upstream(ca_file=authority_file))
        assert record(options, drive=drive).counts.n_ca_refused == 1
    found = recorded(tmp_path / "a.rush")
    assert found.notes("ca_refused") == ["127.0.0.1"]
    (note,) = found.notes("tls_failed")
    assert isinstance(note, list) and note[0] == "127.0.0.1" and "cipher" in note[1]
    assert found.only("/after").status == 200


def test_the_ca_is_private_and_stays_the_same(tmp_path: Path, site: Site) -> None:
    hashes: list[str] = []
    for name in ("a.rush", "b.rush"):
        options = RecordOptions(url=site.url, out=tmp_path / name)
        record(options, drive=lambda _, certificate: hashes.append(spki_hash(certificate)))
    assert hashes[0] == hashes[1]
    assert state_directory().stat().st_mode & 0o077 == 0


def test_an_error_of_the_script_stops_the_recording_and_is_passed_on(tmp_path: Path, site: Site) -> None:
    out = tmp_path / "a.rush"

    def drive(proxy: str, _: Path) -> None:
        httpx.get(f"{site.url}/a", proxy=proxy)
        raise ReplayError("the script broke")

    with pytest.raises(ReplayError, match="the script broke"):
        record(RecordOptions(url=site.url, out=out), drive=drive)
    assert recorded(out).capture.complete
