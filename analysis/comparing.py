"""From run directories to a comparison: what is read, what is refused. Reads run files and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from analysis.baseline import COMPARED_STATS, Baseline, compare_runs, latency_together
from analysis.comparable import NamedRun, check_comparable, check_ended, check_load
from analysis.comparison import Change, Drawn
from analysis.gates import default_gates
from analysis.recording import NAME, against_recording
from analysis.representation import unlike_kinds
from analysis.resampling import Chooser
from analysis.run import RUN_FILE, Ended, Run, RunFacts, read_run
from analysis.thresholds import Subject, Threshold, parse_subject
from analysis.verdict import judge, thresholds_of
from captures.errors import ConfigError, ExitCode

SEED = 20_110_731
"""Of every bootstrap: the same runs are always said to be the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of runs against a baseline.

    Attributes:
        invalid: which runs cannot be trusted, in sentences.
        unlike: which runs got far less than was recorded where the baseline did not: no faster build, an empty one.
    """

    baseline: Baseline
    runs: tuple[NamedRun, ...]
    invalid: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing can be said, where that is so whatever was compared."""
        is_open = self.verdict == "inconclusive"
        return self.invalid or (self.unlike if is_open else ())

    @property
    def verdict(self) -> str:
        """The outcome in one word, the worst of what decides."""
        if self.invalid:
            return "invalid"
        if self.unlike and not self.baseline.gated(Change.REGRESSED):
            return "inconclusive"
        for change in (Change.REGRESSED, Change.INCONCLUSIVE, Change.IMPROVED):
            if self.baseline.gated(change):
                return str(change.value)
        if any(each.drawn is Drawn.RECORDED for each in self.baseline.comparisons):
            return str(Change.SHOWN.value)
        return "ok" if self.baseline.gated(Change.OK) else "inconclusive"


