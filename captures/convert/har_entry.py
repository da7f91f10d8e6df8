"""One entry of a HAR becomes an exchange on the tape; every dialect's deviations are dealt with here."""

from __future__ import annotations

from typing import Any

from captures.bodies import header
from captures.convert.har_bodies import Bodies
from captures.convert.har_fields import (
    HEADERS_LIMIT_BYTES,
    duration_ns_of,
    headers_of,
    http_version_of,
    method_of,
    place_of,
    size_of,
    storable,
    target_of,
    wall_ns_of,
)
from captures.convert.har_sockets import Opened, Sockets
from captures.convert.losses import Losses
from captures.convert.tape import Tape
from captures.records import Body, EventType, Exchange, Headers, Origin

RULE = "one browser, by its HAR"

_TIMINGS = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")
_REASON_CHARS = 1024
_NAME_CHARS = 200
_MAX_SESSION = 1 << 20
# What Chrome leaves out of a sanitized HAR. Source: ChromeDevTools/devtools-frontend, front_end/models/har/Log.ts.
_CREDENTIALS = frozenset({b"cookie", b"set-cookie", b"authorization"})
_ENCODING = b"content-encoding"
_ENCODING_BYTES = len(_ENCODING)
# Statuses of answers that carry no body (RFC 9110 §6.4.1).
_BODILESS = {204, 304}


