"""What became of the sockets that storms took: recovery curves, attempts, and what the others felt meanwhile. Pure.

Times count from the loss of each socket. T50, T95, T99 and T100 are the times by which that share of all lost sockets
was ready again; a socket that never came back is infinitely late and is never left out, so T100 has a value only where
all came back. The server's part of a recovery is what its attempts took, without the waits that the policy asks for.

Collateral is what users felt whom the strike did not hit: all of a second minus those it touched, which is exact for
histograms. It is compared with the (up to) 30 s before the strike. *Normal* are the first three seconds in a row,
seconds without samples left out, in which the 95th percentile is at most 1.2 times that, or 5 ms above. Where the
strike hit everybody there are no others: no collateral, and normal is measured on all.

Source: measurement method §3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from analysis.histogram import LAST_BUCKET, Histogram, highest_of, merge_buckets
from analysis.run import Run
from analysis.series import n_errors, service_of, total_of
from analysis.slots import Buckets, Measure

SHARES = {"t50_s": 0.50, "t95_s": 0.95, "t99_s": 0.99, "t100_s": 1.0}
REFERENCE_S = 30
NORMAL_RATIO = 1.2
NORMAL_FLOOR_US = 5_000
NORMAL_SECONDS = 3
MAX_POINTS = 120
"""Points of a curve; one may be left out where the next is hardly further."""
_COMPARED = ("http", "ws.reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeKey:
    """One strike of a run: its label, its storm's facts, when it struck and when the next one did, s."""

    label: str
    facts: Mapping[str, Any]
    at_s: float
    until_s: float


def strikes_of(run: Run) -> list[StrikeKey]:
    """Return the strikes that a run had, in order of time."""
    found = []
    for number, facts in enumerate(run.facts.storms, 1):
        if facts["at_ns"] is not None:
            found.append((facts["at_ns"] / 1e9, str(number), facts))
            continue
        every_s, turn = facts["every_ns"] / 1e9, 1
        while turn * every_s < run.duration_s:
            found.append((turn * every_s, f"{number}.{turn}", facts))
            turn += 1
    found = sorted((each for each in found if each[0] < run.duration_s), key=lambda each: each[0])
    ends_s = [*(at_s for at_s, _, _ in found[1:]), run.duration_s][: len(found)]
    return [
        StrikeKey(label=label, facts=facts, at_s=at_s, until_s=until_s)
        for (at_s, label, facts), until_s in zip(found, ends_s, strict=True)
    ]


def storm_reports(run: Run) -> list[dict[str, Any]]:
    """Return what ``summary.json`` says of every strike; None stands for never, or for nothing measured."""
    reports: list[dict[str, Any]] = []
    quiet_from_s = 0.0
    for strike in strikes_of(run):
        report = _report(run, strike, quiet_from_s)
        t100_s = report["t100_s"]
        quiet_from_s = strike.until_s if t100_s is None else min(strike.until_s, strike.at_s + t100_s)
        reports.append(report)
    return reports


def _report(run: Run, strike: StrikeKey, quiet_from_s: float) -> dict[str, Any]:
    labels = (("storm", strike.label),)
    measures = run.whole.measures  # a strike in the warm-up is told too
    recovery, attempts, requests, opened = (
        total_of(measures, f"storm.{name}", labels) for name in ("recovery", "attempt", "request", "open")
    )
    lost = recovery.planned
    shares = {name: share_time_s(recovery.latency, lost, share) for name, share in SHARES.items()}
    end_s = strike.until_s if shares["t100_s"] is None else min(strike.until_s, strike.at_s + shares["t100_s"])
    return {
        "label": strike.label,
        **{name: strike.facts[name] for name in ("spec", "how", "policy", "mode")},
        "at_s": round(strike.at_s, 3),
        "lost": lost,
        "recovered": recovery.ok,
        "unrecovered": dict(sorted(recovery.errors.items())),
        **shares,
        "open_t100_s": share_time_s(opened.latency, lost, 1.0),
        "attempts": attempts.planned,
        "amplification": round(attempts.planned / lost, 3) if lost else None,
        "peak_attempts_per_s": max((planned for _, planned in _planned_per_s(run, labels)), default=0),
        "server_ms": _server_ms(recovery),
        "errors": dict(sorted(attempts.errors.items())),
        "requests": {"planned": requests.planned, "ok": requests.ok, "failed": n_errors(requests)},
        "collateral": _collaterals(run, strike, quiet_from_s, end_s),
        "time_to_normal_s": _time_to_normal_s(run, strike, quiet_from_s),
        "curve": curve(recovery.latency, lost),
    }


