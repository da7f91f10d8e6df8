"""Through a proxy, on both wires: tunnels for TLS and WebSockets, absolute-form for the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from replayer import failures
from replayer.reach import ProxySpec, Reach, TlsSettings
from replayer.targets import TargetSpec
from replayer.wire.kinds import WireKind
from tests.fakes_server import answering, closed_port, serving
from tests.faults.proxy import SeenProxy, proxying
from tests.faults.tls import Authority, make_authority, never_answer, server_context
from tests.replayer.asking import AskingWire, Outcome, run
from tests.replayer.listening import Listener

BOTH = pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
_REQUEST = b"GET /quotes?a=1 HTTP/1.1\r\nHost: staging.example\r\nX-A: 1\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def reach_through(port: int, *, tls: TlsSettings | None = None) -> Reach:
    proxy = ProxySpec(host="proxy.example", port=port, addresses=("127.0.0.1",), authorization=b"Basic dTpw")
    return Reach(tls=tls or TlsSettings(), proxies=(proxy,))


def staging(scheme: str) -> TargetSpec:
    """A target that no resolver knows: only the proxy can reach it."""
    return TargetSpec(
        scheme=scheme, host="staging.example", port={"http": 80, "https": 443}[scheme], addresses=(), via=0
    )


@BOTH
def test_plain_requests_go_in_absolute_form_with_our_credentials(kind: WireKind) -> None:
    async def main() -> tuple[Outcome, SeenProxy]:
        async with serving(answering(_OK)) as port, proxying(port) as proxy:
            async with AskingWire(kind, reach_through(proxy.port)) as wire:
                return await wire.asker(staging("http")).asked(_REQUEST), proxy

    outcome, proxy = run(main)
    (head,) = proxy.heads
    assert outcome.body == b"hi" and head.startswith(b"GET http://staging.example/quotes?a=1 HTTP/1.1\r\n")
    assert b"proxy-authorization: basic dtpw\r\n" in head.lower() and b"host: staging.example\r\n" in head.lower()


@BOTH
def test_tls_goes_through_a_tunnel_to_the_name(kind: WireKind, authority: Authority) -> None:
    async def main() -> tuple[Outcome, SeenProxy]:
        context = server_context(authority, host="staging.example")
        async with serving(answering(_OK), tls=context) as port, proxying(port) as proxy:
            tls = TlsSettings(ca_file=authority.ca_file)
            async with AskingWire(kind, reach_through(proxy.port, tls=tls)) as wire:
                return await wire.asker(staging("https")).asked(_REQUEST), proxy

    outcome, proxy = run(main)
    (head,) = proxy.heads
    assert outcome.body == b"hi" and head.startswith(b"CONNECT staging.example:443 HTTP/1.1\r\n")
    assert b"proxy-authorization: basic dtpw\r\n" in head.lower() and b"quotes" not in head


@BOTH
def test_websockets_go_through_a_tunnel_even_without_tls(kind: WireKind) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async def main() -> tuple[list[Any], SeenProxy]:
        async with serve(echo, "127.0.0.1", 0) as server, proxying(server.sockets[0].getsockname()[1]) as proxy:
            async with AskingWire(kind, reach_through(proxy.port)) as wire:
                listener = Listener()
                listener.user_number = 0  # type: ignore[attr-defined]
                socket, _ = wire.wire.open_socket(listener, staging("http"), b"/ws", [], (), offers_deflate=False)
                told = [await listener.next()]
                socket.send(b"hello", is_text=True)
                told.append(await listener.next())
                socket.close(1000)
                told.append(await listener.next())
                return told, proxy

    told, proxy = run(main)
    assert told == [("opened",), ("message", b"hello", True), ("closed", 1000)]
    assert proxy.heads[0].startswith(b"CONNECT staging.example:80 HTTP/1.1\r\n")


@BOTH
def test_a_proxy_that_refuses_a_tunnel_is_a_class_of_its_own(kind: WireKind) -> None:
    async def main() -> Outcome:
        async with proxying(0, refuses=True) as proxy, AskingWire(kind, reach_through(proxy.port)) as wire:
            return await wire.asker(staging("https")).asked(_REQUEST)

    assert run(main).failure == failures.PROXY_REFUSED


@BOTH
def test_a_proxy_that_is_down_refuses_the_connection(kind: WireKind) -> None:
    async def main() -> Outcome:
        async with AskingWire(kind, reach_through(closed_port())) as wire:
            return await wire.asker(staging("https")).asked(_REQUEST)

    assert run(main).failure == failures.CONNECT_REFUSED


@BOTH
def test_a_proxy_that_never_answers_ends_by_the_connect_deadline(kind: WireKind) -> None:
    async def main() -> Outcome:
        async with serving(never_answer) as port, AskingWire(kind, reach_through(port)) as wire:
            return await wire.asker(staging("https")).asked(_REQUEST, connect_s=0.15)

    assert run(main).failure == failures.TIMEOUT_PROXY


def test_what_no_proxy_says_in_an_answer_to_connect_is_refused() -> None:
    async def main() -> list[str]:
        ends = []
        for answer in (b"no HTTP\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000):
            async with serving(answering(answer)) as port, AskingWire(reach=reach_through(port)) as wire:
                ends.append((await wire.asker(staging("https")).asked(_REQUEST)).failure)
                await asyncio.sleep(0)
        return ends

    assert run(main) == [failures.PROXY_REFUSED] * 3
