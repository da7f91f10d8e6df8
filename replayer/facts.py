"""What is known about a run before it starts: planned steps, planned duration, environment."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Collection
from importlib import metadata

from captures.units import NS_PER_S
from replayer.checks import usable_cores
from replayer.load.partition import users_per_script
from replayer.load.schedule import LoadOptions, arrivals, played_duration_ns, timing_of
from replayer.plan.records import Plan, RouteKind, Script, StepKind
from replayer.user.checks import is_parsed
from replayer.user.pacing import Pacing


def planned_steps(plan: Plan, users: int) -> dict[str, int]:
    """Return by series name how many steps one full run has; ``http`` without assets.

    ``verify`` counts answers whose inside is checked, and for each user the kinds of pushed messages that are.
    """
    planned: Counter[str] = Counter({"http": 0, "ws.connect": 0, "ws.reply": 0, "session": users})
    planned["verify"] = users * sum(is_parsed(kind.expectation) and not kind.is_sent for kind in plan.message_kinds)
    for script, n_users in zip(plan.scripts, users_per_script(users=users, n_scripts=len(plan.scripts)), strict=True):
        for name, n_steps in _steps_of(plan, script).items():
            planned[name] += n_steps * n_users
    return dict(planned)


def planned_duration_s(plan: Plan, load: LoadOptions, pacing: Pacing) -> float:
    """Return when the last user would end if the target answered as in the recording; 0 with ``asap``, nobody knows."""
    if pacing is Pacing.ASAP:
        return 0.0
    timings = [timing_of(script) for script in plan.scripts]
    durations_ns = [played_duration_ns(timing, speed=load.speed, max_gap_ns=load.max_gap_ns) for timing in timings]
    ends_ns = (arrival.at_ns + durations_ns[arrival.script] for arrival in arrivals(timings, load))
    return max(ends_ns) / NS_PER_S


def unsafe_routes(plan: Plan) -> list[str]:
    """Return the names of the routes with steps that write, in order."""
    return sorted({plan.routes[step.route].name for script in plan.scripts for step in script.steps if step.is_unsafe})


def input_columns(plan: Plan) -> list[str]:
    """Return the identity columns that the plan's scripts need, in order."""
    return sorted({slot.detail for script in plan.scripts for slot in script.slots if slot.kind.value == "input"})


def environment(addresses: Collection[str]) -> dict[str, object]:
    """Return what a run's figures depend on besides its options; ``addresses`` are those that may be connected to."""
    return {
        "rushhour": _version("rushhour"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": usable_cores(),
        "cores_of_machine": os.cpu_count() or 0,
        "uvloop": _version("uvloop"),
        "httptools": _version("httptools"),
        "websockets": _version("websockets"),
        "addresses": sorted(addresses),
    }


def _steps_of(plan: Plan, script: Script) -> Counter[str]:
    steps: Counter[str] = Counter()
    for step in script.steps:
        steps["verify"] += is_parsed(step.expectation)
        if step.kind is StepKind.REQUEST and plan.routes[step.route].kind is not RouteKind.ASSET:
            steps["http"] += not step.kept_open
        elif step.kind is StepKind.CONNECT:
            steps["ws.connect"] += 1
        elif step.kind is StepKind.SEND:
            steps["ws.reply"] += step.reply >= 0
    return steps


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
