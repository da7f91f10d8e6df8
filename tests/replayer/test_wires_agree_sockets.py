"""The oracle for WebSockets: both wires tell the same of every end, and the server hears the same of both."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.typing import Subprotocol

from replayer.reach import Reach, TlsSettings
from replayer.wire.kinds import WireKind
from tests.fakes_server import Serve, answering, closed_port, serving
from tests.faults.network import full_accept_queue
from tests.faults.tls import hang_up, make_authority, never_answer, reset_hello, server_context, speak_plain
from tests.faults.websocket import BOMB, DEFLATE, client_frame, end, hold, reset_soon, upgraded
from tests.replayer.asking import AskingWire, run, target_at
from tests.replayer.listening import Listener

SHORT_S = 0.15
_OVER = ("refused", "closed")


class User(Listener):
    """A listener with a number, as users have."""

    user_number = 0


async def told_of(
    kind: WireKind,
    port: int,
    *,
    scheme: str = "http",
    connect_s: float = 20.0,
    reach: Reach | None = None,
    **options: Any,
) -> list[tuple[Any, ...]]:
    """Return what a user is told of one socket from its beginning to its end."""
    given: dict[str, Any] = {"headers": [], "subprotocols": (), "offers_deflate": False} | options
    async with AskingWire(kind) as wire:
        user = User()
        target = target_at(port, scheme=scheme)
        headers, subprotocols = given["headers"], given["subprotocols"]
        connection, attempt = wire.wire.open_socket(
            user, target, b"/ws?t=1", headers, subprotocols, offers_deflate=given["offers_deflate"]
        )

        def expire() -> None:
            if not attempt.expire():
                connection.expire_handshake(0)

        asyncio.get_running_loop().call_later(connect_s, expire)
        told = [await user.next()]
        while told[-1][0] not in _OVER:
            told.append(await user.next())
        return told


def told_of_server(kind: WireKind, server: Serve, **options: Any) -> list[tuple[Any, ...]]:
    async def main() -> list[tuple[Any, ...]]:
        async with serving(server) as port:
            return await told_of(kind, port, **options)

    told = run(main)
    assert isinstance(told, list)
    return told


async def hear_out(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the close frame of the other side, and end the connection, as servers do."""
    await client_frame(reader)


