"""Limits that fit one target: measured noise, and thresholds made of what was observed. Pure.

A limit is factor × the median over the runs of the observed quantile (p95 for a p95 gate, p99 for a p99 gate), and at
least 5 ms above it. The factor is 1.5, or more where the same build differs from itself by more: 1 + 2 × the largest
deviation of a run from the median (the A/A noise floor). Worked: 20, 22 and 26 ms have the median 22 ms and a largest
deviation of 18 %, so the factor stays 1.5 and the limit is 33 ms.

Source: measurement method §5.4, point 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil, floor, log10
from typing import Any

from analysis.comparable import NamedRun, check_ended, check_load
from analysis.comparison import FLOOR_MS
from analysis.delivery import is_of_absence
from analysis.evaluate import Outcome, Result, point_of
from analysis.evidence import by_one_estimator, evidence_for, is_planned
from analysis.resampling import median
from analysis.run import Run, RunFacts
from analysis.series import GENERATOR, Stat, Unit
from analysis.thresholds import DEFAULTS, Origin, Subject, Threshold
from analysis.verdict import judge, thresholds_of
from captures.errors import ConfigError

FACTOR = 1.5
NOISE_FACTOR = 2.0
MIN_RUNS = 2
_ENOUGH_BEYOND = 10
LATENCY_GATES = tuple(each.subject for each in DEFAULTS if each.subject.stat is Stat.QUANTILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedLimit:
    """A limit and what it was made of.

    Attributes:
        observed_ms: the quantile of each run.
        noise_ratio: largest deviation of a run from the median of all.
        n: values of all runs together.
    """

    subject: str
    limit_ms: float
    observed_ms: tuple[float, ...]
    noise_ratio: float
    n: int

    @property
    def expr(self) -> str:
        """The threshold."""
        return f"{self.subject} < {self.limit_ms:.10g}ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Where limits come from.

    Attributes:
        file: that holds them, empty before they are written.
        target, capture_sha256, plan_sha256, users, host: of the runs behind them.
        date: of the newest of them, ISO 8601.
        runs: their directories.
        limits: the thresholds as they were written; what was changed since is not among them.
    """

    target: str
    capture_sha256: str
    plan_sha256: str
    users: int
    date: str
    host: str
    runs: tuple[str, ...]
    limits: tuple[str, ...] = ()
    file: str = ""

    def to_body(self) -> dict[str, Any]:
        """Return it as TOML, JSON and run files hold it."""
        return {**asdict(self), "runs": list(self.runs), "limits": list(self.limits)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Calibration:
        """Return what ``to_body`` wrote.

        Raises:
            TypeError, KeyError: it is something else.
        """
        known = {each.name for each in fields(cls)}
        ours = {name: value for name, value in body.items() if name in known}
        return cls(**{**ours, "runs": tuple(body["runs"]), "limits": tuple(body["limits"])})

    def doubts(self, run: Run) -> list[str]:
        """Say why the limits are not those of a run, one clause each; empty where they are."""
        facts = run.facts
        pairs = (
            ("target", self.target, facts.target),
            ("capture", self.capture_sha256[:8], facts.capture.sha256[:8]),
            ("plan", self.plan_sha256[:8], facts.plan_sha256[:8]),
            ("number of users", str(self.users), str(facts.users_planned)),
            ("machine", self.host, host_of(facts)),
        )
        return [f"another {what} ({theirs} and not {ours})" for what, theirs, ours in pairs if theirs != ours]


def host_of(facts: RunFacts) -> str:
    """Return the machine that a run was made on."""
    return str(facts.environment.get("host", "unknown"))


def calibration_from_toml(table: object, *, file: str) -> Calibration:
    """Return what ``calibration_to_toml`` wrote, with the name of its file.

    Raises:
        ConfigError: the table is something else.
    """
    names = {each.name for each in fields(Calibration)} - {"file"}
    if isinstance(table, dict) and table.keys() == names and all(_is_sound(name, table[name]) for name in names):
        return Calibration.from_body({**table, "file": file})
    hint = "take the table out to use the limits as your own, or calibrate again"
    raise ConfigError(f"{file}: the table [calibration] is none that rushhour calibrate writes", hint)


def _is_sound(name: str, value: object) -> bool:
    if name in ("runs", "limits"):
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, int if name == "users" else str) and not isinstance(value, bool)


