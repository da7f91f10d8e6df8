"""Reads the files of mitmproxy, of every version of its flow format from 0.11 on, without mitmproxy.

A file is one tnetstring per flow, in the order in which the flows ended. Fields that newer versions renamed are looked
up under all their names. Up to version 11 a socket's messages are a flow of their own, which names its handshake's.
Source: mitmproxy/io/compat.py tells what each version changed.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Any

from captures.bodies import header
from captures.convert.har_fields import HEADERS_LIMIT_BYTES, joined_cookies, method_of, place_of, size_of, to_bytes
from captures.convert.inputs import Input
from captures.convert.losses import Losses
from captures.convert.tape import KEPT_BYTES, LAST_WALL_NS, Tape, new_body, ns_of_seconds
from captures.convert.tnetstrings import Broken, CutBytes, TnetReader
from captures.errors import CaptureError
from captures.records import Body, Exchange, Headers, Message, Opcode, Peer, Socket

NEWEST_VERSION = 21
"""Of the flow format, as mitmproxy 11 and 12 write it."""

RULE = "client address"

_OPCODES = {1: Opcode.TEXT, 2: Opcode.BINARY, 9: Opcode.PING, 10: Opcode.PONG}
_VERSIONS = {"HTTP/2": "HTTP/2.0", "HTTP/3.0": "HTTP/3"}


@dataclass(slots=True)
class _Client:
    """A client's connection."""

    connection: int
    session: int


