"""How many users, how fast, when: the knobs of the load."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from captures.errors import ConfigError
from replayer.identities import IdentitiesEnd
from replayer.load.schedule import NEVER_NS, LoadOptions, implied_users
from replayer.load.shapes import Rate, RateStages, Recorded, Shape, Stages, parse_shape
from replayer.load.stages import total_ns
from replayer.options.setting import FILE, Given, duration_setting, names_of, setting, shown_duration
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing


def _shape(ctx: click.Context, param: click.Parameter, value: str) -> Shape:
    try:
        return parse_shape(value)
    except ConfigError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


CROWD_SETTINGS = (
    setting("--scale", unit="users per session", type=float, metavar="N", help="Users per session.  [default: 1]"),
    setting("--users", unit="users", type=int, metavar="N", help="Virtual users, instead of --scale."),
    setting(
        "--speed", unit="×", type=float, default=1.0, show_default=True, metavar="X", help="Divides recorded gaps."
    ),
    duration_setting("--max-gap", help="No longer pause between sends, nor between arrivals."),
    setting(
        "--shape",
        callback=_shape,
        default="recorded",
        show_default=True,
        metavar="SHAPE",
        help="When users start: recorded, ramp:30s, burst[:at], align[:at], rate:50/s, stages:30s@800,150s@800,30s@0.",
    ),
    duration_setting("--for", "for_", help="After so long no step starts; what is in flight may end."),
    setting(
        "--at-end",
        type=click.Choice([at_end.value for at_end in AtEnd]),
        help="What a user does whose script ends before --for.  [default: restart with --for, else end]",
    ),
    duration_setting("--start-spread", help="Over how long copies of a session start."),
    setting(
        "--pacing",
        type=click.Choice(["think", "timeline", "asap"]),
        default="think",
        show_default=True,
        help="When a step goes: after recorded think time, by the recorded timeline, or as soon as possible.",
    ),
    setting("--identities", type=FILE, metavar="FILE", help="CSV file of input columns; user i takes row i."),
    setting(
        "--identities-end",
        type=click.Choice(["cycle", "fail"]),
        default="cycle",
        show_default=True,
        help="What to do when there are more users than rows.",
    ),
    setting("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides every random choice."),
)
CROWD_KEYS = names_of(CROWD_SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdOptions:
    """How many, how fast, when.

    Attributes:
        scale: users per recorded session, or None; never together with ``users``.
        users: virtual users, or None; neither is ``--scale 1``.
        for_ns: how long steps start, or None: until the scripts are over.
        given_at_end: what was asked for, or None; ``at_end`` is what is in force.
        identities: CSV file of input columns, or None: the environment.
    """

    scale: float | None = None
    users: int | None = None
    speed: float = 1.0
    max_gap_ns: int | None = None
    shape: Shape = field(default_factory=Recorded)
    start_spread_ns: int | None = None
    for_ns: int | None = None
    given_at_end: AtEnd | None = None
    pacing: Pacing = Pacing.THINK
    seed: int = 0
    identities: Path | None = None
    identities_end: IdentitiesEnd = IdentitiesEnd.CYCLE

    def __post_init__(self) -> None:
        if self.scale is not None and self.users is not None:
            raise ConfigError("--scale and --users contradict each other", "give one of them")
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(f"--scale {self.scale:g} is no load", "write a number above 0, such as --scale 20")
        if self.users is not None and self.users < 1:
            raise ConfigError(f"--users {self.users} is no load", "write 1 or more")
        if self.start_spread_ns is not None and not isinstance(self.shape, Recorded):
            raise ConfigError(f"--start-spread means nothing with --shape {self.shape}", "leave one of them out")
        self._check_end()

    def _check_end(self) -> None:
        if self.for_ns is not None and self.for_ns <= 0:
            raise ConfigError("--for 0 is no run", "write how long steps may start, such as --for 60s")
        if self.is_staged and (self.users is not None or self.scale is not None):
            raise ConfigError(f"--shape {self.shape} says how many users there are", "leave --users and --scale out")
        if self.given_at_end in (None, AtEnd.END):
            return
        if self.horizon_ns == NEVER_NS:
            hint = "say how long with --for, or leave --at-end out"
            raise ConfigError(f"--at-end {self.given_at_end.value} would never end", hint)
        if self.given_at_end is AtEnd.RESTART and isinstance(self.shape, Rate | RateStages):
            raise ConfigError(f"with --shape {self.shape} new users come all the time", "leave --at-end restart out")

    @property
    def is_staged(self) -> bool:
        """Whether the shape says how many users there are at any time."""
        return isinstance(self.shape, Stages)

    @property
    def horizon_ns(self) -> int:
        """After how long no step starts: ``--for`` or the end of the stages, ``NEVER_NS`` where scripts decide."""
        staged_ns = total_ns(self.shape) if isinstance(self.shape, Stages) else NEVER_NS
        return min(staged_ns, NEVER_NS if self.for_ns is None else self.for_ns)

    @property
    def at_end(self) -> AtEnd:
        """What a user does whose script is over."""
        if self.given_at_end is not None:
            return self.given_at_end
        has_newcomers = isinstance(self.shape, Rate | RateStages)
        return AtEnd.END if self.horizon_ns == NEVER_NS or has_newcomers else AtEnd.RESTART

    def load_for(self, n_sessions: int) -> LoadOptions:
        """Return the load of a capture with so many sessions.

        Raises:
            ConfigError: there are none, or the scale makes less than one user of them.
        """
        if n_sessions < 1:
            raise ConfigError("the capture holds no session to replay", "rushhour inspect FILE shows what it holds")
        users = self.users
        if users is None and self.scale is None:
            users = implied_users(self.shape, seed=self.seed, for_ns=self.for_ns)
        if users is None:
            users = math.floor((self.scale or 1) * n_sessions + 0.5)
        if users < 1:
            raise ConfigError(f"{self._many()} of {n_sessions} sessions is no user", "ask for more, or for longer")
        spread_ns = 0 if self.start_spread_ns is None and self.pacing is Pacing.ASAP else self.start_spread_ns
        return LoadOptions(
            users=users,
            speed=self.speed,
            max_gap_ns=self.max_gap_ns,
            shape=self.shape,
            start_spread_ns=spread_ns,
            seed=self.seed,
        )

    def _many(self) -> str:
        return f"--scale {self.scale:g}" if self.scale is not None else f"--shape {self.shape}"

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line; None where nothing is in force."""
        return {
            "scale": self.scale if self.scale is not None or self.users is not None or self.is_staged else 1.0,
            "users": self.users,
            "speed": self.speed,
            "max-gap": shown_duration(self.max_gap_ns),
            "shape": str(self.shape),
            "start-spread": shown_duration(self.start_spread_ns),
            "for": shown_duration(self.for_ns),
            "at-end": self.at_end.value,
            "pacing": self.pacing.value,
            "identities": str(self.identities) if self.identities else None,
            "identities-end": self.identities_end.value,
            "seed": self.seed,
        }


def crowd_from(given: Given) -> CrowdOptions:
    """Return validated options from the command line's values.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    return CrowdOptions(
        scale=given["scale"],
        users=given["users"],
        speed=given["speed"],
        max_gap_ns=given["max_gap"],
        shape=given["shape"],
        start_spread_ns=given["start_spread"],
        for_ns=given["for_"],
        given_at_end=AtEnd(given["at_end"]) if given["at_end"] is not None else None,
        pacing=Pacing(given["pacing"]),
        seed=given["seed"],
        identities=given["identities"],
        identities_end=IdentitiesEnd(given["identities_end"]),
    )
