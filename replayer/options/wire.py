"""How requests are sent and how long they may take."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import click

from captures.errors import ConfigError
from replayer.load.shapes import duration_text
from replayer.options.setting import FILE, Given, duration_setting, setting
from replayer.user.pacing import Deadlines

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"})


class HttpVersion(Enum):
    """Which HTTP is spoken to the target."""

    AUTO = "auto"
    HTTP_1_1 = "1.1"


class Wire(Enum):
    """Which implementation speaks it."""

    FAST = "fast"


WIRE_SETTINGS = (
    duration_setting(
        "--connect-timeout", default="15s", show_default=True, help="Total time for DNS, TCP, TLS and upgrade."
    ),
    duration_setting("--request-timeout", default="60s", show_default=True, help="Total time for a request."),
    duration_setting(
        "--message-timeout", default="10s", show_default=True, help="Total time for a reply or trigger that is due."
    ),
    setting(
        "--max-failures",
        unit="failed steps",
        type=int,
        default=10,
        show_default=True,
        metavar="N",
        help="So many failed steps in a row end a user.",
    ),
    setting("--header", "headers", multiple=True, metavar="NAME=env:VAR", help="A header for every request."),
    setting("--insecure", is_flag=True, help="Do not verify certificates."),
    setting("--ca", type=FILE, metavar="FILE", help="PEM file of further authorities to trust."),
    setting(
        "--http",
        type=click.Choice([version.value for version in HttpVersion]),
        default="auto",
        show_default=True,
        help="HTTP version to speak.",
    ),
    setting(
        "--wire",
        type=click.Choice([wire.value for wire in Wire]),
        default="fast",
        show_default=True,
        help="Which implementation sends.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How requests are sent and how long they may take."""

    deadlines: Deadlines = Deadlines()
    max_failures: int = 10
    headers: tuple[tuple[bytes, bytes], ...] = ()
    insecure: bool = False
    ca_file: Path | None = None
    http: HttpVersion = HttpVersion.AUTO
    wire: Wire = Wire.FAST

    def __post_init__(self) -> None:
        for name, value_ns in (
            ("connect", self.deadlines.connect_ns),
            ("request", self.deadlines.request_ns),
            ("message", self.deadlines.message_ns),
        ):
            if value_ns <= 0:
                raise ConfigError(f"--{name}-timeout must be above 0", f"write --{name}-timeout 10s")
        if self.max_failures < 1:
            raise ConfigError(
                f"--max-failures {self.max_failures} would end users that never failed", "write 1 or more"
            )
        if self.insecure and self.ca_file is not None:
            raise ConfigError("--insecure and --ca contradict each other", "give one of them")

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line; no value of a header."""
        return {
            "connect-timeout": duration_text(self.deadlines.connect_ns),
            "request-timeout": duration_text(self.deadlines.request_ns),
            "message-timeout": duration_text(self.deadlines.message_ns),
            "max-failures": self.max_failures,
            "header": [name.decode() for name, _ in self.headers],
            "insecure": self.insecure,
            "ca": str(self.ca_file) if self.ca_file else None,
            "http": self.http.value,
            "wire": self.wire.value,
        }


def wire_from(given: Given) -> WireOptions:
    """Return validated options from the command line's values.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    return WireOptions(
        deadlines=Deadlines(
            connect_ns=given["connect_timeout"],
            request_ns=given["request_timeout"],
            message_ns=given["message_timeout"],
        ),
        max_failures=given["max_failures"],
        headers=tuple(parse_header(text, os.environ) for text in given["headers"]),
        insecure=given["insecure"],
        ca_file=_readable(given["ca"]),
        http=HttpVersion(given["http"]),
        wire=Wire(given["wire"]),
    )


def parse_header(text: str, environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Read ``NAME=env:VAR``: a header whose value comes from the environment, so that no secret is in a command line.

    Raises:
        ConfigError: not of this form, a header that the wire makes itself, or the variable is not set.
    """
    name, equals, source = text.partition("=")
    if not equals or not _HEADER_NAME.fullmatch(name) or not source.startswith("env:") or source == "env:":
        raise ConfigError(f"--header {text.partition('=')[0]!r} is not NAME=env:VAR", "write X-Api-Key=env:API_KEY")
    if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
        raise ConfigError(f"--header {name} is made by the wire itself", "leave it out")
    variable = source.removeprefix("env:")
    value = environment.get(variable)
    if value is None:
        raise ConfigError(f"--header {name}: the variable {variable} is not set", f"export {variable} first")
    encoded = value.encode("utf-8", "surrogateescape")
    if not _HEADER_VALUE.fullmatch(encoded):
        raise ConfigError(f"--header {name}: the value of {variable} has a line break or control character", "mend it")
    return name.encode(), encoded


def _readable(path: Path | None) -> Path | None:
    """Check a file of authorities before a worker trips over it."""
    if path is None:
        return None
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:
        raise ConfigError(f"--ca {path} cannot be used: {exc.strerror or exc}", "name a PEM file") from exc
    return path.resolve()
