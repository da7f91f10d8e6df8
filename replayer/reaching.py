"""What is done to the targets before a run: proxies found, health waited for, one connection made.

Nothing but ``--wait URL`` asks a target for anything: the first connection sends no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from captures.errors import ConfigError, TargetRefused, TargetUnreachable
from captures.records import Origin
from replayer import failures
from replayer.proxies import ProxyChoice, ProxyUrl
from replayer.reach import ProxySpec, Reach
from replayer.safety import Resolver, is_special, parse_target
from replayer.targets import TargetSpec

_WORDS = {
    failures.TLS_EXPIRED: "its certificate has expired, or is not valid yet; renew it, or add --insecure",
    failures.TLS_WRONG_HOST: "its certificate is for another name; correct --target, or add --insecure",
    failures.TLS_UNKNOWN_CA: "its certificate is of an authority that is not trusted; add --ca FILE, or --insecure",
    failures.TLS_CERTIFICATE: "its certificate was rejected; add --insecure if you trust it",
    failures.TLS_CLIENT_CERTIFICATE: "it wants a certificate of yours; add --cert FILE:KEY",
    failures.TLS_PROTOCOL: "it does not speak TLS on this port, or no version of it that we do",
    failures.TIMEOUT_TLS: "it accepted, but did not answer the TLS hello",
    failures.TIMEOUT_PROXY: "the proxy did not open a tunnel in time",
    failures.PROXY_REFUSED: "the proxy refused a tunnel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthUrl:
    """What ``--wait`` polls: an origin, and the path and query asked for."""

    origin: Origin
    path: str

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


def parse_health(text: str, target: Origin) -> HealthUrl:
    """Read the URL of ``--wait DUR:URL``, a path alone means the target.

    Raises:
        ConfigError: it is no http or https URL.
    """
    if text.startswith("/") and not text.startswith("//"):
        return HealthUrl(origin=target, path=text)
    scheme, separator, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or "#" in text:
        raise ConfigError(
            f"--wait: {text!r} is not a URL", "write --wait 60s:http://127.0.0.1:8000/health or 60s:/health"
        )
    return HealthUrl(origin=parse_target(f"{scheme}://{authority}", option="--wait"), path=slash + path or "/")


def with_proxies(
    targets: Sequence[TargetSpec], choice: ProxyChoice, resolve: Resolver, *, pinned: frozenset[str] = frozenset()
) -> tuple[tuple[TargetSpec, ...], tuple[ProxySpec, ...]]:
    """Return the targets with the proxies that reach them, resolved once.

    Args:
        pinned: hosts of ``--resolve``: they are gone to directly.

    Raises:
        ConfigError: what a variable holds is no proxy.
        TargetUnreachable: a proxy's name has no address.
        TargetRefused: its address is one of no server.
    """
    proxies: dict[ProxyUrl, ProxySpec] = {}
    reached = []
    for target in targets:
        url = None if target.host in pinned else choice.for_target(Origin(target.scheme, target.host, target.port))
        if url is not None and url not in proxies:
            proxies[url] = _resolved(url, resolve)
        reached.append(target if url is None else replace(target, via=list(proxies).index(url)))
    return tuple(reached), tuple(proxies.values())


def welcome(target: TargetSpec, reach: Reach, *, timeout_ns: int) -> str:
    """Connect once with TLS, as the run will; returns the ALPN protocol that the target chose, "" for none.

    Raises:
        TargetUnreachable: the connection did not come about; the reason says what to do.
    """
    from replayer.wire.greeting import greet  # The loop is needed by few runs' preparation.

    greeting = greet(target, reach, timeout_ns=timeout_ns)
    if greeting.failure:
        reason = _WORDS.get(greeting.failure, f"the connection ended as {greeting.failure}")
        raise TargetUnreachable(target.origin, reason)
    return greeting.alpn


def _resolved(url: ProxyUrl, resolve: Resolver) -> ProxySpec:
    shown = f"http://{url.host}:{url.port}"
    try:
        addresses = tuple(resolve(url.host, url.port))
    except (OSError, UnicodeError) as exc:
        raise TargetUnreachable(shown, f"the name of the proxy has no address ({exc})") from exc
    for address in addresses:
        if is_special(address):
            raise TargetRefused(shown, f"{address} is an address of no proxy", "correct the variable, or --proxy none")
    return ProxySpec(host=url.host, port=url.port, addresses=addresses, authorization=url.authorization)
