"""Everything that decides how the target behaves, read once from the environment. Pure.

=======================  ==========  =======================================================================
``DEMO_SEED``            ``7``       quotes are a function of it and of the tick
``DEMO_FEED``            ``live``    ``live``, ``empty`` (no instruments) or ``frozen`` (prices never move)
``DEMO_TICK``            ``200ms``   time between two snapshots
``DEMO_AUTH``            ``on``      ``off``: no login, token or CSRF token is asked for
``DEMO_TOKEN_TTL``       ``300s``    life of the bearer token and of the ticket for the socket
``DEMO_RATE_LIMIT``      ``100/s``   API requests per token, twice as many at once; ``off``
``DEMO_DEFLATE``         ``off``     ``on``: offer permessage-deflate
``DEMO_API``             ``1``       ``2``: another contract, in which a quote's ``last`` is called ``price``
``DEMO_LATENCY``         ``0``       added to every answer, upgrade and acknowledgement
``DEMO_STALL``           ``0``       nothing is answered for so long; ``2s@1s``: from 1 s after the first request on
``DEMO_ERROR_RATE``      ``0``       share of API requests that end with 500, 0 to 1
``DEMO_REFUSE_UPGRADES`` ``0``       ``1``: every upgrade is answered with 503
=======================  ==========  =======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from demo.target.faults import Faults

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MAX_DURATION_NS = 24 * 3600 * NS_PER_S

_NS_PER_UNIT = {"ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)", re.ASCII)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/s", re.ASCII)
_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}


class SettingsError(ValueError):
    """A setting cannot be read; the text names it, what was given and what is expected."""


class Feed(Enum):
    """What the market does."""

    LIVE = "live"
    EMPTY = "empty"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one target behaves from its start on.

    Attributes:
        token_ttl_ns: life of bearer tokens and socket tickets, at least 1 s.
        rate_limit_per_s: API requests per token and second, or None for no limit.
        tick_ns: time between two snapshots, at least 10 ms.
        offers_deflate: whether sockets may be compressed.
        api_version: 1, or 2: in its REST answers a quote's ``last`` is called ``price``.
        faults: what goes wrong on purpose from the start; the admin route changes it later.
    """

    seed: int = 7
    feed: Feed = Feed.LIVE
    tick_ns: int = 200 * NS_PER_MS
    asks_for_login: bool = True
    token_ttl_ns: int = 300 * NS_PER_S
    rate_limit_per_s: float | None = 100.0
    offers_deflate: bool = False
    api_version: int = 1
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if self.tick_ns < 10 * NS_PER_MS:
            raise SettingsError(f"a tick of {self.tick_ns} ns is too short: at least 10ms")
        if self.token_ttl_ns < NS_PER_S:
            raise SettingsError(f"a token life of {self.token_ttl_ns} ns is too short: at least 1s")
        if self.api_version not in (1, 2):
            raise SettingsError(f"there is no API {self.api_version}: 1 or 2")
        if self.rate_limit_per_s is not None and self.rate_limit_per_s <= 0:
            raise SettingsError("a rate limit of 0/s lets nobody in: give more, or off")


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment; what is not there keeps its default.

    Raises:
        SettingsError: a ``DEMO_`` variable cannot be read.
    """
    read = _Environment(environ)
    defaults = Settings()
    return Settings(
        seed=read.whole("DEMO_SEED", defaults.seed),
        feed=read.feed("DEMO_FEED", defaults.feed),
        tick_ns=read.duration_ns("DEMO_TICK", defaults.tick_ns),
        asks_for_login=read.switch("DEMO_AUTH", default=defaults.asks_for_login),
        token_ttl_ns=read.duration_ns("DEMO_TOKEN_TTL", defaults.token_ttl_ns),
        rate_limit_per_s=read.rate_limit("DEMO_RATE_LIMIT", defaults.rate_limit_per_s),
        offers_deflate=read.switch("DEMO_DEFLATE", default=defaults.offers_deflate),
        api_version=read.whole("DEMO_API", defaults.api_version),
        faults=read.faults(),
    )


def duration_ns_of(text: str) -> int:
    """Read ``300ms``, ``2s``, ``5m``, ``1h`` or ``0``.

    Returns:
        int nanoseconds, 0 to 24 h.

    Raises:
        SettingsError: it is none of these.
    """
    if text.strip() == "0":
        return 0
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"{text!r} is not a duration such as 300ms, 2s or 5m")
    duration_ns = round(float(match[1]) * _NS_PER_UNIT[match[2]])
    if duration_ns > MAX_DURATION_NS:
        raise SettingsError(f"{text!r} is longer than 24h")
    return duration_ns


def share_of(text: str) -> float:
    """Read a share, ``0.1`` or ``10%``.

    Raises:
        SettingsError: it is not a number from 0 to 1.
    """
    stripped = text.strip()
    try:
        share = float(stripped[:-1]) / 100 if stripped.endswith("%") else float(stripped)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise SettingsError(f"{text!r} is not a share from 0 to 1")
    return share


class _Environment:
    """The ``DEMO_`` variables, each read in its own way and named in the error."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def whole(self, name: str, default: int) -> int:
        text = self._text(name)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name}={text}: not a whole number") from None

    def switch(self, name: str, *, default: bool) -> bool:
        text = self._text(name)
        if text is None:
            return default
        if text.lower() not in _SWITCH:
            raise SettingsError(f"{name}={text}: neither on nor off")
        return _SWITCH[text.lower()]

    def feed(self, name: str, default: Feed) -> Feed:
        text = self._text(name)
        if text is None:
            return default
        try:
            return Feed(text.lower())
        except ValueError:
            raise SettingsError(f"{name}={text}: one of {', '.join(feed.value for feed in Feed)}") from None

    def duration_ns(self, name: str, default_ns: int) -> int:
        text = self._text(name)
        if text is None:
            return default_ns
        try:
            return duration_ns_of(text)
        except SettingsError as exc:
            raise SettingsError(f"{name}: {exc}") from None

    def rate_limit(self, name: str, default_per_s: float | None) -> float | None:
        text = self._text(name)
        if text is None or text.lower() == "on":
            return default_per_s
        if text.lower() == "off":
            return None
        match = _RATE.fullmatch(text)
        if match is None:
            raise SettingsError(f"{name}={text}: write it as 100/s, or off")
        return float(match[1])

    def faults(self) -> Faults:
        length, _, start = (self._text("DEMO_STALL") or "0").partition("@")
        try:
            return Faults(
                latency_ns=duration_ns_of(self._text("DEMO_LATENCY") or "0"),
                stall_ns=duration_ns_of(length),
                stall_after_ns=duration_ns_of(start or "0"),
                error_rate=share_of(self._text("DEMO_ERROR_RATE") or "0"),
                refuses_upgrades=self.switch("DEMO_REFUSE_UPGRADES", default=False),
            )
        except SettingsError as exc:
            raise SettingsError(f"DEMO_LATENCY, DEMO_STALL or DEMO_ERROR_RATE: {exc}") from None

    def _text(self, name: str) -> str | None:
        text = self._environ.get(name, "").strip()
        return text or None
