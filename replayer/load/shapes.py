"""Load shapes: when virtual users start, as people write it. Pure; ``schedule`` turns a shape into arrivals.

Grammar (instants and durations are run time, never divided by ``--speed``)::

    recorded        sessions start as recorded, copies spread over the start spread
    ramp:30s        evenly over 30 s
    burst[:at]      everybody at that instant (default 0s)
    align[:at]      everybody's busiest recorded second at that instant (default: the earliest possible)
    rate:50/s       seeded Poisson arrivals (also 90/m, 1000/h)
    stages:30s@800,150s@800,30s@0
                    concurrent users: from where they are, linearly to 800 within 30 s, and so on; going down, the
                    newest end. With rates (30s@50/s,60s@50/s) the arrival rate goes from stage to stage instead
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S, parse_duration_ns

_HINT = "the shapes are recorded, ramp:30s, burst[:at], align[:at], rate:50/s and stages:30s@800,150s@800,30s@0"
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/(s|m|h)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
_LEVEL = re.compile(r"\d{1,9}", re.ASCII)

MAX_LEVEL = 10_000_000
"""Most concurrent users, or arrivals a second, of a stage."""


def duration_text(duration_ns: int) -> str:
    """Write a duration so that ``parse_duration_ns`` reads the same again: ``90s``, ``1500ms``, ``0.5us``."""
    if duration_ns % NS_PER_MS:
        return f"{Decimal(duration_ns) / 1000:f}us"
    return f"{duration_ns // NS_PER_MS}ms" if duration_ns % NS_PER_S else f"{duration_ns // NS_PER_S}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Sessions start as recorded."""

    def __str__(self) -> str:
        return "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Users start evenly over ``duration_ns``."""

    duration_ns: int

    def __str__(self) -> str:
        return f"ramp:{duration_text(self.duration_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """All users start at ``at_ns``."""

    at_ns: int = 0

    def __str__(self) -> str:
        return f"burst:{duration_text(self.at_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Align:
    """The busiest recorded second of every user begins at ``at_ns``; None is the earliest instant that all can meet."""

    at_ns: int | None = None

    def __str__(self) -> str:
        return "align" if self.at_ns is None else f"align:{duration_text(self.at_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Poisson arrivals, ``per_s`` users a second on average."""

    per_s: float

    def __str__(self) -> str:
        return f"rate:{_rate_text(self.per_s)}"


def _rate_text(per_s: float) -> str:
    for unit, unit_s in _UNIT_S.items():
        text = f"{per_s * unit_s:.6f}".rstrip("0").rstrip(".")
        if math.isclose(float(text), per_s * unit_s, rel_tol=1e-12):
            return f"{text}/{unit}"
    return f"{per_s:.6g}/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Linearly to ``users`` concurrent users within ``duration_ns``; 0 ns is a jump."""

    duration_ns: int
    users: int

    def __str__(self) -> str:
        return f"{duration_text(self.duration_ns)}@{self.users}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Concurrent users over time, beginning with none; the run lasts as long as the stages."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        _check_stages([stage.duration_ns for stage in self.stages], [stage.users for stage in self.stages])

    def __str__(self) -> str:
        return "stages:" + ",".join(map(str, self.stages))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStage:
    """Linearly to ``per_s`` arrivals a second within ``duration_ns``."""

    duration_ns: int
    per_s: float

    def __str__(self) -> str:
        return f"{duration_text(self.duration_ns)}@{_rate_text(self.per_s)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStages:
    """Poisson arrivals whose rate changes linearly from stage to stage, beginning with 0/s."""

    stages: tuple[RateStage, ...]

    def __post_init__(self) -> None:
        _check_stages([stage.duration_ns for stage in self.stages], [stage.per_s for stage in self.stages])

    def __str__(self) -> str:
        return "stages:" + ",".join(map(str, self.stages))


Shape = Recorded | Ramp | Burst | Align | Rate | Stages | RateStages


def _check_stages(durations_ns: list[int], levels: list[int] | list[float]) -> None:
    if not any(levels):
        raise ConfigError("the stages never have a user", "write one such as 30s@100")
    if min(levels) < 0 or max(levels) > MAX_LEVEL:
        raise ConfigError(f"a stage has 0 to {MAX_LEVEL:,} users", "correct the number behind the @")
    if not any(durations_ns):
        raise ConfigError("the stages last no time at all", "give one of them a duration, such as 30s@100")


def parse_shape(text: str) -> Shape:
    """Read a shape as typed after ``--shape``.

    Raises:
        ConfigError: no such shape, or its argument is missing, unexpected or zero where it must not be.
    """
    name, colon, argument = text.strip().partition(":")
    parse = _PARSERS.get(name)
    if parse is None:
        raise ConfigError(f"unknown load shape {text!r}", _HINT)
    if colon and not argument:
        raise ConfigError(f"load shape {text!r} ends at its colon", _HINT)
    return parse(argument)


