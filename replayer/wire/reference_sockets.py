"""WebSockets by ``websockets``' asyncio client."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    ProxyError,
)
from websockets.frames import EXTERNAL_CLOSE_CODES
from websockets.typing import Subprotocol

from replayer import failures
from replayer.reach import ProxySpec
from replayer.targets import TargetSpec
from replayer.wire.causes import classify
from replayer.wire.connect import Phase
from replayer.wire.frames import ABNORMAL_CLOSURE
from replayer.wire.proxy import ProxyRefused
from replayer.wire.reference_attempt import ReferenceAttempt
from replayer.wire.tally import Tally
from replayer.wire.websocket import TCP_END_S, SocketOwner

_BREACHES = {1002: failures.PROTOCOL, 1007: failures.PROTOCOL, 1009: failures.TOO_LARGE}
"""Codes with which a client ends a socket because of what the server sent (RFC 6455 §7.4.1)."""


class ReferenceSocket:
    """Implements ``replayer.user.port.SocketConnection``; ``replayer.wire.websocket`` describes it.

    Args:
        start: runs a coroutine as a task of the wire.
    """

    def __init__(
        self,
        owner: Any,
        spec: TargetSpec,
        *,
        proxy: ProxySpec | None,
        context: ssl.SSLContext | None,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        offers_deflate: bool,
        tally: Tally,
        max_message_bytes: int,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._owner: SocketOwner = owner
        self._spec = spec
        self._proxy = proxy
        self._context = context
        self._target = target
        self._headers = headers
        self._subprotocols = subprotocols
        self._offers_deflate = offers_deflate
        self._tally = tally
        self._max_message_bytes = max_message_bytes
        self._start = start
        self._socket: ClientConnection | None = None
        self._unsent: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._close_code = 1000
        self._is_open = False
        self._is_over = False
        self.phase: Phase | None = Phase.TCP
        self.set_cookies: list[bytes] = []
        self.subprotocol = ""
        self.failure = ""
        self.attempt = ReferenceAttempt(self)
        self._task = start(self._live())

    def send(self, data: bytes, *, is_text: bool) -> None:
        """Send one message; after the end has begun, do nothing."""
        if self._is_open:
            self._unsent.put_nowait(data.decode() if is_text else data)

    def is_open(self) -> bool:
        """Tell whether messages can be sent."""
        return self._is_open

    @property
    def is_deflated(self) -> bool:
        """Whether permessage-deflate was agreed on."""
        return self._socket is not None and bool(self._socket.protocol.extensions)

    def close(self, code: int) -> None:
        """Begin the close handshake; ``socket_closed`` follows. While connecting, give up without a word."""
        if self._socket is None:
            self._is_over = True
            self._task.cancel()
        elif self._is_open:
            self._is_open = False
            self._close_code = code
            self._unsent.put_nowait(None)

    def abort(self) -> None:
        """End the TCP connection at once."""
        if self._socket is not None:
            self._socket.transport.abort()
        else:
            self._task.cancel()

    def reset(self) -> None:
        """End the TCP connection with RST."""
        self.abort()

    def silence(self) -> None:
        """Read and send nothing more, and tell nobody; ``abort`` ends it."""
        if self._socket is not None and not self._is_over:
            self._is_over = True
            self._is_open = False
            self._tally.n -= 1
            self._socket.transport.pause_reading()

    def fail(self, failure: str, now_ns: int) -> None:
        """End the handshake with a failure from outside."""
        self._refuse(failure, 0, now_ns)

    def expire_handshake(self, now_ns: int) -> None:
        """End the handshake as timed out if it is still under way."""
        if self._socket is None:
            self._refuse(failures.TIMEOUT_UPGRADE, 0, now_ns)

    # Its life.

    async def _live(self) -> None:
        try:
            self._socket = await self._opened()
        except InvalidStatus as exc:
            status = exc.response.status_code
            self.set_cookies = [value.encode("latin-1") for value in exc.response.headers.get_all("Set-Cookie")]
            self._refuse(failures.status_failure(status), status, time.monotonic_ns())
        except InvalidMessage as exc:
            self._refuse(_failure_of(exc), 0, time.monotonic_ns())
        except ProxyError:
            self._refuse(failures.PROXY_REFUSED, 0, time.monotonic_ns())
        except InvalidHandshake:
            self._refuse(failures.PROTOCOL, 101, time.monotonic_ns())
        except (OSError, EOFError, ProxyRefused) as exc:
            # Subtle: asyncio's TLS calls an orderly end in the handshake a reset, without the kernel's number.
            is_end = isinstance(exc, ConnectionResetError) and exc.errno is None
            self._refuse(failures.EOF if is_end else classify(exc), 0, time.monotonic_ns())
        else:
            await self._talk(self._socket)

    async def _opened(self) -> ClientConnection:
        spec, authority = self._spec, self._spec.authority
        scheme = "wss" if spec.scheme == "https" else "ws"
        options: dict[str, Any] = {} if self._context is None else {"ssl": self._context, "server_hostname": spec.host}
        if self._proxy is None:
            options["sock"] = await self._tcp()
        self.phase = None if self._context is None else Phase.TLS
        connection = await _Connect(
            f"{scheme}://{authority}{self._target.decode('latin-1')}",
            additional_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers],
            subprotocols=[Subprotocol(name) for name in self._subprotocols] or None,
            compression="deflate" if self._offers_deflate else None,
            max_size=self._max_message_bytes,
            user_agent_header=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=TCP_END_S,
            proxy=None if self._proxy is None else _proxy_url(self._proxy),
            create_connection=partial(_Connection, on_connected=self._connected),  # type: ignore[arg-type]
            **options,
        )
        response = connection.response
        assert response is not None
        self.set_cookies = [value.encode("latin-1") for value in response.headers.get_all("Set-Cookie")]
        self.subprotocol = connection.subprotocol or ""
        if self._subprotocols and connection.subprotocol is None:
            connection.transport.abort()
            raise InvalidHandshake("none of the offered subprotocols was chosen")  # WHATWG websockets, "establish"
        return connection

    def _connected(self) -> None:
        self.phase = None

    async def _tcp(self) -> socket.socket:
        error: OSError | None = None
        for address in self._spec.addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                plain = socket.socket(family, socket.SOCK_STREAM)
                plain.setblocking(False)
                try:
                    await asyncio.get_running_loop().sock_connect(plain, (address, self._spec.port))
                except BaseException:
                    plain.close()
                    raise
            except OSError as exc:
                error = exc
            else:
                return plain
        raise error or OSError("the target has no address")

    async def _talk(self, connection: ClientConnection) -> None:
        self._is_open = True
        self._tally.n += 1
        self._owner.socket_opened(self, time.monotonic_ns())  # type: ignore[arg-type]  # the same seam
        sending = self._start(self._send_all(connection))
        try:
            while True:
                message = await connection.recv()
                now_ns = time.monotonic_ns()
                is_text = isinstance(message, str)
                data = message.encode() if isinstance(message, str) else message
                if not self._is_over:
                    self._owner.message_received(self, data, now_ns, is_text=is_text)  # type: ignore[arg-type]
        except ConnectionClosed as exc:
            self._end(exc)
        finally:
            sending.cancel()
            connection.transport.abort()

    async def _send_all(self, connection: ClientConnection) -> None:
        try:
            while (data := await self._unsent.get()) is not None:
                await connection.send(data)
            code = self._close_code
            await connection.close(code if code in EXTERNAL_CLOSE_CODES or 3000 <= code < 5000 else 1000)
        except ConnectionClosed:
            return  # Whoever receives tells why.

    def _end(self, exc: ConnectionClosed) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._is_open = False
        self._tally.n -= 1
        code = ABNORMAL_CLOSURE if exc.rcvd is None else int(exc.rcvd.code)
        if exc.sent is not None and not exc.rcvd_then_sent and int(exc.sent.code) in _BREACHES:
            code = int(exc.sent.code)
            self.failure = _BREACHES[code]
        self._owner.socket_closed(self, code, time.monotonic_ns())  # type: ignore[arg-type]

    def _refuse(self, failure: str, status: int, now_ns: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._task.cancel()
        self._owner.socket_refused(self, failure, status, now_ns)  # type: ignore[arg-type]


class _Connection(ClientConnection):
    """Says when TCP and TLS are done."""

    def __init__(self, *args: Any, on_connected: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_connected = on_connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._on_connected()
        super().connection_made(transport)


class _Connect(connect):
    """Follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _proxy_url(proxy: ProxySpec) -> str:
    host = f"[{proxy.addresses[0]}]" if ":" in proxy.addresses[0] else proxy.addresses[0]
    login = b64decode(proxy.authorization.removeprefix(b"Basic ")).decode()
    user, colon, password = login.partition(":")
    return f"http://{quote(user, safe='')}{colon}{quote(password, safe='')}{'@' * bool(login)}{host}:{proxy.port}"


def _failure_of(exc: InvalidMessage) -> str:
    cause = exc.__cause__
    return classify(cause) if isinstance(cause, OSError | EOFError) else failures.PROTOCOL