_FAULTS: list[tuple[str, Serve, dict[str, Any]]] = [
    ("503", answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", close=True), {}),
    ("429", answering(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", close=True), {}),
    (
        "a wrong accept",
        answering(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bad\r\n\r\n"),
        {},
    ),
    ("no HTTP", answering(b"no HTTP at all\r\n\r\n", close=True), {}),
    ("end before the answer", answering(b"", close=True), {}),
    ("never answered", never_answer, {"connect_s": SHORT_S}),
    ("masked", upgraded(b"\x81\x83abcd123", then=hear_out), {}),
    ("RSV1", upgraded(b"\xc1\x01x", then=hear_out), {}),
    ("reserved opcode", upgraded(b"\x83\x01x", then=hear_out), {}),
    ("continuation of nothing", upgraded(b"\x80\x01x", then=hear_out), {}),
    ("fragmented ping", upgraded(b"\x09\x00", then=hear_out), {}),
    ("close code 1004", upgraded(b"\x88\x02\x03\xec", then=hear_out), {}),
    ("text that is no UTF-8", upgraded(b"\x81\x01\xff", then=hear_out), {}),
    ("reason that is no UTF-8", upgraded(b"\x88\x03\x03\xe8\xff", then=hear_out), {}),
    ("oversize", upgraded(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"), then=hear_out), {}),
    (
        "deflate bomb",
        upgraded(b"\xc2\x7e" + len(BOMB).to_bytes(2, "big") + BOMB, then=hear_out, extension=DEFLATE),
        {"offers_deflate": True},
    ),
    ("RST", upgraded(then=reset_soon), {}),
    ("FIN without a close", upgraded(then=end), {}),
    ("FIN inside a message", upgraded(b"\x81\x05hel", then=end), {}),
    ("close without a code", upgraded(b"\x88\x00", then=hear_out), {}),
    ("close 1012", upgraded(b"\x88\x02\x03\xf4", then=hear_out), {}),
    ("close 4999", upgraded(b"\x88\x02\x13\x87", then=hear_out), {}),
    (
        "messages, fragments and pings, then a close",
        upgraded(
            b"\x81\x02hi",
            b"\x01\x03foo",
            b"\x89\x01p",
            b"\x80\x01!",
            b"\x82\x01\xff",
            b"\x88\x02\x03\xe8",
            then=hear_out,
        ),
        {},
    ),
    ("a subprotocol that nobody chose", upgraded(then=hold), {"subprotocols": ("chat",)}),
]


@pytest.mark.parametrize(("server", "options"), [row[1:] for row in _FAULTS], ids=[row[0] for row in _FAULTS])
def test_every_end_of_a_socket_is_told_alike(server: Serve, options: dict[str, Any]) -> None:
    assert told_of_server(WireKind.FAST, server, **options) == told_of_server(WireKind.REFERENCE, server, **options)


@pytest.mark.parametrize(
    ("server", "failure"),
    [(speak_plain, "tls_protocol"), (hang_up, "eof"), (reset_hello, "reset"), (never_answer, "timeout_tls")],
)
def test_a_handshake_of_tls_fails_alike(server: Serve, failure: str) -> None:
    for kind in WireKind:
        connect_s = SHORT_S if failure == "timeout_tls" else 20.0
        assert told_of_server(kind, server, scheme="https", connect_s=connect_s) == [("refused", failure, 0)]


def test_a_connection_that_does_not_come_about_fails_alike() -> None:
    async def main(kind: WireKind, port: int) -> list[tuple[Any, ...]]:
        return await told_of(kind, port, connect_s=SHORT_S)

    with full_accept_queue() as full:
        for kind in WireKind:
            for port, failure in ((full, "connect_timeout"), (closed_port(), "connect_refused")):
                assert run(lambda kind=kind, port=port: main(kind, port)) == [("refused", failure, 0)]  # type: ignore[misc]


@pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)
@pytest.mark.parametrize("is_secure", [False, True])
def test_a_server_hears_the_same_of_both(
    kind: WireKind, is_secure: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Path, headers, subprotocol, compression, messages and the close, as the ``websockets`` server takes them."""
    authority = make_authority(tmp_path_factory.mktemp("authority"))
    heard: list[Any] = []

    async def listen(socket: ServerConnection) -> None:
        assert socket.request is not None
        heard.append(socket.request.path)
        heard.append([(n, v) for n, v in socket.request.headers.raw_items() if n in ("Cookie", "Origin", "X-A")])
        heard.append((socket.subprotocol, [extension.name for extension in socket.protocol.extensions]))
        with contextlib.suppress(ConnectionClosed):  # 4001 is no ordinary end to the library.
            async for message in socket:
                heard.append(message)
                await socket.send(message)
        heard.append(socket.close_code)

    async def main() -> list[tuple[Any, ...]]:
        context = server_context(authority) if is_secure else None
        server_options: dict[str, Any] = {"ssl": context, "subprotocols": [Subprotocol("graphql-ws")]}
        extensions = [ServerPerMessageDeflateFactory()]
        reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
        async with serve(listen, "127.0.0.1", 0, extensions=extensions, **server_options) as server:
            port = server.sockets[0].getsockname()[1]
            async with AskingWire(kind, reach) as wire:
                user = User()
                headers = [(b"Cookie", b"a=1; b=2"), (b"Origin", b"https://shop.example"), (b"X-A", b"1")]
                socket, _ = wire.wire.open_socket(
                    user,
                    target_at(port, scheme="https" if is_secure else "http"),
                    b"/ws/a%2Fb?x=%20&y",
                    headers,
                    ("other", "graphql-ws"),
                    offers_deflate=True,
                )
                told = [await user.next()]
                for data, is_text in (("grüß".encode() * 300, True), (b"\x00\xff", False), (b"", True)):
                    socket.send(data, is_text=is_text)
                    told.append(await user.next())
                assert socket.is_open() and socket.subprotocol == "graphql-ws" and wire.sockets.n == 1
                socket.close(4001)
                told.append(await user.next())
                assert not socket.is_open() and wire.sockets.n == 0
                return told

    told = run(main)
    assert told == [
        ("opened",),
        ("message", "grüß".encode() * 300, True),
        ("message", b"\x00\xff", False),
        ("message", b"", True),
        ("closed", 4001),
    ]
    assert heard == [
        "/ws/a%2Fb?x=%20&y",
        [("Cookie", "a=1; b=2"), ("Origin", "https://shop.example"), ("X-A", "1")],
        ("graphql-ws", ["permessage-deflate"]),
        "grüß" * 300,
        b"\x00\xff",
        "",
        4001,
    ]