def _recorded(argument: str) -> Shape:
    if argument:
        raise ConfigError(
            "the shape recorded takes no argument",
            "its copies are spread by --start-spread",
        )
    return Recorded()


def _ramp(argument: str) -> Shape:
    if not argument:
        raise ConfigError("the shape ramp needs a duration", "write ramp:30s")
    return Ramp(duration_ns=parse_duration_ns(argument))


def _burst(argument: str) -> Shape:
    return Burst(at_ns=parse_duration_ns(argument)) if argument else Burst()


def _align(argument: str) -> Shape:
    return Align(at_ns=parse_duration_ns(argument)) if argument else Align()


def _rate(argument: str) -> Shape:
    per_s = _per_s(argument)
    if not per_s:
        raise ConfigError(
            f"{argument!r} is not a rate above zero",
            "write rate:50/s, rate:90/m or rate:1000/h",
        )
    return Rate(per_s=per_s)


def _per_s(text: str) -> float | None:
    match = _RATE.fullmatch(text)
    return None if match is None else float(Decimal(match[1]) / _UNIT_S[match[2]])


def _stages(argument: str) -> Shape:
    if not argument:
        raise ConfigError("the shape stages needs its stages", "write stages:30s@800,150s@800,30s@0")
    return stages_of([_stage(text) for text in argument.split(",")])


def _stage(text: str) -> tuple[int, str]:
    duration, at, level = text.partition("@")
    if not at:
        raise ConfigError(f"the stage {text!r} does not say how many users", "write DURATION@USERS, such as 30s@800")
    return parse_duration_ns(duration), level


def stages_of(stages: Sequence[tuple[int, str]]) -> Stages | RateStages:
    """Return the shape of (duration in ns, level) pairs; a level is a number of users or a rate, ``50/s``.

    Raises:
        ConfigError: a level is neither, or the stages have both.
    """
    rates = [(duration_ns, _per_s(level)) for duration_ns, level in stages]
    if all(per_s is not None for _, per_s in rates):
        return RateStages(
            stages=tuple(RateStage(duration_ns=duration_ns, per_s=per_s or 0.0) for duration_ns, per_s in rates)
        )
    if any(per_s is not None for _, per_s in rates):
        raise ConfigError("the stages mix users and rates", "write all of them as users, or all as rates")
    for _, level in stages:
        if not _LEVEL.fullmatch(level):
            raise ConfigError(f"{level!r} is no number of users", "write DURATION@USERS, such as 30s@800")
    return Stages(stages=tuple(Stage(duration_ns=duration_ns, users=int(level)) for duration_ns, level in stages))


_PARSERS = {
    "recorded": _recorded,
    "ramp": _ramp,
    "burst": _burst,
    "align": _align,
    "rate": _rate,
    "stages": _stages,
}

Body = list[str | int | float | None | list[list[int | float]]]


def shape_to_body(shape: Shape) -> Body:
    """Return the shape as msgpack can hold it, exactly (``str(shape)`` is for people)."""
    match shape:
        case Recorded():
            return ["recorded", None]
        case Ramp(duration_ns=duration_ns):
            return ["ramp", duration_ns]
        case Burst(at_ns=at_ns):
            return ["burst", at_ns]
        case Align(at_ns=at_or_none):
            return ["align", at_or_none]
        case Rate(per_s=per_s):
            return ["rate", per_s]
        case Stages(stages=stages):
            return ["stages", [[stage.duration_ns, stage.users] for stage in stages]]
        case RateStages(stages=rates):
            return ["rates", [[stage.duration_ns, stage.per_s] for stage in rates]]


def shape_from_body(body: Body) -> Shape:
    """Reverse ``shape_to_body``.

    Raises:
        ValueError: the body is not one of its results.
    """
    match body:
        case ["recorded", None]:
            return Recorded()
        case ["ramp", int(duration_ns)]:
            return Ramp(duration_ns=duration_ns)
        case ["burst", int(at_ns)]:
            return Burst(at_ns=at_ns)
        case ["align", int() | None as at_or_none]:
            return Align(at_ns=at_or_none)
        case ["rate", float(per_s)]:
            return Rate(per_s=per_s)
        case ["stages", list(stages)]:
            return Stages(stages=tuple(Stage(duration_ns=int(ns), users=int(users)) for ns, users in stages))
        case ["rates", list(rates)]:
            return RateStages(stages=tuple(RateStage(duration_ns=int(ns), per_s=per_s) for ns, per_s in rates))
        case _:
            raise ValueError(f"not a load shape: {body!r}")
