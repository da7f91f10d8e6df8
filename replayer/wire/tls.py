"""TLS over a plain transport: an ``ssl.MemoryBIO`` pair driven by our own protocol.

Never the loop's ``ssl=``: uvloop's TLS costs 4.5 times as much and cannot resume sessions (docs/design.md §7). The
layer is the protocol of the TCP transport and the transport of the protocol above it, so that ``http1``, ``http2``
and ``websocket`` do not know whether they are encrypted.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from replayer.wire.contexts import Keeper

RECORD_BYTES = 16 * 1024
"""The most plaintext one read of OpenSSL returns: one record (RFC 8446 §5.1). No more is handed to it at once, since a
memory BIO keeps, for as long as the connection lives, the room for all that it once held: 225 KiB in every connection
that received 200 KiB together, 59 this way."""


class AlpnRefused(Exception):
    """The handshake ended without the protocol that the connection is for."""


class TlsLayer(asyncio.Protocol):
    """One TLS connection.

    Args:
        choose: returns the protocol above, told the ALPN protocol agreed on, "" for none; its ``connection_made`` is
            called at once. Not called where the handshake fails.
        context, server_hostname, session: as for ``SSLContext.wrap_bio``.
        required: the ALPN protocol without which the handshake fails, "" for none.
        handshake: done when the handshake is, or set to the exception that ended it.
        keeper: told of a full handshake when the first application data has come, since with TLS 1.3 the tickets come
            after the handshake (RFC 8446 §4.6.1), and of the end of such a connection; None where nobody resumes.
    """

    __slots__ = (
        "_app",
        "_choose",
        "_error",
        "_handshake",
        "_incoming",
        "_is_kept",
        "_keeper",
        "_object",
        "_outgoing",
        "_read_record",
        "_required",
        "_transport",
        "_write_record",
    )

    def __init__(
        self,
        choose: Callable[[str], asyncio.Protocol],
        context: ssl.SSLContext,
        server_hostname: str,
        handshake: asyncio.Future[None],
        *,
        required: str = "",
        session: ssl.SSLSession | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._choose = choose
        self._app: asyncio.Protocol | None = None
        self._handshake = handshake
        self._keeper = keeper
        self._is_kept = keeper is None  # Or nobody has to be told.
        self._required = required
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )
        self._read_record = self._object.read
        self._write_record = self._object.write
        self._error: Exception | None = None
        self._transport: Any = None  # Subtle: uvloop's transports are no asyncio.Transport.

    # What the TCP transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        if len(data) <= RECORD_BYTES:
            self._take(data)
            return
        whole = memoryview(data)
        for at in range(0, len(data), RECORD_BYTES):
            if not self._take(whole[at : at + RECORD_BYTES]):
                return

    def _take(self, data: bytes | memoryview) -> bool:
        """Take the next bytes of the stream; tell whether it goes on."""
        self._incoming.write(data)
        if self._app is None:
            self._shake_hands()
            if self._app is None:
                return not self._handshake.done()  # Else it failed.
        return self._read(self._app)

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        return bool(self._app.eof_received()) if self._app is not None else False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._keeper is not None and self._is_kept:
            self._keeper.closed(self)
        if self._app is not None:
            self._app.connection_lost(self._error or exc)
        elif not self._handshake.done():
            self._handshake.set_exception(exc or EOFError())

    def pause_writing(self) -> None:
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._app is not None:
            self._app.resume_writing()

    # What the protocol above calls: the part of asyncio.Transport that the wire uses.

    def write(self, data: bytes) -> None:
        """Encrypt and send; after the connection is gone, do nothing, as asyncio's transports do."""
        if self._transport is None:
            return
        self._write_record(data)
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

    def pause_reading(self) -> None:
        """Take nothing more from the peer until ``resume_reading``; a record half decrypted still arrives."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""
        if self._transport is not None:
            self._transport.resume_reading()

    def can_write_eof(self) -> bool:
        """TLS has no half-close."""
        return False

    def is_closing(self) -> bool:
        """Tell whether the connection is gone or going."""
        return self._transport is None or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``ssl_object``, or what the TCP transport knows."""
        if name == "ssl_object":
            return self._object
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many encrypted bytes wait to be sent."""
        return 0 if self._transport is None else int(self._transport.get_write_buffer_size())

    def session(self) -> ssl.SSLSession | None:
        """Return a copy of what a later connection can resume, if anything."""
        return self._object.session

    def is_resumed(self) -> bool:
        """Tell whether the handshake resumed a session; only after the handshake."""
        return bool(self._object.session_reused)

    # Ourselves.

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as exc:
            self._flush()  # The alert that tells the peer why.
            self._transport.abort()
            if not self._handshake.done():
                self._handshake.set_exception(exc)
        else:
            self._flush()
            alpn = self._object.selected_alpn_protocol() or ""
            if self._handshake.done() or (self._required and alpn != self._required):
                self._transport.abort()
                if not self._handshake.done():  # Else it was given up in the meantime.
                    self._handshake.set_exception(AlpnRefused(alpn))
                return
            self._handshake.set_result(None)
            self._app = self._choose(alpn)
            self._app.connection_made(self)  # type: ignore[arg-type]  # the part of a transport that the wire uses

    def _read(self, app: asyncio.Protocol) -> bool:
        """Hand on what can be decrypted; tell whether the stream goes on."""
        incoming = self._incoming
        try:
            while True:
                data = self._read_record(RECORD_BYTES)
                if not data:
                    self._end(app)
                    return False
                if not self._is_kept:
                    self._keep()
                app.data_received(data)
                if not incoming.pending:  # Asking costs less than the exception that says so.
                    return True
        except ssl.SSLWantReadError:
            self._flush()  # A key update wants an answer (RFC 8446 §4.6.3).
            return True
        except ssl.SSLZeroReturnError:
            self._end(app)
        except ssl.SSLError as exc:
            self._error = exc
            self.abort()
        return False

    def _keep(self) -> None:
        self._is_kept = True
        if self._object.session_reused:
            self._keeper = None  # What was resumed once can be resumed again.
        elif self._keeper is not None:
            self._keeper.opened(self)

    def _end(self, app: asyncio.Protocol) -> None:
        if not app.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
