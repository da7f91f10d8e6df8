"""HTTP/2 on a bare protocol: the socket's side of ``http2_session``.

Over TLS the dialer has agreed on ``h2`` before; in plaintext the server is known to speak it (RFC 9113 §3.3).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from replayer.wire.causes import classify
from replayer.wire.http2_session import Http2Session
from replayer.wire.http2_stream import Owner
from replayer.wire.outbox import Outbox
from replayer.wire.tally import Tally


class Http2Connection(asyncio.Protocol):
    """Gives one session its bytes.

    Args:
        owner: is told what happens.
        tally: counts the connections that are open.
        outbox: says when requests are written.
    """

    __slots__ = ("_outbox", "_owner", "_session", "_tally")

    def __init__(self, owner: Owner, tally: Tally, outbox: Outbox) -> None:
        self._owner = owner
        self._tally = tally
        self._outbox = outbox
        self._session: Http2Session

    def connection_made(self, transport: Any) -> None:
        self._tally.n += 1
        self._session = Http2Session(self._owner, transport, self._outbox)
        self._owner.connection_opened(self._session)
        self._session.flush()

    def data_received(self, data: bytes) -> None:
        self._session.receive(data, time.monotonic_ns())

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.n -= 1
        self._session.lose(classify(exc), time.monotonic_ns())
        del self._session  # Session, transport and this would hold each other until a collection that never comes.
