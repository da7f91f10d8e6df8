"""Where importers put what they read, and how it becomes a capture.

Importers work in nanoseconds since 1970 and in any order. ``write_capture`` puts all of it in order of time, makes the
first event time zero, and numbers the exchanges in order of their start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from captures.convert.spool import Spool
from captures.errors import CaptureSealed
from captures.format.writer import CaptureWriter
from captures.records import Anchor, Body, EventType, Exchange, Message, Socket
from captures.units import NS_PER_S

KEPT_BYTES = 16 * 1024 * 1024
"""Kept of each body and message, as the recorder does by default."""

LAST_WALL_NS = (1 << 62) - 1
"""Times after this (the year 2116) are not believed."""

_HEAD_EVENTS = 16
_HASH_BYTES = 16
_MESSAGE = int(EventType.MESSAGE)
_MESSAGE_CHARS = 4096


@dataclass(slots=True, kw_only=True)
class Counts:
    """What went into a file."""

    exchanges: int = 0
    sockets: int = 0
    messages: int = 0
    events: int = 0
    first_ns: int = 0
    last_ns: int = 0
    sessions: set[int] = field(default_factory=set)


class Tape:
    """Collects events.

    Attributes:
        n_exchanges: numbers given out.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._order = 0
        self._n_connections = 0
        self._first_ns: int | None = None
        self._dropped: set[int] = set()
        self.n_exchanges = 0

    def new_exchange(self) -> int:
        """The number of another exchange."""
        self.n_exchanges += 1
        return self.n_exchanges

    def new_connection(self) -> int:
        """The number of another connection."""
        self._n_connections += 1
        return self._n_connections

    def drop(self, exchange: int, *, is_bare: bool = False) -> None:
        """Let nothing of an exchange get into the capture.

        Args:
            is_bare: it is the newest, and nothing of it was added.
        """
        if is_bare:
            self.n_exchanges -= 1
        else:
            self._dropped.add(exchange)

    def reserve(self) -> int:
        """A place before whatever is added later, for ``put_exchange``."""
        self._order += _HEAD_EVENTS
        return self._order - _HEAD_EVENTS

    def add(
        self,
        event_type: EventType,
        wall_ns: int,
        connection: int,
        exchange: int,
        fields: Mapping[str, object],
        *,
        order: int = -1,
    ) -> None:
        """Add one event; of those at the same time the one that was added first is first."""
        key = self._key(wall_ns, order)
        self._spool.add(key, event_type, wall_ns, connection, exchange, fields)

    def _key(self, wall_ns: int, order: int = -1) -> tuple[int, int, int]:
        if order < 0:
            order = self._order
            self._order += 1
        if self._first_ns is None or wall_ns < self._first_ns:
            self._first_ns = wall_ns
        return wall_ns, order, 0

    def open_connection(
        self, wall_ns: int, connection: int, session: int, rule: str, fields: Mapping[str, object]
    ) -> None:
        """Add a connection and the session that it belongs to."""
        self.add(EventType.CONNECTION_OPEN, wall_ns, connection, 0, fields)
        self.bind(wall_ns, connection, 0, session, rule)

    def bind(self, wall_ns: int, connection: int, exchange: int, session: int, rule: str) -> None:
        """Bind an exchange, or where that is 0 a connection, to a session."""
        self.add(EventType.SESSION, wall_ns, connection, exchange, {"session": session, "rule": rule})

    def put_exchange(self, exchange: Exchange, *, reserved: int | None = None, latest_ns: int = LAST_WALL_NS) -> None:
        """Add an exchange and, where it has one, its socket; times are nanoseconds since 1970.

        Args:
            exchange: bodies longer than ``KEPT_BYTES`` are cut.
            reserved: where messages of it were added before: what ``reserve`` gave before that.
            latest_ns: the earliest of those messages; what must come before a message is at the latest then.
        """
        socket = exchange.socket
        if socket is not None:
            latest_ns = min((message.t_ns for message in socket.messages), default=latest_ns)
        _Writing(self, exchange, self.reserve() if reserved is None else reserved, latest_ns).write()

    def message(self, connection: int, exchange: int, message: Message) -> None:
        """Add a message of a socket."""
        at = message.t_ns, connection, exchange
        self.add_message(*at, message.sender, message.opcode, message.data, message.size_bytes)

    def add_message(
        self, t_ns: int, connection: int, exchange: int, sender: int, opcode: int, data: bytes, size_bytes: int
    ) -> None:
        """As ``message``, of its parts."""
        values = (sender, opcode, data[:KEPT_BYTES], size_bytes, False)
        self._spool.add_values(self._key(t_ns), _MESSAGE, t_ns, connection, exchange, values)

    def control(self, connection: int, exchange: int, message: Message) -> None:
        """Add a ping or pong."""
        fields = {"sender": message.sender, "opcode": message.opcode, "data": message.data[:KEPT_BYTES]}
        self.add(EventType.CONTROL, message.t_ns, connection, exchange, fields)

    def close_socket(self, connection: int, exchange: int, socket: Socket) -> None:
        """Add how a socket ended, where that is known."""
        if socket.close_ns is not None:
            fields = {"sender": socket.closed_by, "code": socket.close_code, "reason": socket.close_reason}
            self.add(EventType.SOCKET_CLOSE, socket.close_ns, connection, exchange, fields)

    def write_capture(self, out: str, facts: Mapping[str, object]) -> Counts:
        """Write everything to a new capture.

        Raises:
            ConfigError: ``out`` exists or cannot be written.
            CaptureSealed: the disk is full or failed; what was written is kept.
        """
        anchor_ns = self._first_ns or 0
        writer = CaptureWriter(out, facts=facts, anchor=Anchor(wall_ns=anchor_ns, monotonic_ns=0))
        try:
            with writer:
                return self._write(writer, anchor_ns)
        except CaptureSealed:
            raise
        except BaseException:
            os.unlink(out)
            raise

    def _write(self, writer: CaptureWriter, anchor_ns: int) -> Counts:
        counts, first_ns = Counts(), anchor_ns
        numbers: dict[int, int] = {}
        for event_type, wall_ns, connection, exchange, fields in self._spool.rows():
            if exchange in self._dropped:
                continue
            if event_type is EventType.MESSAGE:
                counts.messages += 1
            elif event_type is EventType.REQUEST_HEAD:
                if not counts.exchanges:
                    first_ns = wall_ns
                counts.exchanges += 1
                if counts.exchanges != exchange:
                    numbers[exchange] = counts.exchanges
            elif event_type is EventType.SOCKET_OPEN:
                counts.sockets += 1
            elif event_type is EventType.SESSION:
                counts.sessions.add(fields["session"])
            writer.add(event_type, wall_ns - anchor_ns, connection, numbers.get(exchange, exchange), **fields)
            counts.last_ns = wall_ns - anchor_ns
        counts.events, counts.first_ns = writer.n_events, first_ns - anchor_ns
        return counts


