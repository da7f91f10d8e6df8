"""What of the capture is replayed: how it is compiled and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What of the capture is replayed."""

    assets: Assets = Assets.REPLAY

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {"assets": self.assets.value}


def plan_from(given: Given) -> PlanOptions:
    """Return validated options from the command line's values."""
    return PlanOptions(assets=Assets(given["assets"]))
