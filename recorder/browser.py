"""Chromium or Chrome, by default with a throw-away profile, which trusts just our CA and talks through it only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from captures.errors import ConfigError
from recorder.devtools import Devtools
from recorder.login import StorageState
from recorder.upstream_auth import VARIABLE as AUTH_VARIABLE

VARIABLE = "RUSHHOUR_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_HINT = (
    "install one (Debian and Ubuntu: apt-get install chromium), "
    f"set {VARIABLE} to its path, or use --no-browser and bring your own"
)
STOP_TIMEOUT_S = 20.0
VERSION_TIMEOUT_S = 10.0
_LOG_TAIL_BYTES = 2000
_LEASH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from recorder.leash import main; main()"
_ROOT = str(Path(__file__).resolve().parent.parent)

# Nothing but the page: no calls home, no upgrades of what was typed, no timers slowed down behind other windows.
_QUIET_FLAGS = (
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-quic",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,OptimizationHints,MediaRouter,Translate",
)
# A profile of its user's own needs the user's own key ring, and may need an extension to sign on.
_STRANGER_FLAGS = ("--disable-extensions", "--password-store=basic", "--use-mock-keychain")
_BLANK = "about:blank"


def find_browser() -> str | None:
    """Find Chromium or Chrome: what ``RUSHHOUR_BROWSER`` names, else the usual names on PATH.

    Raises:
        ConfigError: the variable names something that cannot be run.
    """
    if wanted := os.environ.get(VARIABLE, ""):
        found = shutil.which(wanted)
        if found is None:
            raise ConfigError(f"{VARIABLE}={wanted} is not a program that can be run", "correct or unset it")
        return found
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def require_browser() -> str:
    """Find a browser, or say how to come by one.

    Raises:
        ConfigError: there is none.
    """
    path = find_browser()
    if path is None:
        raise ConfigError("neither Chromium nor Chrome is installed", INSTALL_HINT)
    return path


def browser_version(path: str) -> str:
    """Ask a browser for its name and version; empty where it does not answer."""
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def require_display() -> None:
    """Raise where a window cannot open.

    Raises:
        ConfigError: Linux without a display.
    """
    is_blind = sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if is_blind:
        raise ConfigError("there is no display for a browser window", "add --headless, or use --no-browser")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One browser to start.

    Attributes:
        proxy: ``host:port`` of the recorder.
        spki: hash of the public key of the CA to trust (``recorder.authority.spki_hash``).
        args: the user's own arguments, last, so that they win.
        profile: a profile to use and keep, or None: one that is thrown away.
        state: a login to begin with, or None.
    """

    program: str
    url: str
    proxy: str
    spki: str
    is_headless: bool
    args: tuple[str, ...] = ()
    profile: Path | None = None
    state: StorageState | None = None

    def command(self, directory: str) -> list[str]:
        """Give the command line.

        Source of the proxy flags: chromium, net/docs/proxy.md.

        Args:
            directory: is thrown away afterwards.
        """
        page = self.url if self.state is None else _BLANK
        return [self.program, *self._flags(directory), *_QUIET_FLAGS, *self.args, page]

    def _flags(self, directory: str) -> Iterator[str]:
        if self.profile is None:
            yield f"--user-data-dir={directory}"
            yield from _STRANGER_FLAGS
        else:
            yield f"--user-data-dir={self.profile.absolute()}"
            # What is cached is not asked for, and would be missing in the capture.
            yield f"--disk-cache-dir={directory}"
        if self.state is not None:
            yield "--remote-debugging-pipe"
        yield f"--proxy-server={self.proxy}"
        # Without this, what is on the loopback would go past the proxy.
        yield "--proxy-bypass-list=<-loopback>"
        yield f"--ignore-certificate-errors-spki-list={self.spki}"
        if self.is_headless:
            yield "--headless"
            yield "--disable-dev-shm-usage"
        if os.geteuid() == 0:
            # Chromium refuses to run as root inside its sandbox.
            yield "--no-sandbox"


class Browser:
    """A running browser; ends with all its children when stopped, and when this process ends in whatever way."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._log: IO[bytes] = TemporaryFile("a+b")
        self._pipe: tuple[int, int] | None = None
        if visitor.state is None:
            self._process = self._start(())
            return
        read_fd, write_fd = os.pipe()
        answer_fd, told_fd = os.pipe()
        self._pipe = (answer_fd, write_fd)
        self._process = self._start((read_fd, told_fd))
        os.close(read_fd)
        os.close(told_fd)

    def _start(self, pipes: tuple[int, ...]) -> subprocess.Popen[bytes]:
        directory = tempfile.mkdtemp(prefix="rushhour-profile-")
        leash = [sys.executable, "-P", "-c", _LEASH, _ROOT, directory, ",".join(map(str, pipes))]
        return subprocess.Popen(
            [*leash, *self._visitor.command(directory)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            pass_fds=pipes,
            env={name: value for name, value in os.environ.items() if name != AUTH_VARIABLE},
        )

    def log_in(self) -> None:
        """Bring the login back and open the page, where the visitor has one; else do nothing.

        Raises:
            ReplayError: the browser does not take it.
        """
        if self._pipe is not None and self._visitor.state is not None:
            Devtools(*self._pipe).log_in(self._visitor.state, self._visitor.url)

    def has_ended(self) -> bool:
        """Tell whether the browser was closed."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the browser, None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """Give the end of what the browser said."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """End the browser and wait for it; its profile is gone afterwards."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        for fd in self._pipe or ():
            os.close(fd)
