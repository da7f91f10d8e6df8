"""The header blocks that come from the peer: put together from their frames, and read. Pure.

Source: RFC 9113 §4.3, §6.2, §6.10.
"""

from __future__ import annotations

from replayer import failures
from replayer.wire import http2_frames as h2
from replayer.wire.hpack import Decoder, HeadersTooLarge, HpackError
from replayer.wire.http2_heads import MAX_HEAD_BYTES, Http2Head, decoded_head, known_head

MAX_CONTINUATIONS = 128
"""Frames one header block may come in; real ones need one or two (CVE-2024-27983 and its kin sent them for ever)."""


class Blocks:
    """Reads header blocks in the order they come.

    Attributes:
        stream: whose block has not come whole, 0 where none is under way: no other frame may come between.
        is_contextless: the peer has acknowledged that it has no table: a block means what its bytes say.
    """

    __slots__ = ("_block", "_decoder", "_flags", "_n_continuations", "is_contextless", "stream")

    def __init__(self) -> None:
        self._decoder: Decoder | None = Decoder(max_list_bytes=MAX_HEAD_BYTES)
        self._block = b""
        self._flags = self._n_continuations = 0
        self.stream = 0
        self.is_contextless = False

    def forget_table(self) -> None:
        """The peer's table has no room from here on, nor can it get any (§4.3.1)."""
        self._decoder = None
        self.is_contextless = True

    def begin(self, stream: int, flags: int, block: bytes) -> None:
        """Keep the first piece of a block that is continued.

        Raises:
            Fault: it is of no stream.
        """
        if not stream:
            raise h2.Fault(h2.PROTOCOL_ERROR, "a header block belongs to no stream")
        self._block, self.stream, self._flags, self._n_continuations = block, stream, flags, 0

    def add(self, flags: int, piece: bytes) -> tuple[int, bytes] | None:
        """Take a CONTINUATION; return the flags of HEADERS and the whole block with its last.

        Raises:
            Fault: there is nothing to continue, or no end of it.
        """
        if not self.stream:
            raise h2.Fault(h2.PROTOCOL_ERROR, "CONTINUATION continues nothing")
        self._block += piece
        self._n_continuations += 1
        if len(self._block) > MAX_HEAD_BYTES or self._n_continuations > MAX_CONTINUATIONS:
            text = "a header block does not end"
            raise h2.Fault(h2.ENHANCE_YOUR_CALM, text, failure=failures.TOO_LARGE, stream=self.stream)
        if not flags & h2.END_HEADERS:
            return None
        block, self._block, self.stream = self._block, b"", 0
        return self._flags, block

    def read(self, stream: int, block: bytes, *, is_head: bool) -> Http2Head | None:
        """Read a whole block, whoever it is for: the table must follow; return its head where one is asked for.

        Raises:
            HeadError: the head is malformed.
            Fault: the block is none, or too large.
        """
        try:
            if self._decoder is not None:
                fields = self._decoder.decode(block)
                return decoded_head(fields) if is_head else None
            return known_head(block) if is_head else None
        except HeadersTooLarge as exc:
            raise h2.Fault(h2.ENHANCE_YOUR_CALM, str(exc), failure=failures.TOO_LARGE, stream=stream) from exc
        except HpackError as exc:
            raise h2.Fault(h2.COMPRESSION_ERROR, str(exc)) from exc
