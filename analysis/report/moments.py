"""What happened when: storms, bursts, and stretches in which this machine was too late to be believed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.report.columns import Columns
from analysis.report.plot import Mark
from analysis.report.text import format_seconds, printable
from captures.errors import ConfigError
from captures.units import NS_PER_S, parse_duration_ns

_MOST = 24
_AT_AN_INSTANT = {"burst": "burst", "align": "busiest second of all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened; ``until_s`` is there where it lasted."""

    at_s: float
    kind: str
    name: str
    until_s: float | None = None


def moments_of(summary: dict[str, Any], columns: Columns) -> list[Moment]:
    """Return what a reader wants to see on the time axis, in order of time."""
    found = [*_storms(summary), *_bursts(summary), *_doubts(summary["generator"]["limit_ms"], columns)]
    if summary["warmup_s"]:
        found.append(Moment(at_s=0.0, until_s=summary["warmup_s"], kind="warmup", name="warm-up, not judged"))
    return sorted(found, key=lambda each: each.at_s)


def marks_of(moments: list[Moment], columns: Columns) -> list[Mark]:
    """Return them as marks of a chart."""
    return [
        Mark(
            at=columns.place(each.at_s),
            kind=each.kind,
            until=None if each.until_s is None else columns.place(each.until_s),
        )
        for each in moments
    ]


def _storms(summary: dict[str, Any]) -> Iterator[Moment]:
    for report in summary["storms"][:_MOST]:
        yield Moment(at_s=report["at_s"], kind="storm", name=f"storm {printable(report['label'], 12)}")


def _bursts(summary: dict[str, Any]) -> Iterator[Moment]:
    shapes = [str(each["shape"]) for each in summary["populations"]] or [str(summary["options"].get("shape", ""))]
    for shape in dict.fromkeys(shapes):
        kind, _, at = shape.partition(":")
        if kind not in _AT_AN_INSTANT:
            continue
        try:
            at_s = parse_duration_ns(at or "0") / NS_PER_S
        except ConfigError:
            continue  # options of a run file are only for people; one that says nothing has no mark
        yield Moment(at_s=at_s, kind="burst", name=_AT_AN_INSTANT[kind])


def _doubts(limit_ms: float, columns: Columns) -> Iterator[Moment]:
    """Return the stretches of columns in which sends or loops were later than allowed."""
    worst = [max(lag or 0, loop or 0) for lag, loop in zip(columns.lag_ms(0.99), columns.loop_ms(0.99), strict=True)]
    start: int | None = None
    for index, value in enumerate([*worst, 0.0]):
        if value > limit_ms and start is None:
            start = index
        elif value <= limit_ms and start is not None:
            from_s, until_s = start * columns.width_s, index * columns.width_s
            name = f"late from {format_seconds(from_s)} to {format_seconds(until_s)}"
            yield Moment(at_s=from_s, until_s=until_s, kind="doubt", name=name)
            start = None
