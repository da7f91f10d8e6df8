"""One HTTP/2 connection as a client keeps it, without its socket: fed with bytes, it writes to a sink. Pure.

Theory of operation
-------------------
Every request of a run is known before it, so its header block is encoded once (``hpack``) without a trace in the peer's
table, and sending costs a stream's number between two pieces of bytes. Towards us the peer's table has no room: until
it has acknowledged that, blocks go through a full decoder; from then on a block that was seen before is one look-up.
Windows towards us are as large as they can be, so that flow control costs one frame a gigabyte; bodies are bounded by
``MAX_BODY_BYTES``. Towards the peer its windows and its limit of streams hold.

What arrives in one piece is answered in one piece: frames are collected while bytes are read, and the outbox writes
them (``outbox.Outgoing``), but for last words, which are written at once.

A stream is opened by its owner, carries one request at a time and can be used again, like a connection of HTTP/1.1
(``replayer.user.port.Connection``). A stream error ends one request (RST_STREAM), a connection error all (GOAWAY).
What the peer says it has not looked at (REFUSED_STREAM, streams above a GOAWAY's last) is marked ``is_refused``:
whoever sent it may send it again without risk.

Source: RFC 9113; sections are named where they matter.
"""

from __future__ import annotations

from replayer import failures
from replayer.wire import http2_frames as h2
from replayer.wire.heads import NO_HEAD, UNKNOWN_LENGTH, Asked, Head, HeadError
from replayer.wire.http2_blocks import Blocks
from replayer.wire.http2_heads import MAX_HEAD_BYTES, remembered_head
from replayer.wire.http2_outgoing import Outgoing
from replayer.wire.http2_stream import Owner, Sink, Stream
from replayer.wire.outbox import Outbox
from replayer.wire.sse import EventReader, EventTooLarge

MAX_BODY_BYTES = 64 * 1024 * 1024
"""An answer larger than this ends its stream as ``too_large``: it bounds what one server can make us hold."""
STREAMS_BEFORE_SETTINGS = 100
"""Open at most before the peer has said how many it takes (§6.5.2: it should take no fewer)."""
MAX_IDLE_CONTROLS = 10_000
"""Frames in a row that ask for work and answer nothing (SETTINGS, PING, empty DATA and the like)."""
WINDOW_STEP = 1 << 30
"""Bytes received after which the connection's window is opened again."""

_OUR_SETTINGS = {
    h2.HEADER_TABLE_SIZE: 0,
    h2.ENABLE_PUSH: 0,
    h2.INITIAL_WINDOW_SIZE: h2.MAX_WINDOW,
    h2.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
}
_GREETING = (
    h2.PREFACE
    + h2.settings_frame(_OUR_SETTINGS)
    + h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.ID.pack(h2.MAX_WINDOW - h2.DEFAULT_WINDOW))
)


