"""Reaching a target through an HTTP proxy: a tunnel (CONNECT) for TLS and WebSockets, absolute-form for the rest.

Source: RFC 9110 §9.3.6 (CONNECT), RFC 9112 §3.2.2 (absolute-form), RFC 9110 §11.7.2 (Proxy-Authorization).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from replayer.reach import ProxySpec
from replayer.targets import TargetSpec

MAX_HEAD_BYTES = 64 * 1024
"""What a proxy may say before the tunnel stands."""


class ProxyRefused(Exception):
    """The proxy did not open the tunnel; ``status`` is its answer's, or 0 where that was no HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the proxy answered CONNECT with {self.status}" if self.status else "the proxy's answer is no HTTP"


class Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel and gives the connection to the protocol above when it stands.

    Args:
        above: returns the protocol that the tunnel is for.
        opened: done when the tunnel stands, or set to the exception that ended it.
    """

    __slots__ = ("_above", "_opened", "_received", "_request", "_transport")

    def __init__(
        self, above: Callable[[], asyncio.Protocol], proxy: ProxySpec, target: TargetSpec, opened: asyncio.Future[None]
    ) -> None:
        host = f"[{target.host}]" if ":" in target.host else target.host
        authority = f"{host}:{target.port}".encode()
        self._request = b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (authority, authority, _credentials(proxy))
        self._above = above
        self._opened = opened
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(self._received) > MAX_HEAD_BYTES:
                self._refuse(0)
            return
        status = _status_of(head)
        if not 200 <= status < 300:
            self._refuse(status)
        elif self._opened.done():
            self._transport.abort()  # Given up in the meantime.
        else:
            self._opened.set_result(None)
            protocol = self._above()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            if rest:
                protocol.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(exc or EOFError())

    def _refuse(self, status: int) -> None:
        if not self._opened.done():
            self._opened.set_exception(ProxyRefused(status))
        self._transport.abort()


class AbsoluteForm(asyncio.Protocol):
    """Stands between a proxy's connection and an HTTP/1.1 one: every request line names the whole URL.

    It relies on a request being written by one call, which begins with the request line.
    """

    __slots__ = ("_app", "_credentials", "_origin", "_transport")

    def __init__(self, app: asyncio.Protocol, proxy: ProxySpec, target: TargetSpec) -> None:
        self._app = app
        self._origin = target.origin.encode()
        self._credentials = _credentials(proxy)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._app.connection_made(self)  # type: ignore[arg-type]  # the part of a transport that the wire uses

    def data_received(self, data: bytes) -> None:
        self._app.data_received(data)

    def eof_received(self) -> bool | None:
        return self._app.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._app.connection_lost(exc)

    def write(self, data: bytes) -> None:
        """Send a rendered request in absolute-form, with our credentials for the proxy."""
        line, _, rest = data.partition(b"\r\n")
        method, _, target = line.partition(b" ")
        self._transport.write(b"%s %s%s\r\n%s%s" % (method, self._origin, target, self._credentials, rest))

    def close(self) -> None:
        """Close when everything is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is gone or going."""
        return bool(self._transport.is_closing())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the TCP transport knows."""
        return self._transport.get_extra_info(name, default)


def _credentials(proxy: ProxySpec) -> bytes:
    return b"Proxy-Authorization: %s\r\n" % proxy.authorization if proxy.authorization else b""


def _status_of(head: bytes) -> int:
    parts = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        return 0
    return int(parts[1])
