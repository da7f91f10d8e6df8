"""A small shop: the capture of one visit, written by hand, and a server that answers like the recorded one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType
from captures.units import NS_PER_MS

HOST = "shop.example"
ANSWERS = {
    "/": ("text/html", b"<!doctype html><title>Shop</title>"),
    "/api/quotes": ("application/json", b'{"quotes":[{"symbol":"AAA","price":1}]}'),
    "/api/orders": ("application/json", b'{"ok":true}'),
}
STRANGER = "cdn.example"
N_REQUESTS = 4
"""What one visit asks of the shop's own origin."""


def write_visit(path: Path, *, gap_ms: int = 40, http_version: str = "HTTP/1.1") -> Path:
    """Write the capture of a visit: page, quotes, an order, quotes again, and a script of a stranger."""
    anchor = Anchor(wall_ns=1_790_000_000_000_000_000, monotonic_ns=0)
    with CaptureWriter(path, facts={"tool": "rushhour", "url": f"https://{HOST}/"}, anchor=anchor) as writer:
        writer.add(EventType.CONNECTION_OPEN, 0, 1, 0, listener="127.0.0.1:1", peer="127.0.0.1:2", tls=True, alpn="")
        writer.add(EventType.SESSION, 0, 1, 0, session=1, rule="listener")
        visits = [("GET", HOST, "/"), ("GET", STRANGER, "/lib.js"), ("GET", HOST, "/api/quotes")]
        visits += [("POST", HOST, "/api/orders"), ("GET", HOST, "/api/quotes")]
        for number, (method, host, target) in enumerate(visits, start=1):
            _write_exchange(writer, number, number * gap_ms * NS_PER_MS, method, host, target, http_version)
    return path


def _write_exchange(
    writer: CaptureWriter, number: int, t_ns: int, method: str, host: str, target: str, http_version: str
) -> None:
    media_type, body = ANSWERS.get(target, ("text/javascript", b"1"))
    posted = b'{"symbol":"AAA"}' if method == "POST" else b""
    sent = [(b"accept", b"*/*")] + ([(b"content-type", b"application/json")] if posted else [])
    got = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    head: dict[str, Any] = {"http_version": http_version, "headers": tuple(sent)}

    def add(event_type: EventType, after_ms: int, **fields: Any) -> None:
        writer.add(event_type, t_ns + after_ms * NS_PER_MS, 1, number, **fields)

    add(EventType.REQUEST_HEAD, 0, method=method, scheme="https", host=host, port=443, target=target, **head)
    if posted:
        add(EventType.REQUEST_BODY, 0, data=posted)
    add(EventType.REQUEST_END, 0, size_bytes=len(posted), hash=b"")
    answer: dict[str, Any] = {"http_version": http_version, "headers": tuple(got), "connect_ns": 0}
    add(EventType.RESPONSE_HEAD, 3, status=200, reason="OK", **answer)
    add(EventType.RESPONSE_BODY, 3, data=body)
    add(EventType.RESPONSE_END, 3, size_bytes=len(body), hash=b"")


class Shop:
    """A running shop: where it is, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []


@contextmanager
def open_shop() -> Iterator[Shop]:
    """Serve the shop on a free port of 127.0.0.1."""
    shop = Shop("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            shop.seen.append((self.command, self.path))
            shop.headers.append({name.lower(): value for name, value in self.headers.items()})
            media_type, body = ANSWERS[self.path]
            self.send_response(200)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the test asks ``seen``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    shop.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
