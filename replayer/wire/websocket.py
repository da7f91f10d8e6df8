"""WebSocket on a bare protocol: one connection is one socket of one virtual user.

Its owner is told of the 101, of each complete message and of the end; pings are answered here, as a browser answers
them. Everything that decides lies in pure rooms: ``websocket_handshake``, ``frames`` and ``deflate``.

How a socket ends
-----------------
The owner hears ``socket_closed`` once: when both close frames are exchanged, when the peer breaches the protocol (it is
told so with 1002, 1007 or 1009), or when the connection is gone without a close frame (1006). Where both frames are
exchanged the server ends the TCP connection, so that its ports wait out TIME_WAIT and not ours; it has 2 s for that, as
in Chromium. A close of ours that is not answered in 10 s ends as 1006.

What a server does not read
---------------------------
A message is handed to the transport as a whole and never waits. While more than 1 MiB of earlier messages is unsent,
the next send ends the socket as ``send_overflow``: a browser's buffer is bounded too and ends its socket so. Of pings
that arrive meanwhile only the last is answered, which RFC 6455 §5.5.3 allows.

Source: RFC 6455.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from functools import lru_cache
from typing import Any, Protocol

from replayer import failures
from replayer.targets import TargetSpec
from replayer.wire.causes import classify
from replayer.wire.deflate import DeflateStreams
from replayer.wire.frames import (
    ABNORMAL_CLOSURE,
    CLOSE,
    MAX_MESSAGE_BYTES,
    MESSAGE_TOO_BIG,
    PING,
    PONG,
    Breach,
    client_frame,
    close_code,
    close_payload,
    control_head,
    message_head,
)
from replayer.wire.frames_reader import FrameReader
from replayer.wire.tally import Tally
from replayer.wire.websocket_handshake import HandshakeAnswer, Opening, key_from

MAX_UNSENT_BYTES = 1024 * 1024
"""How much of earlier messages may wait for the server to read before the next send ends the socket."""
CLOSE_S = 10.0
"""How long a close of ours may stay unanswered; users may give up earlier."""
TCP_END_S = 2.0
"""How long the server may take to end the TCP connection after both close frames: Chromium's
``kUnderlyingConnectionCloseTimeoutSeconds``."""

_CONNECTING = 0
_OPEN = 1
_CLOSING = 2
_CLOSED = 3
_TEXT = message_head(is_text=True, is_deflated=False)
_BINARY = message_head(is_text=False, is_deflated=False)
_DEFLATED = 0x40

_LINGER_NOT = struct.pack("ii", 1, 0)


class SocketOwner(Protocol):
    """Who is told what becomes of a socket."""

    def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
        """The handshake is done; ``connection.set_cookies`` holds what the 101 set."""

    def socket_refused(self, connection: WebSocketConnection, failure: str, status: int, end_ns: int) -> None:
        """The handshake failed; ``status`` is the answer's, or 0 where none came."""

    def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        """One complete message arrived."""

    def socket_closed(self, connection: WebSocketConnection, code: int, end_ns: int) -> None:
        """The open socket ended: ``code`` is the peer's close code, ours where it broke the protocol, or 1006."""


