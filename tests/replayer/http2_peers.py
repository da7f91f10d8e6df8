"""The other end of an HTTP/2 connection: the ``h2`` library as a server in memory, and an owner that takes notes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events
from hpack import Encoder

from replayer.wire import http2_frames as frames
from replayer.wire.hpack import encode_field
from replayer.wire.http2_session import Http2Session
from replayer.wire.http2_stream import Owner, Stream
from replayer.wire.outbox import Outbox
from replayer.wire.sse import ServerEvent
from tests.replayer.asking import Wanted

Fields = Sequence[tuple[bytes, bytes]]
OK: Fields = ((b":status", b"200"), (b"content-type", b"application/json"))


def rendered(method: bytes = b"GET", path: bytes = b"/", body: bytes = b"", extra: Fields = ()) -> bytes:
    """Return a request as ``render_http2`` makes it."""
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"shop.example"), (b":path", path), *extra]
    block = b"".join(encode_field(name, value) for name, value in fields)
    return frames.request_prefix(len(block), has_body=bool(body)) + block + body


class Listener:
    """Implements ``http2_stream.Owner``; ``told`` holds what happened, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def connection_opened(self, session: Http2Session) -> None:
        self.told.append(("opened", session))

    def response_received(self, stream: Stream, end_ns: int) -> None:
        self.told.append(("response", (stream.number, stream.head.status, stream.body)))

    def events_received(self, stream: Stream, events: list[ServerEvent], end_ns: int) -> None:
        self.told.append(("events", [event.data for event in events]))

    def request_failed(self, stream: Stream, failure: str, end_ns: int) -> None:
        self.told.append(("failed", (stream.number, failure)))

    def room_changed(self, session: Http2Session) -> None:
        self.told.append(("room", session.has_room()))

    def connection_closed(self, session: Http2Session) -> None:
        self.told.append(("closed", session))

    def of(self, kind: str) -> list[Any]:
        """Return what was told of one kind."""
        return [what for told, what in self.told if told == kind]


class Wire:
    """Implements ``http2_stream.Sink``: keeps what was written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = bytes(self.written)
        self.written.clear()
        return data


class Pair:
    """A session of ours and a library's server, joined in memory; nothing moves but by ``exchange``."""

    def __init__(
        self,
        *,
        owner: Owner | None = None,
        greets: bool = True,
        outbox: Outbox | None = None,
        **settings: int,
    ) -> None:
        self.listener = Listener()
        self.wire = Wire()
        at_once = Outbox(lambda write: write(), time.monotonic_ns)
        self.session = Http2Session(owner or self.listener, self.wire, outbox or at_once)
        self.server = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None, validate_outbound_headers=False)
        )
        self.server.initiate_connection()
        if settings:
            self.server.update_settings({getattr(frames, name): value for name, value in settings.items()})
        self.events: list[h2.events.Event] = []
        self.session.flush()
        if greets:
            self.exchange()

    def stream(self) -> Stream:
        return self.session.open_stream()

    def ask(self, data: bytes = b"", *, is_head: bool = False, keeps_body: bool = True) -> Stream:
        """Send a request on a stream of its own; the server sees it."""
        stream = self.stream()
        stream.send(data or rendered(), Wanted(is_head=is_head, keeps_body=keeps_body))
        self.to_server()
        return stream

    def to_server(self) -> list[h2.events.Event]:
        """Let the server read what we wrote; return what it makes of it."""
        events: list[h2.events.Event] = self.server.receive_data(self.wire.take())
        self.events += events
        return events

    def to_us(self, *, step: int = 0) -> None:
        """Let us read what the server wrote, in one piece or in pieces of ``step`` bytes."""
        self.feed(self.server.data_to_send(), step=step)

    def feed(self, data: bytes, *, step: int = 0) -> None:
        """Let us read bytes of the test's own making."""
        for at in range(0, len(data), step or max(1, len(data))):
            self.session.receive(data[at : at + (step or len(data))], 1)

    def exchange(self) -> None:
        """Let both read until neither has anything to say."""
        while True:
            data = self.server.data_to_send()
            self.feed(data)
            if not data and not self.wire.written:
                return
            self.to_server()

    def answer(self, stream: Stream, body: bytes = b"{}", fields: Fields = OK) -> None:
        """Let the server answer one request."""
        self.server.send_headers(stream.number, list(fields), end_stream=not body)
        if body:
            self.server.send_data(stream.number, body, end_stream=True)


def sent_frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return (type, flags, stream, payload) of every frame in ``data``, without the preface."""
    data = data.removeprefix(frames.PREFACE)
    found = []
    while data:
        word, flags, stream = frames.HEADER.unpack_from(data)
        end = frames.HEADER_BYTES + (word >> 8)
        found.append((word & 0xFF, flags, stream, data[frames.HEADER_BYTES : end]))
        data = data[end:]
    return found


def block_of(fields: Fields, *, huffman: bool = True, table_bytes: int = 0) -> bytes:
    """Return fields as the library encodes them, with a table of so many bytes."""
    encoder = Encoder()
    encoder.header_table_size = table_bytes
    block: bytes = encoder.encode(list(fields), huffman=huffman)
    return block
