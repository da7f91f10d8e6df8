"""Which local address connections come from. Pure.

One local address has 28,232 ports towards one target (Linux' default range). Where a target listens on loopback,
every address of 127.0.0.0/8 belongs to this machine (RFC 1122 §3.2.1.3; Linux, not macOS), so a dialer that has used
up the ports of one goes on from the next.
"""

from __future__ import annotations

import errno
import ipaddress
import sys
from collections.abc import Sequence

N_LOOPBACK_SOURCES = 32
"""127.0.0.2 to 127.0.0.33: 900,000 ports, more than a machine has descriptors for."""

_PORTS_RAN_OUT = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})
"""connect(2) says the former, bind(2) to port 0 the latter."""


class Sources:
    """The local addresses of one dialer.

    Args:
        given: to be used in this order, each until its ports have run out; empty lets the system choose, and after
            that, for loopback targets, other loopback addresses.
    """

    def __init__(self, given: Sequence[str] = ()) -> None:
        self._sources: list[str | None] = list(given) or [None, *_loopback_sources()]
        self._is_given = bool(given)
        self._current = 0

    def source_for(self, address: str) -> str | None:
        """Return the local address to connect to ``address`` from; None where the system chooses."""
        return self._sources[self._current] if self._is_given or _is_loopback(address) else None

    def has_more_after(self, source: str | None, address: str, exc: OSError) -> bool:
        """Move on where ``source`` has no port left; tell whether another try to reach ``address`` makes sense."""
        if exc.errno not in _PORTS_RAN_OUT or not (self._is_given or _is_loopback(address)):
            return False
        if self._sources[self._current] != source:
            return True  # Another connection has moved on already.
        if self._current + 1 == len(self._sources):
            return False
        self._current += 1
        return True


def _loopback_sources() -> list[str]:
    if sys.platform != "linux":
        return []
    return [str(ipaddress.IPv4Address("127.0.0.1") + n) for n in range(1, N_LOOPBACK_SOURCES + 1)]


def _is_loopback(address: str) -> bool:
    return address.startswith("127.")