class MitmImport:
    """One file on its way to the tape.

    Attributes:
        damage: what is wrong with the file, one sentence each; the flows before are good.
    """

    def __init__(self, source: Input, tape: Tape, losses: Losses) -> None:
        self._source = source
        self._tape = tape
        self._losses = losses
        self._clients: dict[str, _Client] = {}
        self._sessions: dict[str, int] = {}
        self._handshakes: dict[str, tuple[Exchange, bool]] = {}
        self._n_flows = self._n_used = 0
        self._version = ""
        self.damage: list[str] = []

    def run(self) -> dict[str, object]:
        """Read all of it and return its facts.

        Raises:
            CaptureError: it is no file of mitmproxy, or holds no HTTP.
        """
        try:
            for flow in TnetReader(self._source).values():
                self._n_flows += 1
                self._flow(flow)
        except Broken as exc:
            if not self._n_flows:
                hint = "a .mitm file is what mitmproxy and mitmdump -w write"
                problem = self._source.damage or f"is no file of mitmproxy: {exc.problem}"
                raise CaptureError(self._source.path, problem, exc.offset, hint) from exc
            problem = f"flow {self._n_flows + 1}, at byte {exc.offset}, cannot be read: {exc.problem}"
            self.damage.append(f"{problem}; what comes after it is lost")
        if self._source.damage:
            self.damage.append(self._source.damage)
        if not self._n_used:
            why = "; ".join(self._losses.sentences()) or "the file is empty"
            raise CaptureError(self._source.path, f"holds no request: {why}", None, "save the flows again")
        for exchange, _ in filter(lambda handshake: not handshake[1], self._handshakes.values()):
            self._losses.add("sockets that were open when the flows were saved", exchange.target)
        return {"format": f"mitmproxy flows, version {self._version}", "url": ""}

    def _flow(self, flow: Any) -> None:
        where = f"flow {self._n_flows}"
        if not isinstance(flow, dict):
            self._losses.add("flows left out", f"{where}: no dict")
            return
        self._check_version(flow, where)
        kind = _text(flow.get("type")) or "http"
        try:
            if kind == "http":
                self._http(flow, where)
            elif kind == "websocket":
                self._old_socket(flow, where)
            else:
                self._losses.add(f"{kind[:20]} flows, which are not HTTP", where)
        except ValueError as exc:
            self._losses.add("flows left out", f"{where}: {exc}")

    def _check_version(self, flow: dict[str, Any], where: str) -> None:
        version = flow.get("version")
        if isinstance(version, int) and version > NEWEST_VERSION:
            self._losses.add(f"flows of a version newer than {NEWEST_VERSION}, read as far as they are known", where)
        if not self._version:
            parts = version if isinstance(version, list) else [version]
            self._version = ".".join(str(part)[:8] for part in parts[:3])

    # HTTP

    def _http(self, flow: dict[str, Any], where: str) -> None:
        exchange = self._exchange(flow, where)
        metadata = _map(flow.get("metadata"))
        socket = _map(flow.get("websocket"))
        is_handshake = not socket and bool(metadata.get("websocket"))
        if socket:
            exchange.socket = self._socket(exchange, socket, socket.get("timestamp_end"), where)
        elif is_handshake or (exchange.status == 101 and _upgrades(exchange.response_headers)):
            exchange.socket = _opened(exchange)
        self._tape.put_exchange(exchange)
        self._n_used += 1
        if is_handshake:
            self._handshakes[_text(flow.get("id"))] = exchange, False

    def _exchange(self, flow: dict[str, Any], where: str) -> Exchange:
        request, response = _map(flow.get("request")), _map(flow.get("response"))
        if not request:
            raise ValueError("it has no request")
        method = method_of(_text(request.get("method")) or "GET")
        if method is None or method == "CONNECT":
            raise ValueError("a tunnel, not a request" if method else "its method cannot be sent")
        headers = _headers(request.get("headers"))
        start_ns = _wall_ns(request.get("timestamp_start"))
        if start_ns is None:
            start_ns = _wall_ns(_map(flow.get("client_conn")).get("timestamp_start")) or 1
            self._losses.add("requests without a time, given that of their connection", where)
        origin, target, _ = place_of(_url(request, headers, _map(flow.get("server_conn"))))
        exchange = Exchange(
            id=self._tape.new_exchange(),
            connection=self._connection(flow, start_ns),
            method=method,
            origin=origin,
            target=target,
            http_version=_http_version(request),
            request_headers=headers,
            request_body=self._body(request, headers, where),
            start_ns=start_ns,
            request_end_ns=max(_wall_ns(request.get("timestamp_end")) or start_ns, start_ns),
        )
        if response:
            self._answer(exchange, response, where)
            exchange.connect_ns = _connect_ns(exchange, _map(flow.get("server_conn")))
        self._error(exchange, flow)
        return exchange

    def _answer(self, exchange: Exchange, response: dict[str, Any], where: str) -> None:
        status = response.get("status_code", response.get("code"))
        if type(status) is not int or not 100 <= status <= 999:
            raise ValueError("its status is none")
        exchange.status = status
        exchange.reason = _text(response.get("reason", response.get("msg")))[:1024]
        exchange.response_http_version = _http_version(response)
        exchange.response_headers = _headers(response.get("headers"))
        exchange.response_body = self._body(response, exchange.response_headers, where)
        start_ns = _wall_ns(response.get("timestamp_start")) or exchange.request_end_ns
        exchange.response_start_ns = max(start_ns, exchange.start_ns)
        end_ns = _wall_ns(response.get("timestamp_end"))
        exchange.end_ns = None if end_ns is None else max(end_ns, exchange.response_start_ns)

    def _body(self, part: dict[str, Any], headers: Headers, where: str) -> Body:
        content = part.get("content", part.get("body"))
        if content is None:
            stated = header(headers, b"content-length") or b""
            self._losses.add("bodies that were streamed and not stored", where)
            return Body(size_bytes=int(stated) if stated.isdigit() and len(stated) < 15 else 0)
        if isinstance(content, CutBytes):
            self._losses.add(f"bodies of which only the first {KEPT_BYTES >> 20} MiB are kept", where)
            return new_body(content, content.size_bytes)
        return new_body(_bytes(content))

    def _error(self, exchange: Exchange, flow: dict[str, Any]) -> None:
        error = _map(flow.get("error"))
        if error:
            exchange.error = _text(error.get("msg")) or "an error without a message"
            exchange.end_ns = _wall_ns(error.get("timestamp")) or exchange.end_ns
        elif exchange.status is None:
            exchange.end_ns = None

    # Sockets

    def _socket(self, exchange: Exchange, data: dict[str, Any], end_s: Any, where: str) -> Socket:
        socket = _opened(exchange)
        for item in data.get("messages") or []:
            message = self._message(item, where)
            if message is not None:
                is_data = message.opcode in (Opcode.TEXT, Opcode.BINARY)
                (socket.messages if is_data else socket.controls).append(message)
        code = data.get("close_code")
        end_ns = _wall_ns(end_s)
        if code is not None or end_ns is not None:
            last_ns = max((message.t_ns for message in socket.messages), default=socket.open_ns)
            socket.close_ns = max(end_ns or last_ns, last_ns)
            socket.close_code = code if type(code) is int and 0 < code < 65536 else None
            socket.close_reason = _text(data.get("close_reason"))[:1024]
            by_client = data.get("closed_by_client")
            if by_client is None and data.get("close_sender") is not None:
                by_client = _text(data["close_sender"]) == "client"
            socket.closed_by = None if by_client is None else Peer.CLIENT if by_client else Peer.SERVER
        return socket

    def _message(self, item: Any, where: str) -> Message | None:
        if not isinstance(item, list) or len(item) < 4 or not isinstance(item[0], int):
            self._losses.add("messages left out", where)
            return None
        number, from_client, content, time, *flags = item
        t_ns, opcode = _wall_ns(time), _OPCODES.get(number)
        if t_ns is None or opcode is None or any(flag is True for flag in flags[:2]):
            self._losses.add("messages left out: dropped or injected by mitmproxy, or without a time", where)
            return None
        data = _bytes(content)
        size_bytes = content.size_bytes if isinstance(content, CutBytes) else len(data)
        sender = Peer.CLIENT if from_client else Peer.SERVER
        return Message(t_ns=t_ns, sender=sender, opcode=opcode, data=data, size_bytes=size_bytes)

    def _old_socket(self, flow: dict[str, Any], where: str) -> None:
        """A flow that holds the messages of a socket whose handshake was a flow before it."""
        name = _text(_map(flow.get("metadata")).get("websocket_handshake"))
        found = self._handshakes.get(name)
        if found is None:
            raise ValueError("a socket whose handshake is missing")
        exchange, is_used = found
        end_s = _map(flow.get("server_conn")).get("timestamp_end") or _map(flow.get("client_conn")).get("timestamp_end")
        socket = self._socket(exchange, flow, end_s, where)
        if is_used:
            # The file has it so: two sockets of one handshake.
            self._losses.add("sockets that share their handshake with another, given a copy of it", where)
        else:
            self._tape.drop(exchange.id)
        exchange = replace(exchange, id=self._tape.new_exchange(), socket=socket)
        self._tape.put_exchange(exchange)
        self._handshakes[name] = exchange, True

    # Connections

    def _connection(self, flow: dict[str, Any], start_ns: int) -> int:
        client = _map(flow.get("client_conn"))
        address = _address(client.get("peername", client.get("address")))
        name = _text(client.get("id")) or f"{address} {client.get('timestamp_start')}"
        known = self._clients.get(name)
        if known is None:
            user = _user(_map(flow.get("metadata")).get("proxyauth"))
            person = user or address.rpartition(":")[0]
            session = self._sessions.setdefault(person, len(self._sessions) + 1)
            known = self._clients[name] = _Client(self._tape.new_connection(), session)
            opened_ns = min(_wall_ns(client.get("timestamp_start")) or start_ns, start_ns)
            alpn = client.get("alpn", client.get("alpn_proto_negotiated"))
            fields: dict[str, object] = {
                "listener": _text(client.get("proxy_mode")) or "mitmproxy",
                "peer": address,
                "tls": _text(client.get("tls_version")),
                "alpn": _text(alpn),
            }
            rule = "proxy user" if user else RULE
            self._tape.open_connection(opened_ns, known.connection, session, rule, fields)
        return known.connection


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else to_bytes(value) if isinstance(value, str) else b""


