"""Names of what is measured, the statistics each has, and how totals are made of labelled series. Pure.

The table ``METRICS`` is closed: a threshold on anything else is an error of the user before a run begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from analysis.histogram import Histogram
from analysis.merge import COARSE_LABELS, merge_measure
from analysis.slots import Buckets, Measure, SeriesKey

Labels = tuple[tuple[str, str], ...]


class Unit(Enum):
    """What a statistic is measured in; the value is how it is written behind a number."""

    MS = "ms"
    PERCENT = "%"
    NUMBER = ""
    PER_SECOND = "/s"


class Stat(Enum):
    """A statistic, as a threshold names it; ``pNN`` stands for every quantile."""

    QUANTILE = "pNN"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    ERRORS = "errors"
    MISMATCH = "mismatch"
    COMPLETE = "complete"
    FAILED = "failed"
    MISSES = "misses"
    RATIO = "ratio"
    COUNT = "count"
    RATE = "rate"

    @property
    def unit(self) -> Unit:
        """What its values are measured in."""
        return _UNITS[self]


_UNITS = {
    Stat.QUANTILE: Unit.MS,
    Stat.AVG: Unit.MS,
    Stat.MIN: Unit.MS,
    Stat.MAX: Unit.MS,
    Stat.ERRORS: Unit.PERCENT,
    Stat.MISMATCH: Unit.PERCENT,
    Stat.COMPLETE: Unit.PERCENT,
    Stat.FAILED: Unit.PERCENT,
    Stat.MISSES: Unit.NUMBER,
    Stat.RATIO: Unit.PERCENT,
    Stat.COUNT: Unit.NUMBER,
    Stat.RATE: Unit.PER_SECOND,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One name a threshold may begin with.

    Attributes:
        stats: the statistics it has.
        labels: label keys its series may be chosen by.
        meaning: for people, one line.
    """

    name: str
    stats: tuple[Stat, ...]
    labels: tuple[str, ...] = ()
    meaning: str


