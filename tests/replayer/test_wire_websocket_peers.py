"""The WebSocket wire against servers and proxies that others wrote, plain, over TLS and compressed."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config, Server
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.typing import Subprotocol

from replayer.reach import Reach, TlsSettings
from replayer.wire.websocket import MAX_UNSENT_BYTES, WebSocketConnection
from tests.fakes_server import closed_port
from tests.faults.tls import Authority, make_authority, server_context
from tests.replayer.listening import Listener, opened, run

TEXTS = ["", "x", "grüß " * 40, "y" * 125, "z" * 126, "{}" * 40_000]
BINARIES = [b"", b"\x00\xff", bytes(70_000)]


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def talk(connection: WebSocketConnection, listener: Listener) -> None:
    """Send every message, read its echo, close."""
    assert await listener.next() == ("opened",)
    for text in TEXTS:
        connection.send(text.encode(), is_text=True)
        assert await listener.next() == ("message", text.encode(), True)
    for data in BINARIES:
        connection.send(data, is_text=False)
        assert await listener.next() == ("message", data, False)
    connection.close(1000)
    assert await listener.next() == ("closed", 1000)


@asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[int]:
    """Run an echo server of the ``websockets`` library; give its port."""
    async with serve(echo, "127.0.0.1", 0, max_size=None, **options) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("server_bits", "client_bits", "server_resets", "client_resets"),
    [*product((None, 9), (None, 9), (False, True), (False, True)), (15, 15, True, True), (12, 10, False, False)],
)
def test_compressed_messages_go_both_ways_under_all_terms(
    server_bits: int | None, client_bits: int | None, server_resets: bool, client_resets: bool
) -> None:
    extension = ServerPerMessageDeflateFactory(
        server_no_context_takeover=server_resets,
        client_no_context_takeover=client_resets,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )

    async def main() -> None:
        async with echoing(extensions=[extension], compression=None) as port:
            listener = Listener()
            await talk(opened(port, listener, offers_deflate=True), listener)

    run(main)


def test_subprotocol_and_headers_reach_the_server_and_its_cookies_us() -> None:
    seen: dict[str, Any] = {}

    async def note(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.update(socket.request.headers.raw_items(), path=socket.request.path)
        await socket.close(4321, "noted")

    def set_cookies(socket: ServerConnection, request: object, response: Any) -> None:
        response.headers["Set-Cookie"] = "a=1; Path=/"
        response.headers["Set-Cookie"] = "b=2"

    async def main() -> None:
        protocols = [Subprotocol("v1.chat")]
        async with serve(note, "127.0.0.1", 0, subprotocols=protocols, process_response=set_cookies) as server:
            listener = Listener()
            connection = opened(
                server.sockets[0].getsockname()[1],
                listener,
                target=b"/ws?a=%20",
                headers=[
                    (b"Origin", b"http://shop.example"),
                    (b"cookie", b"s=1; t=2"),
                    (b"X-Real", "é".encode("latin-1")),
                ],
                subprotocols=("v2.chat", "v1.chat"),
            )
            assert [await listener.next(), await listener.next()] == [("opened",), ("closed", 4321)]
            assert connection.subprotocol == "v1.chat"
            assert connection.set_cookies == [b"a=1; Path=/", b"b=2"]

    run(main)
    assert seen["path"] == "/ws?a=%20" and seen["Sec-WebSocket-Protocol"] == "v2.chat, v1.chat"
    assert (seen["Origin"], seen["cookie"], seen["X-Real"]) == ("http://shop.example", "s=1; t=2", "é")
    assert "User-Agent" not in seen and "Sec-WebSocket-Extensions" not in seen


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_go_both_ways_over_tls(authority: Authority, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with echoing(ssl=server_context(authority, version=version)) as port:
            listener = Listener()
            reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
            await talk(opened(port, listener, reach=reach, offers_deflate=True), listener)

    run(main)


def test_server_that_does_not_read_ends_the_socket_over_tls_too(authority: Authority) -> None:
    over = asyncio.Event()

    async def deaf(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await over.wait()
        socket.transport.abort()

    async def main() -> None:
        async with serve(deaf, "127.0.0.1", 0, ssl=server_context(authority), close_timeout=0.1) as server:
            listener = Listener()
            reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
            connection = opened(server.sockets[0].getsockname()[1], listener, reach=reach)
            assert await listener.next() == ("opened",)
            for _ in range(1000):
                connection.send(bytes(100_000), is_text=False)
                if connection.failure:
                    break
                assert connection._transport.get_write_buffer_size() < 2 * MAX_UNSENT_BYTES
                await asyncio.sleep(0)
            assert await listener.next() == ("closed", 1006, "send_overflow")
            over.set()

    run(main)


@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
def test_uvicorns_servers_understand_us(implementation: str) -> None:
    if implementation == "wsproto":
        pytest.importorskip("wsproto", reason="wsproto comes with mitmproxy: pip install rushhour[record]")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})

    async def main() -> None:
        port = closed_port()
        config = Config(app, "127.0.0.1", port, ws=implementation, lifespan="off", log_level="error")
        server = Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server._serve())  # Without the handlers of signals that serve() installs.
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                    await asyncio.sleep(0.01)
            listener = Listener()
            await talk(opened(port, listener, offers_deflate=True), listener)
            server.should_exit = True

    run(main)


NGINX = """
daemon off; master_process off; pid {root}/pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen 127.0.0.1:{port};
    location /ws {{
      proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
    location /plain {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; }}
    location /moved {{ return 302 http://127.0.0.2/ws; }}
    location /down {{ proxy_pass http://127.0.0.1:{nobody}; }}
  }}
}}
"""


@pytest.mark.process
def test_nginx_between_us_and_the_server_changes_nothing(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        pytest.skip("nginx is not installed: apt install nginx-light")

    async def main() -> None:
        port = closed_port()
        async with echoing() as upstream:
            config = tmp_path / "nginx.conf"
            config.write_text(NGINX.format(root=tmp_path, port=port, upstream=upstream, nobody=closed_port()))
            proxy = await asyncio.create_subprocess_exec(nginx, "-p", str(tmp_path), "-c", str(config))
            try:
                await _accepting(port)
                listener = Listener()
                await talk(opened(port, listener, offers_deflate=True), listener)
                # Without the upgrade headers, a redirect, nobody behind it: refusals with their status.
                for target, told in (
                    (b"/plain", ("refused", "status_426", 426)),
                    (b"/moved", ("refused", "status_302", 302)),
                    (b"/down", ("refused", "status_502", 502)),
                ):
                    opened(port, listener, target=target)
                    assert await listener.next() == told
            finally:
                proxy.send_signal(signal.SIGTERM)
                await proxy.wait()

    run(main)


async def _accepting(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
