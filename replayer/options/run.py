"""Everything ``replay`` was asked for: the groups together, and what belongs to the run itself.

What contradicts itself or cannot be is a ``ConfigError`` where a group is made, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from analysis.metrics_address import MetricsAddress, parse_metrics_address
from analysis.report.formats import FORMAT_NAMES, Format
from captures.errors import ConfigError
from replayer.options.around import AROUND_SETTINGS, AroundOptions, around_from
from replayer.options.crowd import CROWD_SETTINGS, CrowdOptions, crowd_from
from replayer.options.judge import JUDGE_SETTINGS, JudgeOptions, judge_from
from replayer.options.plan import PLAN_SETTINGS, PlanOptions, plan_from
from replayer.options.population import PopulationOptions, population_from
from replayer.options.reach import REACH_SETTINGS, ReachOptions, reach_from
from replayer.options.scenario import Scenario, scenario_callback
from replayer.options.setting import FILE, Given, setting
from replayer.options.storm import STORM_SETTINGS, StormOptions, storm_from
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
    click.option(
        "--scenario",
        type=FILE,
        is_eager=True,
        callback=scenario_callback,
        metavar="FILE",
        help="A TOML file that holds a whole run; what is typed here wins.",
    ),
    setting("--out", type=FILE, metavar="RUN_DIR", help="A new or empty directory.  [default: runs/<time>-<name>]"),
    setting(
        "--metrics-port",
        metavar="[HOST:]PORT",
        help="Serve the figures of the moment to Prometheus, on 127.0.0.1 unless a host is named.",
    ),
    setting(
        "--format",
        "formats",
        type=click.Choice(FORMAT_NAMES),
        multiple=True,
        help="Write junit.xml, summary.md or series.csv too.",
    ),
)
ALL_SETTINGS = (
    TARGET_SETTINGS,
    CROWD_SETTINGS,
    STORM_SETTINGS,
    PLAN_SETTINGS,
    WIRE_SETTINGS,
    REACH_SETTINGS,
    JUDGE_SETTINGS,
    AROUND_SETTINGS,
    RUN_SETTINGS,
)
"""In the order of the command's help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Everything ``replay`` was asked for; ``workers`` None is chosen when the target is known.

    Attributes:
        capture: of the first population.
        crowd: what holds for the run, and for the one population where there is no scenario.
        populations: at least one; without a scenario it has no name.
        total_users: of all populations of a scenario together, None where nobody said;
            is_total_typed: it was said on the command line, whatever the scenario says.
        name: of the scenario, empty without one.
    """

    capture: Path
    target: TargetOptions
    crowd: CrowdOptions
    populations: tuple[PopulationOptions, ...]
    total_users: int | None = None
    is_total_typed: bool = False
    name: str = ""
    storm: StormOptions = StormOptions()
    plan: PlanOptions = PlanOptions()
    wire: WireOptions
    reach: ReachOptions = ReachOptions()
    judge: JudgeOptions
    around: AroundOptions = AroundOptions()
    out: Path | None = None
    formats: tuple[Format, ...] = ()
    metrics: MetricsAddress | None = None
    workers: int | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers} is nobody", "write 1 or more")

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line, as TOML and run files hold them; no secrets."""
        table: dict[str, Any] = {
            "capture": str(self.capture),
            "scenario": self.name or None,
            **self.target.to_table(),
            **self.crowd.to_table(),
            **self.storm.to_table(),
            **self.plan.to_table(),
            **self.wire.to_table(),
            **self.reach.to_table(),
            **self.judge.to_table(),
            **self.around.to_table(),
            "workers": self.workers,
            "out": str(self.out) if self.out else None,
            "metrics-port": str(self.metrics) if self.metrics is not None else None,
            "format": [each.value for each in self.formats],
            "population": [each.to_table() for each in self.populations if each.name] or None,
        }
        return {name: value for name, value in table.items() if value is not None}


def options_from(given: Given, *, typed: Collection[str] = ()) -> ReplayOptions:
    """Return validated options from the command line's values, by the names of the command's parameters.

    Args:
        typed: names of the parameters that stand on the command line itself; they win over a scenario.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    given = _without_overridden(given, typed)
    scenario: Scenario | None = given["scenario"]
    crowd = crowd_from(given)
    populations = _populations(given, crowd, scenario, typed)
    has_several = scenario is not None and bool(scenario.populations)
    return ReplayOptions(
        capture=populations[0].capture,
        populations=populations,
        total_users=crowd.users if has_several else None,
        is_total_typed="users" in typed,
        name=scenario.name if scenario is not None else "",
        target=target_from(given),
        crowd=crowd,
        storm=storm_from(given),
        plan=plan_from(given),
        wire=wire_from(given),
        reach=reach_from(given),
        judge=judge_from(given, origin=_origin_of_thresholds(scenario, typed)),
        around=around_from(given),
        out=given["out"],
        formats=tuple(Format(name) for name in dict.fromkeys(given["formats"])),
        metrics=parse_metrics_address(given["metrics_port"]) if given["metrics_port"] is not None else None,
        workers=given["workers"],
        as_json=given["as_json"],
    )


def _origin_of_thresholds(scenario: Scenario | None, typed: Collection[str]) -> str:
    if scenario is None or "threshold" in typed or "threshold" not in scenario.values:
        return "--threshold"
    return scenario.origin_of("threshold")


def _without_overridden(given: Given, typed: Collection[str]) -> Given:
    """Drop what a scenario says about how many where the command line says it in another way."""
    if "users" in typed and "scale" not in typed:
        return {**given, "scale": None}
    if "scale" in typed and "users" not in typed:
        return {**given, "users": None}
    return given


def _populations(
    given: Given, crowd: CrowdOptions, scenario: Scenario | None, typed: Collection[str]
) -> tuple[PopulationOptions, ...]:
    capture: Path | None = given["capture"]
    if scenario is not None and scenario.populations:
        found = []
        for values in scenario.populations:
            own = {"capture": scenario.capture, **values} if scenario.capture is not None else values
            found.append(population_from(given, own, typed=typed, capture=capture))
        return tuple(found)
    capture = capture or (scenario.capture if scenario is not None else None)
    if capture is None:
        raise ConfigError("there is no capture to replay", "name a FILE, or a --scenario that names one")
    return (PopulationOptions(capture=capture, crowd=crowd),)
