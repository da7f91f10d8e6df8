"""TLS over a plain transport: an ``ssl.MemoryBIO`` pair driven by our own protocol.

Never the loop's ``ssl=``: uvloop's TLS costs 4.5 times as much and cannot resume sessions (docs/design.md §7). The
layer is the protocol of the TCP transport and the transport of the protocol above it, so that ``http1`` and
``websocket`` do not know whether they are encrypted.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

READ_BYTES = 64 * 1024
"""Plaintext taken per read: four TLS records of 16 KiB (RFC 8446 §5.1)."""


def open_context(*, insecure: bool, ca_file: str | None) -> ssl.SSLContext:
    """Return the client context of a run: the system's roots and those in ``ca_file``; ``insecure`` verifies none."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsLayer(asyncio.Protocol):
    """One TLS connection.

    Args:
        app: the protocol above; its ``connection_made`` is called when the handshake is done.
        context, server_hostname: as for ``SSLContext.wrap_bio``.
        handshake: done when the handshake is, or set to the exception that ended it; ``app`` then hears nothing.
    """

    __slots__ = ("_app", "_handshake", "_incoming", "_is_ready", "_object", "_outgoing", "_transport")

    def __init__(
        self,
        app: asyncio.Protocol,
        context: ssl.SSLContext,
        server_hostname: str,
        handshake: asyncio.Future[None],
    ) -> None:
        self._app = app
        self._handshake = handshake
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._is_ready = False
        self._transport: Any = None  # Subtle: uvloop's transports are no asyncio.Transport.

    # What the TCP transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._is_ready:
            self._shake_hands()
            if not self._is_ready:
                return
        self._read()

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        return bool(self._app.eof_received()) if self._is_ready else False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_ready:
            self._app.connection_lost(exc)
        elif not self._handshake.done():
            self._handshake.set_exception(exc or EOFError())
        self._transport = None

    # What the protocol above calls: the part of asyncio.Transport that the wire uses.

    def write(self, data: bytes) -> None:
        """Encrypt and send; after the connection is gone, do nothing, as asyncio's transports do."""
        if self._transport is None:
            return
        self._object.write(data)
        self._transport.write(self._outgoing.read())

    def close(self) -> None:
        """Send close_notify and what is still buffered, then close."""
        if self._transport is None:
            return
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # Subtle: WANT_READ: our close_notify is in the BIO, the peer's is not awaited (RFC 8446 §6.1).
        self._transport.write(self._outgoing.read())
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def can_write_eof(self) -> bool:
        """TLS has no half-close."""
        return False

    def is_closing(self) -> bool:
        """Tell whether the connection is gone or going."""
        return self._transport is None or self._transport.is_closing()

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as exc:
            self._flush()
            self._transport.abort()
            if not self._handshake.done():
                self._handshake.set_exception(exc)
        else:
            self._flush()
            self._is_ready = True
            if not self._handshake.done():
                self._handshake.set_result(None)
            self._app.connection_made(self)  # type: ignore[arg-type]  # the part of a transport that the wire uses

    def _read(self) -> None:
        app, ssl_object = self._app, self._object
        try:
            while data := ssl_object.read(READ_BYTES):
                app.data_received(data)
            self._end()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._end()
        except ssl.SSLError:
            self.abort()

    def _end(self) -> None:
        if not self._app.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