def new_body(data: bytes, size_bytes: int = 0) -> Body:
    """A body as it was on the wire, of which ``data`` is known; ``size_bytes``: of the whole, where that is more."""
    size_bytes = max(size_bytes, len(data))
    is_whole = 0 < size_bytes == len(data)
    digest = blake2b(data, digest_size=_HASH_BYTES).digest() if is_whole else b""
    return Body(data=data[:KEPT_BYTES], size_bytes=size_bytes, hash=digest)


def new_decoded_body(data: bytes, encoding: str, wire_bytes: int, *, is_whole: bool) -> Body:
    """A body whose content-encoding was undone.

    Args:
        wire_bytes: its size before that, or 0 where nobody knows.
        is_whole: whether ``data`` is all of it.
    """
    size_bytes = max(wire_bytes or len(data), 0 if is_whole else 2)
    is_whole = is_whole and len(data) <= KEPT_BYTES
    kept_bytes = size_bytes if is_whole else size_bytes - 1
    return Body(data=data[:KEPT_BYTES], size_bytes=size_bytes, kept_bytes=kept_bytes, encoding=encoding)


def ns_of_seconds(seconds: float) -> int:
    """Nanoseconds of float seconds since 1970, to the microsecond, which is all that a float holds."""
    return round(seconds * 1_000_000) * (NS_PER_S // 1_000_000)


class _Writing:
    """One exchange on its way to the tape."""

    def __init__(self, tape: Tape, exchange: Exchange, order: int, latest_ns: int) -> None:
        self._tape = tape
        self._exchange = exchange
        self._order = order
        self._latest_ns = latest_ns

    def write(self) -> None:
        exchange = self._exchange
        self._request()
        if exchange.status is not None:
            self._response()
        if exchange.socket is not None:
            self._socket(exchange.socket)
        elif exchange.error:
            self._error(exchange.end_ns)

    def _head(self, event_type: EventType, wall_ns: int, **fields: object) -> None:
        wall_ns = min(wall_ns, self._latest_ns)
        at = self._exchange
        self._tape.add(event_type, wall_ns, at.connection, at.id, fields, order=self._order)
        self._order += 1

    def _request(self) -> None:
        exchange, origin = self._exchange, self._exchange.origin
        self._head(
            EventType.REQUEST_HEAD,
            exchange.start_ns,
            method=exchange.method,
            scheme=origin.scheme,
            host=origin.host,
            port=origin.port,
            target=exchange.target,
            http_version=exchange.http_version,
            headers=exchange.request_headers,
        )
        body = exchange.request_body
        if body.data:
            self._head(EventType.REQUEST_BODY, exchange.request_end_ns, data=body.data, encoding=body.encoding)
        self._head(EventType.REQUEST_END, exchange.request_end_ns, **_end_of(body))

    def _response(self) -> None:
        exchange, body = self._exchange, self._exchange.response_body
        start_ns = exchange.request_end_ns if exchange.response_start_ns is None else exchange.response_start_ns
        end_ns = start_ns if exchange.end_ns is None else exchange.end_ns
        self._head(
            EventType.RESPONSE_HEAD,
            start_ns,
            status=exchange.status,
            reason=exchange.reason,
            http_version=exchange.response_http_version,
            headers=exchange.response_headers,
            connect_ns=exchange.connect_ns,
        )
        if exchange.chunks:
            self._chunks(body)
        elif body.data:
            self._head(EventType.RESPONSE_BODY, end_ns, data=body.data, encoding=body.encoding)
        if exchange.end_ns is not None and not exchange.error:
            at = self._exchange
            if exchange.chunks:
                self._tape.add(EventType.RESPONSE_END, end_ns, at.connection, at.id, _end_of(body))
            else:
                self._head(EventType.RESPONSE_END, end_ns, **_end_of(body))

    def _chunks(self, body: Body) -> None:
        at, start = self._exchange, 0
        for t_ns, size_bytes in at.chunks:
            data = body.data[start : start + size_bytes]
            start += size_bytes
            if data:
                self._tape.add(
                    EventType.RESPONSE_BODY, t_ns, at.connection, at.id, {"data": data, "encoding": body.encoding}
                )

    def _socket(self, socket: Socket) -> None:
        exchange = self._exchange
        self._head(EventType.SOCKET_OPEN, socket.open_ns, extensions=socket.extensions, subprotocol=socket.subprotocol)
        for message in socket.messages:
            self._tape.message(exchange.connection, exchange.id, message)
        for message in socket.controls:
            self._tape.control(exchange.connection, exchange.id, message)
        if exchange.error:
            self._error(socket.close_ns)
        self._tape.close_socket(exchange.connection, exchange.id, socket)

    def _error(self, wall_ns: int | None) -> None:
        exchange = self._exchange
        if wall_ns is None:
            wall_ns = max(exchange.request_end_ns, exchange.response_start_ns or 0)
        message = exchange.error[:_MESSAGE_CHARS]
        self._tape.add(EventType.ERROR, wall_ns, exchange.connection, exchange.id, {"message": message})


def _end_of(body: Body) -> dict[str, object]:
    return {"size_bytes": body.size_bytes, "hash": body.hash, "kept_bytes": body.kept_bytes}
