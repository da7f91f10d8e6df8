"""Which proxy reaches which target: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY`` and ``--proxy``. Pure.

The variables are those of curl and of every HTTP library: lower case before upper case, ``HTTP_PROXY`` for http and
``HTTPS_PROXY`` for https targets, ``ALL_PROXY`` for either. A proxy is spoken to without TLS.
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote, urlsplit

from captures.errors import ConfigError
from captures.records import Origin


class ProxyMode(Enum):
    """``--proxy``."""

    AUTO = "auto"
    """The standard variables, never for loopback."""
    NONE = "none"
    GIVEN = "env"
    """One proxy for every target, loopback too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUrl:
    """A proxy as a variable names it; ``authorization`` is the value of Proxy-Authorization, or b""."""

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyChoice:
    """What decides which proxy reaches a target.

    Attributes:
        by_scheme: for ``http`` and ``https`` targets the variable in force and what it holds, read only where a target
            needs it: a variable that nobody uses may hold anything.
        no_proxy: entries of NO_PROXY, in lower case.
        variable: the name behind ``env:``.
    """

    mode: ProxyMode
    by_scheme: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    no_proxy: tuple[str, ...] = ()
    variable: str = ""

    def __str__(self) -> str:
        return f"env:{self.variable}" if self.mode is ProxyMode.GIVEN else self.mode.value

    def for_target(self, target: Origin) -> ProxyUrl | None:
        """Return the proxy of a target, None where it is reached directly.

        Raises:
            ConfigError: its variable holds no proxy.
        """
        named = self.by_scheme.get(target.scheme)
        if named is None:
            return None
        if self.mode is ProxyMode.AUTO and (_is_loopback(target.host) or self._is_excepted(target)):
            return None
        variable, text = named
        return parse_proxy(text, variable)

    def _is_excepted(self, target: Origin) -> bool:
        return any(_matches(entry, target) for entry in self.no_proxy)


def parse_proxy_choice(text: str, environment: Mapping[str, str]) -> ProxyChoice:
    """Read ``auto``, ``none`` or ``env:VAR`` and the variables it needs.

    Raises:
        ConfigError: it is something else, a variable is not set, or what it holds is no proxy.
    """
    if text == "none":
        return ProxyChoice(mode=ProxyMode.NONE)
    if text == "auto":
        found = {scheme: _variable_of(environment, scheme) for scheme in ("http", "https")}
        listed = environment.get("no_proxy", environment.get("NO_PROXY", ""))
        return ProxyChoice(
            mode=ProxyMode.AUTO,
            by_scheme={scheme: (name, environment[name]) for scheme, name in found.items() if name},
            no_proxy=tuple(entry.strip().lower() for entry in listed.split(",") if entry.strip()),
        )
    variable = text.removeprefix("env:")
    if not text.startswith("env:") or not variable:
        raise ConfigError("--proxy is neither auto, none nor env:VAR", "write --proxy env:STAGING_PROXY")
    if variable not in environment:
        raise ConfigError(f"--proxy: the variable {variable} is not set", f"export {variable}=http://HOST:PORT first")
    named = (variable, environment[variable])
    parse_proxy(named[1], variable)
    return ProxyChoice(mode=ProxyMode.GIVEN, by_scheme={"http": named, "https": named}, variable=variable)


def parse_proxy(text: str, variable: str) -> ProxyUrl:
    """Read ``[http://][USER:PASSWORD@]HOST[:PORT]``; no error repeats the text, which may hold a password.

    Raises:
        ConfigError: it is no http proxy.
    """
    hint = f"export {variable}=http://HOST:PORT, or leave it out with --proxy none"
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigError(f"{variable} is not the URL of a proxy", hint) from exc
    if parts.scheme != "http" or not host:
        raise ConfigError(f"{variable} is not an http proxy: {parts.scheme} proxies are not spoken to", hint)
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + b64encode(pair.encode())
    return ProxyUrl(host=host, port=port or 80, authorization=authorization)


def _variable_of(environment: Mapping[str, str], scheme: str) -> str:
    """Return the name of the variable that is in force for a scheme, "" for none; an empty one is none."""
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    return next((name for name in names if environment.get(name)), "")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(entry: str, target: Origin) -> bool:
    """Tell whether an entry of NO_PROXY means a target: ``*``, a host and those below it, an address, a network."""
    if entry == "*":
        return True
    if entry.count(":") == 1 and entry.rpartition(":")[2] == str(target.port):
        entry = entry.rpartition(":")[0]
    try:
        return ipaddress.ip_address(target.host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        name = entry.lstrip("*").lstrip(".")
        return target.host == name or target.host.endswith(f".{name}")
