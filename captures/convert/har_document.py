"""An exchange as an entry of a HAR; what HAR has no place for goes under names that begin with an underscore. Pure.

``_webSocketMessages`` is as Chrome writes it, ``_webSocketClose`` as HTTP Toolkit does. ``_rushhour`` is ours: session
and rule, pieces of a streamed body, what else ``har_entry`` reads back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from captures.bodies import BodyError, decoded_body, header
from captures.convert.har_fields import bytes_to_text, iso_of, seconds_of, target_of
from captures.convert.losses import Losses
from captures.format.index import Note
from captures.records import Body, Exchange, Headers, Opcode, Peer, Socket
from captures.units import NS_PER_MS

DECODED_LIMIT_BYTES = 32 * 1024 * 1024
PAGE_ID = "page_1"

_TYPES = {Peer.CLIENT: "send", Peer.SERVER: "receive"}
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class HarDocument:
    """Writes entries.

    Args:
        wall_ns: of the capture's time zero.
        losses: takes what has no place in a HAR.
    """

    def __init__(self, wall_ns: int, losses: Losses) -> None:
        self._wall_ns = wall_ns
        self._losses = losses

    def entry(self, exchange: Exchange, session: int, rule: str, notes: Iterable[Note]) -> dict[str, Any]:
        """An entry, without the messages of its socket."""
        ours: dict[str, Any] = {"session": session, "rule": plain(rule)}
        if kept := [note for note in (self._note(note, exchange) for note in notes) if note]:
            ours["notes"] = kept
        entry = {
            "pageref": PAGE_ID,
            "startedDateTime": iso_of(self._wall_ns + exchange.start_ns),
            "time": 0.0,
            "request": self._request(exchange, ours),
            "response": self._response(exchange, ours),
            "cache": {},
            "timings": _timings(exchange, ours),
            "connection": str(exchange.connection),
            "_rushhour": ours,
        }
        entry["time"] = round(sum(value for value in _map(entry["timings"]).values() if value > 0), 6)
        if exchange.socket is not None:
            entry["_resourceType"] = "websocket"
            ours["openedAfter"] = _ms(exchange.socket.open_ns - exchange.start_ns)
            self._close(entry, exchange.socket)
        return entry

    def message(self, fields: dict[str, Any], t_ns: int) -> dict[str, Any]:
        """An element of ``_webSocketMessages``, of the fields of a MESSAGE or CONTROL event."""
        data: bytes = fields["data"]
        opcode = fields["opcode"]
        sender = _TYPES.get(fields["sender"], "receive")
        message: dict[str, Any] = {"type": sender, "time": seconds_of(self._wall_ns + t_ns), "opcode": int(opcode)}
        text = bytes_to_text(data, "") if opcode == Opcode.TEXT else None
        if text is None:
            message["data"] = base64.b64encode(data).decode()
            if opcode == Opcode.TEXT:
                message["_encoding"] = "base64"
        else:
            message["data"] = text
        if fields.get("size_bytes", 0) > len(data):
            message["_size"] = fields["size_bytes"]
        return message

    def _request(self, exchange: Exchange, ours: dict[str, Any]) -> dict[str, Any]:
        headers, body = exchange.request_headers, exchange.request_body
        if not (exchange.target.isascii() and exchange.target.isprintable()) and target_of(exchange.target):
            ours["target"] = exchange.target
        query = exchange.target.partition("?")[2]
        request: dict[str, Any] = {
            "method": exchange.method,
            "url": _url(exchange),
            "httpVersion": exchange.http_version,
            "cookies": _pairs_of((header(headers, b"cookie") or b"").decode("latin-1"), ";"),
            "headers": _headers(headers, body),
            "queryString": _pairs_of(query, "&"),
            "headersSize": -1,
            "bodySize": body.size_bytes,
        }
        if body.data or body.size_bytes:
            media_type = (header(headers, b"content-type") or b"").decode("latin-1")
            # A compressed body is held as it was on the wire, unless the capture holds it decoded.
            is_wire = header(headers, b"content-encoding") is not None
            text = _text_of(body.data, media_type, "_encoding", is_binary=is_wire)
            request["postData"] = {"mimeType": media_type, **text}
            if ours_of_body := _about(body):
                request["postData"]["_rushhour"] = ours_of_body
        if body.is_cut:
            self._losses.add("bodies of which the capture holds only the beginning", _url(exchange))
        return request

    def _response(self, exchange: Exchange, ours: dict[str, Any]) -> dict[str, Any]:
        if exchange.status is None and not exchange.error:
            ours["isOpen"] = True
        if exchange.status is not None and exchange.end_ns is None:
            ours["isOpen"] = True
        body = exchange.response_body
        response: dict[str, Any] = {
            "status": exchange.status or 0,
            "statusText": plain(exchange.reason),
            "httpVersion": exchange.response_http_version,
            "cookies": _set_cookies(exchange.response_headers),
            "headers": _headers(exchange.response_headers, body),
            "content": self._content(exchange),
            "redirectURL": plain((header(exchange.response_headers, b"location") or b"").decode("latin-1")),
            "headersSize": -1,
            "bodySize": body.size_bytes if exchange.status is not None else -1,
        }
        if exchange.error:
            response["_error"] = plain(exchange.error)
        if len(exchange.chunks) > 1:
            start_ns = exchange.response_start_ns or exchange.start_ns
            ours["chunks"] = [[_ms(t_ns - start_ns), size_bytes] for t_ns, size_bytes in exchange.chunks]
        return response

    def _content(self, exchange: Exchange) -> dict[str, Any]:
        headers, body = exchange.response_headers, exchange.response_body
        media_type = (header(headers, b"content-type") or b"").decode("latin-1")
        data, is_wire = self._decoded(headers, body, exchange)
        content: dict[str, Any] = {"size": len(data), "mimeType": media_type}
        if body.size_bytes and not body.is_cut and not is_wire and len(data) != body.size_bytes:
            content["compression"] = len(data) - body.size_bytes
        if data or body.size_bytes == 0:
            content |= _text_of(data, media_type, "encoding", is_binary=is_wire)
        ours = _about(body)
        if data is not body.data:
            ours = {"size": body.size_bytes, "hash": body.hash.hex()}
        if is_wire:
            ours["isWire"] = True
        if body.is_cut:
            self._losses.add("bodies of which the capture holds only the beginning", _url(exchange))
            if not data:
                content["size"] = body.size_bytes
        if ours:
            content["_rushhour"] = ours
        return content

    def _decoded(self, headers: Headers, body: Body, exchange: Exchange) -> tuple[bytes, bool]:
        """The body with its content-encoding undone; as it was on the wire, and True, where that cannot be."""
        if header(headers, b"content-encoding") is None:
            return body.data, False
        if body.data and not body.is_cut:
            try:
                data = decoded_body(headers, body.data, DECODED_LIMIT_BYTES)
            except BodyError as exc:
                where = f"{_url(exchange)}: {exc}"
                self._losses.add("bodies that cannot be decoded, held encoded", where)
                return body.data, True
            self._losses.add("compressed bodies, held decoded as HAR wants it", _url(exchange))
            return data, False
        return body.data, bool(body.data)

    def _note(self, note: Note, exchange: Exchange) -> list[Any] | None:
        if not is_json(note.value):
            self._losses.add("notes about exchanges that hold bytes", note.name)
            return None
        return [plain(note.name), note.value, _ms(max(0, note.t_ns - exchange.start_ns))]

    def _close(self, entry: dict[str, Any], socket: Socket) -> None:
        if socket.close_ns is None:
            return
        entry["_webSocketClose"] = {
            "code": socket.close_code,
            "reason": plain(socket.close_reason),
            "time": seconds_of(self._wall_ns + socket.close_ns),
            "type": None if socket.closed_by is None else _TYPES[socket.closed_by],
        }


def plain(text: str) -> str:
    """Text that every JSON reader takes: without lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_json(value: Any) -> bool:
    """Whether a plain value can be written as JSON and come back the same."""
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(map(is_json, value.values())) and all(map(is_json, value))
    if isinstance(value, str):
        return plain(value) == value
    return value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0)