_EXIT_CODES = {
    "invalid": ExitCode.INVALID,
    "regressed": ExitCode.FAIL,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


def exit_code_of(compared: Compared) -> ExitCode:
    """Return what the process ends with."""
    return _EXIT_CODES.get(compared.verdict, ExitCode.PASS)


def to_json(compared: Compared, code: ExitCode) -> dict[str, Any]:
    """Return the one document of ``--json``."""
    runs = [dict(run_facts(each)) for each in compared.runs]
    baseline = compared.baseline.to_summary()
    return {
        "schema": 1,
        "verdict": compared.verdict,
        "exit_code": int(code),
        "invalid": list(compared.invalid),
        "unlike": list(compared.unlike),
        "warnings": baseline["warnings"],
        "runs": runs,
        "baseline": {"runs": baseline["runs"], "comparisons": baseline["comparisons"]},
    }


def subjects_of(texts: Sequence[str]) -> tuple[Subject, ...]:
    """Read what is to decide.

    Raises:
        ConfigError: it is no statistic, or one whose better direction or interval nobody knows.
    """
    subjects = tuple(map(parse_subject, texts))
    for subject in subjects:
        if subject.stat not in COMPARED_STATS:
            known = ", ".join(sorted(stat.value for stat in COMPARED_STATS))
            raise ConfigError(f"--metric: {subject} cannot be compared", f"statistics that can are {known}")
    return subjects


def times_of(texts: Sequence[str]) -> tuple[Subject, ...]:
    """Read which times are to get a limit.

    Raises:
        ConfigError: it is no statistic, or no quantile.
    """
    subjects = tuple(map(parse_subject, texts))
    for subject in subjects:
        if subject.quantile is None:
            raise ConfigError(f"--metric: {subject} is no quantile", "write a time such as http p95")
    return subjects


def make_chooser() -> Chooser:
    """Return a random generator that always draws the same."""
    return Random(SEED)


def read_runs(directories: Sequence[Path]) -> list[NamedRun]:
    """Read runs; a directory that stands there twice is read once, of one that only holds runs all are.

    Raises:
        ConfigError: one of them is not a run directory.
        CaptureError: its run file is not one.
    """
    found = dict.fromkeys(path for directory in directories for path in _runs_in(directory))
    return [NamedRun(name=str(path), run=read_run(path)) for path in found]


def _runs_in(directory: Path) -> list[Path]:
    if (directory / RUN_FILE).exists() or not directory.is_dir():
        return [directory]
    return sorted(path.parent for path in directory.glob(f"*/{RUN_FILE}")) or [directory]


def compare_directories(
    runs: Sequence[Path], base: Sequence[Path], *, gated: Sequence[Subject] = (), strict: bool = False
) -> Compared:
    """Compare runs with a baseline.

    Args:
        gated: what decides, ``default_gates`` where nobody said.
        strict: what the intervals leave open is inconclusive.

    Raises:
        ConfigError: they cannot be compared, or a run of the baseline cannot be trusted.
        CaptureError: a run file is not one.
    """
    ours = read_runs(runs)
    unlike: tuple[str, ...] = ()
    if is_recording(base):
        for each in ours:
            check_ended(each)
            check_load(ours, each)
        baseline = against_recording([each.run for each in ours], gated)
    else:
        theirs = _trusted_base(base)
        warnings = check_comparable(theirs, ours)
        sides = [each.run for each in theirs], [each.run for each in ours]
        found = compare_runs(*sides, make_chooser, gated=gated or default_gates(*sides), strict=strict)
        baseline = Baseline(runs=tuple(map(run_facts, theirs)), comparisons=found, warnings=tuple(warnings))
        unlike = tuple(_unlike(ours, theirs))
    invalid = tuple(f"{each.name}: {why}" for each in ours for why in distrust(each.run))
    return Compared(baseline=baseline, runs=tuple(ours), invalid=invalid, unlike=unlike)


def _unlike(ours: Sequence[NamedRun], theirs: Sequence[NamedRun]) -> Iterator[str]:
    known = {kind for each in theirs for kind in unlike_kinds(each.run)}
    for each in ours:
        yield from (f"{each.name}: {why}" for kind, why in unlike_kinds(each.run).items() if kind not in known)


def check_baseline(base: Sequence[Path], facts: RunFacts) -> None:
    """Refuse, before a run, a baseline that it cannot be compared with.

    Raises:
        ConfigError: which run of it, and why.
        CaptureError: a run file is not one.
    """
    if not is_recording(base):
        check_load(_trusted_base(base), NamedRun(name="this run", run=Run(facts=facts)))


def baseline_for(
    run: Run, directory: Path, base: Sequence[Path], thresholds: Sequence[Threshold], *, strict: bool = False
) -> Baseline | None:
    """Compare the run of a directory with its baseline; None where there is none, or the run has no end of its own.

    The default checks decide, unless a threshold says itself what is compared.

    Raises:
        ConfigError, CaptureError: as ``compare_directories``.
    """
    if not base or run.end is None or run.damage or run.end.ended is not Ended.FINISHED:
        return None
    own = [threshold.subject for threshold in thresholds if threshold.limit.factor is not None]
    if is_recording(base):
        return against_recording([run], own)
    theirs = _trusted_base(base)
    warnings = check_comparable(theirs, [NamedRun(name=str(directory), run=run)])
    sides = [each.run for each in theirs], [run]
    found = compare_runs(*sides, make_chooser, gated=() if own else default_gates(*sides), also=own, strict=strict)
    return Baseline(
        runs=tuple(map(run_facts, theirs)),
        comparisons=found,
        warnings=tuple(warnings),
        latency=latency_together([each.run for each in theirs]),
    )


def is_recording(base: Sequence[Path]) -> bool:
    """Return whether the recording itself is meant.

    Raises:
        ConfigError: it is, and runs beside it.
    """
    is_meant = any(str(path) == NAME and not path.exists() for path in base)
    if is_meant and len(base) > 1:
        raise ConfigError(f"the {NAME} is one baseline, and runs are another", "name the one or the others")
    return is_meant


def _trusted_base(base: Sequence[Path]) -> list[NamedRun]:
    named = read_runs(base)
    if not named:
        raise ConfigError("there is no baseline", "name the directory of a run with --base")
    for each in named:
        check_ended(each)
        doubts = distrust(each.run)
        if doubts:
            raise ConfigError(f"{each.name} is no baseline, its measurement is invalid: {doubts[0]}", "leave it out")
    return named


def distrust(run: Run) -> tuple[str, ...]:
    """Say why the measurement of a run cannot be trusted, by what it was judged by itself; empty where it can."""
    judging = run.judging
    allow_lag = judging is not None and judging.allow_lag
    return judge(run, thresholds_of(judging), allow_lag=allow_lag).invalid


def run_facts(each: NamedRun) -> dict[str, object]:
    """Return what people want to know of a run of the baseline."""
    facts = each.run.facts
    return {
        "path": each.name,
        "started_at": facts.started_at,
        "target": facts.target,
        "host": facts.environment.get("host"),
        "duration_s": round(each.run.duration_s, 3),
    }
