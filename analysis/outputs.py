"""From a run directory to its verdict and its outputs: ``summary.json``, ``report.html`` and those of ``Format``.

Each is replaced whole or not at all, and all of them follow from the run file alone. Formats that a directory has
already are always written again, so that no two files of it tell different stories. What cannot be written takes
nothing from the verdict: it is told in ``Judged.unwritten``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.baseline import Baseline
from analysis.calibration import Calibration
from analysis.comparing import baseline_for
from analysis.report.formats import Format, render
from analysis.report.html import render_html
from analysis.run import RUN_FILE, Judging, Run, append_judging, read_run
from analysis.summary import summarise
from analysis.thresholds import Threshold
from analysis.verdict import Verdict, judge, thresholds_of
from captures.errors import ConfigError, ReplayError

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run, its verdict, and the summary of both.

    Attributes:
        unwritten: which outputs are missing or old, and what to do, in sentences.
    """

    run: Run
    verdict: Verdict
    summary: dict[str, Any]
    unwritten: tuple[str, ...] = ()


def write_outputs(
    directory: Path,
    thresholds: Sequence[Threshold],
    *,
    strict: bool = False,
    allow_lag: bool = False,
    allow_inconclusive: bool = False,
    baseline: Sequence[Path] = (),
    calibrations: Sequence[Calibration] = (),
    formats: Collection[Format] = (),
) -> Judged:
    """Judge the run in a directory, write what people and machines read, and remember how it was judged.

    Args:
        thresholds: all in force (``thresholds.in_force``).
        baseline: directories of the runs it is compared with.
        calibrations: of the thresholds that ``rushhour calibrate`` wrote.
        formats: outputs to be written besides summary and report.

    Raises:
        ConfigError: the directory holds no run, or the baseline is none of it.
        CaptureError: the run file is not one.
    """
    run = read_run(directory)
    compared = baseline_for(run, directory, baseline, thresholds, strict=strict)
    judging = replace(
        judging_of(
            thresholds,
            strict=strict,
            allow_lag=allow_lag,
            allow_inconclusive=allow_inconclusive,
            calibrations=calibrations,
        ),
        baseline=compared.to_body() if compared is not None else None,
    )
    unwritten = _remember(directory, run, judging)
    return _write(directory, _judged(run, thresholds, judging), formats, unwritten)


def judging_of(
    thresholds: Sequence[Threshold],
    *,
    strict: bool = False,
    allow_lag: bool = False,
    allow_inconclusive: bool = False,
    calibrations: Sequence[Calibration] = (),
) -> Judging:
    """Return what a run is judged by, as far as it is known before the run; see ``write_outputs``."""
    return Judging(
        thresholds=tuple((threshold.expr, threshold.origin) for threshold in thresholds),
        strict=strict,
        allow_lag=allow_lag,
        allow_inconclusive=allow_inconclusive,
        calibrations=tuple(calibration.to_body() for calibration in calibrations),
    )


def _remember(directory: Path, run: Run, judging: Judging) -> list[str]:
    """Store how a whole run is judged; return what hinders that, in sentences."""
    is_new = run.is_complete and run.judging != judging
    run.judging = judging
    try:
        if is_new:
            append_judging(directory, judging)
    except (ConfigError, ReplayError) as exc:
        return [f"{exc}; rushhour report {directory} will judge the run by what it was judged by before"]
    return []


def rebuild_outputs(directory: Path, formats: Collection[Format] = ()) -> Judged:
    """Judge a run by what it was judged by, or by the defaults, and write its outputs again.

    Args:
        formats: outputs to be written besides summary, report, and what is there already.

    Raises:
        ConfigError: the directory holds no run.
        CaptureError: the run file is not one.
    """
    run = read_run(directory)
    judging = run.judging or Judging()
    return _write(directory, _judged(run, thresholds_of(judging), judging), formats)


def _judged(run: Run, thresholds: Sequence[Threshold], judging: Judging) -> Judged:
    verdict = judge(
        run,
        thresholds,
        strict=judging.strict,
        allow_lag=judging.allow_lag,
        allow_inconclusive=judging.allow_inconclusive,
        baseline=Baseline.from_body(judging.baseline) if judging.baseline is not None else None,
    )
    return Judged(run=run, verdict=verdict, summary=summarise(run, verdict))


def _write(directory: Path, judged: Judged, formats: Collection[Format], unwritten: Sequence[str] = ()) -> Judged:
    problems = list(unwritten)
    for name, text in _texts(directory, judged, formats):
        try:
            replace_file(directory / name, text)
        except OSError as exc:
            problems.append(f"cannot write {directory / name}: {exc.strerror}")
    if problems:
        problems.append(f"{RUN_FILE} is whole: rushhour report {directory} writes them again once there is room")
    return replace(judged, unwritten=tuple(problems))


def _texts(directory: Path, judged: Judged, formats: Collection[Format]) -> Iterator[tuple[str, str]]:
    yield SUMMARY_FILE, json.dumps(judged.summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    yield REPORT_FILE, render_html(judged.run, judged.summary)
    for each in Format:
        if each in formats or (directory / each.file_name).exists():
            yield each.file_name, render(each, judged.run, judged.summary)


def replace_file(path: Path, text: str) -> None:
    """Write a file (0600) beside its place and move it there.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
