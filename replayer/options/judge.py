"""What a run is held to, and how its verdict is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.thresholds import CALIBRATED_PREFIX
from captures.errors import ConfigError
from captures.units import NS_PER_S
from replayer.load.shapes import duration_text
from replayer.options.setting import FILE, Given, duration_setting, setting
from replayer.options.toml import read_toml

if TYPE_CHECKING:
    from analysis.calibration import Calibration

JUDGE_SETTINGS = (
    setting("--threshold", multiple=True, metavar="EXPR", help="What the run is held to."),
    setting(
        "--thresholds",
        "thresholds_file",
        type=FILE,
        metavar="FILE",
        help="A TOML file with such a list, as rushhour calibrate writes it.",
    ),
    setting(
        "--baseline",
        type=FILE,
        multiple=True,
        metavar="RUN_DIR",
        help="A run to compare with, or the word recording; alone it fails what has become slower or fails more.",
    ),
    setting(
        "--strict", is_flag=True, help="Samples that leave it open: inconclusive; a value without a source: exit 2."
    ),
    setting("--allow-inconclusive", is_flag=True, help="Inconclusive exits with 0 and a warning."),
    setting("--allow-lag", is_flag=True, help="A late load generator is a warning."),
    duration_setting(
        "--warmup", default="0", show_default=True, help="So long at the start is measured, but not judged."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """What the run is held to: (expression, where it was written).

    Attributes:
        calibrations: where the limits of a file come from that ``rushhour calibrate`` wrote.
        baseline: directories of runs.
        warmup_s: whole seconds, since what is measured is stored by the second; a part of one counts as one.
    """

    thresholds: tuple[tuple[str, str], ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    baseline: tuple[Path, ...] = ()
    strict: bool = False
    allow_inconclusive: bool = False
    allow_lag: bool = False
    warmup_s: int = 0

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line; thresholds of a file stand among the typed ones."""
        return {
            "threshold": [expr for expr, _ in self.thresholds],
            "baseline": [str(path) for path in self.baseline],
            "strict": self.strict,
            "allow-inconclusive": self.allow_inconclusive,
            "allow-lag": self.allow_lag,
            "warmup": duration_text(self.warmup_s * NS_PER_S),
        }


def judge_from(given: Given, *, origin: str = "--threshold") -> JudgeOptions:
    """Return validated options from the command line's values.

    Args:
        origin: where the single thresholds were written.

    Raises:
        ConfigError: the file of thresholds holds none.
    """
    path: Path | None = given["thresholds_file"]
    listed, calibrations = read_thresholds(path) if path is not None else ([], ())
    typed = [(expr, origin) for expr in given["threshold"]]
    return JudgeOptions(
        thresholds=(*listed, *typed),
        calibrations=calibrations,
        baseline=tuple(given["baseline"]),
        strict=given["strict"],
        allow_inconclusive=given["allow_inconclusive"],
        allow_lag=given["allow_lag"],
        warmup_s=ceil(given["warmup"] / NS_PER_S),
    )


def read_thresholds(path: Path) -> tuple[list[tuple[str, str]], tuple[Calibration, ...]]:
    """Read the list ``thresholds`` of a TOML file, and the table ``calibration`` where there is one.

    A limit that was changed or added by hand since is the user's own.

    Returns:
        Expressions with where they were written, and where the calibrated ones come from.

    Raises:
        ConfigError: the file cannot be read, holds no such list, or a table that is none.
    """
    table = read_toml(path)
    listed = table.get("thresholds")
    if not isinstance(listed, list) or not all(isinstance(expr, str) for expr in listed):
        raise ConfigError(f"{path} has no list of thresholds", 'write thresholds = ["http p95 < 200ms"]')
    if "calibration" not in table:
        return [(expr, str(path)) for expr in listed], ()
    from analysis.calibration import calibration_from_toml  # reads run files, which is slow to import

    calibration = calibration_from_toml(table["calibration"], file=str(path))
    origins = dict.fromkeys(calibration.limits, f"{CALIBRATED_PREFIX}{path}")
    return [(expr, origins.get(" ".join(expr.split()), str(path))) for expr in listed], (calibration,)