class Entries:
    """Puts the entries of one HAR on the tape.

    Attributes:
        creator: the name of the exporter, as far as it is known yet.
        sockets: puts the messages of their sockets there.
        n_used: entries that became exchanges.
        document_url: of the first entry that is a page.
    """

    def __init__(self, tape: Tape, bodies: Bodies, losses: Losses) -> None:
        self._tape = tape
        self._bodies = bodies
        self._losses = losses
        self._connections: dict[tuple[object, ...], tuple[int, int]] = {}
        self.sockets = Sockets(tape, bodies, losses)
        self._has_credentials = False
        self._has_initiators = False
        self.creator = ""
        self.n_used = 0
        self.document_url = ""

    @property
    def is_sanitized(self) -> bool:
        """Whether this is what Chrome exports by default: no header that holds a credential, in no entry at all."""
        return self.creator == "WebInspector" and self._has_initiators and not self._has_credentials

    def open(self, number: int) -> Opened:
        """Begin an entry; ``put`` or ``refuse`` ends it."""
        return Opened(number, self._tape.new_exchange(), 0, self._tape.reserve())

    def refuse(self, opened: Opened, why: str) -> None:
        """Leave an entry out."""
        self._tape.drop(opened.exchange, is_bare=not opened.connection)
        self._losses.add("entries left out", f"{opened.where}: {why}")

    def put(self, opened: Opened, entry: dict[str, Any]) -> None:
        """Put an entry on the tape, or refuse it."""
        for item in _list(entry.get("_webSocketMessages")):
            self.sockets.message(opened, item)
        for item in _list(entry.get("_webSocketControls")):
            self.sockets.message(opened, item)
        content = _map(_map(entry.get("response")).get("content"))
        if (messages := self._bodies.attached_messages(content, opened.where)) is not None:
            for item in messages:
                self.sockets.message(opened, item)
            del content["_file"]
        try:
            exchange, is_socket = self._exchange(opened, entry)
        except ValueError as exc:
            self.refuse(opened, str(exc))
            return
        ours = _map(entry.get("_rushhour"))
        self._connect(opened, exchange, entry, ours, is_socket=is_socket)
        if is_socket:
            exchange.socket = self.sockets.socket(opened, exchange, entry)
        if not self._has_credentials:
            names = {name.lower() for name, _ in (*exchange.request_headers, *exchange.response_headers)}
            self._has_credentials = not names.isdisjoint(_CREDENTIALS)
        self._has_initiators |= "_initiator" in entry
        self._tape.put_exchange(exchange, reserved=opened.reserved, latest_ns=opened.first_ns)
        self._notes(exchange, entry, ours)
        self.n_used += 1
        self.sockets.last_ns = exchange.start_ns

    # The exchange

    def _exchange(self, opened: Opened, entry: dict[str, Any]) -> tuple[Exchange, bool]:
        request, response = _map(entry.get("request")), _map(entry.get("response"))
        if not request:
            raise ValueError("it has no request")
        origin, target, is_ws = self._place(request, _map(entry.get("_rushhour")))
        method = method_of(str(request.get("method") or "GET"))
        if method is None:
            raise ValueError("its method cannot be sent")
        headers = self._headers(request.get("headers"), opened)
        if header(headers, b"cookie") is None and (cookies := _cookies(request.get("cookies"))):
            headers = (*headers, (b"Cookie", cookies))
        is_socket = is_ws or opened.n_messages > 0
        if method == "CONNECT":
            if not is_socket:
                raise ValueError("a tunnel of a proxy, not a request")
            # A socket over HTTP/2 (RFC 8441).
            method = "GET"
        version = http_version_of(request.get("httpVersion"), "")
        exchange = Exchange(
            id=opened.exchange,
            connection=0,
            method=method,
            origin=origin,
            target=target,
            http_version=version or http_version_of(response.get("httpVersion"), "HTTP/1.1"),
            request_headers=headers,
            # HTTP Toolkit puts what is no text into _content.
            request_body=self._bodies.request(
                _map(request.get("postData") or request.get("_content")), _encoding(headers), opened.where
            ),
            start_ns=self._start_ns(entry, opened),
            request_end_ns=0,
        )
        self._answer(exchange, response, opened)
        is_socket = is_socket or (exchange.status == 101 and _upgrades(exchange.response_headers))
        self._time(exchange, entry, is_socket=is_socket)
        self._outcome(exchange, entry, response, is_socket=is_socket)
        return exchange, is_socket

    def _place(self, request: dict[str, Any], ours: dict[str, Any]) -> tuple[Origin, str, bool]:
        url = request.get("url")
        if not isinstance(url, str) or not url:
            raise ValueError("its request has no URL")
        origin, target, is_ws = place_of(url)
        return origin, target_of(ours.get("target")) or target, is_ws

    def _headers(self, values: Any, opened: Opened) -> Headers:
        headers, n_bad = headers_of(values)
        if n_bad:
            self._losses.add("header fields that are none", opened.where, n=n_bad)
        if size_of(headers) > HEADERS_LIMIT_BYTES:
            raise ValueError(f"its headers are larger than {HEADERS_LIMIT_BYTES >> 10} KiB")
        return headers

    def _start_ns(self, entry: dict[str, Any], opened: Opened) -> int:
        start_ns = wall_ns_of(entry.get("startedDateTime"))
        if start_ns is None:
            self._losses.add("entries without a date, given that of the one before", opened.where)
            start_ns = self.sockets.last_ns or 1
        return start_ns

    def _answer(self, exchange: Exchange, response: dict[str, Any], opened: Opened) -> None:
        status = _status(response.get("status"))
        if status is None and not opened.n_messages:
            return
        exchange.status = status or 101
        exchange.reason = str(response.get("statusText") or "")[:_REASON_CHARS]
        exchange.response_http_version = http_version_of(response.get("httpVersion"), exchange.http_version)
        exchange.response_headers = self._headers(response.get("headers"), opened)
        encoding = _encoding(exchange.response_headers)
        # Elsewhere bodySize is what each exporter takes it for.
        wire_bytes = response.get("bodySize") if encoding else 0
        wire_bytes = wire_bytes if type(wire_bytes) is int and 0 < wire_bytes < 1 << 48 else 0
        body = self._bodies.response(_map(response.get("content")), encoding, wire_bytes, opened.where)
        if exchange.status in _BODILESS or exchange.status < 200 or exchange.method == "HEAD":
            if body.data:
                self._losses.add("bodies out of the browser's cache, of answers that carry none", opened.where)
            body = Body()
        exchange.response_body = body

    def _time(self, exchange: Exchange, entry: dict[str, Any], *, is_socket: bool) -> None:
        """Set the times of an exchange that has its start.

        ``|blocked|dns|connect (with ssl)|send|wait|receive|``, one after the other; -1 does not apply.
        """
        timings, ours = _map(entry.get("timings")), _map(entry.get("_rushhour"))
        blocked, dns, connect, ssl, send, wait, receive = map(duration_ns_of, map(timings.get, _TIMINGS))
        if exchange.origin.scheme == "http":
            # Playwright states one there too: when the connect ended.
            ssl = 0
        before, after = blocked + dns + (connect if ssl <= connect else connect + ssl), 0
        if self.creator == "mitmproxy":
            # Its entries start when the request was read; the connect lay before that.
            before = 0
        elif ours.get("connectAfterSend") is True:
            before, after = blocked + dns, connect
        total = duration_ns_of(entry.get("time"))
        if not (before or send or after or wait or receive):
            wait = 0 if is_socket else total
        exchange.request_end_ns = exchange.start_ns + before + send
        exchange.connect_ns = after
        if exchange.status is not None:
            exchange.response_start_ns = exchange.request_end_ns + after + wait
            exchange.end_ns = exchange.response_start_ns + receive
            self._chunks(exchange, ours)
        else:
            exchange.end_ns = exchange.start_ns + max(total, before + send + wait + receive)

    def _chunks(self, exchange: Exchange, ours: dict[str, Any]) -> None:
        """Set the pieces of a streamed body, which only our own export tells of."""
        start_ns = exchange.response_start_ns or 0
        for item in _list(ours.get("chunks")):
            match item:
                case [int() | float() as offset_ms, int(size_bytes)] if 0 < size_bytes < 1 << 48:
                    exchange.chunks.append((start_ns + duration_ns_of(offset_ms), size_bytes))
        if sum(size_bytes for _, size_bytes in exchange.chunks) != len(exchange.response_body.data):
            exchange.chunks = []

    def _outcome(self, exchange: Exchange, entry: dict[str, Any], response: dict[str, Any], *, is_socket: bool) -> None:
        # Playwright calls it _failureText.
        failure = response.get("_failureText")
        error = response.get("_error") or entry.get("_error") or (None if is_socket else failure)
        is_open = _map(entry.get("_rushhour")).get("isOpen") is True
        if error:
            exchange.error = str(error)
        elif exchange.status is None and not is_open:
            why = failure or response.get("statusText") or response.get("_charlesStatus") or "no answer"
            exchange.error = f"{why} (status 0)"
        if is_open and not is_socket:
            exchange.end_ns = None

    # Connections, sessions, notes

    def _connect(
        self, opened: Opened, exchange: Exchange, entry: dict[str, Any], ours: dict[str, Any], *, is_socket: bool
    ) -> None:
        named = entry.get("connection")
        # Firefox writes the server's port there.
        name = str(named)[:_NAME_CHARS] if named is not None and self.creator != "Firefox" else ""
        wanted = ours.get("session")
        session = wanted if type(wanted) is int and 0 < wanted < _MAX_SESSION else 1
        rule = ours.get("rule") if isinstance(ours.get("rule"), str) else RULE
        key = (name,) if name and ours else (exchange.origin, name)
        known = None if opened.connection or (is_socket and not ours) else self._connections.get(key)
        if known is not None:
            exchange.connection, bound = known
            if bound != session:
                self._tape.bind(exchange.start_ns, exchange.connection, exchange.id, session, str(rule)[:_NAME_CHARS])
            return
        exchange.connection = opened.connection or self._tape.new_connection()
        if not is_socket or ours:
            self._connections[key] = exchange.connection, session
        start_ns = min(exchange.start_ns, opened.first_ns)
        fields = {"tls": exchange.origin.scheme == "https"}
        self._tape.open_connection(start_ns, exchange.connection, session, str(rule)[:_NAME_CHARS], fields)

    def _notes(self, exchange: Exchange, entry: dict[str, Any], ours: dict[str, Any]) -> None:
        notes = [[note[0], note[1], note[2]] for note in _list(ours.get("notes")) if _is_note(note)]
        if isinstance(origin := entry.get("_fromCache"), str):
            notes.append(["from_cache", origin[:_NAME_CHARS], 0])
        for name, value, offset_ms in notes:
            t_ns = exchange.start_ns + duration_ns_of(offset_ms)
            self._tape.add(EventType.NOTE, t_ns, exchange.connection, exchange.id, {"name": name, "value": value})
        content = _map(_map(entry.get("response")).get("content"))
        if self.document_url or exchange.method != "GET" or exchange.status not in (200, 304):
            return
        if str(content.get("mimeType") or "").startswith("text/html"):
            self.document_url = f"{exchange.origin}{exchange.target}"


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_note(note: Any) -> bool:
    if not (isinstance(note, list) and len(note) == 3 and isinstance(note[0], str) and len(note[0]) <= _NAME_CHARS):
        return False
    try:
        return len(str(storable(note[1]))) <= HEADERS_LIMIT_BYTES
    except (TypeError, ValueError):
        return False


def _status(value: Any) -> int | None:
    try:
        status = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return status if 100 <= status <= 999 else None


def _cookies(values: Any) -> bytes:
    pairs, _ = headers_of(values)
    return b"; ".join(name + b"=" + value for name, value in pairs)


def _upgrades(headers: Headers) -> bool:
    return (header(headers, b"upgrade") or b"").lower() == b"websocket"


def _encoding(headers: Headers) -> str:
    """The content-encodings that headers name."""
    value = b", ".join([v for name, v in headers if len(name) == _ENCODING_BYTES and name.lower() == _ENCODING])
    return "" if value.lower() == b"identity" else value.decode("latin-1")
