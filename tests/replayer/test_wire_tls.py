"""TLS over MemoryBIO against real TLS servers with certificates of our own making."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from replayer.reach import Offers, Reach, TlsSettings
from replayer.wire.connect import Dialer
from replayer.wire.contexts import Keeper, TlsContexts
from replayer.wire.tls import RECORD_BYTES, TlsLayer
from tests.fakes_server import Serve, answering, read_head, serving
from tests.faults.tls import (
    Authority,
    hang_up,
    make_authority,
    never_answer,
    refuse_version,
    refusing_our_certificate,
    reset_hello,
    server_context,
    speak_plain,
)
from tests.replayer.asking import GET, AskingWire, Outcome, run, target_at

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def asked(
    serve: Serve, *, context: ssl.SSLContext | None, tls: TlsSettings, host: str = "localhost", connect_s: float = 20.0
) -> Outcome:
    """Return how one request to a TLS server of ours ends."""

    async def main() -> Outcome:
        async with serving(serve, tls=context) as port, AskingWire(reach=Reach(tls=tls)) as wire:
            return await wire.asker(target_at(port, scheme="https", host=host)).asked(connect_s=connect_s)

    outcome = run(main)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [2, 300_000])  # one record, and many
def test_answers_arrive_whole_over_tls(authority: Authority, size: int, version: ssl.TLSVersion) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    context = server_context(authority, version=version)
    outcome = asked(answering(answer), context=context, tls=TlsSettings(ca_file=authority.ca_file))
    assert (outcome.status, outcome.body) == (200, b"x" * size)


class _Room:
    """A memory BIO that notes the most it held."""

    def __init__(self, room: ssl.MemoryBIO) -> None:
        self._room = room
        self.most_bytes = 0

    def write(self, data: bytes | memoryview) -> int:
        n_bytes = self._room.write(data)
        self.most_bytes = max(self.most_bytes, self._room.pending)
        return n_bytes

    @property
    def pending(self) -> int:
        return self._room.pending


def test_what_comes_together_is_taken_in_pieces(authority: Authority) -> None:
    """Each connection keeps the room for the most that it had to hold at once."""
    pieces: list[bytes] = []

    class App(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            pieces.append(data)

    async def main() -> int:
        to_server, from_server, written = ssl.MemoryBIO(), ssl.MemoryBIO(), list[bytes]()
        server = server_context(authority).wrap_bio(to_server, from_server, server_side=True)
        context = ssl.create_default_context(cafile=authority.ca_file)
        handshake = asyncio.get_running_loop().create_future()
        layer = TlsLayer(lambda _alpn: App(), context, "localhost", handshake)
        layer.connection_made(SimpleNamespace(write=written.append, is_closing=lambda: False))
        while not handshake.done():
            to_server.write(b"".join(written))
            written.clear()
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
            layer.data_received(from_server.read())
        to_server.write(b"".join(written))
        server.do_handshake()
        for number in range(10):
            server.write(b"%d" % number * 16_000)
        room = layer._incoming = _Room(layer._incoming)  # type: ignore[assignment]
        layer.data_received(from_server.read())
        return room.most_bytes

    most_bytes = run(main)
    assert b"".join(pieces) == b"".join(b"%d" % number * 16_000 for number in range(10))
    assert 0 < most_bytes <= RECORD_BYTES


@pytest.mark.parametrize("body", [b"the end", b"x" * 50_000])  # one record, and several pieces
def test_a_body_that_ends_with_the_tls_stream_is_complete(authority: Authority, body: bytes) -> None:
    server = answering(b"HTTP/1.1 200 OK\r\n\r\n" + body, close=True)
    outcome = asked(server, context=server_context(authority), tls=TlsSettings(ca_file=authority.ca_file))
    assert (outcome.body, outcome.keeps_alive) == (body, False)


def test_certificates_are_verified_and_each_flaw_has_its_class(authority: Authority) -> None:
    trusting = TlsSettings(ca_file=authority.ca_file)
    cases = [
        (server_context(authority, host="other.example"), trusting, "tls_wrong_host"),
        (server_context(authority, expired=True), trusting, "tls_expired"),
        (server_context(authority), TlsSettings(), "tls_unknown_ca"),
    ]
    for context, tls, failure in cases:
        assert asked(answering(_OK), context=context, tls=tls).failure == failure


def test_insecure_takes_any_certificate(authority: Authority) -> None:
    context = server_context(authority, host="other.example", expired=True)
    assert asked(answering(_OK), context=context, tls=TlsSettings(insecure=True)).body == b"hi"


def test_a_host_that_is_an_address_is_verified_as_one(authority: Authority) -> None:
    tls = TlsSettings(ca_file=authority.ca_file)
    assert asked(answering(_OK), context=server_context(authority, host="127.0.0.1"), tls=tls, host="127.0.0.1").status
    wrong = asked(answering(_OK), context=server_context(authority), tls=tls, host="127.0.0.1")
    assert wrong.failure == "tls_wrong_host"


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        (speak_plain, "tls_protocol"),
        (refuse_version, "tls_protocol"),
        (hang_up, "eof"),
        (reset_hello, "reset"),
    ],
)
def test_handshakes_that_fail_have_their_class(serve: Serve, failure: str) -> None:
    assert asked(serve, context=None, tls=TlsSettings()).failure == failure


def test_a_hello_that_is_never_answered_ends_by_its_deadline_in_its_own_class() -> None:
    assert asked(never_answer, context=None, tls=TlsSettings(), connect_s=0.1).failure == "timeout_tls"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_gets_ours(authority: Authority, version: ssl.TLSVersion) -> None:
    context = server_context(authority, wants_cert=True, version=version)
    ours = TlsSettings(
        ca_file=authority.ca_file, cert_file=authority.client_cert_file, key_file=authority.client_key_file
    )
    assert asked(answering(_OK), context=context, tls=ours).body == b"hi"


def test_a_server_that_wants_a_certificate_and_gets_none_has_a_class_of_its_own(
    authority: Authority, tmp_path: Path
) -> None:
    foreign = make_authority(tmp_path)
    context = server_context(authority, wants_cert=True, version=ssl.TLSVersion.TLSv1_3)
    none = TlsSettings(ca_file=authority.ca_file)
    other = TlsSettings(ca_file=authority.ca_file, cert_file=foreign.client_cert_file, key_file=foreign.client_key_file)

    async def main(port: int, tls: TlsSettings) -> Outcome:
        async with AskingWire(reach=Reach(tls=tls)) as wire:
            return await wire.asker(target_at(port, scheme="https")).asked()

    for tls in (none, other):
        with refusing_our_certificate(context) as port:
            assert run(partial(main, port, tls)).failure == "tls_client_certificate"


def test_the_protocol_agreed_on_decides_what_is_spoken(authority: Authority) -> None:
    """Over the dialer alone: what the target chooses of our offer is told before the connection is made."""

    async def main() -> list[str]:
        told: asyncio.Queue[str] = asyncio.Queue()

        class Ended(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, object) and hasattr(transport, "abort")
                transport.abort()

        def choose(alpn: str) -> asyncio.Protocol:
            told.put_nowait(alpn)
            return Ended()

        dialer = Dialer(asyncio.get_running_loop(), Reach(tls=TlsSettings(ca_file=authority.ca_file)), lambda exc: None)
        chosen = []
        for offered, alpn in (
            (Offers.BOTH, ("h2", "http/1.1")),
            (Offers.BOTH, ("http/1.1",)),
            (Offers.BOTH, ()),
            (Offers.HTTP1, ("h2", "http/1.1")),
            (Offers.HTTP2, ("h2",)),
            (Offers.HTTP2, ()),
            (Offers.HTTP2, ("http/1.1",)),
        ):
            async with serving(never_answer, tls=server_context(authority, alpn=alpn)) as port:
                dialer.dial(choose, target_at(port, scheme="https"), told.put_nowait, offers=offered)
                chosen.append(await asyncio.wait_for(told.get(), 20))
        return chosen

    # The last two: no protocol chosen at all, and a server that accepts none of the offered ones.
    assert run(main) == ["h2", "http/1.1", "", "http/1.1", "h2", "tls_alpn", "tls_alpn"]


def resumptions(authority: Authority, version: ssl.TLSVersion, tls: TlsSettings, users: list[int]) -> dict[str, int]:
    """Return what handshakes a list of users makes, one connection and request after the other."""

    async def main() -> dict[str, int]:
        context = server_context(authority, version=version)
        async with serving(answering(_OK), tls=context) as port, AskingWire(reach=Reach(tls=tls)) as wire:
            for user in users:
                asker = wire.asker(target_at(port, scheme="https"), user=user)
                _, connection = await asker.connected()
                assert (await asker.asked(connection=connection)).body == b"hi"
                connection.close()
            return wire.counts

    counts = run(main)
    assert isinstance(counts, dict)
    return counts


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_user_resumes_its_own_sessions(authority: Authority, version: ssl.TLSVersion) -> None:
    tls = TlsSettings(ca_file=authority.ca_file)
    assert resumptions(authority, version, tls, [1, 1, 1, 2, 2]) == {"tls_full": 2, "tls_resumed": 3}


def test_without_resumption_every_handshake_is_a_full_one(authority: Authority) -> None:
    tls = TlsSettings(ca_file=authority.ca_file, resumes=False)
    assert resumptions(authority, ssl.TLSVersion.TLSv1_3, tls, [1, 1, 1]) == {"tls_full": 3}


def test_a_user_that_is_over_leaves_no_session_behind(authority: Authority) -> None:
    async def main() -> dict[str, int]:
        reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
        async with serving(answering(_OK), tls=server_context(authority)) as port, AskingWire(reach=reach) as wire:
            for _ in range(2):
                assert (await wire.asker(target_at(port, scheme="https"), user=7).asked()).status == 200
                wire.wire.forget(7)
            return wire.counts

    assert run(main) == {"tls_full": 2}


def test_large_requests_and_several_answers_in_one_segment_are_whole(authority: Authority) -> None:
    """Many records each way, and records that arrive together."""
    body = bytes(range(256)) * 1000
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        seen.append(await reader.readexactly(len(body)))
        for part in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"abc", b"def"):
            writer.write(part)  # Each is a record of its own; together they fit one segment.
        await writer.drain()
        await reader.read()

    async def main() -> Outcome:
        reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
        async with serving(serve, tls=server_context(authority)) as port, AskingWire(reach=reach) as wire:
            request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            return await wire.asker(target_at(port, scheme="https")).asked(request)

    outcome = run(main)
    assert isinstance(outcome, Outcome)
    assert outcome.body == b"abcdef" and seen == [body] and GET.startswith(b"GET ")


def test_a_connection_is_resumed_while_it_is_open(authority: Authority) -> None:
    async def main() -> dict[str, int]:
        reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
        async with serving(answering(_OK), tls=server_context(authority)) as port, AskingWire(reach=reach) as wire:
            for _ in range(3):
                asker = wire.asker(target_at(port, scheme="https"), user=7)
                _, connection = await asker.connected()
                assert (await asker.asked(connection=connection)).status == 200
            return wire.counts

    assert run(main) == {"tls_full": 1, "tls_resumed": 2}


class Source:
    """A connection that counts how often its session is copied; there is none to be had."""

    n_copies = 0

    def session(self) -> ssl.SSLSession | None:
        self.n_copies += 1
        return None


def test_a_session_is_copied_only_when_somebody_needs_it() -> None:
    contexts, target = TlsContexts(TlsSettings()), target_at(443, scheme="https")

    def opened(user: int, offers: Offers = Offers.HTTP1) -> tuple[Keeper, Source]:
        keeper, source = contexts.keeper(user, target, offers), Source()
        assert keeper is not None
        keeper.opened(source)
        return keeper, source

    first, earlier = opened(1)
    last, later = opened(1)
    first.closed(earlier)
    assert (earlier.n_copies, later.n_copies) == (0, 0)  # The later one is as good.
    assert contexts.session(2, target, Offers.HTTP1) is None and contexts.session(1, target, Offers.HTTP2) is None
    last.closed(later)
    assert later.n_copies == 1
    keeper, forgotten = opened(3)
    contexts.forget(3)
    keeper.closed(forgotten)
    assert forgotten.n_copies == 0
    _, asked = opened(4)
    assert contexts.session(4, target, Offers.HTTP1) is None and asked.n_copies == 1
    keeper, socket = opened(5, Offers.WEBSOCKET)
    keeper.closed(socket)
    assert socket.n_copies == 1  # Before it closed: a storm ends many at once.
