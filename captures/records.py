"""What a capture holds: one event per thing that happened, and the exchanges and sockets assembled from events.

Pure data. Knows nothing of files (``container``), of encoding (``codec``) or of mitmproxy (``recorder``).

Times are int nanoseconds since the capture's anchor (``Anchor``), unless a name says otherwise. Header names and
values are bytes exactly as they were seen, in order; HTTP/2 cookie crumbs are joined with ``; `` before they get here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

Headers = tuple[tuple[bytes, bytes], ...]


class EventType(IntEnum):
    """Kinds of events; the numbers are part of the file format and never reused."""

    CONNECTION_OPEN = 1
    CONNECTION_CLOSE = 2
    REQUEST_HEAD = 3
    REQUEST_BODY = 4
    REQUEST_END = 5
    RESPONSE_HEAD = 6
    RESPONSE_BODY = 7
    RESPONSE_END = 8
    SOCKET_OPEN = 9
    MESSAGE = 10
    CONTROL = 11
    SOCKET_CLOSE = 12
    ERROR = 13
    SESSION = 14
    NOTE = 15


class Peer(IntEnum):
    """Who sent or closed: the recorded client (browser) or the server."""

    CLIENT = 1
    SERVER = 2


class Opcode(IntEnum):
    """WebSocket opcodes (RFC 6455 §5.2) of messages and control frames."""

    TEXT = 1
    BINARY = 2
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Ties the capture's time zero to the clocks of the recording machine.

    Attributes:
        wall_ns: ``time.time_ns()`` at time zero.
        monotonic_ns: ``time.monotonic_ns()`` at time zero.
    """

    wall_ns: int
    monotonic_ns: int


@dataclass(slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``connection`` and ``exchange`` are small ints, unique in the file, 0 where there is none. A socket is known by the
    exchange of its handshake. ``fields`` are the values of the event's schema (``SCHEMA``), by name.
    """

    type: EventType
    seq: int
    t_ns: int
    connection: int
    exchange: int
    fields: dict[str, object]


# Field names per event type, in stored order. Fields are only ever appended; the header of each file carries its own
# copy.
SCHEMA: dict[EventType, tuple[str, ...]] = {
    EventType.CONNECTION_OPEN: ("listener", "peer", "tls", "alpn"),
    EventType.CONNECTION_CLOSE: (),
    EventType.REQUEST_HEAD: ("method", "scheme", "host", "port", "target", "http_version", "headers"),
    EventType.REQUEST_BODY: ("data", "encoding"),
    EventType.REQUEST_END: ("size_bytes", "hash", "kept_bytes"),
    EventType.RESPONSE_HEAD: ("status", "reason", "http_version", "headers", "connect_ns"),
    EventType.RESPONSE_BODY: ("data", "encoding"),
    EventType.RESPONSE_END: ("size_bytes", "hash", "kept_bytes"),
    EventType.SOCKET_OPEN: ("extensions", "subprotocol"),
    EventType.MESSAGE: ("sender", "opcode", "data", "size_bytes", "dropped"),
    EventType.CONTROL: ("sender", "opcode", "data"),
    EventType.SOCKET_CLOSE: ("sender", "code", "reason"),
    EventType.ERROR: ("message",),
    EventType.SESSION: ("session", "rule"),
    EventType.NOTE: ("name", "value"),
}


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Scheme (``http`` or ``https``; sockets count under their http twin), host in lower case, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" if self.port == default else f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's default, as in a Host header."""
        return str(self).partition("://")[2]


@dataclass(slots=True, kw_only=True)
class Body:
    """A recorded body as it was on the wire (content-encoding still applied, transfer-encoding removed).

    Only the first bytes may have been kept (``is_cut``). In a redacted capture its secrets are replaced, and its
    content-encoding is undone.

    Attributes:
        size_bytes: of the whole body on the wire.
        kept_bytes: of those, the ones that ``data`` was made of; 0: as many as ``data`` has.
        encoding: the content-encodings that were undone; the exchange's headers do not name them then.
    """

    data: bytes = b""
    size_bytes: int = 0
    hash: bytes = b""
    kept_bytes: int = 0
    encoding: str = ""

    @property
    def is_cut(self) -> bool:
        """True where the recorder kept less than was sent."""
        return (self.kept_bytes or len(self.data)) < self.size_bytes


@dataclass(slots=True, kw_only=True)
class Message:
    """One complete WebSocket data message."""

    t_ns: int
    sender: Peer
    opcode: Opcode
    data: bytes
    size_bytes: int


@dataclass(slots=True, kw_only=True)
class Socket:
    """One WebSocket connection after its handshake.

    ``close_code`` is None while the socket was still open when the recording stopped.
    """

    open_ns: int
    extensions: bytes = b""
    subprotocol: bytes = b""
    messages: list[Message] = field(default_factory=list)
    controls: list[Message] = field(default_factory=list)
    close_ns: int | None = None
    close_code: int | None = None
    close_reason: str = ""
    closed_by: Peer | None = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and, where it came, its response; for a WebSocket the handshake, with ``socket`` set.

    Attributes:
        id: unique in the file, in order of the requests' start.
        target: path and query exactly as sent, beginning with ``/``.
        start_ns: request head complete (the browser's send, as the recorder saw it).
        request_end_ns: request body complete.
        response_start_ns: response head complete, or None.
        end_ns: response body complete, or the error; None while open when the recording stopped.
        chunks: arrival (t_ns, size_bytes) of each response body chunk of a streamed response, else empty.
        connect_ns: time the proxy spent connecting upstream after the request had ended, 0 where reused.
        error: what broke the exchange, or an empty string.
        ended_by: who ended a stream, where that is known.
    """

    id: int
    connection: int
    method: str
    origin: Origin
    target: str
    http_version: str
    request_headers: Headers
    request_body: Body
    start_ns: int
    request_end_ns: int
    status: int | None = None
    reason: str = ""
    response_http_version: str = ""
    response_headers: Headers = ()
    response_body: Body = field(default_factory=Body)
    response_start_ns: int | None = None
    end_ns: int | None = None
    chunks: list[tuple[int, int]] = field(default_factory=list)
    connect_ns: int = 0
    error: str = ""
    ended_by: Peer | None = None
    socket: Socket | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser identity's ordered traffic; ``exchanges`` are in order of ``start_ns``, sockets among them."""

    id: int
    rule: str
    exchanges: list[Exchange]

    @property
    def start_ns(self) -> int:
        """Start of the first exchange."""
        return self.exchanges[0].start_ns if self.exchanges else 0
