"""Puts exchanges, sockets and sessions together from events. Pure.

Half of anything is fine: a request without an answer, an answer that was still streaming, a socket that was open when
the recording stopped. What never came stays None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from captures.bindings import Bindings
from captures.bodies import media_type
from captures.format.index import Note, origin_of
from captures.records import Body, Event, EventType, Exchange, Headers, Message, Opcode, Peer, Session, Socket

_EVENT_STREAM = "text/event-stream"


class Assembler:
    """Takes events in file order; ``sessions`` gives what they amount to.

    Attributes:
        notes: the NOTE events.
        n_stray: events left out because the request that they belong to is missing or unusable.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.n_stray = 0
        self._bindings = Bindings()
        self._open: dict[int, _Parts] = {}

    def add(self, event: Event) -> None:
        """Add one event."""
        fields = cast("dict[str, Any]", event.fields)
        if event.type is EventType.SESSION:
            self._bindings.bind(event.connection, event.exchange, fields["session"], fields["rule"])
        elif event.type is EventType.CONNECTION_OPEN:
            self._bindings.open_connection(event.connection, fields["listener"])
        elif event.type is EventType.NOTE:
            self.notes.append(Note(event.t_ns, fields["name"], fields["value"], event.exchange))
            if fields["name"] == "closed_by" and event.exchange in self._open:
                self._open[event.exchange].exchange.ended_by = Peer.CLIENT
        elif event.type is EventType.REQUEST_HEAD:
            self._start(event, fields)
        elif event.exchange:
            parts = self._open.get(event.exchange)
            step = _STEPS.get(event.type)
            if parts is None or step is None:
                self.n_stray += 1
            else:
                step(parts, event.t_ns, fields)

    def sessions(self) -> list[Session]:
        """Sessions in order of their ids, each with its exchanges in order of their start."""
        by_id: dict[int, list[Exchange]] = {}
        for parts in self._open.values():
            exchange = parts.finished()
            session = self._bindings.session_of(exchange.connection, exchange.id)
            by_id.setdefault(session, []).append(exchange)
        for exchanges in by_id.values():
            exchanges.sort(key=lambda exchange: (exchange.start_ns, exchange.id))
        rule_of = self._bindings.rule_of
        return [Session(id=number, rule=rule_of(number), exchanges=by_id[number]) for number in sorted(by_id)]

    def _start(self, event: Event, fields: dict[str, Any]) -> None:
        origin = origin_of(fields["scheme"], fields["host"], fields["port"])
        if origin is None or not event.exchange or event.exchange in self._open:
            self.n_stray += 1
            return
        exchange = Exchange(
            id=event.exchange,
            connection=event.connection,
            method=fields["method"],
            origin=origin,
            target=fields["target"],
            http_version=fields["http_version"],
            request_headers=fields["headers"],
            request_body=Body(),
            start_ns=event.t_ns,
            request_end_ns=event.t_ns,
        )
        self._open[event.exchange] = _Parts(exchange)


@dataclass(slots=True)
class _Parts:
    """An exchange with the pieces of its bodies."""

    exchange: Exchange
    request: list[bytes] = field(default_factory=list)
    response: list[bytes] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)

    def finished(self) -> Exchange:
        exchange = self.exchange
        _fill(exchange.request_body, self.request)
        _fill(exchange.response_body, self.response)
        if exchange.request_body.encoding:
            exchange.request_headers = _without_encoding(exchange.request_headers)
        if exchange.response_body.encoding:
            exchange.response_headers = _without_encoding(exchange.response_headers)
        is_streamed = len(self.chunks) > 1 or media_type(exchange.response_headers) == _EVENT_STREAM
        exchange.chunks = self.chunks if is_streamed else []
        return exchange


def _fill(body: Body, pieces: list[bytes]) -> None:
    body.data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if not body.kept_bytes and not body.encoding:
        body.size_bytes = max(body.size_bytes, len(body.data))


def _without_encoding(headers: Headers) -> Headers:
    """Headers of a body that is stored decoded: for all who read it, it never was encoded."""
    return tuple(pair for pair in headers if pair[0].lower() != b"content-encoding")


def _request_body(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    parts.request.append(fields["data"])
    parts.exchange.request_body.encoding = fields.get("encoding") or ""
    parts.exchange.request_end_ns = max(t_ns, parts.exchange.request_end_ns)


def _request_end(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    parts.exchange.request_end_ns = t_ns
    parts.exchange.request_body.size_bytes = fields["size_bytes"]
    parts.exchange.request_body.hash = fields["hash"]
    parts.exchange.request_body.kept_bytes = fields.get("kept_bytes") or 0


def _response_head(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    exchange = parts.exchange
    exchange.response_start_ns = t_ns
    exchange.status = fields["status"]
    exchange.reason = fields["reason"]
    exchange.response_http_version = fields["http_version"]
    exchange.response_headers = fields["headers"]
    exchange.connect_ns = fields["connect_ns"]


def _response_body(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    parts.response.append(fields["data"])
    parts.exchange.response_body.encoding = fields.get("encoding") or ""
    parts.chunks.append((t_ns, len(fields["data"])))


def _response_end(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    parts.exchange.end_ns = t_ns
    parts.exchange.response_body.size_bytes = fields["size_bytes"]
    parts.exchange.response_body.hash = fields["hash"]
    parts.exchange.response_body.kept_bytes = fields.get("kept_bytes") or 0


def _socket_open(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    exchange = parts.exchange
    exchange.socket = Socket(open_ns=t_ns, extensions=fields["extensions"], subprotocol=fields["subprotocol"])
    if exchange.end_ns is None:
        exchange.end_ns = t_ns


def _message(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    socket, message = parts.exchange.socket, _message_of(t_ns, fields)
    if socket is not None and message is not None and not fields["dropped"]:
        socket.messages.append(message)


def _control(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    socket, message = parts.exchange.socket, _message_of(t_ns, fields)
    if socket is not None and message is not None:
        socket.controls.append(message)


def _message_of(t_ns: int, fields: dict[str, Any]) -> Message | None:
    sender: Peer | None = fields["sender"]
    opcode: Opcode | None = fields["opcode"]
    if sender is None or opcode is None:
        return None
    data: bytes = fields["data"]
    size_bytes = max(fields.get("size_bytes", 0), len(data))
    return Message(t_ns=t_ns, sender=sender, opcode=opcode, data=data, size_bytes=size_bytes)


def _socket_close(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    socket = parts.exchange.socket
    if socket is not None:
        socket.close_ns = t_ns
        socket.close_code = fields["code"]
        socket.close_reason = fields["reason"]
        socket.closed_by = fields["sender"]


def _error(parts: _Parts, t_ns: int, fields: dict[str, Any]) -> None:
    parts.exchange.error = fields["message"]
    if parts.exchange.end_ns is None:
        parts.exchange.end_ns = t_ns


_STEPS = {
    EventType.REQUEST_BODY: _request_body,
    EventType.REQUEST_END: _request_end,
    EventType.RESPONSE_HEAD: _response_head,
    EventType.RESPONSE_BODY: _response_body,
    EventType.RESPONSE_END: _response_end,
    EventType.SOCKET_OPEN: _socket_open,
    EventType.MESSAGE: _message,
    EventType.CONTROL: _control,
    EventType.SOCKET_CLOSE: _socket_close,
    EventType.ERROR: _error,
}
