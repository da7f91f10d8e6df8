"""The half of an HTTP/2 connection that goes to the peer: frames in order, bodies as far as its windows allow. Pure.

Implements ``outbox.Outgoing``: what is collected is written together with what other connections have to write.

Source: RFC 9113 §5.2, §6.9 (flow control), §4.3 (header blocks).
"""

from __future__ import annotations

from collections.abc import Mapping

from replayer.wire import http2_frames as h2
from replayer.wire.hpack import DEFAULT_TABLE_BYTES, EMPTY_TABLE
from replayer.wire.http2_stream import Sink, Stream
from replayer.wire.outbox import Outbox


class Outgoing:
    """What is to be sent, and what the peer has not yet room for.

    Args:
        greeting: the first bytes of a connection.
        sink: where bytes go; outbox: says when.

    Attributes:
        frames: to be written next; begun: the streams whose requests are among them.
        owes_size_update: the next header block begins with the size of our table, which is 0 for ever.
    """

    __slots__ = (
        "_actual_ns",
        "_is_posted",
        "_max_frame_bytes",
        "_outbox",
        "_sink",
        "_stream_window",
        "_table_bytes",
        "_waiting",
        "_window",
        "begun",
        "frames",
        "owes_size_update",
    )

    def __init__(self, greeting: bytes, sink: Sink, outbox: Outbox) -> None:
        self._sink = sink
        self._outbox = outbox
        self._is_posted = False
        self._actual_ns = 0
        self.frames = [greeting]
        self.begun: list[Stream] = []
        self.owes_size_update = True
        self._table_bytes = DEFAULT_TABLE_BYTES
        self._max_frame_bytes = h2.DEFAULT_FRAME_BYTES
        self._window = self._stream_window = h2.DEFAULT_WINDOW
        self._waiting: dict[int, Stream] = {}  # Streams whose bodies are not sent whole.

    def post(self) -> None:
        """See to it that what has been collected is written soon."""
        if self.frames and not self._is_posted:
            self._is_posted = True
            self._outbox.add(self)

    def write_now(self) -> None:
        """Write last words at once: the connection ends behind them."""
        self.write(self.unsent)

    # What the outbox calls.

    @property
    def unsent(self) -> bytes:
        """What has been collected, which counts as written then."""
        self._is_posted = False
        frames = self.frames
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        return data

    def write(self, data: bytes) -> None:
        """Write what was collected, if anything: last words may have been faster."""
        if data:
            self._sink.write(data)

    @property
    def actual_ns(self) -> int:
        """When bytes were last written."""
        return self._actual_ns

    @actual_ns.setter
    def actual_ns(self, now_ns: int) -> None:
        self._actual_ns = now_ns
        for stream in self.begun:
            stream.actual_ns = now_ns
        self.begun.clear()

    # Requests.

    def begin(self, stream: Stream, data: bytes) -> None:
        """Send a rendered request that is no single frame, or the first of all."""
        self.begun.append(stream)
        end = h2.BLOCK_PREFIX_BYTES + int.from_bytes(data[:3])
        block = data[h2.BLOCK_PREFIX_BYTES : end]
        if self.owes_size_update:
            block = EMPTY_TABLE + block
            self.owes_size_update = False
        ends_stream = data[4] & h2.END_STREAM
        self._send_block(stream.number, ends_stream, block)
        if not ends_stream:
            stream.unsent = memoryview(data)[end:]
            stream.window = self._stream_window
            self._waiting[stream.number] = stream
            self._send_body(stream)

    def _send_block(self, number: int, flags: int, block: bytes) -> None:
        kind, limit = h2.HEADERS, self._max_frame_bytes
        for at in range(0, len(block), limit):
            if at + limit >= len(block):
                flags |= h2.END_HEADERS
            self.frames.append(h2.frame(kind, flags, number, block[at : at + limit]))
            kind, flags = h2.CONTINUATION, 0

    def reset(self, stream: Stream, code: int) -> None:
        """End a stream from our side."""
        self._waiting.pop(stream.number, None)
        self.frames.append(h2.frame(h2.RST_STREAM, 0, stream.number, h2.ID.pack(code)))

    def forget(self, stream: Stream) -> None:
        """Send no more of a stream's body."""
        self._waiting.pop(stream.number, None)

    def is_sending(self, stream: Stream) -> bool:
        """Tell whether a part of the body still waits for room."""
        return stream.number in self._waiting

    # What the peer says about its room.

    def take_settings(self, values: Mapping[int, int]) -> None:
        """Follow the peer's settings and acknowledge them.

        Raises:
            Fault: a window grows beyond what there can be.
        """
        table_bytes = values.get(h2.HEADER_TABLE_SIZE, self._table_bytes)
        self.owes_size_update |= table_bytes < self._table_bytes  # §4.3.1: that is how a smaller table is confirmed.
        self._table_bytes = table_bytes
        self._max_frame_bytes = values.get(h2.MAX_FRAME_SIZE, self._max_frame_bytes)
        window = values.get(h2.INITIAL_WINDOW_SIZE, self._stream_window)
        change, self._stream_window = window - self._stream_window, window
        for stream in self._waiting.values():
            stream.window += change  # §6.9.2: it may fall below zero.
            if stream.window > h2.MAX_WINDOW:
                raise h2.Fault(h2.FLOW_CONTROL_ERROR, "a stream's window is out of range")
        self.frames.append(h2.frame(h2.SETTINGS, h2.ACK, 0))
        self.send_bodies()

    def widen(self, increment: int) -> None:
        """Take room for the whole connection.

        Raises:
            Fault: there cannot be so much, or it is none.
        """
        self._window += increment
        if not increment or self._window > h2.MAX_WINDOW:
            raise h2.Fault(h2.FLOW_CONTROL_ERROR, "the connection's window is out of range")
        self.send_bodies()

    def widen_stream(self, stream: Stream, increment: int) -> bool:
        """Take room for one stream; False where there cannot be so much, or it is none."""
        if not increment:
            return False
        if stream.number in self._waiting:
            stream.window += increment
            if stream.window > h2.MAX_WINDOW:
                return False
            self._send_body(stream)
        return True

    def send_bodies(self) -> None:
        """Send what has found room."""
        for stream in list(self._waiting.values()):
            if self._window <= 0:
                return
            self._send_body(stream)

    def _send_body(self, stream: Stream) -> None:
        unsent = stream.unsent
        while True:
            n_bytes = min(len(unsent), self._max_frame_bytes, self._window, stream.window)
            is_last = n_bytes == len(unsent)
            if n_bytes <= 0 and not is_last:
                stream.unsent = unsent
                return
            flags = h2.END_STREAM if is_last else 0
            self.frames.append(h2.frame(h2.DATA, flags, stream.number, bytes(unsent[:n_bytes])))
            self._window -= n_bytes
            stream.window -= n_bytes
            unsent = unsent[n_bytes:]
            if is_last:
                stream.unsent = unsent
                del self._waiting[stream.number]
                return
