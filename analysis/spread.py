"""How else the statistic of one side might have come out: drawn over its runs, its users or its seconds. Pure.

See ``resampling`` for what is drawn and why; this module knows runs, that one only numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from analysis.comparison import Drawn
from analysis.histogram import bucket_of
from analysis.resampling import Chooser, median_draws, quantile_draws
from analysis.run import Run
from analysis.series import is_coarse, is_selected, total_of
from analysis.slots import Buckets, Measure, SeriesKey
from analysis.thresholds import Subject

_MIN_CLUSTERS = 5


def draws_of(
    side: Sequence[Run], values: Sequence[float], subject: Subject, chooser: Chooser
) -> tuple[list[float], Drawn]:
    """Return how else a side's median might have come out, and over what that was drawn.

    Of a single run only what is inside of it is left, and that knows nothing of the difference between runs.
    """
    if len(values) > 1:
        return median_draws(values, chooser), Drawn.RUNS
    if subject.quantile is None:
        return [], Drawn.NOTHING
    clusters, unit = _clusters(side[0], subject)
    if len(clusters) < _MIN_CLUSTERS:
        return [], Drawn.NOTHING
    whole: Buckets = {}
    for cluster in clusters:
        for bucket, count in cluster.items():
            whole[bucket] = whole.get(bucket, 0) + count
    of_all = quantile_draws([whole], subject.quantile, chooser, n_draws=1)[0]
    draws = quantile_draws(clusters, subject.quantile, chooser)
    # Kept whole are at most 200 users: their spread is taken, the value is that of everybody.
    return [values[0] * draw / of_all for draw in draws] if of_all > 0 else [], unit


def _clusters(run: Run, subject: Subject) -> tuple[list[Buckets], Drawn]:
    """Return the histograms of users whose steps were kept whole; where those are few, of the run's seconds."""
    users: dict[int, Buckets] = {}
    sampled: set[int] = set()
    for step in run.whole.steps:
        if step.outcome == "ok":
            sampled.add(step.user)
        if is_selected(step.series, subject.metric, subject.labels) and _is_timed(step.outcome):
            buckets = users.setdefault(step.user, {})
            bucket = bucket_of(max(0, (step.end_ns - step.intended_ns) // 1000))
            buckets[bucket] = buckets.get(bucket, 0) + 1
    by_user = [buckets for user, buckets in users.items() if user in sampled]
    if len(by_user) >= 2 * _MIN_CLUSTERS:
        return by_user, Drawn.USERS
    by_second = [buckets for buckets in _by_second(run, subject) if buckets]
    return by_second, Drawn.SECONDS


def _is_timed(outcome: str) -> bool:
    return outcome == "ok" or outcome.startswith("timeout_")


def _by_second(run: Run, subject: Subject) -> Iterable[Buckets]:
    spans: Iterable[Mapping[SeriesKey, Measure]] = (slot.measures for slot in run.judged_seconds.values())
    if not is_coarse(subject.labels):
        spans = run.judged_windows.values()
    return (total_of(measures, subject.metric, subject.labels).latency for measures in spans)