def _wall_ns(value: Any) -> int | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < LAST_WALL_NS / 1e9:
        return None
    return ns_of_seconds(value)


def _headers(values: Any) -> Headers:
    """Header fields; cookie crumbs of HTTP/2 are joined."""
    pairs = []
    for item in values if isinstance(values, list) else []:
        if isinstance(item, list) and len(item) == 2:
            name, value = _bytes(item[0]), _bytes(item[1])
            if name and not name.startswith(b":"):
                pairs.append((name, value))
    headers = joined_cookies(pairs)
    if size_of(headers) > HEADERS_LIMIT_BYTES:
        raise ValueError(f"its headers are larger than {HEADERS_LIMIT_BYTES >> 10} KiB")
    return headers


def _url(request: dict[str, Any], headers: Headers, server: dict[str, Any]) -> str:
    scheme = _text(request.get("scheme")) or "http"
    host = _text(request.get("host")) or _address(server.get("address")).rpartition(":")[0]
    named = _text(request.get("authority")) or (header(headers, b"host") or b"").decode("latin-1")
    # In transparent mode the host is an address; what the browser asked for stands in the authority.
    if named and (not host or _is_address(host)):
        host = named if named.endswith("]") or ":" not in named else named.rpartition(":")[0]
    path = _text(request.get("path")) or "/"
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    port = request.get("port")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{scheme}://{host}{f':{port}' if isinstance(port, int) else ''}{path}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _http_version(part: dict[str, Any]) -> str:
    old = part.get("httpversion")
    if isinstance(old, list):
        return f"HTTP/{'.'.join(map(str, old[:2]))}"
    text = _text(part.get("http_version"))[:20] or "HTTP/1.1"
    return _VERSIONS.get(text, text)


def _connect_ns(exchange: Exchange, server: dict[str, Any]) -> int:
    """The part of the connect upstream that fell after the request's end."""
    start_ns = _wall_ns(server.get("timestamp_start"))
    end_ns = _wall_ns(server.get("timestamp_tls_setup", server.get("timestamp_ssl_setup")))
    end_ns = end_ns or _wall_ns(server.get("timestamp_tcp_setup"))
    if start_ns is None or end_ns is None or exchange.response_start_ns is None:
        return 0
    return max(0, min(end_ns, exchange.response_start_ns) - max(start_ns, exchange.request_end_ns))


def _opened(exchange: Exchange) -> Socket:
    headers = exchange.response_headers
    return Socket(
        open_ns=exchange.end_ns or exchange.response_start_ns or exchange.request_end_ns,
        extensions=header(headers, b"sec-websocket-extensions") or b"",
        subprotocol=header(headers, b"sec-websocket-protocol") or b"",
    )


def _upgrades(headers: Headers) -> bool:
    return (header(headers, b"upgrade") or b"").lower() == b"websocket"


def _address(value: Any) -> str:
    """``host:port`` of an address, which up to version 1 is wrapped in a dict."""
    if isinstance(value, dict):
        value = value.get("address")
    if not isinstance(value, list) or len(value) < 2:
        return ""
    host = _text(value[0])
    return f"{host.removeprefix('::ffff:') if '.' in host else host}:{value[1]}"


def _user(proxyauth: Any) -> str:
    return _text(proxyauth[0]) if isinstance(proxyauth, list) and proxyauth else ""
