"""The addon's settings: names, defaults and help, and what of them a capture's header says. Knows no mitmproxy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from recorder.options import DEFAULT_MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One ``--set NAME=VALUE``; ``kind`` is the type of its value."""

    name: str
    kind: Any
    default: object
    help: str
    choices: tuple[str, ...] | None = None


SETTINGS = (
    Setting(name="rushhour_out", kind=str, default="", help="Capture to write; must not exist."),
    Setting(name="rushhour_url", kind=str, default="", help="Page whose host and registrable domain are recorded."),
    Setting(
        name="rushhour_scope",
        kind=Sequence[str],
        default=[],
        help="Further hosts to record; with no page and none: all.",
    ),
    Setting(
        name="rushhour_max_body",
        kind=int,
        default=DEFAULT_MAX_BODY_BYTES,
        help="Bytes kept of each body and message.",
    ),
    Setting(name="rushhour_redact", kind=bool, default=True, help="Replace secrets before anything is written."),
    Setting(
        name="rushhour_policy",
        kind=str,
        default="",
        help="TOML file that says what else is secret, or is none.",
    ),
    Setting(
        name="rushhour_redact_key",
        kind=str,
        default="",
        help="File that keeps the stand-ins' key; none: it is forgotten.",
    ),
    Setting(
        name="rushhour_sessions",
        kind=str,
        default="identity",
        help="What a session is.",
        choices=("identity", "port"),
    ),
    Setting(
        name="rushhour_rotate",
        kind=Sequence[str],
        default=[],
        help="Go on in another file after 1GiB, 1h, or either.",
    ),
    Setting(
        name="rushhour_status_fd",
        kind=int,
        default=-1,
        help="Descriptor for status lines; -1: tell in the log.",
    ),
    Setting(
        name="rushhour_lifeline_fd",
        kind=int,
        default=-1,
        help="Descriptor whose end of file stops the proxy; -1: none.",
    ),
)


class Chosen(Protocol):
    """The settings that a capture's header tells of."""

    rushhour_url: str
    rushhour_scope: Sequence[str]
    rushhour_max_body: int


def facts_of(chosen: Chosen, mitmproxy_version: str) -> dict[str, object]:
    """The header's facts of a recording (SPEC.md, section 3.1)."""
    return {
        "tool": "rushhour",
        "version": _version(),
        "mitmproxy": mitmproxy_version,
        "url": chosen.rushhour_url,
        "scope": list(chosen.rushhour_scope),
        "max_body_bytes": chosen.rushhour_max_body,
    }


def problem_of(out: str, first: Path) -> str:
    """Say why nothing can be recorded, or nothing; ``first`` is the file that would be written first."""
    if not out:
        return "rushhour_out is not set: add --set rushhour_out=FILE"
    if os.path.lexists(first):
        return f"{first} exists and is not overwritten: name another file with --set rushhour_out=FILE"
    if getattr(sys, "frozen", False):
        return "this mitmproxy is a standalone binary without Python: install mitmproxy from PyPI"
    return ""


def _version() -> str:
    try:
        return metadata.version("rushhour")
    except metadata.PackageNotFoundError:
        return ""
