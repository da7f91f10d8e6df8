"""How a run reaches its targets besides their addresses: TLS, proxies, source addresses. Pure data.

Secrets travel in here from the controller to its own workers, over their pipes, and nowhere else: no ``repr`` shows
one, no report holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any


class Offers(Enum):
    """What a connection is for, and so what its TLS handshake offers (ALPN, RFC 7301), in order."""

    HTTP1 = ("http/1.1",)
    WEBSOCKET = ("http/1.1", "")
    """As HTTP1; through a proxy it needs a tunnel even without TLS (RFC 6455 §4.1)."""
    HTTP2 = ("h2",)
    BOTH = ("h2", "http/1.1")
    """The target chooses."""

    @property
    def alpn(self) -> tuple[str, ...]:
        """The protocol names that are offered."""
        return tuple(name for name in self.value if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How connections are encrypted.

    Attributes:
        insecure: do not verify certificates.
        ca_file: PEM file of authorities to trust besides the system's, or None.
        cert_file, key_file: PEM files of our certificate and its key; the key may stand in ``cert_file``.
        key_password: of an encrypted key.
        resumes: each user resumes its sessions with a target, as browsers do; else every handshake is a full one.
    """

    insecure: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    resumes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySpec:
    """An HTTP proxy that is spoken to without TLS.

    Attributes:
        host, port: for people.
        addresses: what is connected to, resolved once before the run.
        authorization: value of Proxy-Authorization, or b"".
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    authorization: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the connections of a run have in common.

    Attributes:
        proxies: by number, see ``TargetSpec.via``.
        sources: local addresses to connect from, in turn; empty lets the system choose.
    """

    tls: TlsSettings = TlsSettings()
    proxies: tuple[ProxySpec, ...] = ()
    sources: tuple[str, ...] = ()


def reach_to_body(reach: Reach) -> dict[str, Any]:
    """Return it as msgpack can hold it."""
    return {
        "tls": _fields_of(reach.tls),
        "proxies": [_fields_of(proxy) for proxy in reach.proxies],
        "sources": reach.sources,
    }


def reach_from_body(body: Mapping[str, Any]) -> Reach:
    """Reverse ``reach_to_body``; tuples may have become lists on the way."""
    proxies = (proxy | {"addresses": tuple(proxy["addresses"])} for proxy in body["proxies"])
    return Reach(
        tls=TlsSettings(**body["tls"]),
        proxies=tuple(ProxySpec(**proxy) for proxy in proxies),
        sources=tuple(body["sources"]),
    )


def _fields_of(record: Any) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}
