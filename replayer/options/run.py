"""Everything ``replay`` was asked for: the groups together, and what belongs to the run itself.

What contradicts itself or cannot be is a ``ConfigError`` where a group is made, before anything is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from replayer.options.crowd import CROWD_SETTINGS, CrowdOptions, crowd_from
from replayer.options.judge import JUDGE_SETTINGS, JudgeOptions, judge_from
from replayer.options.plan import PLAN_SETTINGS, PlanOptions, plan_from
from replayer.options.setting import FILE, Given, setting
from replayer.options.target import TARGET_SETTINGS, TargetOptions, target_from
from replayer.options.wire import WIRE_SETTINGS, WireOptions, wire_from

RUN_SETTINGS = (
    setting(
        "--workers",
        unit="processes",
        type=int,
        metavar="N",
        help="Processes.  [default: cores, one less for a local target]",
    ),
    setting("--out", type=FILE, metavar="RUN_DIR", help="A new or empty directory.  [default: runs/<time>-<name>]"),
)
ALL_SETTINGS = (TARGET_SETTINGS, CROWD_SETTINGS, PLAN_SETTINGS, WIRE_SETTINGS, JUDGE_SETTINGS, RUN_SETTINGS)
"""In the order of the command's help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Everything ``replay`` was asked for; ``workers`` None is chosen when the target is known."""

    capture: Path
    target: TargetOptions
    crowd: CrowdOptions
    plan: PlanOptions = PlanOptions()
    wire: WireOptions
    judge: JudgeOptions
    out: Path | None = None
    workers: int | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers} is nobody", "write 1 or more")

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line, as TOML and run files hold them; no secrets."""
        table = {
            "capture": str(self.capture),
            **self.target.to_table(),
            **self.crowd.to_table(),
            **self.plan.to_table(),
            **self.wire.to_table(),
            **self.judge.to_table(),
            "workers": self.workers,
            "out": str(self.out) if self.out else None,
        }
        return {name: value for name, value in table.items() if value is not None}


def options_from(given: Given) -> ReplayOptions:
    """Return validated options from the command line's values, by the names of the command's parameters.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    return ReplayOptions(
        capture=given["capture"],
        target=target_from(given),
        crowd=crowd_from(given),
        plan=plan_from(given),
        wire=wire_from(given),
        judge=judge_from(given),
        out=given["out"],
        workers=given["workers"],
        as_json=given["as_json"],
    )