class WebSocketConnection(asyncio.Protocol):
    """One socket of one virtual user.

    Args:
        owner: is told what happens.
        host, port, is_secure: of the target, for the Host header.
        target: rendered path and query.
        headers: rendered headers, without Host and ``Sec-WebSocket-*``.
        subprotocols: offered in order.
        offers_deflate: whether permessage-deflate is offered (RFC 7692).
        tally: counts the sockets that are open.
        max_message_bytes: of one message, after inflation; a larger one closes the socket with 1009.

    Attributes:
        failure: the class of a socket that ended for a breach of the server or because the server did not read; "" for
            every other end, whose class is that of its close code.
        set_cookies: as the answer to the handshake set them.
        subprotocol: the one that the server chose, or "".
    """

    __slots__ = (
        "__weakref__",
        "_deflate",
        "_is_paused",
        "_max_message_bytes",
        "_now_ns",
        "_opening",
        "_owner",
        "_reader",
        "_state",
        "_tally",
        "_timer",
        "_transport",
        "_unanswered_ping",
        "failure",
        "set_cookies",
        "subprotocol",
    )

    def __init__(
        self,
        owner: SocketOwner,
        *,
        host: str,
        port: int,
        is_secure: bool,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        offers_deflate: bool,
        tally: Tally,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._owner: Any = owner  # None when it has been told of the end: a timer may hold us longer than our user.
        self._tally = tally
        self._max_message_bytes = max_message_bytes
        self._transport: Any = None
        self._state = _CONNECTING
        self._opening: Opening | None = Opening(
            authority=_authority(host, port, is_secure),
            target=target,
            headers=headers,
            key=key_from(os.urandom(16)),
            subprotocols=subprotocols,
            offers_deflate=offers_deflate,
        )
        self._reader: FrameReader | None = None
        self._deflate: DeflateStreams | None = None
        self._is_paused = False
        self._unanswered_ping: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._now_ns = 0
        self.failure = ""
        self.set_cookies: list[bytes] = []
        self.subprotocol = ""

    def send(self, data: bytes, *, is_text: bool) -> None:
        """Send one message; after the end has begun, do nothing."""
        if self._state != _OPEN:
            return
        if self._is_paused and self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.failure = failures.SEND_OVERFLOW
            self.abort()  # The owner hears of it from the loop, not in the middle of its send.
            return
        head = _TEXT if is_text else _BINARY
        if self._deflate is not None and (deflated := self._deflate.deflate(data)) is not None:
            data, head = deflated, head | _DEFLATED
        self._transport.write(client_frame(head, data, _key()))

    def is_open(self) -> bool:
        """Tell whether messages can be sent."""
        return self._state == _OPEN

    @property
    def is_deflated(self) -> bool:
        """Whether permessage-deflate was agreed on."""
        return self._deflate is not None

    def close(self, code: int) -> None:
        """Begin the close handshake; ``socket_closed`` follows. A code that may not be sent is left out (1005).

        An attempt that is still connecting is given up without a word.
        """
        if self._state == _CONNECTING:
            self._state = _CLOSED
            self._opening = self._owner = None
            self.abort()
        elif self._state == _OPEN:
            self._state = _CLOSING
            self._send_close(code)
            self._arm(CLOSE_S)

    def abort(self) -> None:
        """End the TCP connection at once; ``socket_closed`` follows where the socket was open."""
        self._stop()
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Cut the TCP connection with RST: the peer learns of the end at once, and no port waits here (TIME_WAIT)."""
        self._stop()
        if self._transport is not None:
            plain = self._transport.get_extra_info("socket")
            if plain is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    def silence(self) -> None:
        """Be as if the network had gone away: read and send nothing more, and tell nobody; ``abort`` ends it."""
        if self._state == _OPEN and self._transport is not None:
            self._stop()
            self._state = _CLOSED
            self._owner = None
            self._tally.n -= 1
            self._transport.pause_reading()

    def fail(self, failure: str, now_ns: int) -> None:
        """End the handshake with a failure from outside, such as a refused connection."""
        self._refuse(failure, 0, now_ns)

    def expire_handshake(self, now_ns: int) -> None:
        """End the handshake as timed out if it is still under way."""
        self._refuse(failures.CONNECT_TIMEOUT if self._transport is None else failures.TIMEOUT_UPGRADE, 0, now_ns)

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._tally.n_wires += 1
        if self._opening is None:
            transport.abort()  # Given up in the meantime.
        else:
            transport.write(self._opening.request())

    def data_received(self, data: bytes) -> None:
        self._now_ns = time.monotonic_ns()
        reader = self._reader
        if reader is None:
            data = self._take_answer(data)
            if not data or (reader := self._reader) is None:
                return
        try:
            reader.feed(data)
        except Breach as breach:
            self._end_for(breach)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_paused = True
        self._tally.n_paused += 1

    def resume_writing(self) -> None:
        self._is_paused = False
        self._tally.n_paused -= 1
        ping, self._unanswered_ping = self._unanswered_ping, None
        if ping is not None:
            self.take_control(PING, ping)

    def connection_lost(self, exc: Exception | None) -> None:
        now_ns = time.monotonic_ns()
        self._transport = None
        self._tally.n_wires -= 1
        if self._is_paused:
            self._is_paused = False
            self._tally.n_paused -= 1
        if self._opening is not None:
            is_half_answer = exc is None and self._opening.has_answer_bytes
            self._refuse(failures.PROTOCOL if is_half_answer else classify(exc), 0, now_ns)
        else:
            self._tell_closed(ABNORMAL_CLOSURE, now_ns)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reader = self._deflate = None  # The reader knows us: together we would wait for the collector.

    # The handshake.

    def _take_answer(self, data: bytes) -> bytes:
        """Take bytes of the handshake's answer; return what follows it once the socket is open, else nothing."""
        if self._opening is None:
            return b""
        try:
            taken = self._opening.take(data)
        except Breach:
            self._refuse(failures.PROTOCOL, 0, self._now_ns)
            return b""
        if taken is None:
            return b""
        answer, rest = taken
        self.set_cookies = answer.set_cookies
        if answer.breach is not None:
            self._refuse(failures.PROTOCOL, answer.status, self._now_ns)
        elif answer.status != 101:
            self._refuse(failures.status_failure(answer.status), answer.status, self._now_ns)
        else:
            self._open(answer)
        return rest

    def _open(self, answer: HandshakeAnswer) -> None:
        self.subprotocol = answer.subprotocol
        inflate = None
        if answer.deflate is not None:
            self._deflate = DeflateStreams(answer.deflate, self._max_message_bytes)
            inflate = self._deflate.inflate
        self._reader = FrameReader(self, self._max_message_bytes, inflate)
        self._opening = None
        self._state = _OPEN
        self._tally.n += 1
        self._owner.socket_opened(self, self._now_ns)

    def _refuse(self, failure: str, status: int, now_ns: int) -> None:
        if self._state != _CONNECTING:
            return
        self._state = _CLOSED
        owner, self._opening, self._owner = self._owner, None, None
        self.abort()
        owner.socket_refused(self, failure, status, now_ns)

    # What the reader calls.

    def take_text(self, data: bytes) -> None:
        self._owner.message_received(self, data, self._now_ns, is_text=True)

    def take_binary(self, data: bytes) -> None:
        self._owner.message_received(self, data, self._now_ns, is_text=False)

    def take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            if self._is_paused:
                self._unanswered_ping = payload
            elif self._state == _OPEN:
                self._transport.write(client_frame(control_head(PONG), payload, _key()))
        elif opcode == CLOSE:
            self._take_close(close_code(payload))

    def _take_close(self, code: int) -> None:
        """Answer the peer's close, or take it as the answer to ours."""
        if self._state == _OPEN:
            self._send_close(code)
        self._end(code)

    # Ends.

    def _end_for(self, breach: Breach) -> None:
        """Tell the peer what it did and end the connection: nothing more is worth waiting for (RFC 6455 §7.1.7)."""
        self.failure = failures.TOO_LARGE if breach.code == MESSAGE_TOO_BIG else failures.PROTOCOL
        if self._state == _OPEN:
            self._send_close(breach.code)
        self._end(breach.code)
        if self._transport is not None:
            self._transport.close()

    def _end(self, code: int) -> None:
        """The socket is over; its TCP connection has a while to end in order."""
        self._stop()
        self._arm(TCP_END_S)
        self._tell_closed(code, self._now_ns)

    def _stop(self) -> None:
        """Send nothing more, and take nothing of what has been read already."""
        if self._state == _OPEN:
            self._state = _CLOSING
        if self._reader is not None:
            self._reader.is_over = True
        self._unanswered_ping = None

    def _tell_closed(self, code: int, now_ns: int) -> None:
        if self._state == _CLOSED:
            return
        self._state = _CLOSED
        self._tally.n -= 1
        owner, self._owner = self._owner, None
        owner.socket_closed(self, code, now_ns)

    def _arm(self, after_s: float) -> None:
        """End the TCP connection after a while, whatever it then waits for."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_s, self.abort)

    def _send_close(self, code: int) -> None:
        self._transport.write(client_frame(control_head(CLOSE), close_payload(code), _key()))


@lru_cache(maxsize=256)
def _authority(host: str, port: int, is_secure: bool) -> bytes:
    spec = TargetSpec(scheme="https" if is_secure else "http", host=host, port=port, addresses=())
    return spec.authority.encode()


def _key() -> bytes:
    """Return a masking key; it guards proxies against scripts that choose their bytes (RFC 6455 §10.3): none here."""
    return random.getrandbits(32).to_bytes(4)