def _timings(exchange: Exchange, ours: dict[str, Any]) -> dict[str, float]:
    timings = {"blocked": -1.0, "dns": -1.0, "connect": -1.0, "ssl": -1.0, "send": 0.0, "wait": 0.0, "receive": 0.0}
    timings["send"] = _ms(exchange.request_end_ns - exchange.start_ns)
    if exchange.response_start_ns is not None:
        wait_ns = exchange.response_start_ns - exchange.request_end_ns - exchange.connect_ns
        timings["wait"] = _ms(wait_ns)
        if exchange.connect_ns:
            ours["connectAfterSend"] = True
            timings["connect"] = _ms(exchange.connect_ns)
        if exchange.end_ns is not None:
            timings["receive"] = _ms(exchange.end_ns - exchange.response_start_ns)
    elif exchange.end_ns is not None:
        timings["wait"] = _ms(exchange.end_ns - exchange.request_end_ns)
    return timings


def _ms(duration_ns: int) -> float:
    return max(0, duration_ns) / NS_PER_MS


def _url(exchange: Exchange) -> str:
    origin = str(exchange.origin)
    if exchange.socket is not None:
        scheme, _, rest = origin.partition("://")
        origin = f"{_SOCKET_SCHEMES[scheme]}://{rest}"
    return origin + plain(exchange.target)


def _about(body: Body) -> dict[str, Any]:
    """What a HAR has no place for where a body is cut, was stored decoded or redacted."""
    if not body.is_cut and not body.encoding and not body.kept_bytes:
        return {}
    about: dict[str, Any] = {"size": body.size_bytes, "hash": body.hash.hex()}
    if body.encoding:
        about["encoding"] = body.encoding
    if body.kept_bytes:
        about["kept"] = body.kept_bytes
    return about


def _headers(headers: Headers, body: Body) -> list[dict[str, str]]:
    found = []
    if body.encoding:
        headers = (*headers, (b"content-encoding", body.encoding.encode("latin-1", "replace")))
    for name, value in headers:
        pair = {"name": name.decode("latin-1")}
        try:
            pair["value"] = value.decode()
        except UnicodeDecodeError:
            pair |= {"value": value.decode("latin-1"), "_encoding": "latin-1"}
        found.append(pair)
    return found


def _text_of(data: bytes, media_type: str, encoding_name: str, *, is_binary: bool = False) -> dict[str, str]:
    text = None if is_binary else bytes_to_text(data, media_type)
    if text is None:
        return {"text": base64.b64encode(data).decode(), encoding_name: "base64"}
    return {"text": text}


def _pairs_of(text: str, separator: str) -> list[dict[str, str]]:
    """Fields of a query, decoded, or of a Cookie header."""
    pairs = [pair.partition("=") for pair in text.split(separator) if pair.strip()]
    decode = unquote_plus if separator == "&" else str
    return [{"name": plain(decode(name.strip())), "value": plain(decode(value.strip()))} for name, _, value in pairs]


def _set_cookies(headers: Headers) -> list[dict[str, str]]:
    values = [value.decode("latin-1").partition(";")[0] for name, value in headers if name.lower() == b"set-cookie"]
    return [pair for value in values for pair in _pairs_of(value, ";")]


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