_TIMES = (Stat.QUANTILE, Stat.AVG, Stat.MIN, Stat.MAX)
_STEPS = (*_TIMES, Stat.ERRORS, Stat.MISMATCH, Stat.COUNT, Stat.RATE)
_SOCKET_LABELS = ("route", "origin")
_MESSAGE_LABELS = (*_SOCKET_LABELS, "message")
_PUSH_LABELS = ("route", "message")
"""A broadcast is told by route and kind of message alone, whichever origin a socket has."""
_RECOVERIES = (Stat.QUANTILE, Stat.ERRORS, Stat.COUNT)

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="http",
            stats=_STEPS,
            labels=("route", "kind", "origin"),
            meaning="requests, intended start to last byte; assets only where a label asks for them",
        ),
        Metric(name="ws.connect", stats=_STEPS, labels=_SOCKET_LABELS, meaning="WebSocket handshakes, connect to 101"),
        Metric(
            name="ws.ready",
            stats=_STEPS,
            labels=_SOCKET_LABELS,
            meaning="101 to the first message of a server that speaks first",
        ),
        Metric(
            name="ws.reply",
            stats=_STEPS,
            labels=_MESSAGE_LABELS,
            meaning="sent messages to the replies that answer them; no answer enters at its time limit",
        ),
        Metric(
            name="ws.push_lag",
            stats=(*_TIMES, Stat.COUNT, Stat.RATE),
            labels=(*_PUSH_LABELS, "estimator"),
            meaning="how late what the server pushes arrives: stamped, skew or triggered, never mixed",
        ),
        Metric(
            name="ws.gap",
            stats=(*_TIMES, Stat.COUNT),
            labels=_PUSH_LABELS,
            meaning="how far pushes of a regular stream stray from the recorded rhythm",
        ),
        Metric(
            name="ws.stall",
            stats=(*_TIMES, Stat.COUNT, Stat.RATE),
            labels=_PUSH_LABELS,
            meaning="silences above 5 s and three times the longest recorded",
        ),
        Metric(
            name="ws.completeness",
            stats=(Stat.RATIO, Stat.COUNT),
            labels=_PUSH_LABELS,
            meaning="pushed messages received, of those due in the time that sockets lived",
        ),
        Metric(
            name="sse.connect",
            stats=(*_TIMES, Stat.ERRORS, Stat.COUNT, Stat.RATE),
            labels=_SOCKET_LABELS,
            meaning="event streams, intended start to the head of the answer",
        ),
        Metric(
            name="sse.first_event",
            stats=(*_TIMES, Stat.COUNT, Stat.RATE),
            labels=_SOCKET_LABELS,
            meaning="event streams, intended start to the first event",
        ),
        Metric(
            name="sse.gap",
            stats=(*_TIMES, Stat.COUNT),
            labels=_SOCKET_LABELS,
            meaning="time between events of one stream",
        ),
        Metric(
            name="sse.event",
            stats=(Stat.COUNT, Stat.RATE),
            labels=_SOCKET_LABELS,
            meaning="events received",
        ),
        Metric(
            name="session",
            stats=(Stat.COMPLETE, Stat.FAILED, Stat.COUNT),
            meaning="scripts played to their end, of those started and not cut by the end of the run",
        ),
        Metric(
            name="session.slip",
            stats=_TIMES,
            meaning="how far slow steps moved a session behind its recorded timeline, the most of its steps",
        ),
        Metric(
            name="storm.recovery",
            stats=_RECOVERIES,
            labels=("storm",),
            meaning="sockets that a storm took, from the loss until ready again; who never is counts as 1 h",
        ),
        Metric(
            name="storm.open",
            stats=_RECOVERIES,
            labels=("storm",),
            meaning="sockets that a storm took, from the loss to the 101",
        ),
        Metric(name="storm.attempt", stats=_RECOVERIES, labels=("storm",), meaning="attempts to come back"),
        Metric(name="verify", stats=(Stat.MISMATCH,), meaning="answers unlike the recorded ones"),
        Metric(name="correlation", stats=(Stat.MISSES,), meaning="values an answer should have carried but did not"),
        Metric(
            name="lag.pool",
            stats=(*_TIMES, Stat.COUNT),
            meaning="of requests that found no free connection: the wait for one, or for room on one",
        ),
        Metric(
            name="lag.connect",
            stats=(*_TIMES, Stat.COUNT),
            meaning="of requests that found no free connection: DNS, TCP and TLS of the new one",
        ),
        Metric(name="generator.lag", stats=_TIMES, meaning="how late this machine sent, against its plan"),
        Metric(name="generator.loop", stats=_TIMES, meaning="how late the event loop of a worker woke up"),
    )
}

GENERATOR = "generator."
"""How the names of the load generator's own series begin."""
STORMS = frozenset({"storm.recovery", "storm.open", "storm.attempt", "storm.request", "storm.touched"})
PUSH_LAG = "ws.push_lag"
ESTIMATORS = ("stamped", "skew", "triggered", "stamped_relative")
"""Of ``ws.push_lag``, in the order in which they are taken where nobody says which; never added up."""
_PUSHED = frozenset({PUSH_LAG, "ws.message", "ws.gap", "ws.stall", "ws.completeness"})
_STREAMED = frozenset({"sse.connect", "sse.first_event", "sse.event", "sse.gap"})
_WAITS = frozenset({"lag.pool", "lag.connect"})
UNASKED = _PUSHED | _STREAMED | _WAITS | STORMS | frozenset({"session.slip", "session.stretch", "refresh", "ws.ready"})
"""Series that are nobody's step: what the server sent of its own accord, how whole sessions went,
fresh credentials, and storms."""

_HEADLINE_LEAVES_OUT = frozenset({("kind", "asset"), ("kind", "along")})


def is_selected(key: SeriesKey, name: str, labels: Labels) -> bool:
    """Return whether a series counts into ``name{labels}``.

    ``http`` without a ``route`` or ``kind`` leaves assets out, and what came along only for its values.
    """
    if key[0] != name:
        return False
    own = key[1]
    if any(label not in own for label in labels):
        return False
    is_specific = any(label in ("route", "kind") for label, _ in labels)
    return is_specific or _HEADLINE_LEAVES_OUT.isdisjoint(own)


