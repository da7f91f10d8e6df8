"""Opening connections: TCP, proxy, TLS, under the deadline of who dials; only to addresses that the run may use.

Addresses were resolved and allowed before the run (``replayer.safety``); nothing is resolved here, so that a name that
changes its mind cannot lead a run elsewhere. They are tried in order until one accepts, and before a byte is sent the
peer's address is compared with the checked one: what was checked must be what is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

from replayer import failures
from replayer.reach import Offers, ProxySpec, Reach
from replayer.targets import TargetSpec
from replayer.wire.causes import classify
from replayer.wire.contexts import TlsContexts
from replayer.wire.proxy import AbsoluteForm, ProxyRefused, Tunnel
from replayer.wire.sources import Sources
from replayer.wire.tls import AlpnRefused, TlsLayer

App = asyncio.Protocol | Callable[[str], asyncio.Protocol]
"""What a connection is for: a protocol, or what makes one when told the ALPN protocol agreed on ("" for none)."""

_FAILED = (OSError, EOFError, ProxyRefused, AlpnRefused)


class Phase(Enum):
    """How far an attempt has come; the value is the class of one that got no further in time."""

    TCP = failures.CONNECT_TIMEOUT
    PROXY = failures.TIMEOUT_PROXY
    TLS = failures.TIMEOUT_TLS


class Attempt:
    """One connection on its way."""

    __slots__ = ("__weakref__", "_app", "_on_failed", "is_open", "offers", "phase", "target", "task", "user")

    def __init__(
        self, app: App, target: TargetSpec, on_failed: Callable[[str], None], *, user: int, offers: Offers
    ) -> None:
        self._app = app
        self._on_failed = on_failed
        self.target = target
        self.user = user
        self.offers = offers
        self.phase = Phase.TCP
        self.is_open = False
        self.task: asyncio.Task[None]

    def is_under_way(self) -> bool:
        """Tell whether it has neither connected nor failed."""
        return not self.is_open and not self.task.done()

    def expire(self) -> bool:
        """End it as timed out, in the class of its phase; tell whether it was under way."""
        if not self.is_under_way():
            return False
        self.task.cancel()
        self.fail(self.phase.value)
        return True

    def cancel(self) -> None:
        """Give up without a word."""
        self.task.cancel()

    def fail(self, failure: str) -> None:
        """Tell who dialed that it failed."""
        on_failed = self._on_failed
        self._forget()
        on_failed(failure)

    def open(self, alpn: str) -> asyncio.Protocol:
        """Return the protocol that the connection was dialed for; its ``connection_made`` follows."""
        self.is_open = True
        app = self._app
        self._forget()
        return app if isinstance(app, asyncio.Protocol) else app(alpn)

    def _forget(self) -> None:
        """Let go of who dialed: the timer of the deadline holds an attempt long after it has ended."""
        self._app = _GONE
        self._on_failed = _nobody


_GONE = asyncio.Protocol()


def _nobody(_failure: str) -> None:
    """Hears of nothing: an attempt fails or opens once."""


class StrayConnection(Exception):
    """A connection stood to another address than the checked one: an error of ours, never the target's."""


