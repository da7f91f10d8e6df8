"""From run directories to a file of calibrated thresholds, and what is said about it. Reads run files only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from analysis.calibration import (
    FACTOR,
    LATENCY_GATES,
    CalibratedLimit,
    Calibration,
    calibrate,
    calibration_of,
)
from analysis.comparing import read_runs
from analysis.report.text import format_count, format_ms, plural, printable
from analysis.thresholds import Subject
from captures.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Limits, where they come from, and what could not be calibrated, in sentences."""

    limits: tuple[CalibratedLimit, ...]
    missing: tuple[str, ...]
    calibration: Calibration


def calibrate_directories(directories: Sequence[Path], also: Sequence[Subject] = ()) -> Calibrated:
    """Make limits of what runs of the same build measured.

    Args:
        also: what is to get a limit besides the latency gates that every run has.

    Raises:
        ConfigError: a run is invalid, failing, unlike the others, or all of them are too few or too small.
        CaptureError: a run file is not one.
    """
    runs = read_runs(directories)
    limits, missing = calibrate(runs, tuple(dict.fromkeys((*LATENCY_GATES, *also))))
    return Calibrated(limits=tuple(limits), missing=tuple(missing), calibration=calibration_of(runs, limits))


def write_calibrated(path: Path, found: Calibrated) -> None:
    """Write a file for ``--thresholds``; nothing is overwritten.

    Raises:
        ConfigError: the file is there already or cannot be written.
    """
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "w") as file:
            file.write(calibrated_text(found))
    except FileExistsError as exc:
        raise ConfigError(f"{path} exists and is not overwritten", "choose another -o") from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}", "choose another -o") from exc


def calibrated_text(found: Calibrated) -> str:
    """Return the file: every limit with what it was made of, and the table that says on what it was measured."""
    known = found.calibration
    table = {name: value for name, value in known.to_body().items() if name != "file"}
    lines = [
        f"# Limits for {printable(known.target)}, measured over {plural(len(known.runs), 'run')} of the same build.",
        f"# Each is {FACTOR:g} × the median of what the runs observed, more where they differ by more, and at least",
        "# 5 ms above it. They hold for this target, capture, plan, number of users and machine.",
        "thresholds = [",
        *(line for limit in found.limits for line in (f"    # {_observed(limit)}", f"    {_toml_text(limit.expr)},")),
        *(f"    # no limit: {printable(sentence)}" for sentence in found.missing),
        "]",
        "",
        tomli_w.dumps({"calibration": table}).rstrip("\n"),
    ]
    return "\n".join([*lines, ""])


def _toml_text(text: str) -> str:
    return tomli_w.dumps({"x": text}).removeprefix("x = ").rstrip("\n")


def _observed(limit: CalibratedLimit) -> str:
    values = ", ".join(map(format_ms, limit.observed_ms))
    return (
        f"observed {values} over {format_count(limit.n)} values; no run is further than {_noise(limit)} from the median"
    )


def _noise(limit: CalibratedLimit) -> str:
    return f"{limit.noise_ratio:.0%}" if limit.noise_ratio >= 0.005 else "1%"


def told(found: Calibrated) -> Iterator[str]:
    """Yield what people want to know, line by line."""
    known = found.calibration
    yield f"calibrated on {printable(known.target)} over {plural(len(known.runs), 'run')}, {known.users} users"
    for limit in found.limits:
        yield f"  {printable(limit.expr)}   {_observed(limit)}"
    for sentence in found.missing:
        yield f"  no limit for {printable(sentence)}"
    for limit in found.limits:
        seen = f"a smaller change of {printable(limit.subject)} cannot be seen"
        yield f"  this build differs from itself by {_noise(limit)}: {seen}"


def to_json(found: Calibrated) -> dict[str, Any]:
    """Return the one document of ``--json``."""
    limits = [
        {
            "expr": limit.expr,
            "limit_ms": limit.limit_ms,
            "observed_ms": list(limit.observed_ms),
            "noise_ratio": round(limit.noise_ratio, 6),
            "n": limit.n,
        }
        for limit in found.limits
    ]
    table = {name: value for name, value in found.calibration.to_body().items() if name != "file"}
    return {"schema": 1, "limits": limits, "missing": list(found.missing), "calibration": table}
