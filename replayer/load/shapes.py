"""Load shapes: when virtual users start, as people write it. Pure; ``schedule`` turns a shape into arrivals.

Grammar (instants and durations are run time, never divided by ``--speed``)::

    recorded        sessions start as recorded, copies spread over the start spread
    ramp:30s        evenly over 30 s
    burst[:at]      everybody at that instant (default 0s)
    align[:at]      everybody's busiest recorded second at that instant (default: the earliest possible)
    rate:50/s       seeded Poisson arrivals (also 90/m, 1000/h)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S, parse_duration_ns

_HINT = "the shapes are recorded, ramp:30s, burst[:at], align[:at] and rate:50/s"
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/(s|m|h)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600}


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
        for unit, unit_s in _UNIT_S.items():
            text = f"{self.per_s * unit_s:.6f}".rstrip("0").rstrip(".")
            if math.isclose(float(text), self.per_s * unit_s, rel_tol=1e-12):
                return f"rate:{text}/{unit}"
        return f"rate:{self.per_s:.6g}/s"


Shape = Recorded | Ramp | Burst | Align | Rate


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
    match = _RATE.fullmatch(argument)
    if match is None or not Decimal(match[1]):
        raise ConfigError(
            f"{argument!r} is not a rate above zero",
            "write rate:50/s, rate:90/m or rate:1000/h",
        )
    return Rate(per_s=float(Decimal(match[1]) / _UNIT_S[match[2]]))


_PARSERS = {
    "recorded": _recorded,
    "ramp": _ramp,
    "burst": _burst,
    "align": _align,
    "rate": _rate,
}


def shape_to_body(shape: Shape) -> list[str | int | float | None]:
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


def shape_from_body(body: list[str | int | float | None]) -> Shape:
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
        case _:
            raise ValueError(f"not a load shape: {body!r}")
