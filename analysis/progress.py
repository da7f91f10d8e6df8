"""What a running test looks like: slots in, figures of the moment out. Pure; the time is told.

Keeps sums by what the thresholds select, so that a light costs nothing per slot that it does not look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.broadcasts import BroadcastMerge
from analysis.evaluate import Confidence, Evidence, Outcome, evaluate
from analysis.histogram import merge_buckets
from analysis.merge import MERGED, merge_counts, merge_measure, merge_measures
from analysis.run import RunFacts
from analysis.series import (
    PUSH_LAG,
    Labels,
    is_selected,
    latency_of,
    n_errors,
    n_mismatched,
    n_outcomes,
    total_of,
    with_estimator,
)
from analysis.slots import Buckets, Measure, SecondSlot, SeriesKey
from analysis.thresholds import Threshold
from analysis.verification import tallies_of

WINDOW_S = 10
"""Seconds that rates and percentiles of the moment cover."""

_Selection = tuple[str, Labels]
_QUANTILES = (0.5, 0.95, 0.99)
_GAUGES = ("users_active", "connections_open", "sockets_open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The last ten whole seconds of one series; quantiles are p50, p95, p99 in ms, None without data."""

    rate_per_s: float
    quantiles_ms: tuple[float | None, ...]
    errors_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A threshold as it stands so far."""

    threshold: Threshold
    outcome: Outcome
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Figures of the moment.

    Attributes:
        now_s: seconds since the start.
        done_ratio: 0–1, or None where the plan has no known end.
        errors: the most frequent failures and mismatches so far.
        lag_p99_ms, loop_p99_ms: of the last ten seconds.
    """

    now_s: float
    done_ratio: float | None
    users_active: int
    connections_open: int
    sockets_open: int
    sessions_started: int
    sessions_completed: int
    http: Rates
    replies: Rates
    errors: tuple[tuple[str, int], ...]
    lag_p99_ms: float | None
    loop_p99_ms: float | None


@dataclass(slots=True)
class _Second:
    http: Measure = field(default_factory=Measure)
    replies: Measure = field(default_factory=Measure)
    lag: Buckets = field(default_factory=dict)
    loop: Buckets = field(default_factory=dict)
    gauges: dict[int, dict[str, int]] = field(default_factory=dict)