def share_time_s(latency: Buckets, lost: int, share: float) -> float | None:
    """Return the time (s) by which a share (0 < share ≤ 1) of all lost sockets was back; None where it never was."""
    if not lost:
        return None
    wanted, seen = ceil(share * lost - 1e-9), 0
    for bucket in sorted(latency):
        seen += latency[bucket]
        if seen >= wanted:
            return None if bucket > LAST_BUCKET else round(highest_of(bucket) / 1e6, 6)
    return None


def curve(latency: Buckets, lost: int) -> list[tuple[float, float]]:
    """Return the recovered fraction over time: (s since the loss, share of all lost), ascending."""
    points, seen = [], 0
    for bucket in sorted(bucket for bucket in latency if bucket <= LAST_BUCKET):
        seen += latency[bucket]
        points.append((round(highest_of(bucket) / 1e6, 6), round(seen / lost, 6) if lost else 0.0))
    step = max(1, ceil(len(points) / MAX_POINTS))
    return points[:-1:step] + points[-1:]


def _planned_per_s(run: Run, labels: tuple[tuple[str, str], ...]) -> Iterator[tuple[int, int]]:
    for second, slot in sorted(run.seconds.items()):
        planned = total_of(slot.measures, "storm.attempt", labels).planned
        if planned:
            yield second, planned


def _server_ms(recovery: Measure) -> dict[str, float | None]:
    times = service_of(recovery)
    found: dict[str, float | None] = {}
    for name, us in zip(("p50", "p95", "p99"), times.quantiles_us((0.5, 0.95, 0.99)), strict=True):
        found[name] = None if us is None else round(us / 1000, 3)
    return {**found, "max": round(times.max_us / 1000, 3) if times.histogram.n else None}


def _collaterals(run: Run, strike: StrikeKey, quiet_from_s: float, end_s: float) -> dict[str, dict[str, float | int]]:
    if strike.facts["hits_all"]:
        return {}
    found = {name: _collateral(run, name, strike, quiet_from_s, end_s) for name in _COMPARED}
    return {name: each for name, each in found.items() if each is not None}


def _collateral(
    run: Run, name: str, strike: StrikeKey, quiet_from_s: float, end_s: float
) -> dict[str, float | int] | None:
    before = _sum(_all(run, name, second) for second in _reference(strike, quiet_from_s))
    during = _sum(_untouched(run, name, second) for second in _seconds(strike.at_s, max(end_s, strike.at_s + 1)))
    before_us, during_us = Histogram(before).quantile(0.95), Histogram(during).quantile(0.95)
    if before_us is None or during_us is None:
        return None
    return {
        "before_p95_ms": round(before_us / 1000, 3),
        "during_p95_ms": round(during_us / 1000, 3),
        "before_n": sum(before.values()),
        "during_n": sum(during.values()),
    }


def _time_to_normal_s(run: Run, strike: StrikeKey, quiet_from_s: float) -> float | None:
    for name in _COMPARED:
        reference_us = Histogram(_sum(_all(run, name, s) for s in _reference(strike, quiet_from_s))).quantile(0.95)
        if reference_us is None:
            continue
        felt = _all if strike.facts["hits_all"] else _untouched
        limit_us = max(NORMAL_RATIO * reference_us, reference_us + NORMAL_FLOOR_US)
        window: list[int] = []
        for second in _seconds(strike.at_s, strike.until_s):
            p95_us = Histogram(felt(run, name, second)).quantile(0.95)
            if p95_us is None:
                continue
            window = [*window, second] if p95_us <= limit_us else []
            if len(window) == NORMAL_SECONDS:
                return round(max(0.0, window[0] - strike.at_s), 3)
        return None
    return None


def _reference(strike: StrikeKey, quiet_from_s: float) -> range:
    """Whole seconds before the strike in which no earlier one was still felt."""
    return range(ceil(max(quiet_from_s, strike.at_s - REFERENCE_S)), int(strike.at_s))


def _seconds(from_s: float, to_s: float) -> range:
    return range(int(from_s), ceil(to_s))


def _all(run: Run, name: str, second: int) -> Buckets:
    slot = run.seconds.get(second)
    return total_of(slot.measures, name).latency if slot is not None else {}


def _untouched(run: Run, name: str, second: int) -> Buckets:
    """All values of a second but those of users whom the last strike touched."""
    slot = run.seconds.get(second)
    if slot is None:
        return {}
    touched = total_of(slot.measures, "storm.touched", (("of", name),)).latency
    everybody = total_of(slot.measures, name).latency
    left = {bucket: count - touched.get(bucket, 0) for bucket, count in everybody.items()}
    return {bucket: count for bucket, count in left.items() if count > 0}


def _sum(parts: Iterator[Buckets]) -> Buckets:
    total: Buckets = {}
    for part in parts:
        merge_buckets(total, part)
    return total
