"""Captures built by hand, for tests that need a recording of exactly this."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from captures.records import Anchor, Body, Exchange, Headers, Message, Opcode, Origin, Peer, Session, Socket
from captures.sessions import Capture

NS_PER_MS = 1_000_000
PAGE = Origin("http", "shop.example", 8000)
WALL_NS = 1_790_000_000_123_000_000

Pairs = Iterable[tuple[str, str]]


class Tape:
    """One session being recorded; times are milliseconds, and go on from what happened last unless given."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.exchanges: list[Exchange] = []
        self.now_ms = 0.0

    def request(
        self,
        method: str,
        target: str,
        *,
        at_ms: float | None = None,
        took_ms: float = 20,
        status: int | None = 200,
        sent: Pairs = (),
        headers: Pairs = (),
        data: bytes = b"",
        form: str = "",
        send_json: Any = None,
        answer: bytes = b"",
        answer_json: Any = None,
        html: str = "",
        origin: Origin = PAGE,
        **fields: Any,
    ) -> Exchange:
        """Record an exchange; ``sent`` and ``headers`` are the headers of request and response."""
        start_ms = self.now_ms + 5 if at_ms is None else at_ms
        request_headers, body = _with_body(sent, data, send_json, form)
        response_headers, answered = _with_body(headers, answer, answer_json, "", html)
        end_ms = start_ms + took_ms
        exchange = Exchange(
            id=len(self.exchanges) + 1 + 10_000 * (self.number - 1),
            connection=1,
            method=method,
            origin=origin,
            target=target,
            http_version="HTTP/1.1",
            request_headers=((b"Host", origin.authority.encode()), *request_headers),
            request_body=Body(data=body, size_bytes=len(body)),
            start_ns=_ns(start_ms),
            request_end_ns=_ns(start_ms),
            status=status,
            response_headers=response_headers,
            response_body=Body(data=answered, size_bytes=len(answered)),
            response_start_ns=None if status is None else _ns(end_ms),
            end_ns=None if status is None else _ns(end_ms),
        )
        for name, value in fields.items():
            setattr(exchange, name, value)
        self.exchanges.append(exchange)
        self.now_ms = max(self.now_ms, end_ms)
        return exchange

    def get(self, target: str, **fields: Any) -> Exchange:
        """Record a GET."""
        return self.request("GET", target, **fields)

    def post(self, target: str, **fields: Any) -> Exchange:
        """Record a POST."""
        return self.request("POST", target, **fields)

    def socket(
        self,
        target: str,
        messages: Sequence[tuple[float, str, Any]],
        *,
        at_ms: float | None = None,
        close_ms: float | None = None,
        closed_by: Peer | None = Peer.CLIENT,
        close_code: int | None = 1000,
        sent: Pairs = (),
        headers: Pairs = (),
        extensions: bytes = b"",
    ) -> Exchange:
        """Record a socket. Messages are (ms after the request, ``>`` or ``<``, document, text or bytes)."""
        start_ms = self.now_ms + 5 if at_ms is None else at_ms
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"), *sent]
        exchange = self.request("GET", target, at_ms=start_ms, took_ms=10, status=101, sent=upgrade, headers=headers)
        exchange.socket = Socket(
            open_ns=_ns(start_ms + 10),
            extensions=extensions,
            messages=[_message(start_ms + at, arrow, content) for at, arrow, content in messages],
            close_ns=None if close_ms is None else _ns(start_ms + close_ms),
            close_code=None if close_ms is None else close_code,
            closed_by=None if close_ms is None else closed_by,
        )
        return exchange

    def session(self) -> Session:
        """Return the session."""
        exchanges = sorted(self.exchanges, key=lambda exchange: (exchange.start_ns, exchange.id))
        return Session(id=self.number, rule="listener", exchanges=exchanges)


def capture_of(*tapes: Tape, url: str = "http://shop.example:8000/") -> Capture:
    """Return the capture of these sessions."""
    header: dict[str, object] = {"url": url, "anchor": Anchor(wall_ns=WALL_NS, monotonic_ns=0)}
    sessions = [tape.session() for tape in tapes]
    return Capture(path="made.rush", sha256="0" * 64, header=header, complete=True, damage=[], sessions=sessions)


def _ns(ms: float) -> int:
    return round(ms * NS_PER_MS)


def _message(at_ms: float, arrow: str, content: Any) -> Message:
    if isinstance(content, bytes):
        data, opcode = content, Opcode.BINARY
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        data, opcode = text.encode(), Opcode.TEXT
    sender = Peer.CLIENT if arrow == ">" else Peer.SERVER
    return Message(t_ns=_ns(at_ms), sender=sender, opcode=opcode, data=data, size_bytes=len(data))


def _with_body(pairs: Pairs, data: bytes, document: Any, form: str, html: str = "") -> tuple[Headers, bytes]:
    headers = [(name.encode(), value.encode()) for name, value in pairs]
    if document is not None:
        return (*headers, (b"Content-Type", b"application/json")), json.dumps(document).encode()
    if form:
        return (*headers, (b"Content-Type", b"application/x-www-form-urlencoded")), form.encode()
    if html:
        return (*headers, (b"Content-Type", b"text/html; charset=utf-8")), html.encode()
    return tuple(headers), data
