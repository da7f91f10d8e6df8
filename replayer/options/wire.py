"""How requests are sent and how long they may take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import click

from captures.errors import ConfigError
from replayer.load.shapes import duration_text
from replayer.options.setting import Given, duration_setting, setting
from replayer.user.pacing import Deadlines
from replayer.wire.kinds import WireKind

_MIB = 1024 * 1024


class HttpVersion(Enum):
    """Which HTTP is spoken to the target."""

    AUTO = "auto"
    """As recorded, where the target offers it."""
    HTTP_1_1 = "1.1"
    HTTP_2 = "2"


WIRE_SETTINGS = (
    duration_setting(
        "--connect-timeout", default="15s", show_default=True, help="Total time for DNS, TCP, TLS and upgrade."
    ),
    duration_setting("--request-timeout", default="60s", show_default=True, help="Total time for a request."),
    duration_setting(
        "--message-timeout",
        default="10s",
        show_default=True,
        help="Total time for a reply or trigger that is due; at least three times the longest recorded wait.",
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
    setting(
        "--max-message",
        unit="MiB",
        type=click.IntRange(min=1, max=1024),
        default=16,
        show_default=True,
        metavar="MIB",
        help="Largest WebSocket message, inflated; a larger one ends its socket as too_large.",
    ),
    setting(
        "--http",
        type=click.Choice([version.value for version in HttpVersion]),
        default="auto",
        show_default=True,
        help="HTTP version to speak; auto: as recorded, where the target offers it.",
    ),
    setting(
        "--wire",
        type=click.Choice([kind.value for kind in WireKind]),
        default="fast",
        show_default=True,
        help="Which implementation sends; reference is httpx and websockets, for comparison.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How requests are sent and how long they may take."""

    deadlines: Deadlines = Deadlines()
    max_failures: int = 10
    max_message_bytes: int = 16 * _MIB
    http: HttpVersion = HttpVersion.AUTO
    wire: WireKind = WireKind.FAST

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

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {
            "connect-timeout": duration_text(self.deadlines.connect_ns),
            "request-timeout": duration_text(self.deadlines.request_ns),
            "message-timeout": duration_text(self.deadlines.message_ns),
            "max-failures": self.max_failures,
            "max-message": self.max_message_bytes // _MIB,
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
        max_message_bytes=given["max_message"] * _MIB,
        http=HttpVersion(given["http"]),
        wire=WireKind(given["wire"]),
    )
