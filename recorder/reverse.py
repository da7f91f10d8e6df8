"""Recording as a reverse proxy: people visit the recorder's address in place of the site's; pure.

To the server each request looks as if it had come to the site itself, and that is what is recorded. What the server
says about its own address in headers is turned into the recorder's for the visitor; bodies are left as they are.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from captures.errors import ConfigError
from captures.records import Headers, Origin

_REQUEST_HEADERS = frozenset({b"origin", b"referer"})
_RESPONSE_HEADERS = frozenset({b"location", b"content-location", b"access-control-allow-origin", b"refresh"})
_DOMAIN = re.compile(rb";\s*domain\s*=[^;]*", re.IGNORECASE)
_ENCRYPTED_ONLY = re.compile(
    rb";\s*(?:secure(?=\s*(?:;|$))|samesite\s*=\s*none|partitioned(?=\s*(?:;|$)))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the recorder listens."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """``host:port``, with brackets where the host needs them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can come in."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The two faces of a site for one visitor.

    Attributes:
        site: origin of the server, as text.
        visited: origin that the visitor typed, as text; empty where the request named none.
    """

    site: str
    visited: str

    def to_site(self, name: bytes, value: bytes) -> bytes:
        """Turn a request header's value into what the site would have been sent."""
        if name.lower() not in _REQUEST_HEADERS or not self.visited:
            return value
        return _moved(value, self.visited, self.site)

    def to_visitor(self, headers: Headers) -> Headers:
        """Turn an answer's headers into what keeps the visitor here."""
        return tuple((name, self._to_visitor(name.lower(), value)) for name, value in headers)

    def _to_visitor(self, name: bytes, value: bytes) -> bytes:
        if name == b"set-cookie":
            kept = _DOMAIN.sub(b"", value)
            return kept if self.visited.startswith("https:") else _ENCRYPTED_ONLY.sub(b"", kept)
        if name in _RESPONSE_HEADERS and self.visited:
            return _moved(value, self.site, self.visited)
        return value


def site_of(url: str) -> str:
    """Give the origin that a reverse proxy stands for.

    Raises:
        ConfigError: the URL has a path, which a reverse proxy cannot stand for.
    """
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query:
        raise ConfigError(f"--reverse {url} has a path", "give scheme, host and port only; people add the path")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return str(Origin(parts.scheme, parts.hostname or "", port))


def parse_listen(text: str) -> Listen:
    """Read ``127.0.0.1:8443``, ``[::1]:8443`` or ``:8443`` (this machine only).

    Raises:
        ConfigError: it is no address with a port.
    """
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.path or not 0 < port:
        raise ConfigError(f"--listen {text!r} is not an address", "write HOST:PORT, such as 127.0.0.1:8443")
    return Listen(host=parts.hostname or "127.0.0.1", port=port)


def _moved(value: bytes, before: str, after: str) -> bytes:
    """Replace an origin wherever it stands whole: not where a longer host or port begins like it."""
    whole = re.escape(before.encode("latin-1", "replace")) + rb"(?![\w.:-])"
    return re.sub(whole, lambda _: after.encode("latin-1", "replace"), value, flags=re.IGNORECASE)