class ProgressModel:
    """Adds up slots once per (worker, second)."""

    def __init__(self, facts: RunFacts, thresholds: Sequence[Threshold]) -> None:
        self._facts = facts
        self._thresholds = tuple(thresholds)
        self._sums: dict[_Selection, Measure] = {
            (threshold.subject.metric, threshold.subject.labels): Measure() for threshold in thresholds
        }
        self._routed: dict[tuple[str, Labels], list[Measure]] = {}
        self._recent: dict[int, _Second] = {}
        self._counts: Counter[str] = Counter()
        self._judged: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._all = SecondSlot(worker=MERGED, second=0)
        self._answers: dict[SeriesKey, Measure] = {}
        self._pushed: dict[SeriesKey, Measure] = {}
        self._broadcasts = BroadcastMerge()
        self._seen: set[tuple[int, int]] = set()
        self._newest = -1

    def update(self, slot: SecondSlot) -> bool:
        """Count a slot; return False for one that was counted already."""
        if (slot.worker, slot.second) in self._seen:
            return False
        self._seen.add((slot.worker, slot.second))
        self._newest = max(self._newest, slot.second)
        self._counts.update(slot.counts)
        is_judged = slot.second >= self._facts.warmup_s
        if is_judged:
            self._judged.update(slot.counts)
            merge_buckets(self._all.lag, slot.lag)
            merge_buckets(self._all.loop, slot.loop)
        second = self._recent.setdefault(slot.second, _Second())
        merge_buckets(second.lag, slot.lag)
        merge_buckets(second.loop, slot.loop)
        second.gauges[slot.worker] = slot.gauges
        self._add_measures(slot, second)
        self._broadcasts.add(slot)
        for at_s, measures in self._broadcasts.ripe(self._newest):
            if at_s >= self._facts.warmup_s:
                merge_measures(self._pushed, measures)
        for old in [old for old in self._recent if old <= self._newest - WINDOW_S - 1]:
            del self._recent[old]
        if is_judged:
            self._add_judged(slot)
        return True

    def _add_judged(self, slot: SecondSlot) -> None:
        for key, measure in slot.measures.items():
            if key[0] == PUSH_LAG:
                merge_measure(self._pushed.setdefault(key, Measure()), measure)
            sums = self._routed.get(key)
            if sums is None:
                sums = [total for (name, labels), total in self._sums.items() if is_selected(key, name, labels)]
                self._routed[key] = sums
            for total in sums:
                merge_measure(total, measure)
            answers = self._answers.setdefault((key[0], ()), Measure())
            answers.ok += measure.ok
            merge_counts(answers.mismatches, measure.mismatches)

    def _add_measures(self, slot: SecondSlot, second: _Second) -> None:
        for key, measure in slot.measures.items():
            if is_selected(key, "http", ()):
                merge_measure(second.http, measure)
            elif key[0] == "ws.reply":
                merge_measure(second.replies, measure)
            if measure.errors or measure.mismatches:
                self._errors.update(measure.errors)
                self._errors.update({f"mismatch {kind}": n for kind, n in measure.mismatches.items()})

    def progress(self, now_s: float) -> Progress:
        """Return the figures at ``now_s`` seconds after the start."""
        recent = [self._recent[second] for second in sorted(self._recent) if second > self._newest - WINDOW_S]
        span_s = max(1, len(recent))
        lag, loop = Measure(), Measure()
        for second in recent:
            merge_buckets(lag.latency, second.lag)
            merge_buckets(loop.latency, second.loop)
        gauges = self._gauges()
        return Progress(
            now_s=now_s,
            done_ratio=self._done_ratio(now_s),
            users_active=gauges["users_active"],
            connections_open=gauges["connections_open"],
            sockets_open=gauges["sockets_open"],
            sessions_started=self._counts["sessions_started"],
            sessions_completed=self._counts["sessions_completed"],
            http=_rates([second.http for second in recent], span_s),
            replies=_rates([second.replies for second in recent], span_s),
            errors=tuple(self._errors.most_common(5)),
            lag_p99_ms=_p99_ms(lag.latency),
            loop_p99_ms=_p99_ms(loop.latency),
        )

    def _gauges(self) -> dict[str, int]:
        """Return the sums over workers, each worker's newest value."""
        newest: dict[int, dict[str, int]] = {}
        for second in sorted(self._recent):
            newest.update(self._recent[second].gauges)
        return {name: sum(gauges.get(name, 0) for gauges in newest.values()) for name in _GAUGES}

    def _done_ratio(self, now_s: float) -> float | None:
        planned_s = self._facts.duration_planned_s
        return min(1.0, max(0.0, now_s / planned_s)) if planned_s > 0 else None

    def _evidence(self, threshold: Threshold, now_s: float) -> Evidence:
        subject = threshold.subject
        return Evidence(
            measure=self._sum(subject.metric, subject.labels),
            counts=self._counts_so_far() if subject.metric == "session" else self._judged,
            lag=self._all.lag,
            loop=self._all.loop,
            duration_s=max(0.0, now_s - self._facts.warmup_s),
            tallies=tallies_of(self._answers, self._judged),
        )

    def _sum(self, metric: str, labels: Labels) -> Measure:
        """Return what was measured so far of a threshold's series; of ``ws.push_lag`` by one estimator."""
        if metric == PUSH_LAG:
            return total_of(self._pushed, metric, with_estimator(self._pushed, labels))
        return self._sums[metric, labels]

    def _counts_so_far(self) -> dict[str, int]:
        """Sessions that play on are neither complete nor failed yet: only ended ones count as started."""
        ended = sum(self._judged[f"sessions_{name}"] for name in ("completed", "failed", "cut"))
        return {**self._judged, "sessions_started": ended}

    def lights(self, now_s: float) -> tuple[Light, ...]:
        """Return every threshold as it stands so far."""
        lights = []
        for threshold in self._thresholds:
            result = evaluate(threshold, self._evidence(threshold, now_s))
            lights.append(Light(threshold=threshold, outcome=result.outcome, value=result.value))
        return tuple(lights)

    def broken(self, now_s: float) -> Threshold | None:
        """Return the first threshold that ends the run now, or None.

        It has to carry ``abort``, its ``after`` has to be over, and it has to fail on enough samples: ``min_samples``
        where given, else so many that the outcome has high confidence.
        """
        for threshold in self._thresholds:
            if threshold.abort_after_s is None or now_s < threshold.abort_after_s:
                continue
            result = evaluate(threshold, self._evidence(threshold, now_s))
            is_sure = threshold.min_samples is not None or result.confidence is Confidence.HIGH
            if result.outcome is Outcome.FAIL and is_sure and not result.is_few:
                return threshold
        return None


def _rates(measures: Sequence[Measure], span_s: int) -> Rates:
    total = Measure()
    for measure in measures:
        merge_measure(total, measure)
    quantiles = latency_of(total).quantiles_us(_QUANTILES)
    return Rates(
        rate_per_s=n_outcomes(total) / span_s,
        quantiles_ms=tuple(None if value is None else value / 1000 for value in quantiles),
        errors_per_s=(n_errors(total) + n_mismatched(total)) / span_s,
    )


def _p99_ms(buckets: Buckets) -> float | None:
    (p99,) = latency_of(Measure(latency=buckets, latency_max_us=1 << 62)).quantiles_us((0.99,))
    return None if p99 is None else p99 / 1000
