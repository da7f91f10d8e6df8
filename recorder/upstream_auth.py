"""The proxy behind the recorder, and how it is told who asks: by the environment, never on a command line."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from captures.errors import ConfigError

VARIABLE = "RUSHHOUR_UPSTREAM_PROXY_AUTH"
"""Holds ``user:password``."""


def check_proxy(url: str) -> str:
    """Return the URL of an upstream proxy.

    Raises:
        ConfigError: it is not http or https with a host, or it has credentials or a path in it, or those in the
        environment are no ``user:password``.
    """
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if has_host and "@" in parts.netloc:
        raise ConfigError("--upstream-proxy has credentials in it, which others see", f"set {VARIABLE}=USER:PASSWORD")
    if not has_host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise ConfigError(f"--upstream-proxy {url!r} is not a proxy", "write http://HOST:PORT or https://HOST:PORT")
    user, colon, _ = os.environ.get(VARIABLE, "nobody:").partition(":")
    if not user or not colon:
        raise ConfigError(f"{VARIABLE} is not readable", "set it to USER:PASSWORD, or unset it")
    return url


def taken_auth() -> str:
    """Take the credentials out of this process's environment, so that no child of it inherits them."""
    return os.environ.pop(VARIABLE, "")
