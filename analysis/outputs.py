"""From a run directory to its verdict, ``summary.json`` and ``report.html``; each is replaced whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.report.html import render_html
from analysis.run import RUN_FILE, Judging, Run, append_judging, read_run
from analysis.summary import summarise
from analysis.thresholds import DEFAULT_ORIGIN, DEFAULTS, Threshold, parse_threshold
from analysis.verdict import Verdict, judge
from captures.errors import ConfigError

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run, its verdict, and the summary of both."""

    run: Run
    verdict: Verdict
    summary: dict[str, Any]


def write_outputs(
    directory: Path,
    thresholds: Sequence[Threshold],
    *,
    strict: bool = False,
    allow_lag: bool = False,
    allow_inconclusive: bool = False,
) -> Verdict:
    """Judge the run in a directory, write what people and machines read, and remember how it was judged.

    Args:
        thresholds: all in force (``thresholds.in_force``).

    Raises:
        ConfigError: the directory holds no run or cannot be written.
        CaptureError: the run file is not one.
    """
    judging = Judging(
        thresholds=tuple((threshold.expr, threshold.origin) for threshold in thresholds),
        strict=strict,
        allow_lag=allow_lag,
        allow_inconclusive=allow_inconclusive,
    )
    run = read_run(directory)
    if run.is_complete and run.judging != judging:
        append_judging(directory, judging)
    run.judging = judging
    return _write(directory, _judged(run, thresholds, judging)).verdict


def rebuild_outputs(directory: Path) -> Judged:
    """Judge a run by what it was judged by, or by the defaults, and write summary and report again.

    Raises:
        ConfigError: the directory holds no run or cannot be written.
        CaptureError: the run file is not one.
    """
    run = read_run(directory)
    judging = run.judging or Judging()
    thresholds = [_reread(expr, origin) for expr, origin in judging.thresholds] or DEFAULTS
    return _write(directory, _judged(run, thresholds, judging))


def _reread(expr: str, origin: str) -> Threshold:
    if origin == DEFAULT_ORIGIN:
        for default in DEFAULTS:
            if default.expr == expr:
                return default
    return parse_threshold(expr, origin=origin, has_baseline=True)


def _judged(run: Run, thresholds: Sequence[Threshold], judging: Judging) -> Judged:
    verdict = judge(
        run,
        thresholds,
        strict=judging.strict,
        allow_lag=judging.allow_lag,
        allow_inconclusive=judging.allow_inconclusive,
    )
    return Judged(run=run, verdict=verdict, summary=summarise(run, verdict))


def _write(directory: Path, judged: Judged) -> Judged:
    text = json.dumps(judged.summary, indent=2, ensure_ascii=False, allow_nan=False)
    _replace(directory / SUMMARY_FILE, text + "\n")
    _replace(directory / REPORT_FILE, render_html(judged.run, judged.summary))
    return judged


def _replace(path: Path, text: str) -> None:
    """Write a file (0600) beside its place and move it there."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        beside.replace(path)
    except OSError as exc:
        hint = f"{RUN_FILE} is whole, rushhour report {path.parent} writes it again"
        raise ConfigError(f"cannot write {path}: {exc.strerror}", hint) from exc
