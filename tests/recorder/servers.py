"""Small real servers to record: HTTP/1.1 with and without TLS, HTTP/2, WebSocket; each on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h2.config
import h2.connection
import h2.events
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

HOST = "127.0.0.1"
STREAM_GAP_S = 0.02
SLOW_S = 1.0
LARGE_BYTES = 3 << 20
LARGE = b"a large body, " * (LARGE_BYTES // 14 + 1)

PAGE = """<!doctype html><title>page</title><link rel="icon" href="data:,"><script>
const seen = fetch('/echo', {method: 'POST', body: 'order=1'}).then(answer => answer.text());
const socket = new WebSocket('ws://127.0.0.1:SOCKET_PORT/');
socket.onopen = () => socket.send('from the page');
socket.onmessage = async () => { await seen; await fetch('/seen'); await fetch('/done'); };
</script>"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small pieces go out at once: Nagle's algorithm would hold them until the other end acknowledges.
    disable_nagle_algorithm = True
    page = PAGE

    def do_GET(self) -> None:
        answers: dict[str, Callable[[], None]] = {
            "/page": lambda: self._answer(self.page.encode(), "text/html"),
            "/large": lambda: self._answer(LARGE[:LARGE_BYTES], "application/octet-stream"),
            "/events": self._events,
            "/slow": self._slow,
            "/stuck": lambda: time.sleep(SLOW_S),
            "/login": lambda: self._answer(b"in", "text/plain", self._login_headers()),
            "/out": lambda: self._answer(b"", "text/plain", [("Location", f"{self.own}/page?x=1")], 302),
            "/headers": lambda: self._answer(str(self.headers).encode(), "text/plain"),
            "/cookie": lambda: self._answer(self.headers.get("Cookie", "").encode(), "text/plain"),
            "/hang": lambda: self.connection.shutdown(socket.SHUT_RDWR),
        }
        path = self.path.partition("?")[0]
        answers.get(path, lambda: self._answer(f"this is {path}".encode(), "text/plain"))()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(body, "text/plain")

    @property
    def own(self) -> str:
        """The address that this server knows itself by."""
        port = self.server.server_address[1]  # type: ignore[index]
        return f"{'https' if isinstance(self.connection, ssl.SSLSocket) else 'http'}://{HOST}:{port}"

    def _login_headers(self) -> list[tuple[str, str]]:
        who = self.path.partition("?")[2]
        return [("Set-Cookie", f"sid={who}-0123456789abcdef; Path=/; HttpOnly; Domain={HOST}; Secure")]

    def _slow(self) -> None:
        """Send half of a body, and the rest when the client is long gone."""
        self.send_response(200)
        self.send_header("Content-Length", str(LARGE_BYTES))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(LARGE[: LARGE_BYTES // 2])
            time.sleep(SLOW_S)
            self.wfile.write(LARGE[LARGE_BYTES // 2 :])

    def _answer(
        self, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = (), status: int = 200
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self) -> None:
        """Send three events, or go on until the client leaves (``?forever``)."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        n_sent = 0
        with suppress(OSError):
            while "forever" in self.path or n_sent < 3:
                event = f"data: {n_sent}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                n_sent += 1
                time.sleep(STREAM_GAP_S)
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave early are part of the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a server listens."""

    scheme: str
    port: int

    @property
    def url(self) -> str:
        """Origin of the server, without a final slash."""
        return f"{self.scheme}://{HOST}:{self.port}"


@contextmanager
def http_server(*, authority: trustme.CA | None = None, page: str = PAGE) -> Iterator[Site]:
    """Serve HTTP/1.1, over TLS where a CA is given."""
    server = _QuietServer((HOST, 0), type("Handler", (_Handler,), {"page": page}))
    if authority is not None:
        server.socket = _tls_context(authority).wrap_socket(server.socket, server_side=True)
    with server, _threaded(server.serve_forever, server.shutdown):
        yield Site(scheme="https" if authority else "http", port=server.server_address[1])


@contextmanager
def socket_server() -> Iterator[Site]:
    """Serve WebSocket: echoes, in kind; ``close`` is answered with close code 4002."""
    server: Server = serve(_converse, HOST, 0)
    with _threaded(server.serve_forever, server.shutdown):
        yield Site(scheme="ws", port=server.socket.getsockname()[1])


def _converse(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for message in connection:
            if message == "close":
                connection.close(4002, "done")
            connection.send(message)


@contextmanager
def h2_server(authority: trustme.CA) -> Iterator[Site]:
    """Serve HTTP/2 over TLS: every request is answered with its path."""
    context = _tls_context(authority)
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server((HOST, 0))
    is_closing = threading.Event()

    def accept() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_speak_h2, args=(context, raw, is_closing), daemon=True).start()

    def shutdown() -> None:
        is_closing.set()
        listener.shutdown(socket.SHUT_RDWR)

    with listener, _threaded(accept, shutdown):
        yield Site(scheme="https", port=listener.getsockname()[1])


def _speak_h2(context: ssl.SSLContext, raw: socket.socket, is_closing: threading.Event) -> None:
    with suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as sock:
        sock.settimeout(0.2)
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        protocol.initiate_connection()
        sock.sendall(protocol.data_to_send())
        while not is_closing.is_set():
            with suppress(TimeoutError):
                if not (data := sock.recv(65535)):
                    return
                for event in protocol.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        _answer_h2(protocol, event)
                sock.sendall(protocol.data_to_send())


def _answer_h2(protocol: h2.connection.H2Connection, event: h2.events.RequestReceived) -> None:
    headers = dict(event.headers or [])
    path = headers[b":path"]
    assert event.stream_id is not None
    protocol.send_headers(event.stream_id, [(":status", "200"), ("content-type", "text/plain")])
    protocol.send_data(event.stream_id, path, end_stream=True)


def _tls_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context


@contextmanager
def _threaded(run: Callable[[], None], shutdown: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        shutdown()
        thread.join()
