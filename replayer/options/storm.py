"""When sockets are lost and how their users come back: ``--storm``; and what a lost worker means: ``--on-loss``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from replayer.load.storms import Storm, parse_storm
from replayer.options.setting import Given, setting
from replayer.pool.onloss import OnLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class StormOptions:
    """Storms in the order given, numbered from 1 in the report.

    Attributes:
        on_loss: what becomes of the others when a worker is lost; the run cannot pass either way.
    """

    storms: tuple[Storm, ...] = ()
    on_loss: OnLoss = OnLoss.ABORT

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {"storm": [str(storm) for storm in self.storms], "on-loss": self.on_loss.value}


def storm_from(given: Given) -> StormOptions:
    """Return validated options from the command line's values."""
    return StormOptions(storms=given["storm"], on_loss=OnLoss(given["on_loss"]))


def _storms(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[Storm, ...]:
    return tuple(parse_storm(value) for value in values)  # Its errors point at the column, on lines of their own.


STORM_SETTINGS = (
    setting(
        "--storm",
        multiple=True,
        callback=_storms,
        metavar="SPEC",
        help="Sockets are lost and come back: at=60s,fraction=0.5,how=rst,policy=full-jitter:1s..30s,mode=resume.",
    ),
    setting(
        "--on-loss",
        type=click.Choice([choice.value for choice in OnLoss]),
        default=OnLoss.ABORT.value,
        show_default=True,
        help="When a worker is lost, end the run or let the others go on; it cannot pass.",
    ),
)
