"""Was what the server pushes delivered in time? The limit on ``ws.push_lag``, held against what can be measured. Pure.

A push has no request, so its lateness is estimated in ways that mean different things and are never added up
(``ESTIMATORS``). A threshold that names none is held, kind of message by kind, against the best that there is: the
server's stamps where its clock is this machine's or trusted, else the spread of one broadcast over the sockets, else
what users triggered themselves. The result says which.

A message that never comes is later than any limit: where less than half of what was due came, the threshold fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.evaluate import Evidence, Outcome, Result, evaluate, no_data
from analysis.evidence import evidence_for
from analysis.merge import merge_measure
from analysis.representation import UNLIKE
from analysis.run import Run
from analysis.series import PUSH_LAG, is_selected, latency_of
from analysis.slots import Measure
from analysis.thresholds import DEFAULT_ORIGIN, Threshold

GATED = ("stamped", "skew", "triggered")
"""Estimators that a threshold without one is held against, the best first."""
MEANINGS = {
    "stamped": "server stamp to arrival",
    "stamped_relative": "server stamp to arrival, above the least",
    "skew": "spread over the sockets",
    "triggered": "own send to push",
}
LEAST_DELIVERED = 0.5
LEAST_DUE = 5.0
"""Messages that must have been due before their absence says anything."""
_BAD = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.NOT_APPLICABLE)

Kind = tuple[str, str]
"""Route and name of a kind of message."""


@dataclass(slots=True)
class Stream:
    """What was measured of one kind of pushed message.

    Attributes:
        lags: by estimator.
        received, due: messages after the first of each socket; ``due`` 0 where nobody knows.
        every_ms: one is due so often on a live socket, 0 where nobody knows.
    """

    route: str
    message: str
    lags: dict[str, Measure] = field(default_factory=dict)
    received: int = 0
    due: float = 0.0
    every_ms: float = 0.0
    gaps: Measure = field(default_factory=Measure)
    stalls: Measure = field(default_factory=Measure)

    @property
    def gated(self) -> str:
        """The estimator that a threshold is held against, "" where there is none."""
        return next((name for name in GATED if name in self.lags and self.lags[name].latency), "")

    @property
    def live_s(self) -> float | None:
        """Seconds that sockets lived after their first message, all together; None where nobody knows."""
        return max(0.0, self.due) * self.every_ms / 1000 if self.every_ms else None

    @property
    def completeness(self) -> float | None:
        """Received of what was due (1.0 is all of it), None where too little was."""
        return self.received / self.due if self.due >= LEAST_DUE else None


def streams_of(run: Run) -> list[Stream]:
    """Return what was pushed, or was to be, by route and kind of message."""
    found: dict[Kind, Stream] = {}
    for planned in run.facts.pushes:
        kind = (str(planned["route"]), str(planned["message"]))
        found[kind] = Stream(*kind, every_ms=float(planned["due_ms"]))
    for (name, labels), measure in run.by_route.items():
        told = dict(labels)
        if name not in (PUSH_LAG, "ws.completeness", "ws.gap", "ws.stall"):
            continue
        kind = (told.get("route", ""), told.get("message", ""))
        _take(found.setdefault(kind, Stream(*kind)), name, told.get("estimator", ""), measure)
    return [found[kind] for kind in sorted(found)]


def _take(stream: Stream, name: str, estimator: str, measure: Measure) -> None:
    if name == PUSH_LAG:
        merge_measure(stream.lags.setdefault(estimator, Measure()), measure)
    elif name == "ws.completeness":
        stream.received += measure.ok
        stream.due += measure.due_milli / 1000
    else:
        merge_measure(stream.gaps if name == "ws.gap" else stream.stalls, measure)


def evaluate_delivery(run: Run, threshold: Threshold, *, strict: bool) -> Result:
    """Hold a threshold on ``ws.push_lag`` that names no estimator against every kind of message by its best one."""
    labels = tuple(label for label in threshold.subject.labels if label[0] in ("route", "message"))
    streams = [
        stream
        for stream in streams_of(run)
        if is_selected((PUSH_LAG, (("message", stream.message), ("route", stream.route))), PUSH_LAG, labels)
    ]
    missing = [stream for stream in streams if (stream.completeness or 1.0) < LEAST_DELIVERED or _is_silent(stream)]
    by_estimator: defaultdict[str, Measure] = defaultdict(Measure)
    for stream in streams:
        if stream.gated:
            merge_measure(by_estimator[stream.gated], stream.lags[stream.gated])
    evidence = evidence_for(run, threshold.subject)
    results = [_result(threshold, evidence, name, measure, strict=strict) for name, measure in by_estimator.items()]
    if not results:
        results = [_nothing(run, threshold)]
    worst = min(results, key=lambda result: (_BAD.index(result.outcome), -(result.value or 0.0)))
    if missing:
        return replace(worst, outcome=Outcome.FAIL, note="; ".join([*map(_absence, missing[:3]), *_noted(worst)]))
    return worst


def is_of_absence(result: Result) -> bool:
    """Tell whether a limit failed because messages that were due never came: it has no value, or one that meets it."""
    limit = result.threshold.limit
    if result.outcome is not Outcome.FAIL or limit.factor is not None:
        return False
    return result.value is None or result.threshold.op.holds(result.value, limit.value)


def _is_silent(stream: Stream) -> bool:
    return stream.due >= LEAST_DUE and not stream.received


def _absence(stream: Stream) -> str:
    return f"{stream.received} of {stream.due:.0f} {stream.message} messages that were due came"


def _noted(result: Result) -> list[str]:
    return [result.note] if result.note else []


def _result(threshold: Threshold, evidence: Evidence, name: str, measure: Measure, *, strict: bool) -> Result:
    result = evaluate(threshold, replace(evidence, measure=measure), strict=strict)
    return replace(result, gated=name, note="; ".join([f"gated: {MEANINGS[name]}", *_noted(result)]))


def _nothing(run: Run, threshold: Threshold) -> Result:
    if run.facts.planned.get(PUSH_LAG, 0):
        return no_data(threshold, "nothing that was pushed could be measured")
    if threshold.origin != DEFAULT_ORIGIN:
        return no_data(threshold, unmeasured(run) or "the plan has no such steps")
    why = unmeasured(run) or "the plan has no such steps"
    return Result(threshold=threshold, outcome=Outcome.NOT_APPLICABLE, note=why)


def unmeasured(run: Run) -> str:
    """Say why the delivery of what is pushed cannot be measured, "" where it can, or where nothing is pushed."""
    if not run.facts.pushes or run.facts.planned.get(PUSH_LAG, 0):
        return ""
    return (
        "pushed messages carry no stamp of a clock that can be compared, and no two sockets receive the same: "
        "run 2 users or more, or say --trust-clock"
    )


def stream_reports(run: Run) -> list[dict[str, Any]]:
    """Return ``pushes`` of the summary; times are ms."""
    return [
        {
            "route": stream.route,
            "message": stream.message,
            "gated": stream.gated,
            "received": stream.received,
            "due": round(max(0.0, stream.due), 3),
            "completeness": None if stream.completeness is None else round(stream.completeness, 4),
            "live_s": None if stream.live_s is None else round(stream.live_s, 3),
            "stalls": stream.stalls.ok,
            "stalls_per_live_s": round(stream.stalls.ok / stream.live_s, 6) if stream.live_s else None,
            "longest_stall_ms": round(stream.stalls.latency_max_us / 1000, 3),
            "gap_ms": _times(stream.gaps),
            "lag_ms": {name: _times(measure) for name, measure in sorted(stream.lags.items())},
        }
        for stream in streams_of(run)
    ]


def _times(measure: Measure) -> Mapping[str, Any]:
    times = latency_of(measure)
    values = times.quantiles_us((0.5, 0.95, 0.99))
    found = {
        name: None if value is None else round(value / 1000, 3)
        for name, value in zip(("p50", "p95", "p99"), values, strict=True)
    }
    return {"count": times.histogram.n, **found, "max": round(times.max_us / 1000, 3) if times.histogram.n else None}


def floods(streams: Iterable[Stream], most: float) -> list[str]:
    """Say of which kinds far more came than was due."""
    return [
        f"{UNLIKE}: {stream.route}: {stream.completeness:.1f} times as many {stream.message} messages as recorded"
        for stream in streams
        if stream.completeness is not None and stream.completeness > most
    ]