def total_of(measures: Mapping[SeriesKey, Measure], name: str, labels: Labels = ()) -> Measure:
    """Return the sum of all series that ``name{labels}`` selects."""
    total = Measure()
    for key, measure in measures.items():
        if is_selected(key, name, labels):
            merge_measure(total, measure)
    return total


def sum_of(measures: Iterable[Measure]) -> Measure:
    """Return the sum of measures, whatever their series."""
    total = Measure()
    for measure in measures:
        merge_measure(total, measure)
    return total


def with_estimator(measures: Mapping[SeriesKey, Measure], labels: Labels) -> Labels:
    """Return labels of ``ws.push_lag`` that name an estimator: the one they name, else the first that has values."""
    if any(key == "estimator" for key, _ in labels):
        return labels
    found = {dict(key[1]).get("estimator") for key, measure in measures.items() if key[0] == PUSH_LAG and measure.ok}
    chosen = next((name for name in ESTIMATORS if name in found), ESTIMATORS[0])
    return tuple(sorted((*labels, ("estimator", chosen))))


def steps_of(measures: Mapping[SeriesKey, Measure]) -> Measure:
    """Return the sum of all steps that a plan asks for, leaving out what came by itself."""
    return sum_of(measure for (name, _), measure in measures.items() if name not in UNASKED)


def is_coarse(labels: Labels) -> bool:
    """Return whether the totals of seconds are enough to choose by these labels."""
    return all(label in COARSE_LABELS for label, _ in labels)


def n_errors(measure: Measure) -> int:
    """Return how many steps failed, timeouts among them."""
    return sum(measure.errors.values())


def n_mismatched(measure: Measure) -> int:
    """Return how many steps were answered wrongly."""
    return sum(measure.mismatches.values())


def n_outcomes(measure: Measure) -> int:
    """Return how many steps ended, in whatever way."""
    return measure.ok + n_errors(measure) + n_mismatched(measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A latency or service time distribution with its exact sum and maximum; µs."""

    histogram: Histogram
    sum_us: int
    max_us: int

    @classmethod
    def of_buckets(cls, buckets: Buckets, sum_us: int | None = None, max_us: int | None = None) -> Distribution:
        """Return the distribution of a histogram; sum and maximum are taken from its buckets where not given."""
        histogram = Histogram(buckets)
        if sum_us is None:
            sum_us = sum(histogram_mid(bucket) * count for bucket, count in buckets.items())
        return cls(histogram=histogram, sum_us=sum_us, max_us=(histogram.maximum() or 0) if max_us is None else max_us)

    def quantile_us(self, q: float) -> int | None:
        """Return the highest equivalent value of the q-quantile, never above the exact maximum; None without values."""
        value = self.histogram.quantile(q)
        return None if value is None else min(value, self.max_us)

    def quantiles_us(self, qs: tuple[float, ...]) -> list[int | None]:
        """Return several quantiles; ``qs`` ascend."""
        return [None if value is None else min(value, self.max_us) for value in self.histogram.quantiles(qs)]

    def mean_us(self) -> float | None:
        """Return the mean, or None without values."""
        n = self.histogram.n
        return self.sum_us / n if n else None


def histogram_mid(bucket: int) -> int:
    """Return the middle (µs) of a bucket."""
    shift = bucket >> 8
    return bucket if bucket < 256 else ((bucket & 255) << shift) + (1 << shift >> 1)


def latency_of(measure: Measure) -> Distribution:
    """Return the distribution of end − intended start."""
    return Distribution.of_buckets(measure.latency, measure.latency_sum_us, measure.latency_max_us)


def service_of(measure: Measure) -> Distribution:
    """Return the distribution of end − actual start."""
    return Distribution.of_buckets(measure.service, measure.service_sum_us, measure.service_max_us)


def format_series(name: str, labels: Labels) -> str:
    """Write a series as a threshold names it: ``http{route="GET /api/quotes"}``."""
    if not labels:
        return name
    return f"{name}{{{', '.join(f'{key}={_quoted(value)}' for key, value in labels)}}}"


def _quoted(value: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", value)
    return f'"{escaped}"'
