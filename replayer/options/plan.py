"""What of the capture is replayed: how it is compiled and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import click

from replayer.options.setting import Given, setting


class Assets(Enum):
    """What becomes of recorded images, scripts and styles."""

    REPLAY = "replay"
    SKIP = "skip"


PLAN_SETTINGS = (
    setting(
        "--assets",
        type=click.Choice(["replay", "skip"]),
        default="replay",
        show_default=True,
        help="Whether images, scripts and styles are fetched too.",
    ),
    setting(
        "--rules",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="What a person decided about the plan; rushhour plan FILE --rules-out writes one.",
    ),
    setting(
        "--also",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="A further capture of the same application: it tells dynamic values from static ones.",
    ),
    setting("--read-only", is_flag=True, help="Leave out steps that write, but for those that others need (a login)."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What of the capture is replayed."""

    assets: Assets = Assets.REPLAY
    rules: Path | None = None
    also: tuple[Path, ...] = ()
    read_only: bool = False

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {
            "assets": self.assets.value,
            "rules": str(self.rules) if self.rules is not None else None,
            "also": [str(path) for path in self.also],
            "read-only": self.read_only,
        }


def plan_from(given: Given) -> PlanOptions:
    """Return validated options from the command line's values."""
    return PlanOptions(
        assets=Assets(given["assets"]),
        rules=given["rules"],
        also=tuple(given["also"]),
        read_only=given["read_only"],
    )
