"""Where a running test serves its metrics, as people write it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from captures.errors import ConfigError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAddress:
    """Where to listen; port 0 is any that is free."""

    port: int
    host: str = LOOPBACK

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.host != LOOPBACK else str(self.port)


def parse_metrics_address(text: str) -> MetricsAddress:
    """Read ``9464`` or ``0.0.0.0:9464``.

    Raises:
        ConfigError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535) or (colon and not host):
        raise ConfigError(f"--metrics-port {text} is no port", "write 9464, or 0.0.0.0:9464 for everybody to read")
    return MetricsAddress(port=int(port), host=host or LOOPBACK)