class Dialer:
    """Opens connections of one run in one worker.

    Args:
        loop: the worker's loop.
        reach: TLS, proxies and sources of the run.
        on_error: hears of an exception that is no failure of the target: an error of our own.
        count: adds one to a counter: ``tls_full`` or ``tls_resumed`` for each handshake.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reach: Reach,
        on_error: Callable[[BaseException], None],
        count: Callable[[str], None] | None = None,
    ) -> None:
        self._loop = loop
        self._reach = reach
        self._contexts = TlsContexts(reach.tls)
        self._sources = Sources(reach.sources)
        self._on_error = on_error
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(
        self,
        app: App,
        target: TargetSpec,
        on_failed: Callable[[str], None],
        *,
        user: int = -1,
        offers: Offers = Offers.HTTP1,
    ) -> Attempt:
        """Begin to connect ``app``; its ``connection_made`` is called, or ``on_failed`` with a failure class, once.

        Args:
            user: whose TLS session may be resumed; below 0 nobody's.
            offers: what the connection is for.
        """
        attempt = Attempt(app, target, on_failed, user=user, offers=offers)
        attempt.task = self._loop.create_task(self._connect(attempt))
        self._tasks.add(attempt.task)
        attempt.task.add_done_callback(self._dialed)
        return attempt

    def warm_up(self, offers: Offers) -> None:
        """Make ready what would cost milliseconds at the first connection."""
        self._contexts.context(offers)

    def forget(self, user: int) -> None:
        """Drop the TLS sessions of a user that is over."""
        self._contexts.forget(user)

    async def aclose(self) -> None:
        """Give up every connection attempt that is still under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _dialed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._on_error(exc)

    async def _connect(self, attempt: Attempt) -> None:
        target = attempt.target
        proxy = self._reach.proxies[target.via] if target.via >= 0 else None
        addresses, port = (target.addresses, target.port) if proxy is None else (proxy.addresses, proxy.port)
        error: BaseException | None = None
        for address in addresses:
            try:
                await self._open(attempt, proxy, address, port)
            except _FAILED as exc:
                error = exc
            else:
                return
        attempt.fail(classify(error))

    async def _open(self, attempt: Attempt, proxy: ProxySpec | None, address: str, port: int) -> None:
        """Stack the layers from the bottom: TCP, tunnel, TLS, the protocol that the connection is for."""
        attempt.phase = Phase.TCP
        handshake = self._loop.create_future() if attempt.target.scheme == "https" else None
        tunnel: asyncio.Future[None] | None = None
        above: Callable[[], asyncio.Protocol] = partial(attempt.open, "")
        if handshake is not None:
            above = partial(self._tls_layer, attempt, handshake)
        if proxy is not None and (handshake is not None or attempt.offers is not Offers.HTTP1):
            tunnel = self._loop.create_future()
            above = partial(_tunnel, attempt, above, proxy, tunnel)
        elif proxy is not None:
            above = partial(_absolute_form, above, proxy, attempt.target)
        transport = await self._open_tcp(partial(_Doorman, above, address, attempt), address, port)
        try:
            for stands in (tunnel, handshake):
                if stands is not None:
                    await stands
        except BaseException:
            transport.abort()
            raise
        if not attempt.is_open:
            raise StrayConnection(f"the connection to {address} stood at {transport.get_extra_info('peername')}")

    async def _open_tcp(
        self, doorman: Callable[[], asyncio.Protocol], address: str, port: int
    ) -> asyncio.WriteTransport:
        while True:
            source = self._sources.source_for(address)
            local = None if source is None else (source, 0)
            try:
                transport, _ = await self._loop.create_connection(doorman, address, port, local_addr=local)
            except OSError as exc:
                if not self._sources.has_more_after(source, address, exc):
                    raise
            else:
                return transport

    def _tls_layer(self, attempt: Attempt, handshake: asyncio.Future[None]) -> TlsLayer:
        attempt.phase = Phase.TLS
        target, user, offers = attempt.target, attempt.user, attempt.offers
        layer = TlsLayer(
            attempt.open,
            self._contexts.context(offers),
            target.host,
            handshake,
            required="h2" if offers is Offers.HTTP2 else "",
            session=self._contexts.session(user, target, offers),
            keeper=self._contexts.keeper(user, target, offers),
        )
        if self._count is not None:
            handshake.add_done_callback(partial(_count_handshake, layer, self._count))
        return layer


class _Doorman(asyncio.Protocol):
    """Looks at who answered before the layers above hear of a connection."""

    __slots__ = ("_above", "_address", "_attempt")

    def __init__(self, above: Callable[[], asyncio.Protocol], address: str, attempt: Attempt) -> None:
        self._above = above
        self._address = address
        self._attempt = attempt

    def connection_made(self, transport: Any) -> None:
        peer = str(transport.get_extra_info("peername")[0])
        if self._attempt.task.cancelled() or not _is_same(peer, self._address):
            transport.abort()
            return
        protocol = self._above()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _is_same(peer: str, address: str) -> bool:
    return peer == address or ipaddress.ip_address(peer) == ipaddress.ip_address(address)


def _tunnel(
    attempt: Attempt, above: Callable[[], asyncio.Protocol], proxy: ProxySpec, opened: asyncio.Future[None]
) -> Tunnel:
    attempt.phase = Phase.PROXY
    return Tunnel(above, proxy, attempt.target, opened)


def _absolute_form(above: Callable[[], asyncio.Protocol], proxy: ProxySpec, target: TargetSpec) -> AbsoluteForm:
    return AbsoluteForm(above(), proxy, target)


def _count_handshake(layer: TlsLayer, count: Callable[[str], None], handshake: asyncio.Future[None]) -> None:
    if not handshake.cancelled() and handshake.exception() is None:
        count("tls_resumed" if layer.is_resumed() else "tls_full")
