"""Reading WebSocket frames: bytes in, messages and control frames out. Pure.

The reader is fed with bytes at any split and calls its sink once per complete message or control frame. The usual
message, one unfragmented text frame that is there as a whole, costs one look at two bytes and one slice. Headers are
judged as soon as they are there, so that a frame that may not come is refused before its payload has.

Source: RFC 6455 §5 and §8.1, RFC 7692 §6; Chromium's reader for what browsers refuse (lengths that are not minimal).
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Protocol

from replayer.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INVALID_DATA,
    MESSAGE_TOO_BIG,
    PONG,
    PROTOCOL_ERROR,
    RSV1,
    RSV2_OR_3,
    TEXT,
    Breach,
    check_utf8,
)

_WHOLE_TEXT = FIN | TEXT
_MAX_CONTROL_BYTES = 125
_EXTENDED_64 = struct.Struct("!Q")
_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class Sink(Protocol):
    """Who is told what arrived."""

    def take_text(self, data: bytes) -> None:
        """One text message; ``data`` is valid UTF-8."""

    def take_binary(self, data: bytes) -> None:
        """One binary message."""

    def take_control(self, opcode: int, payload: bytes) -> None:
        """One CLOSE, PING or PONG frame."""


class FrameReader:
    """Reads what a server sends on one WebSocket.

    Args:
        sink: is told of messages and control frames, in order.
        max_bytes: of one message, inflated; a larger one is a breach with 1009.
        inflate: inflates one message (permessage-deflate), or None where it was not negotiated.

    Attributes:
        is_over: set by the sink when nothing that follows is of interest; the rest is dropped.
    """

    __slots__ = (
        "_held",
        "_inflate",
        "_is_deflated",
        "_max_bytes",
        "_needed",
        "_opcode",
        "_parts",
        "_parts_bytes",
        "_sink",
        "_utf8",
        "is_over",
    )

    def __init__(self, sink: Sink, max_bytes: int, inflate: Callable[[bytes], bytes] | None) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._inflate = inflate
        self._held: bytearray | None = None  # The beginning of a frame that is not complete.
        self._needed = 0  # Bytes that must be held before it is worth looking again.
        self._opcode = 0  # Of the fragmented message that has begun; 0: none.
        self._is_deflated = False
        self._parts: list[bytes] | None = None
        self._parts_bytes = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        self.is_over = False

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Raises:
            Breach: after everything before the breach was told; nothing may be fed afterwards.
        """
        position = 0
        while (held := self._held) is not None:
            missing = self._needed - len(held)
            held += data[position : position + missing]
            if len(held) < self._needed:
                return
            position += missing
            self._held = None
            self._read(bytes(held), 0)
        self._read(data, position)

    def _read(self, data: bytes, position: int) -> None:
        """Tell of the complete frames from ``position`` on and hold the rest."""
        sink, max_bytes = self._sink, self._max_bytes
        end = len(data)
        while position + 2 <= end and not self.is_over:
            head = data[position]
            length = data[position + 1]
            start = position + 2
            if length >= 126:
                if length == 126 and start + 2 <= end:
                    length = data[start] << 8 | data[start + 1]
                    start += 2
                    if length < 126:
                        raise Breach(PROTOCOL_ERROR, "a length that is not minimal")
                elif length == 127 and start + 8 <= end:
                    length = _long_length(data, start)
                    start += 8
                elif length > 127:
                    raise Breach(PROTOCOL_ERROR, "a masked frame")
                else:
                    self._check_head(head)
                    self._hold(data, position, start + (2 if length == 126 else 8))
                    return
            stop = start + length
            if head == _WHOLE_TEXT and not self._opcode and stop <= end and length <= max_bytes:
                payload = data[start:stop]
                if not payload.isascii():
                    check_utf8(payload)
                sink.take_text(payload)
            else:
                self._check_head(head)
                self._check_length(head, length)
                if stop > end:
                    self._hold(data, position, stop)
                    return
                self._take_frame(head, data[start:stop])
            position = stop
        if position < end and not self.is_over:
            self._hold(data, position, position + 2)

    def _hold(self, data: bytes, position: int, stop: int) -> None:
        """Keep the beginning of a frame until it has ``stop`` − ``position`` bytes."""
        self._held = bytearray(memoryview(data)[position:])
        self._needed = stop - position

    def _check_head(self, head: int) -> None:
        """Raise Breach for a first byte that no server may send in the present state."""
        opcode = head & 0x0F
        if head & RSV2_OR_3 or (head & RSV1 and (self._inflate is None or opcode not in (TEXT, BINARY))):
            raise Breach(PROTOCOL_ERROR, "a reserved bit without an extension")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise Breach(PROTOCOL_ERROR, f"reserved opcode {opcode}")
            if not head & FIN:
                raise Breach(PROTOCOL_ERROR, "a fragmented control frame")
        elif opcode > BINARY:
            raise Breach(PROTOCOL_ERROR, f"reserved opcode {opcode}")
        elif opcode == CONTINUATION:
            if not self._opcode:
                raise Breach(PROTOCOL_ERROR, "a continuation of nothing")
        elif self._opcode:
            raise Breach(PROTOCOL_ERROR, "a message inside a fragmented message")

    def _check_length(self, head: int, length: int) -> None:
        if head & CLOSE:
            if length > _MAX_CONTROL_BYTES:
                raise Breach(PROTOCOL_ERROR, "a control frame above 125 bytes")
        elif self._parts_bytes + length > self._max_bytes:
            raise Breach(MESSAGE_TOO_BIG, f"a message above {self._max_bytes} bytes")

    def _take_frame(self, head: int, payload: bytes) -> None:
        opcode = head & 0x0F
        if opcode >= CLOSE:
            self._sink.take_control(opcode, payload)
        elif opcode and head & FIN:
            self._take_message(opcode, payload, is_deflated=bool(head & RSV1))
        else:
            self._take_fragment(head, payload)

    def _take_message(self, opcode: int, payload: bytes, *, is_deflated: bool) -> None:
        if is_deflated:
            assert self._inflate is not None
            payload = self._inflate(payload)
        if opcode == BINARY:
            self._sink.take_binary(payload)
            return
        if not payload.isascii():
            check_utf8(payload)
        self._sink.take_text(payload)

    def _take_fragment(self, head: int, payload: bytes) -> None:
        if head & 0x0F:
            self._opcode = head & 0x0F
            self._is_deflated = bool(head & RSV1)
            self._parts = []
            self._utf8 = _utf8_decoder() if self._opcode == TEXT and not self._is_deflated else None
        assert self._parts is not None
        if payload:  # Empty fragments in endless number hold no memory.
            self._parts.append(payload)
            self._parts_bytes += len(payload)
        if self._utf8 is not None:
            _decode(self._utf8, payload, is_last=bool(head & FIN))
        if not head & FIN:
            return
        data, opcode = b"".join(self._parts), self._opcode
        is_checked = self._utf8 is not None
        self._opcode, self._parts, self._parts_bytes, self._utf8 = 0, None, 0, None
        if is_checked:
            self._sink.take_text(data)
        else:
            self._take_message(opcode, data, is_deflated=self._is_deflated)


def _decode(decoder: codecs.IncrementalDecoder, data: bytes, *, is_last: bool) -> None:
    try:
        decoder.decode(data, is_last)
    except UnicodeDecodeError:
        raise Breach(INVALID_DATA, "text that is no UTF-8") from None


def _long_length(data: bytes, start: int) -> int:
    length: int = _EXTENDED_64.unpack_from(data, start)[0]
    if length < 65536 or length >> 63:
        raise Breach(PROTOCOL_ERROR, "a length that is not minimal or above 2^63")
    return length
