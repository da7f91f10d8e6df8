"""A running test in Prometheus' text format: slots in, one page of numbers out. Pure.

Only the controller exports; its workers' slots are added up, each once. Names follow Prometheus: a prefix, base units,
``_total`` on counters. Durations are histograms with the bounds that OpenTelemetry advises for HTTP, so that several
runs can be added up and any percentile be read from them. Labels have a budget: after ``MAX_ROUTES`` routes all others
are ``__other__``; users, sessions and values never are labels.

Sources: https://prometheus.io/docs/practices/naming/; https://prometheus.io/docs/instrumenting/exposition_formats/;
OpenTelemetry semantic conventions, ``http.client.request.duration``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.histogram import highest_of
from analysis.run import RunFacts
from analysis.slots import Buckets, Measure, SecondSlot, SeriesKey

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
MAX_ROUTES = 100
OTHER = "__other__"
_LABEL_CHARS = 200
_LABELS = ("route", "kind", "origin", "message", "estimator")
_TIMED = {
    "http": ("http_request_duration_seconds", "From the intended start of a request to its last byte."),
    "ws.connect": ("ws_connect_duration_seconds", "From the intended connect of a WebSocket to its 101."),
    "ws.ready": ("ws_ready_duration_seconds", "From the 101 to the message that makes a socket ready."),
    "ws.reply": ("ws_reply_duration_seconds", "From a sent message to the one that answers it."),
    "ws.push_lag": ("ws_push_lag_seconds", "How late what the server pushes arrives, by how that is estimated."),
    "sse.connect": ("sse_connect_duration_seconds", "From the intended start of an event stream to its head."),
    "sse.first_event": ("sse_first_event_seconds", "From the intended start of an event stream to its first event."),
    "storm.recovery": ("storm_recovery_seconds", "From the loss of a socket in a storm until it was ready again."),
}
_SERVICE = ("http_service_duration_seconds", "From the real start of a request to its last byte.")
_GAUGES = {
    "users_active": ("users_active", "Virtual users that are there."),
    "connections_open": ("connections_open", "Open connections, sockets among them."),
    "sockets_open": ("ws_connections", "Open WebSockets."),
}
_COUNTERS = {
    "sessions_started": ("sessions_started_total", "Scripts begun."),
    "sessions_completed": ("sessions_completed_total", "Scripts played to their end."),
    "sessions_failed": ("sessions_failed_total", "Scripts with a failure."),
    "users_dropped": ("users_dropped_total", "Users that this machine could not hold."),
    "connects": ("connects_total", "Connections opened."),
    "correlation_misses": ("correlation_misses_total", "Values that an answer should have carried but did not."),
    "verify_checked": ("verify_checked_total", "Answers whose inside was compared with the recording."),
}

_ENDINGS = ("completed", "failed", "cut", "retired")

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Times:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, buckets: Buckets, sum_us: int | None = None) -> None:
        for bucket, n in buckets.items():
            self.counts[bisect_left(_BOUNDS_US, highest_of(bucket))] += n
        self.sum_s += (sum(highest_of(b) * n for b, n in buckets.items()) if sum_us is None else sum_us) / 1e6


_BOUNDS_US = tuple(round(bound * 1e6) for bound in BOUNDS_S)


class Metrics:
    """The sums of a run so far."""

    def __init__(self, facts: RunFacts, *, version: str = "") -> None:
        self._info: Labels = (
            ("capture", facts.capture.path),
            ("plan", facts.plan_sha256[:12]),
            ("started_at", facts.started_at),
            ("target", facts.target),
            ("version", version),
        )
        self._times: defaultdict[tuple[str, Labels], _Times] = defaultdict(_Times)
        self._errors: Counter[Labels] = Counter()
        self._mismatches: Counter[Labels] = Counter()
        self._planned: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._gauges: dict[int, tuple[int, dict[str, int]]] = {}
        self._routes: set[str] = set()
        self._known: dict[SeriesKey, Labels] = {}
        self._seen: set[tuple[int, int]] = set()

    def update(self, slot: SecondSlot) -> None:
        """Count a slot, unless it was counted before."""
        if (slot.worker, slot.second) in self._seen:
            return
        self._seen.add((slot.worker, slot.second))
        self._counts.update(slot.counts)
        if slot.second >= self._gauges.get(slot.worker, (-1, {}))[0]:
            self._gauges[slot.worker] = (slot.second, slot.gauges)
        self._times["generator_lag_seconds", ()].add(slot.lag)
        self._times["generator_loop_lag_seconds", ()].add(slot.loop)
        for key, measure in slot.measures.items():
            self._add(key, measure)

    def _add(self, key: SeriesKey, measure: Measure) -> None:
        name, labels = key[0], self._labels_of(key)
        if name in _TIMED:
            self._times[_TIMED[name][0], labels].add(measure.latency, measure.latency_sum_us)
        if name == "http":
            self._times[_SERVICE[0], labels].add(measure.service, measure.service_sum_us)
        self._planned[name] += measure.planned
        for kind, n in measure.errors.items():
            self._errors[("series", name), ("class", kind)] += n
        for kind, n in measure.mismatches.items():
            self._mismatches[("series", name), ("kind", kind)] += n

    def _labels_of(self, key: SeriesKey) -> Labels:
        """Return the labels of a series that are exported, within the budget of routes."""
        found = self._known.get(key)
        if found is None:
            labels = {name: value for name, value in key[1] if name in _LABELS}
            route = labels.get("route")
            if route is not None and route not in self._routes:
                if len(self._routes) < MAX_ROUTES:
                    self._routes.add(route)
                else:
                    labels["route"] = OTHER
            found = self._known[key] = tuple(sorted(labels.items()))
        return found

    def exposition(self) -> str:
        """Return the page."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from _family("run_info", "gauge", "What runs.", [("", self._info, 1)])
        for source, (name, says) in _GAUGES.items():
            total = sum(gauges.get(source, 0) for _, gauges in self._gauges.values())
            yield from _family(name, "gauge", says, [("", (), total)])
        ended = sum(self._counts[f"sessions_{ending}"] for ending in _ENDINGS)
        active = [("", (), self._counts["sessions_started"] - ended)]
        yield from _family("sessions_active", "gauge", "Scripts begun and not over.", active)
        for source, (name, says) in _COUNTERS.items():
            yield from _family(name, "counter", says, [("", (), self._counts[source])])
        messages = [("", (("direction", way),), self._counts[f"messages_{way}"]) for way in ("in", "out")]
        yield from _family("ws_messages_total", "counter", "WebSocket messages.", messages)
        attempts = [("", (), self._planned["storm.attempt"])]
        yield from _family("reconnect_attempts_total", "counter", "Attempts to come back after a storm.", attempts)
        planned = [("", (("series", name),), n) for name, n in sorted(self._planned.items())]
        yield from _family("steps_planned_total", "counter", "Steps that were due.", planned)
        errors = [("", labels, n) for labels, n in sorted(self._errors.items())]
        yield from _family("errors_total", "counter", "Failures by class.", errors)
        wrong = [("", labels, n) for labels, n in sorted(self._mismatches.items())]
        yield from _family("verify_mismatch_total", "counter", "Answers unlike the recorded ones.", wrong)
        yield from self._histograms()

    def _histograms(self) -> Iterator[str]:
        lag = ("generator_lag_seconds", "How late this machine sent, against its plan.")
        loop = ("generator_loop_lag_seconds", "How late event loops of this machine woke up.")
        for name, says in (*_TIMED.values(), _SERVICE, lag, loop):
            rows = sorted(
                ((labels, times) for (known, labels), times in self._times.items() if known == name),
                key=lambda row: row[0],
            )
            samples = [sample for labels, times in rows for sample in _histogram(labels, times)]
            yield from _family(name, "histogram", says, samples)


def _histogram(labels: Labels, times: _Times) -> Iterator[tuple[str, Labels, float]]:
    seen = 0
    for bound, n in zip((*BOUNDS_S, "+Inf"), times.counts, strict=True):
        seen += n
        yield "_bucket", (*labels, ("le", f"{bound}")), seen
    yield "_sum", labels, round(times.sum_s, 6)
    yield "_count", labels, seen


def _family(name: str, kind: str, says: str, samples: Sequence[tuple[str, Labels, float]]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP rushhour_{name} {says}"
    yield f"# TYPE rushhour_{name} {kind}"
    for suffix, labels, value in samples:
        written = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"rushhour_{name}{suffix}{{{written}}} {value}" if written else f"rushhour_{name}{suffix} {value}"


_ESCAPES: Mapping[str, str] = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def _escaped(text: str) -> str:
    """Return a label's value: cut, its backslashes, quotes and line ends escaped, other control characters replaced."""
    shown = text[:_LABEL_CHARS].encode("utf-8", "replace").decode("utf-8")
    return "".join(_ESCAPES.get(char, char if char.isprintable() else "\ufffd") for char in shown)
