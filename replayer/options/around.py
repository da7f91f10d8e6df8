"""What is done around a run: the user's own commands before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from captures.errors import ConfigError
from replayer.options.setting import Given, setting

AROUND_SETTINGS = (
    setting("--before", metavar="CMD", help="A command of yours before the target is looked for; it has to succeed."),
    setting("--after", metavar="CMD", help="A command of yours at the end, however it ends, once --before began."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AroundOptions:
    """Commands for ``/bin/sh -c``; "" for none."""

    before: str = ""
    after: str = ""

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {"before": self.before or None, "after": self.after or None}


def around_from(given: Given) -> AroundOptions:
    """Return validated options from the command line's values.

    Raises:
        ConfigError: a command is there, but empty.
    """
    for name in ("before", "after"):
        text: str | None = given[name]
        if text is not None and not text.strip():
            raise ConfigError(f"--{name} is empty", f"write a command, or leave --{name} out")
    return AroundOptions(before=given["before"] or "", after=given["after"] or "")
