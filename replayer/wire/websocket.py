"""WebSocket on a bare protocol: handshake, control frames and close by ``websockets``' sans-I/O protocol.

One connection is one socket. Its owner is told of the 101, of each complete data message and of the end; pings are
answered here, as a browser answers them. Redirects are never followed: an answer other than 101 is a failure.

Source: RFC 6455.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.extensions.base import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import EXTERNAL_CLOSE_CODES, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from replayer.wire import failures
from replayer.wire.causes import classify
from replayer.wire.tally import Tally

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Hard cap of one message, after inflation; a larger one closes the socket with 1009."""
_BREACHES = (1002, 1007, 1009)
"""Codes with which we end a socket because of what the peer sent: protocol, invalid data, too big (RFC 6455 §7.4.1)."""
ABNORMAL_CLOSURE = 1006
"""RFC 6455 §7.4.1: the connection ended without a close frame."""


class SocketOwner(Protocol):
    """Who is told what becomes of a socket."""

    def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
        """The handshake is done; ``connection.set_cookies`` holds what the 101 set."""

    def socket_refused(self, connection: WebSocketConnection, failure: str, status: int, end_ns: int) -> None:
        """The handshake failed; ``status`` is the answer's, or 0 where none came."""

    def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        """One complete message arrived."""

    def socket_closed(self, connection: WebSocketConnection, code: int, end_ns: int) -> None:
        """The open socket ended: ``code`` is the peer's close code, or 1006."""


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
    """

    __slots__ = (
        "_fragments",
        "_fragments_are_text",
        "_is_open",
        "_is_over",
        "_owner",
        "_protocol",
        "_request",
        "_tally",
        "_transport",
        "set_cookies",
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
    ) -> None:
        extensions: list[ClientExtensionFactory] | None = None
        if offers_deflate:
            extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)]
        self._owner = owner
        self._tally = tally
        self._transport: Any = None
        self._protocol = ClientProtocol(
            WebSocketURI(is_secure, host, port, "/", ""),
            extensions=extensions,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=MAX_MESSAGE_BYTES,
        )
        self._request = self._protocol.connect()
        self._request.path = target.decode("latin-1")
        add_headers(self._request.headers, headers)
        self._is_open = False
        self._is_over = False
        self._fragments: list[bytes] = []
        self._fragments_are_text = True
        self.set_cookies: list[bytes] = []

    def send(self, data: bytes, *, is_text: bool) -> None:
        """Send one message; after the close handshake has begun, do nothing."""
        if self._protocol.state is not State.OPEN:
            return
        if is_text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._flush()

    def is_open(self) -> bool:
        """Tell whether messages can be sent."""
        return self._is_open and self._protocol.state is State.OPEN

    def close(self, code: int) -> None:
        """Begin the close handshake; ``socket_closed`` follows. A code that may not be sent is left out (1005)."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code if code in EXTERNAL_CLOSE_CODES or 3000 <= code < 5000 else None)
            self._flush()

    def abort(self) -> None:
        """End the TCP connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, failure: str, now_ns: int) -> None:
        """End the handshake with a failure from outside, such as a refused connection."""
        self._refuse(failure, 0, now_ns)

    def expire_handshake(self, now_ns: int) -> None:
        """End the handshake as timed out if it is still under way."""
        if not self._is_open:
            self._refuse(failures.CONNECT_TIMEOUT, 0, now_ns)

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._protocol.send_request(self._request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        self._protocol.receive_data(data)
        self._take_events(now_ns)
        self._flush()

    def eof_received(self) -> bool:
        now_ns = time.monotonic_ns()
        self._protocol.receive_eof()
        self._take_events(now_ns)
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        now_ns = time.monotonic_ns()
        self._transport = None
        self._tally.n -= self._is_open
        if self._is_over:
            return
        if not self._is_open:
            broken = self._protocol.handshake_exc
            self._refuse(failures.PROTOCOL if broken and exc is None else classify(exc), 0, now_ns)
            return
        self._is_over = True
        rcvd = self._protocol.close_rcvd
        code = ABNORMAL_CLOSURE if rcvd is None else int(rcvd.code)
        if (
            rcvd is None
            and self._protocol.close_sent is not None
            and self._protocol.close_sent.code in (1002, 1007, 1009)
        ):
            code = int(self._protocol.close_sent.code)  # We ended it for the peer's breach: name the breach.
        self._owner.socket_closed(self, code, now_ns)

    def _take_events(self, now_ns: int) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event, now_ns)
            elif isinstance(event, Response):
                self._take_response(event, now_ns)

    def _take_response(self, response: Response, now_ns: int) -> None:
        self.set_cookies = [value.encode("latin-1") for value in response.headers.get_all("Set-Cookie")]
        if self._protocol.handshake_exc is None:
            self._is_open = True
            self._tally.n += 1
            self._owner.socket_opened(self, now_ns)
        elif response.status_code == 101:
            self._refuse(failures.PROTOCOL, 101, now_ns)
        else:
            self._refuse(failures.status_failure(response.status_code), response.status_code, now_ns)

    def _take_frame(self, frame: Frame, now_ns: int) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self._owner.message_received(self, bytes(frame.data), now_ns, is_text=opcode is Opcode.TEXT)
                return
            self._fragments = [bytes(frame.data)]
            self._fragments_are_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                data, self._fragments = b"".join(self._fragments), []
                self._owner.message_received(self, data, now_ns, is_text=self._fragments_are_text)

    def _refuse(self, failure: str, status: int, now_ns: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.abort()
        self._owner.socket_refused(self, failure, status, now_ns)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
        if self._is_open and self._has_said_goodbye():
            transport.close()

    def _has_said_goodbye(self) -> bool:
        """Both close frames are out, or ours names a breach of the peer: nothing more is worth waiting for."""
        sent = self._protocol.close_sent
        return sent is not None and (self._protocol.close_rcvd is not None or sent.code in _BREACHES)


def add_headers(headers: Headers, added: list[tuple[bytes, bytes]]) -> None:
    """Append rendered headers to a handshake's own, in order."""
    for name, value in added:
        headers[name.decode("latin-1")] = value.decode("latin-1")
