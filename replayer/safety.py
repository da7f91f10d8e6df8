"""Where a run may go: target URLs, the allow-list, name resolution, the probe. The only room that reads a target.

Scheme, host and port never come from a capture (design §8). A URL is parsed strictly, its host is resolved once, and
the *addresses* decide: every odd spelling of one (``127.1``, ``0x7f000001``, ``::ffff:127.0.0.1``) ends in the same
check. A target is allowed when all its addresses are loopback, or when its host is on the allow-list. Workers connect
to the checked addresses only and resolve nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from captures.errors import ConfigError, TargetRefused, TargetUnreachable
from captures.records import Origin
from captures.units import NS_PER_S
from replayer.proxies import ProxyChoice, ProxyMode
from replayer.targets import TargetSpec

Resolver = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?", re.ASCII)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that the parser drops without a word: what people read would not be what is gone to."""
_POLL_S = 0.2
_NO_TARGETS = frozenset({"255.255.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"})
"""Broadcast, and metadata services that are not link-local: Alibaba Cloud, Azure, Oracle Cloud, AWS over IPv6."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052 §2.1."""
_COMPATIBLE = ipaddress.IPv6Network("::/96")
"""RFC 4291 §2.5.5.1, deprecated; ``::`` and ``::1`` are in it and are judged before."""
_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Which hosts besides loopback a run may go to.

    Attributes:
        typed: hosts of ``--allow-target``: they were meant for this very run.
        configured: hosts of ``rushhour.toml``; not enough for a host that was recorded.
        recorded: hosts that occur in the capture: likely production.
    """

    typed: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()

    def check(self, target: Origin, addresses: Sequence[str]) -> None:
        """Let pass what may be load-tested.

        Raises:
            TargetRefused: it may not.
        """
        ips = [_ip_of(address) for address in addresses]
        if ips and all(ip.is_loopback for ip in ips):
            return
        hint = f"add --allow-target {target.host} if you may load-test it"
        if target.host not in self.typed | self.configured:
            shown = f" ({', '.join(map(str, ips))})" if ips else ""
            raise TargetRefused(str(target), f"{target.host}{shown} is neither loopback nor on the allow-list", hint)
        if target.host in self.recorded and target.host not in self.typed:
            reason = f"the capture was recorded from {target.host}, so rushhour.toml is not enough"
            raise TargetRefused(str(target), reason, hint)
        for ip in ips:
            if _is_special(ip) and str(ip) not in self.typed:
                raise TargetRefused(str(target), f"{ip} is an address of no server", "name the server's own address")


def parse_target(text: str, *, option: str = "--target") -> Origin:
    """Read a target URL: scheme, host and port, nothing else.

    Raises:
        ConfigError: it has another part (path, query, user), or is no http or https URL.
    """
    example = f"write {option} http://127.0.0.1:8000"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise ConfigError(f"{option} {text!r} is not a URL: {exc}", example) from exc
    if parts.scheme not in _PORTS or not parts.netloc or _UNSEEN.search(text):
        raise ConfigError(f"{option} {text!r} is not an http or https URL", example)
    if "@" in parts.netloc or "\\" in text:
        raise ConfigError(f"{option} must not hold a user, a password or a backslash", "use --header for credentials")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ConfigError(
            f"{option} {text!r} has a path, query or fragment",
            f"{parts.scheme}://{parts.netloc} is enough: paths are recorded",
        )
    if port == 0:
        raise ConfigError(f"{option} {text!r} has port 0", "name the port the target listens on")
    return Origin(parts.scheme, _host_of(parts.hostname or "", option), port or _PORTS[parts.scheme])


def parse_host(text: str, *, option: str = "--allow-target") -> str:
    """Read a bare host or address, as after ``--allow-target``; returns it in lower case without brackets.

    Raises:
        ConfigError: it is not a host.
    """
    return _host_of(text.strip().removeprefix("[").removesuffix("]"), option)


def parse_map(text: str) -> tuple[Origin, Origin]:
    """Read ``ORIGIN=URL``: a recorded origin and where it goes.

    Raises:
        ConfigError: one of them is not an origin.
    """
    recorded, equals, target = text.partition("=")
    if not equals:
        raise ConfigError(f"--map {text!r} has no =", "write --map https://api.shop.example=http://127.0.0.1:8001")
    return parse_target(recorded.strip(), option="--map"), parse_target(target.strip(), option="--map")


def parse_resolve(text: str) -> tuple[str, str]:
    """Read ``HOST=ADDR``: a host and the one address it has in this run.

    Raises:
        ConfigError: the right side is not an IP address.
    """
    host, _, address = text.partition("=")
    try:
        ip = ipaddress.ip_address(address.strip().removeprefix("[").removesuffix("]"))
    except ValueError as exc:
        raise ConfigError(f"--resolve {text!r}: {exc}", "write --resolve staging.example=10.0.0.7") from exc
    return parse_host(host, option="--resolve"), str(ip)


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver knows for a host, in its order, each once.

    Raises:
        OSError: it knows none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Turns a target URL into checked addresses.

    Attributes:
        allow: what may be gone to.
        proxies: a target that one of them reaches need have no address here.
        pinned: addresses by host of ``--resolve``.
        resolve: asked for every other host.
    """

    allow: AllowList = field(default_factory=AllowList)
    proxies: ProxyChoice = ProxyChoice(mode=ProxyMode.NONE)
    pinned: Mapping[str, str] = field(default_factory=dict)
    resolve: Resolver = resolve_by_system

    def admit(self, target: Origin) -> TargetSpec:
        """Resolve a target once and check every address of it.

        Raises:
            TargetRefused: it is not allowed.
            TargetUnreachable: it is allowed, and its name has no address.
        """
        try:
            addresses = self._addresses_of(target)
        except (OSError, UnicodeError) as exc:
            self.allow.check(target, ())
            if self.proxies.for_target(target) is not None:
                return TargetSpec(scheme=target.scheme, host=target.host, port=target.port, addresses=())
            raise TargetUnreachable(str(target), f"the name {target.host} has no address ({exc})") from exc
        self.allow.check(target, addresses)
        return TargetSpec(scheme=target.scheme, host=target.host, port=target.port, addresses=tuple(addresses))

    def _addresses_of(self, target: Origin) -> Sequence[str]:
        pinned = self.pinned.get(target.host)
        return [pinned] if pinned else self.resolve(target.host, target.port)


