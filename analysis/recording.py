"""The recording as baseline zero: what one browser saw then, before there is any run to compare with. Pure.

It is a weak baseline and says so: a few answers to one user and not a crowd, seen through the recorder's proxy. So its
medians are shown and decide nothing, unless a threshold asks for it (``http p50 <= 3x baseline``).
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.baseline import Baseline
from analysis.comparison import Change, Comparison, Drawn
from analysis.evaluate import point_of
from analysis.evidence import evidence_for
from analysis.resampling import median
from analysis.run import Run
from analysis.series import Stat
from analysis.thresholds import Subject, parse_subject
from captures.errors import ConfigError

NAME = "recording"
"""What people write in place of a run's directory."""
PROXY_ADDS_MS = 1.8
"""What a recording proxy adds to a request on a connection that is open: 2.6 ms through mitmproxy against 0.8 ms
without it, HTTP/1.1 on loopback, one x86-64 machine with two cores.
"""
SHOWN = tuple(map(parse_subject, ("http p50", "ws.connect p50", "ws.ready p50", "ws.reply p50")))
_MOST_ROUTES = 100


def against_recording(runs: Sequence[Run], also: Sequence[Subject] = ()) -> Baseline:
    """Hold runs of one plan against its recording.

    Args:
        also: what thresholds compare; of what was recorded only times are known.

    Raises:
        ConfigError: the runs do not hold the times of their recording.
    """
    recorded = runs[0].recorded
    if not recorded.times:
        raise ConfigError("the run holds no times of its recording", "replay it again with this version")
    n_answers = sum(sum(buckets.values()) for buckets in recorded.times.values())
    label = (
        f"the baseline is the recording: {n_answers} answers to one browser, not a crowd, with what the recorder's "
        f"proxy added (about {PROXY_ADDS_MS:g} ms a request; nothing where a browser's own HAR was imported)"
    )
    facts = {"path": NAME, "started_at": "", "target": runs[0].facts.capture.path, "host": None, "duration_s": 0.0}
    routes = sorted({dict(labels)["route"] for name, labels in recorded.times if name == "http"})
    of_routes = [Subject(metric="http", labels=(("route", name),), stat=Stat.QUANTILE, quantile=0.5) for name in routes]
    subjects = dict.fromkeys((*also, *SHOWN, *of_routes[:_MOST_ROUTES]))
    found = [_compared(subject, runs) for subject in subjects if subject.quantile is not None]
    return Baseline(runs=(facts,), comparisons=tuple(filter(None, found)), warnings=(label,))


def _compared(subject: Subject, runs: Sequence[Run]) -> Comparison | None:
    """Return a statistic of runs and of the recording; None where one of them has none."""
    times = runs[0].recorded.distribution(subject.metric, subject.labels)
    base_us = times.quantile_us(subject.quantile or 0.0)
    points = [point_of(subject, evidence_for(run, subject))[0] for run in runs]
    values = [value for value in points if value is not None]
    if not base_us or not values:
        return None
    base_ms, value_ms = base_us / 1000, median(values)
    return Comparison(
        subject=str(subject),
        unit=subject.stat.unit,
        base=(base_ms,),
        runs=tuple(points),
        base_value=base_ms,
        run_value=value_ms,
        change=value_ms / base_ms - 1,
        outcome=Change.SHOWN,
        drawn=Drawn.RECORDED,
        is_low=True,
        is_gated=False,
        note=f"{times.histogram.n} recorded",
    )
