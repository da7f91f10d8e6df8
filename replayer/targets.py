"""Where recorded origins go. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """Where a recorded origin goes.

    Attributes:
        scheme: ``http`` or ``https``.
        host: as the user wrote it, lower case, without brackets: for Host, SNI and certificate.
        port: explicit or the scheme's default.
        addresses: the checked IP addresses that may be connected to, in the resolver's order; nothing else may.
            Empty only where a proxy reaches a name that this machine cannot resolve.
        http: the version of HTTP that is spoken there, ``1.1`` or ``2``; sockets are opened over 1.1 in any case.
        via: number of the proxy among the run's (``replayer.reach.Reach.proxies``), or -1: directly.
    """

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    via: int = -1
    http: str = "1.1"

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's default, as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """``https://host:port`` as in an Origin header."""
        return f"{self.scheme}://{self.authority}"