def probe(target: TargetSpec, *, timeout_ns: int, wait_ns: int = 0) -> TargetSpec:
    """Connect once and close, sending nothing, so that the target's own count of requests stays ours.

    Args:
        timeout_ns: for one attempt.
        wait_ns: how long to go on trying while nobody accepts; 0 tries once.

    Returns:
        the target, the address that accepted first.

    Raises:
        TargetUnreachable: nobody accepted in time.
    """
    deadline_s = time.monotonic() + wait_ns / NS_PER_S
    while True:
        error: OSError | None = None
        for address in target.addresses:
            try:
                socket.create_connection((address, target.port), timeout_ns / NS_PER_S).close()
            except OSError as exc:
                error = exc
            else:
                others = tuple(other for other in target.addresses if other != address)
                return replace(target, addresses=(address, *others))
        if time.monotonic() + _POLL_S > deadline_s:
            cause = "the connect timed out" if isinstance(error, TimeoutError) else str(error)
            raise TargetUnreachable(target.origin, cause) from error
        time.sleep(_POLL_S)


def is_loopback(targets: Collection[TargetSpec]) -> bool:
    """Return whether every address of every target is loopback."""
    return all(
        target.addresses and all(_ip_of(address).is_loopback for address in target.addresses) for target in targets
    )


def check_writes(
    targets: Collection[TargetSpec], *, users: int, unsafe_routes: Collection[str], allow_writes: bool
) -> None:
    """Refuse many users writing to a target that is not loopback, unless that was asked for.

    Raises:
        TargetRefused: it was not.
    """
    if allow_writes or users <= 1 or not unsafe_routes or is_loopback(targets):
        return
    target = next(target for target in targets if not is_loopback([target]))
    reason = f"{users} users would repeat steps that write: {', '.join(sorted(unsafe_routes))}"
    raise TargetRefused(target.origin, reason, "add --allow-writes if it may be filled with their data")


def is_special(address: str) -> bool:
    """Return whether an address is one of no server: metadata services, multicast, the unspecified one, broadcast."""
    return _is_special(_ip_of(address))


def _host_of(text: str, option: str) -> str:
    if ":" in text:
        try:
            if "%" in text:
                raise ValueError("it has a zone")
            return str(ipaddress.IPv6Address(text))
        except ValueError as exc:
            raise ConfigError(f"{option}: {text!r} is not a host", "write a host without scheme and port") from exc
    try:
        host = text.lower() if text.isascii() else text.encode("idna").decode()
    except UnicodeError as exc:
        raise ConfigError(f"{option}: {text!r} is not a host name: {exc}", "write it in its xn-- form") from exc
    if not _HOST.fullmatch(host):
        raise ConfigError(f"{option}: {text!r} is not a host", "write a host name or an IP address")
    return host.rstrip(".")


def _ip_of(address: str) -> _IpAddress:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_special(ip: _IpAddress) -> bool:
    """Addresses that no load test means: metadata services, multicast, the unspecified address, broadcast.

    An IPv6 address that a router turns into an IPv4 one is judged by that one too.
    """
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) in _NO_TARGETS:
        return True
    if isinstance(ip, ipaddress.IPv4Address):
        return False
    inside = [ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64 or ip in _COMPATIBLE:
        inside.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return any(_is_special(address) for address in inside if address is not None)
