"""What the recording was like, kept in the run file beside what was measured: its times, its sessions, its rules.

A run is compared with its own recording: how long each route took then, where each step of a session lay, and which
rule pairs messages. Pure data; ``replayer`` fills it in from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.histogram import merge_buckets
from analysis.series import Distribution, Labels, is_selected
from analysis.slots import Buckets, SeriesKey
from analysis.steplog import flat, pairs

MAX_STEPS = 50_000
"""Steps kept of all sessions together; a session is kept whole or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedStep:
    """One step of a recorded session.

    Attributes:
        index: its number in the script.
        at_ns: when it is due after its user's arrival, divided by the speed and capped as the run does.
        duration_ns: recorded end − start, undivided; 0 where it never ended.
    """

    index: int
    series: SeriesKey
    at_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSession:
    """The steps of one recorded session, in order; ``number`` is that of ``StepRecord.session``."""

    number: int
    steps: tuple[RecordedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingRule:
    """How replies of a kind were told from pushes: what was sent, what answered, by which rule, in how many cases."""

    route: str
    sent: str
    reply: str
    rule: str
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a run's recording was like.

    Attributes:
        times: recorded durations (µs) by series; what a browser saw then, with the recorder on the way.
        sessions: as many as ``MAX_STEPS`` allow.
        pairings: by kind of reply.
    """

    times: Mapping[SeriesKey, Buckets] = field(default_factory=dict)
    sessions: tuple[RecordedSession, ...] = ()
    pairings: tuple[PairingRule, ...] = ()

    def distribution(self, name: str, labels: Labels = ()) -> Distribution:
        """Return the recorded durations of ``name{labels}``."""
        total: Buckets = {}
        for key, buckets in self.times.items():
            if is_selected(key, name, labels):
                merge_buckets(total, buckets)
        return Distribution.of_buckets(total)

    def to_body(self) -> dict[str, Any]:
        """Return it as a run file holds it."""
        series: dict[SeriesKey, int] = {}
        sessions = [
            [
                session.number,
                [
                    [
                        step.index,
                        series.setdefault(step.series, len(series)),
                        step.at_ns // 1000,
                        step.duration_ns // 1000,
                    ]
                    for step in session.steps
                ],
            ]
            for session in self.sessions
        ]
        return {
            "times": [[*_to_row(key), buckets] for key, buckets in self.times.items()],
            "series": [_to_row(key) for key in series],
            "sessions": sessions,
            "pairings": [[each.route, each.sent, each.reply, each.rule, each.support] for each in self.pairings],
        }

    @classmethod
    def from_body(cls, body: Any) -> Recorded:
        """Return what ``to_body`` wrote.

        Raises:
            TypeError, ValueError, KeyError, IndexError: it is something else.
        """
        series = [_from_row(row) for row in body["series"]]
        return cls(
            times={_from_row(row[:2]): row[2] for row in body["times"]},
            sessions=tuple(
                RecordedSession(number=number, steps=tuple(_step(row, series) for row in rows))
                for number, rows in body["sessions"]
            ),
            pairings=tuple(
                PairingRule(route=route, sent=sent, reply=reply, rule=rule, support=support)
                for route, sent, reply, rule, support in body["pairings"]
            ),
        )


def within_budget(sessions: Iterable[RecordedSession]) -> tuple[RecordedSession, ...]:
    """Return the sessions, in order, that ``MAX_STEPS`` leave room for."""
    kept, n_left = [], MAX_STEPS
    for session in sessions:
        if len(session.steps) <= n_left:
            n_left -= len(session.steps)
            kept.append(session)
    return tuple(kept)


def _step(row: list[int], series: list[SeriesKey]) -> RecordedStep:
    index, key, at_us, duration_us = row
    return RecordedStep(index=index, series=series[key], at_ns=at_us * 1000, duration_ns=duration_us * 1000)


def _to_row(key: SeriesKey) -> list[Any]:
    return [key[0], flat(key[1])]


def _from_row(row: list[Any]) -> SeriesKey:
    name, labels = row
    return name, pairs(labels)
