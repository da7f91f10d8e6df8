"""What ``rushhour doctor`` looks at in this room: mitmproxy, the browser, the CA's directory."""

from __future__ import annotations

from importlib import metadata

from captures.checks import Check
from captures.errors import ConfigError
from recorder.authority import is_private, state_directory
from recorder.browser import INSTALL_HINT, browser_version, find_browser


def checks() -> list[Check]:
    """Look at everything that recording needs."""
    return [_mitmproxy(), _browser(), _authority()]


def _mitmproxy() -> Check:
    try:
        found = metadata.version("mitmproxy")
    except metadata.PackageNotFoundError:
        return Check(name="mitmproxy", ok=False, found="not installed", fix="pip install 'rushhour[record]'")
    return Check(name="mitmproxy", ok=True, found=found, fix="")


def _browser() -> Check:
    try:
        path = find_browser()
    except ConfigError as exc:
        return Check(name="browser", ok=False, found=exc.what, fix=exc.hint)
    if path is None:
        return Check(name="browser", ok=False, found="neither Chromium nor Chrome", fix=INSTALL_HINT)
    version = browser_version(path)
    fix = "" if version else f"run {path} --version and see why it does not answer"
    return Check(name="browser", ok=bool(version), found=version or f"{path} does not answer", fix=fix)


def _authority() -> Check:
    directory = state_directory()
    if not directory.exists():
        return Check(name="recorder CA", ok=True, found=f"{directory} is made at the first recording", fix="")
    if is_private(directory):
        return Check(name="recorder CA", ok=True, found=str(directory), fix="")
    return Check(name="recorder CA", ok=False, found=f"{directory} is open to others", fix=f"chmod 700 {directory}")
