"""A golden is shared, so nothing in it may look like a secret."""

from __future__ import annotations

from pathlib import Path

from captures.errors import ConfigError
from captures.format.reader import open_capture
from captures.redact.policy_file import load_policy
from captures.redact.scan import scan, told


def scanned(capture: Path, policy: Path | None) -> str:
    """Return what a scan says of a clean capture.

    Args:
        policy: what else is secret, or is none.

    Raises:
        ConfigError: it holds what looks like secrets.
        CaptureError: it is no capture.
    """
    with open_capture(capture) as reader:
        found = scan(reader, load_policy(policy))
    *_, last = told(found)
    if found.leftovers:
        hint = f"rushhour scan {capture} lists them, rushhour redact takes them out"
        raise ConfigError(f"{capture} holds what looks like secrets ({last})", hint)
    return last
