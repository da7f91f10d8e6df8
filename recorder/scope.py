"""Which hosts are recorded; pure.

The page's host on any port, its siblings under the same registrable domain, and what ``--scope`` adds. There is no list
of public suffixes here: two labels make a registrable domain, three where the last two are a known shared suffix
(``co.uk``, ``github.io``). Too wide or too narrow is visible: what was left out is printed as ready options.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from captures.errors import ConfigError

# Second-level labels under which country registries sell names. Source: https://publicsuffix.org/list/
_COUNTRY_SECOND_LEVELS = frozenset("ac co com edu gob gouv gov go gv ltd me mil ne net nom or org plc sch".split())
# Suffixes under which unrelated people live side by side. Source: the private section of the same list.
_SHARED_SUFFIXES = frozenset(
    "amazonaws.com appspot.com azurewebsites.net cloudfront.net firebaseapp.com fly.dev github.io gitlab.io"
    " herokuapp.com netlify.app ngrok.io ngrok.app ngrok-free.app onrender.com pages.dev vercel.app web.app"
    " windows.net workers.dev".split()
)
_LOOPBACK = "localhost"
_HINT = "write a host name such as api.example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Hosts that are recorded.

    Attributes:
        domains: a host equal to one of these, or below it, is recorded; empty means every host.
    """

    domains: frozenset[str] = frozenset()

    def has(self, host: str) -> bool:
        """Tell whether traffic of this host is recorded."""
        if not self.domains:
            return True
        name = _plain(host)
        return name in self.domains or any(name.endswith(f".{domain}") for domain in self.domains)


def scope_of(url: str, added: Iterable[str] = ()) -> Scope:
    """Make the scope of a page; no URL and nothing added means that everything is recorded.

    Args:
        url: the page, or an empty string.
        added: hosts as typed at ``--scope``: a name, a name with a port or a whole URL.

    Raises:
        ConfigError: an added host cannot be read.
    """
    domains = {_host_of(text) for text in added}
    if url:
        domains.add(registrable_domain(_host_of(url)))
    return Scope(domains=frozenset(domains))


def registrable_domain(host: str) -> str:
    """Give the domain under which one owner's hosts live: ``www.shop.co.uk`` gives ``shop.co.uk``, an IP itself."""
    name = _plain(host)
    labels = name.split(".")
    if _is_ip(name) or len(labels) <= 2:
        return name
    suffix = ".".join(labels[-2:])
    is_country = len(labels[-1]) == 2 and labels[-2] in _COUNTRY_SECOND_LEVELS
    return ".".join(labels[-3:]) if is_country or suffix in _SHARED_SUFFIXES else suffix


def _host_of(text: str) -> str:
    stripped = text.strip().removeprefix("*.")
    is_bare_ipv6 = stripped.count(":") > 1 and "//" not in stripped and "[" not in stripped
    authority = f"[{stripped}]" if is_bare_ipv6 else stripped
    try:
        host = urlsplit(authority if "//" in authority else f"//{authority}").hostname
    except ValueError as exc:
        raise ConfigError(f"--scope {text!r} is not a host", _HINT) from exc
    if not host or any(char.isspace() for char in host):
        raise ConfigError(f"--scope {text!r} is not a host", _HINT)
    return _plain(host)


def _plain(host: str) -> str:
    """Lower case, no final dot, no brackets; all names of this machine's loopback are one."""
    name = host.lower().rstrip(".").strip("[]")
    if name == _LOOPBACK or name.endswith(f".{_LOOPBACK}"):
        return _LOOPBACK
    try:
        return _LOOPBACK if ipaddress.ip_address(name).is_loopback else name
    except ValueError:
        return name


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
