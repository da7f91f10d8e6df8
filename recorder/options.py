"""What a recording is asked to do, and what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from captures.errors import ConfigError
from captures.redact.keys import key_from
from captures.redact.policy_file import load_policy
from recorder.counts import Counts
from recorder.login import Login
from recorder.reverse import Listen, site_of
from recorder.rotation import Rotation, part_path
from recorder.scope import scope_of
from recorder.upstream_auth import check_proxy

DEFAULT_MAX_BODY_BYTES = 16 << 20
"""Bytes kept of each body and message."""


class Visit(Enum):
    """Who visits the page."""

    WINDOW = "window"
    HEADLESS = "headless"
    SOMEONE = "someone"
    """Whoever uses the proxy's address: no browser is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How the proxy reaches the servers, and trusts them.

    Attributes:
        is_verified: whether their certificates are checked.
        ca_file: PEM file with a CA to trust, or None for the usual ones.
        proxy: URL of a further proxy that everything goes through, or an empty string.
    """

    is_verified: bool = True
    ca_file: Path | None = None
    proxy: str = ""

    def __post_init__(self) -> None:
        if self.proxy:
            check_proxy(self.proxy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is done with secrets before they are written.

    Attributes:
        is_on: whether they are replaced at all.
        policy: TOML file with further rules, or None.
        key_file: keeps the key of the stand-ins (made if missing), or None: it is forgotten.
    """

    is_on: bool = True
    policy: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.is_on and (self.policy or self.key_file):
            raise ConfigError("--no-redact leaves nothing to a policy or a key", "drop --no-redact, or the others")
        load_policy(self.policy)
        if self.key_file is not None:
            key_from(self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """One recording.

    Attributes:
        url: the page, http or https.
        out: the capture; must not exist.
        duration_ns: stop after this long, or None: when the browser closes or on Ctrl-C.
        browser_args: arguments added to the browser's own.
        scope: further hosts to record.
        sessions: browsers with a profile and a port each, at least 1; each is one session of the capture.
        max_body_bytes: bytes kept of each body and message; size and hash are always of the whole.
        login: who the browser is already, before it opens the page.
        listen: stand for the page's site here, as a reverse proxy, in place of being a proxy for browsers.
        rotation: when to go on in another file.
    """

    url: str
    out: Path
    visit: Visit = Visit.WINDOW
    duration_ns: int | None = None
    browser_args: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    sessions: int = 1
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    upstream: Upstream = field(default_factory=Upstream)
    redaction: Redaction = field(default_factory=Redaction)
    login: Login = field(default_factory=Login)
    listen: Listen | None = None
    rotation: Rotation = field(default_factory=Rotation)

    def __post_init__(self) -> None:
        check_url(self.url)
        scope_of(self.url, self.scope)
        if self.sessions < 1:
            raise ConfigError(f"--sessions {self.sessions} records nobody", "give a number of at least 1")
        if self.listen is not None:
            self._check_reverse()
        if self.login.profile is not None and self.sessions > 1:
            raise ConfigError("one profile cannot be open twice", "drop --profile or --sessions")
        if self.login.is_given and self.visit is Visit.SOMEONE:
            raise ConfigError("without a browser there is nobody to log in", "drop --profile and --storage-state")
        first = part_path(self.out, 1) if self.rotation.is_on else self.out
        if os.path.lexists(first):
            raise ConfigError(f"{first} exists and is not overwritten", "name another file with -o")
        directory = self.out.absolute().parent
        if not directory.is_dir():
            raise ConfigError(f"{directory} is not a directory", "make it first, or change -o")
        if not os.access(directory, os.W_OK):
            raise ConfigError(f"{directory} cannot be written to", "change -o")

    @property
    def by_identity(self) -> bool:
        """Whether people have to be told apart, since nobody knows who comes to the one port."""
        return self.visit is Visit.SOMEONE and self.sessions == 1

    def _check_reverse(self) -> None:
        site_of(self.url)
        if self.visit is not Visit.SOMEONE or self.sessions > 1:
            raise ConfigError("with --reverse people bring their own browsers", "drop --headless and --sessions")
        if self.upstream.proxy:
            raise ConfigError("--reverse does not go through --upstream-proxy", "drop one of them")


class Stop(Enum):
    """Why a recording stopped."""

    BROWSER_CLOSED = "the browser closed"
    DURATION = "the duration was over"
    ASKED = "it was asked to"
    DRIVEN = "the script was through"
    PROXY_DIED = "the proxy died"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """What came of a recording.

    Attributes:
        path: the capture; of several files the last one.
        paths: all files, in order.
        counts: what is in it.
        left_out: origins outside the scope, with the number of their requests or tunnels.
        stop: why the recording stopped.
        sealed_early: why the capture ends before the recording did, or an empty string.
        is_kept: False where nothing was recorded and the empty file was removed.
        columns: names of the inputs that stand for what was typed.
    """

    path: Path
    counts: Counts
    left_out: dict[str, int]
    stop: Stop
    sealed_early: str = ""
    is_kept: bool = True
    paths: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()


def check_url(url: str) -> str:
    """Return the URL of a page to record.

    Raises:
        ConfigError: it is not http or https, has no host, or its port is not a number.
    """
    hint = "write it as http://HOST:PORT/PATH or https://HOST/PATH"
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as exc:
        raise ConfigError(f"{url!r} is not a URL ({exc})", hint) from exc
    if parts.scheme not in ("http", "https") or not has_host:
        raise ConfigError(f"{url!r} cannot be recorded", hint)
    return url
