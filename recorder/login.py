"""Who the browser is before it opens the page: a profile that is kept, or a login saved by Playwright."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captures.errors import ConfigError

MAX_STATE_BYTES = 16 << 20
_LOCK = "SingletonLock"
"""A link to ``HOST-PID`` that Chromium keeps in a profile while it is open."""
_COOKIE_FIELDS = ("name", "value", "domain", "path", "secure", "httpOnly", "sameSite", "expires")
_SAME_SITE = frozenset({"Strict", "Lax", "None"})
_HINT = "save one with Playwright: context.storage_state(path=FILE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where the browser's identity comes from; by default it is nobody's.

    Attributes:
        profile: directory of a browser profile that is used and kept, or None: one that is thrown away.
        state: file with Playwright's storage state, or None.
    """

    profile: Path | None = None
    state: Path | None = None

    def __post_init__(self) -> None:
        if self.profile is not None and self.state is not None:
            raise ConfigError("--profile and --storage-state are both a login", "give one of them")
        if self.profile is not None:
            _check_profile(self.profile)
        if self.state is not None:
            read_state(self.state)

    @property
    def is_given(self) -> bool:
        """Whether there is one."""
        return self.profile is not None or self.state is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageState:
    """What a page finds when it is opened.

    Attributes:
        cookies: as Chromium's ``Storage.setCookies`` takes them.
        storage: per origin, what ``localStorage`` holds.
        left_out: what the file has besides, and this cannot bring back.
    """

    cookies: tuple[Mapping[str, object], ...] = ()
    storage: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_state(path: Path) -> StorageState:
    """Read a storage state of Playwright's: its cookies and each origin's ``localStorage``.

    Raises:
        ConfigError: it cannot be read, or is something else. No value of it is in the message.
    """
    try:
        if path.stat().st_size > MAX_STATE_BYTES:
            raise ConfigError(f"{path} is larger than any login", _HINT)
        document = json.loads(path.read_bytes())
        origins = document.get("origins", [])
        cookies = document.get("cookies", [])
        return StorageState(
            cookies=tuple(map(_cookie, cookies)),
            storage={entry["origin"]: _items(entry.get("localStorage", [])) for entry in origins},
            left_out=_left_out(cookies, origins),
        )
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", _HINT) from exc
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
        raise ConfigError(f"{path} is not a storage state", _HINT) from exc


def _cookie(told: Mapping[str, Any]) -> Mapping[str, object]:
    cookie = {name: told[name] for name in _COOKIE_FIELDS if name in told}
    if not all(isinstance(cookie[name], str) for name in ("name", "value", "domain", "path")):
        raise ValueError("a cookie's texts")
    # A session's cookie has -1 there, and Chromium wants the field left out.
    if not float(cookie.get("expires", -1)) > 0:
        cookie.pop("expires", None)
    if cookie.get("sameSite") not in _SAME_SITE:
        cookie.pop("sameSite", None)
    return cookie


def _items(told: list[Mapping[str, Any]]) -> dict[str, str]:
    return {str(item["name"]): str(item["value"]) for item in told}


def _left_out(cookies: list[Mapping[str, Any]], origins: list[Mapping[str, Any]]) -> tuple[str, ...]:
    n_databases = sum(len(entry.get("indexedDB", ())) for entry in origins)
    n_partitioned = sum("partitionKey" in cookie for cookie in cookies)
    told = []
    if n_databases:
        told.append(f"{n_databases} of IndexedDB")
    if n_partitioned:
        told.append(f"the partition of {n_partitioned} cookies")
    return tuple(told)


def _check_profile(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--profile {directory} is not a directory", "name a browser's user data directory")
    try:
        host, _, pid = os.readlink(directory / _LOCK).rpartition("-")
    except OSError:
        return
    if host == socket.gethostname() and pid.isdigit() and Path(f"/proc/{pid}").exists():
        # The browser would hand the page to the one that is open, and nothing would be recorded.
        raise ConfigError(f"--profile {directory} is open in another browser", "close that one first")