def calibrate(
    runs: Sequence[NamedRun], subjects: Sequence[Subject] = LATENCY_GATES
) -> tuple[list[CalibratedLimit], list[str]]:
    """Return the limits that some runs of the same build give, and what could not be calibrated, in sentences.

    Raises:
        ConfigError: a run is invalid, failing, unlike the others, or all of them are too few or too small.
    """
    if len(runs) < MIN_RUNS:
        raise ConfigError("one run shows no noise", "replay the same build three times and name all of the runs")
    for each in runs:
        check_ended(each)
        check_load(runs, each)
        _check_sound(each)
        ours, theirs = runs[0].run.facts.target, each.run.facts.target
        if ours != theirs:
            what = f"{each.name} hit another target than {runs[0].name} ({theirs} and not {ours})"
            raise ConfigError(what, "name runs against one target, each of the same build")
    limits: list[CalibratedLimit] = []
    missing: list[str] = []
    for subject in subjects:
        found = _limit(subject, [each.run for each in runs])
        if isinstance(found, CalibratedLimit):
            limits.append(found)
        elif found:
            missing.append(found)
    if not limits:
        why = "; ".join(missing) or "no time was measured"
        raise ConfigError(f"the runs are too small to calibrate anything: {why}", "replay with more users, or longer")
    return limits, missing


def _check_sound(each: NamedRun) -> None:
    """Refuse a run that is invalid or failing; how late things were is not asked, that is what is looked for."""
    judging = each.run.judging
    verdict = judge(each.run, thresholds_of(judging), allow_lag=judging is not None and judging.allow_lag)
    if verdict.invalid:
        raise ConfigError(f"{each.name} cannot be trusted: {verdict.invalid[0]}", "leave it out, or run it again")
    for result in verdict.results:
        is_late = result.threshold.subject.stat is Stat.QUANTILE and not is_of_absence(result)
        if result.outcome is Outcome.FAIL and not is_late:
            note = f" ({result.note})" if result.note else ""
            raise ConfigError(f"{each.name} is failing: {result.threshold.expr} was not met{note}", "mend that first")


def _limit(subject: Subject, runs: Sequence[Run]) -> CalibratedLimit | str:
    one = by_one_estimator(subject, runs)
    points = [point_of(one, evidence_for(run, one)) for run in runs]
    values = [value for value, _ in points if value is not None]
    n = sum(count for _, count in points)
    if not values:
        is_due = any(is_planned(run, subject.metric, evidence_for(run, subject)) for run in runs)
        return f"{subject}: nothing was measured" if is_due else ""
    needed = ceil(_ENOUGH_BEYOND / (1 - (subject.quantile or 0.0)) - 1e-6)
    if len(values) < len(runs) or n < needed:
        return f"{subject}: {n} of the {needed} samples that all runs need together"
    middle = median(values)
    noise = max(abs(value / middle - 1) for value in values) if middle > 0 else 0.0
    factor = max(FACTOR, 1 + NOISE_FACTOR * noise)
    return CalibratedLimit(
        subject=str(subject),
        limit_ms=rounded_up(max(factor * middle, middle + FLOOR_MS)),
        observed_ms=tuple(values),
        noise_ratio=noise,
        n=n,
    )


def rounded_up(value: float) -> float:
    """Return a number above 0 rounded up to three digits. Worked: 33.01 gives 33.1, 1234 gives 1240."""
    step = 10.0 ** (floor(log10(value)) - 2)
    return float(f"{ceil(value / step - 1e-9) * step:.10g}")


def calibration_of(runs: Sequence[NamedRun], limits: Sequence[CalibratedLimit]) -> Calibration:
    """Return where the limits of some runs come from."""
    facts = runs[0].run.facts
    return Calibration(
        target=facts.target,
        capture_sha256=facts.capture.sha256,
        plan_sha256=facts.plan_sha256,
        users=facts.users_planned,
        date=max(each.run.facts.started_at for each in runs),
        host=host_of(facts),
        runs=tuple(each.name for each in runs),
        limits=tuple(each.expr for each in limits),
    )


def calibration_report(
    run: Run, results: Sequence[Result], calibrations: Sequence[Calibration]
) -> dict[str, list[str] | str]:
    """Return what ``summary.json`` says of the limits: which fit this target, and which were never measured on it."""
    doubts = {each.file: each.doubts(run) for each in calibrations}
    fitting, others = [], []
    for result in results:
        threshold = result.threshold
        if not _is_latency_limit(threshold) or result.outcome is Outcome.NOT_APPLICABLE:
            continue
        if threshold.set_by is Origin.CALIBRATED and not doubts.get(threshold.source, ["its file is not known"]):
            fitting.append(threshold.expr)
        elif threshold.set_by is not Origin.USER:
            others.append(threshold.expr)
    return {
        "target": run.facts.target,
        "files": list(doubts),
        "calibrated": fitting,
        "not_calibrated": others,
        "doubts": [f"{file} was calibrated with {what}" for file, each in doubts.items() for what in each],
    }


def _is_latency_limit(threshold: Threshold) -> bool:
    is_time = threshold.limit.unit is Unit.MS and threshold.limit.factor is None
    return is_time and not threshold.subject.metric.startswith(GENERATOR)