class Http2Session:
    """One connection.

    Args:
        owner: is told what happens.
        sink: where bytes go; outbox: says when.

    Attributes:
        is_leaving: it takes no further request; those in flight go on.
        is_lost: the connection under it is gone.
        n_answered: answers received so far.
        heard_ns: when bytes last arrived.
    """

    __slots__ = (
        "_blocks",
        "_has_greeted",
        "_is_over",
        "_is_reading",
        "_max_streams",
        "_n_idle",
        "_next",
        "_now_ns",
        "_out",
        "_received_bytes",
        "_rest",
        "_sink",
        "_streams",
        "heard_ns",
        "is_leaving",
        "is_lost",
        "n_answered",
        "owner",
    )

    def __init__(self, owner: Owner, sink: Sink, outbox: Outbox) -> None:
        self.owner = owner
        self._sink = sink
        self.is_leaving = self._is_over = self._is_reading = self._has_greeted = self.is_lost = False
        self.n_answered = self.heard_ns = self._now_ns = 0
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._max_streams = STREAMS_BEFORE_SETTINGS
        self._out = Outgoing(_GREETING, sink, outbox)
        self._rest = b""
        self._received_bytes = 0
        self._blocks = Blocks()
        self._n_idle = 0

    # What the owner calls.

    def has_room(self) -> bool:
        """Tell whether one more request may be sent now."""
        return len(self._streams) < self._max_streams and not self.is_leaving

    def open_stream(self) -> Stream:
        """Return a stream that has sent nothing yet."""
        return Stream(self)

    def is_idle(self) -> bool:
        """Tell whether nothing is in flight."""
        return not self._streams

    def retire(self) -> None:
        """Take no further request, and end with the last one in flight."""
        self.is_leaving = True
        if not self._streams:
            self.close()

    def close(self) -> None:
        """End in order; what is in flight is given up without a word."""
        if self._is_over:
            return
        self._is_over = self.is_leaving = True
        if self._streams:
            for stream in self._streams.values():
                stream.is_busy = False
            self._streams.clear()
            self._sink.abort()
        else:
            self._out.frames.append(h2.frame(h2.GOAWAY, 0, 0, h2.PAIR.pack(0, h2.NO_ERROR)))
            self._out.write_now()
            self._sink.close()

    def begin(self, stream: Stream, data: bytes, request: Asked) -> None:
        """Send a request on a stream that carries none, as ``Stream.send``."""
        stream.data = data
        stream.request = request
        stream.head = NO_HEAD
        stream.events = None
        stream.body_bytes = 0
        if stream.parts:
            stream.parts = []
        stream.has_answer_bytes = stream.is_refused = False
        stream.is_busy = True
        stream.n_sent += 1
        number = stream.number = self._next
        self._next = number + 2
        if self._next > h2.MAX_STREAM:
            self.is_leaving = True
        self._streams[number] = stream
        stream.was_reused = self.n_answered > 0
        out = self._out
        if data[4] & h2.END_STREAM and len(data) <= h2.DEFAULT_FRAME_BYTES and not out.owes_size_update:
            out.begun.append(stream)
            out.frames.append(data[:5] + h2.ID.pack(number) + data[5:])
        else:
            out.begin(stream, data)
        if not self._is_reading:
            self.flush()

    def cancel(self, stream: Stream) -> None:
        """Reset a stream from our side."""
        if self._streams.pop(stream.number, None) is not None:
            self._out.reset(stream, h2.CANCEL)
            stream.is_busy = False
            self._close_if_done()
        if not self._is_reading:
            self.flush()

    def flush(self) -> None:
        """See to it that what has been collected is written soon."""
        self._out.post()

    # What the shell calls.

    def receive(self, data: bytes, now_ns: int) -> None:
        """Act on bytes of the peer that arrived at ``now_ns``."""
        self.heard_ns = self._now_ns = now_ns
        if self._is_over:
            return
        if self._rest:
            data = self._rest + data
            self._rest = b""
        self._is_reading = True
        try:
            if not self._has_greeted:
                self._check_greeting(data)
            end = self._read(data)
            if end < len(data):
                self._rest = data[end:]
        except h2.Fault as fault:
            self._is_reading = False
            self._break(fault)
            return
        finally:
            self._is_reading = False
        self.flush()

    def lose(self, failure: str, now_ns: int) -> None:
        """The connection is gone: what is in flight fails."""
        self._is_over = self.is_leaving = self.is_lost = True
        self._now_ns = now_ns
        self._out.frames.clear()
        for stream in list(self._streams.values()):
            self._fail(stream, failure)
        self.owner.connection_closed(self)

    # Reading.

    def _read(self, data: bytes) -> int:
        """Act on every whole frame; return where the first incomplete one begins."""
        at, end = 0, len(data)
        streams, blocks, unpack = self._streams, self._blocks, h2.HEADER.unpack_from
        while end - at >= h2.HEADER_BYTES:
            word, flags, number = unpack(data, at)
            start = at + h2.HEADER_BYTES
            stop = start + (word >> 8)
            if stop > end:
                if word >> 8 > h2.DEFAULT_FRAME_BYTES:
                    raise h2.Fault(h2.FRAME_SIZE_ERROR, "a frame is larger than we take")
                return at
            at = stop
            kind = word & 0xFF
            stream = streams.get(number)
            if stream is None or blocks.stream:
                self._take_frame(kind, flags, number & h2.MAX_STREAM, data[start:stop])
            elif kind == h2.DATA and not flags & h2.PADDED:
                if flags & h2.END_STREAM and stop - start == stream.head.length and not stream.body_bytes:
                    # The usual answer: all of its body in one frame, which is its last.
                    stream.body_bytes = stop - start
                    if stream.request.keeps_body:
                        stream.parts = [data[start:stop]]
                    self._received_bytes += stop - start
                    if self._received_bytes >= WINDOW_STEP:
                        self._open_window()
                    self._end(number, stream)
                else:
                    self._take_data(stream, flags, stop - start, data[start:stop])
            elif kind == h2.HEADERS and flags == h2.END_HEADERS and blocks.is_contextless and stream.head is NO_HEAD:
                head = remembered_head(data[start:stop])
                if head is not None and head.is_plain:
                    stream.head = head
                    stream.has_answer_bytes = True
                else:
                    self._take_block(number, flags, data[start:stop])
            else:
                self._take_frame(kind, flags, number, data[start:stop])
            if self._is_over:
                return end
        return at

    def _take_data(self, stream: Stream, flags: int, n_flow_bytes: int, data: bytes) -> None:
        """A piece of a body; padding counts for flow control (§6.9.1)."""
        self._received_bytes += n_flow_bytes
        if self._received_bytes >= WINDOW_STEP:
            self._open_window()
        if data:
            self._n_idle = 0
            stream.body_bytes += len(data)
            if stream.events is not None:
                self._take_events(stream, stream.events, data)
            elif stream.body_bytes > MAX_BODY_BYTES:
                self._fault_stream(stream, h2.CANCEL, failures.TOO_LARGE)
            elif stream.request.keeps_body:
                stream.parts.append(data)
            if not stream.is_busy:
                return
        else:
            self._count_idle()
        if stream.head is NO_HEAD:
            self._fault_stream(stream, h2.PROTOCOL_ERROR, failures.PROTOCOL)
        elif flags & h2.END_STREAM:
            self._finish(stream)

    def _take_events(self, stream: Stream, reader: EventReader, data: bytes) -> None:
        """An event stream may run for hours; each of its events is bounded."""
        try:
            events = reader.feed(data)
        except EventTooLarge:
            self._fault_stream(stream, h2.CANCEL, failures.TOO_LARGE)
            return
        if events:
            self.owner.events_received(stream, events, self._now_ns)

    def _take_block(self, number: int, flags: int, block: bytes) -> None:
        """A complete header block: a head, an interim head, or trailers."""
        stream = self._streams.get(number)
        try:
            head = self._blocks.read(number, block, is_head=stream is not None and stream.head is NO_HEAD)
        except HeadError:
            assert stream is not None
            self._fault_stream(stream, h2.PROTOCOL_ERROR, failures.PROTOCOL)
            return
        if stream is None:
            self._stray(number)
            return
        stream.has_answer_bytes = True
        if head is not None and head.status < 200:
            self._pass_over(stream, head, flags)
        elif head is None and not flags & h2.END_STREAM:
            self._fault_stream(stream, h2.PROTOCOL_ERROR, failures.PROTOCOL)  # §8.1: trailers end a stream.
        else:
            self._n_idle = 0
            if head is not None:
                stream.head = head
                stream.events = EventReader() if head.is_event_stream else None
                if stream.events is not None:
                    self.owner.events_received(stream, [], self._now_ns)
            if flags & h2.END_STREAM:
                self._finish(stream)

    def _pass_over(self, stream: Stream, head: Head, flags: int) -> None:
        """An interim answer (§8.1): the real one follows; HTTP/2 knows no 101 (§8.6)."""
        self._count_idle()
        if head.status == 101 or flags & h2.END_STREAM:
            self._fault_stream(stream, h2.PROTOCOL_ERROR, failures.PROTOCOL)

    def _take_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._blocks.stream and (kind != h2.CONTINUATION or number != self._blocks.stream):
            raise h2.Fault(h2.PROTOCOL_ERROR, "a header block is interrupted")
        if kind == h2.DATA:
            self._take_padded_data(number, flags, payload)
        elif kind == h2.HEADERS:
            self._begin_block(number, flags, h2.unpadded(payload, flags))
        elif kind == h2.CONTINUATION:
            self._continue_block(number, flags, payload)
        elif kind == h2.RST_STREAM:
            self._take_reset(number, payload)
        elif kind == h2.WINDOW_UPDATE:
            self._take_window(number, payload)
        elif kind == h2.SETTINGS:
            self._take_settings(number, flags, payload)
        elif kind == h2.PING:
            self._take_ping(number, flags, payload)
        elif kind == h2.GOAWAY:
            self._take_goaway(number, payload)
        elif kind == h2.PUSH_PROMISE:
            raise h2.Fault(h2.PROTOCOL_ERROR, "a server pushes although it may not")
        else:
            self._count_idle()  # §4.1, §5.3.2: unknown frames and PRIORITY mean nothing.

    def _take_padded_data(self, number: int, flags: int, payload: bytes) -> None:
        data = h2.unpadded(payload, flags & h2.PADDED)
        stream = self._streams.get(number)
        if stream is not None:
            self._take_data(stream, flags, len(payload), data)
            return
        self._stray(number)
        if payload:
            self._n_idle = 0  # What was on its way when its stream was given up.
        self._received_bytes += len(payload)
        if self._received_bytes >= WINDOW_STEP:
            self._open_window()

    def _begin_block(self, number: int, flags: int, block: bytes) -> None:
        if flags & h2.END_HEADERS:
            self._take_block(number, flags, block)
        else:
            self._blocks.begin(number, flags, block)

    def _continue_block(self, number: int, flags: int, piece: bytes) -> None:
        whole = self._blocks.add(flags, piece)
        if whole is not None:
            self._take_block(number, *whole)

    # Control frames.

    def _take_reset(self, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise h2.Fault(h2.FRAME_SIZE_ERROR, "RST_STREAM is cut")
        stream = self._streams.get(number)
        if stream is None:
            self._stray(number)
            return
        (code,) = h2.ID.unpack(payload)
        stream.is_refused = code == h2.REFUSED_STREAM
        self._fail(stream, failures.RESET)

    def _take_window(self, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise h2.Fault(h2.FRAME_SIZE_ERROR, "WINDOW_UPDATE is cut")
        increment = h2.ID.unpack(payload)[0] & h2.MAX_WINDOW
        stream = self._streams.get(number)
        if not number:
            self._count_idle()
            self._out.widen(increment)
        elif stream is None:
            self._stray(number)
        elif not self._out.widen_stream(stream, increment):
            self._fault_stream(stream, h2.FLOW_CONTROL_ERROR, failures.PROTOCOL)

    def _take_settings(self, number: int, flags: int, payload: bytes) -> None:
        if number or (flags & h2.ACK and payload):
            raise h2.Fault(h2.FRAME_SIZE_ERROR, "SETTINGS of a stream, or an acknowledgement that says something")
        if flags & h2.ACK:
            self._blocks.forget_table()
            return
        self._count_idle()
        values = h2.read_settings(payload)
        self._out.take_settings(values)
        first = h2.MAX_STREAM if not self._has_greeted else self._max_streams
        self._has_greeted = True
        before, self._max_streams = self._max_streams, values.get(h2.MAX_CONCURRENT_STREAMS, first)
        if self._max_streams > before:
            self.owner.room_changed(self)

    def _take_ping(self, number: int, flags: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise h2.Fault(h2.FRAME_SIZE_ERROR, "PING of a stream, or not of eight bytes")
        self._count_idle()
        if not flags & h2.ACK:
            self._out.frames.append(h2.frame(h2.PING, h2.ACK, 0, payload))

    def _take_goaway(self, number: int, payload: bytes) -> None:
        """§6.8: what is above the last stream was not looked at."""
        if number or len(payload) < 8:
            raise h2.Fault(h2.FRAME_SIZE_ERROR, "GOAWAY of a stream, or cut")
        last = h2.PAIR.unpack_from(payload)[0] & h2.MAX_STREAM
        self.is_leaving = True
        for stream in [stream for number, stream in self._streams.items() if number > last]:
            stream.is_refused = True
            self._fail(stream, failures.EOF)
        self._close_if_done()  # None may have been in flight at all.
        self.owner.room_changed(self)

    def _check_greeting(self, data: bytes) -> None:
        """§3.4: a server's first frame is SETTINGS; another protocol is told by it."""
        if len(data) >= 4 and data[3] != h2.SETTINGS:
            raise h2.Fault(h2.PROTOCOL_ERROR, "this is no HTTP/2")

    def _stray(self, number: int) -> None:
        """A frame of a stream that is over means nothing (§5.1); one of a stream that never was is an error."""
        if not number & 1 or number >= self._next:
            raise h2.Fault(h2.PROTOCOL_ERROR, f"stream {number} was never opened")
        self._count_idle()

    def _count_idle(self) -> None:
        self._n_idle += 1
        if self._n_idle > MAX_IDLE_CONTROLS:
            raise h2.Fault(h2.ENHANCE_YOUR_CALM, "frames without an answer do not end")

    def _open_window(self) -> None:
        self._out.frames.append(h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.ID.pack(self._received_bytes)))
        self._received_bytes = 0

    # Ends.

    def _finish(self, stream: Stream) -> None:
        length = stream.head.length
        if length != stream.body_bytes and length != UNKNOWN_LENGTH and not stream.request.is_head:
            self._fault_stream(stream, h2.PROTOCOL_ERROR, failures.PROTOCOL)  # §8.1.1
        else:
            self._end(stream.number, stream)

    def _end(self, number: int, stream: Stream) -> None:
        """The answer is complete and as it should be."""
        del self._streams[number]
        self._n_idle = 0
        if stream.unsent and self._out.is_sending(stream):
            self._out.reset(stream, h2.NO_ERROR)  # §8.1: it answered early and wants no more of the request.
        self.n_answered += 1
        stream.is_busy = False
        self.owner.response_received(stream, self._now_ns)
        if self.is_leaving:
            self._close_if_done()

    def _fault_stream(self, stream: Stream, code: int, failure: str) -> None:
        """A stream error (§5.4.2)."""
        self._out.reset(stream, code)
        self._fail(stream, failure)

    def _fail(self, stream: Stream, failure: str) -> None:
        if self._streams.pop(stream.number, None) is None:
            return
        self._out.forget(stream)
        stream.is_busy = False
        self.owner.request_failed(stream, failure, self._now_ns)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.is_leaving and not self._streams:
            self.close()

    def _break(self, fault: h2.Fault) -> None:
        """A connection error (§5.4.1)."""
        self._is_over = self.is_leaving = True
        self._out.frames.append(h2.frame(h2.GOAWAY, 0, 0, h2.PAIR.pack(0, fault.code) + fault.text.encode()))
        self._out.write_now()
        self._sink.close()
        for stream in list(self._streams.values()):
            is_culprit = fault.failure and stream.number == fault.stream
            self._fail(stream, fault.failure if is_culprit else failures.PROTOCOL)
