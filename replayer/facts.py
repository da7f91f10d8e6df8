"""What is known about a run before it starts: planned steps, planned duration, environment."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Collection, Sequence
from importlib import metadata
from pathlib import Path

from captures.units import NS_PER_S
from replayer.checks import usable_cores
from replayer.load.partition import users_per_script
from replayer.load.populations import PopulationLoad, crowd_arrivals, n_users
from replayer.load.schedule import NEVER_NS, ScriptTiming, played_duration_ns, timing_of
from replayer.load.shapes import Stages
from replayer.plan.records import Plan, RouteKind, Script, StepKind
from replayer.user.ending import AtEnd
from replayer.user.inspection import has_inside
from replayer.user.link import is_event_stream
from replayer.user.pacing import Pacing


def planned_steps(plan: Plan, populations: Sequence[PopulationLoad]) -> dict[str, int]:
    """Return by series name how many steps a run has when every user plays its script once; ``http`` without assets.

    ``verify`` counts answers whose inside is checked, and for each user the kinds of pushed messages that are.
    """
    users = n_users(populations)
    planned: Counter[str] = Counter({"http": 0, "ws.connect": 0, "ws.reply": 0, "session": users})
    planned["verify"] = users * sum(has_inside(kind.expectation) and not kind.is_sent for kind in plan.message_kinds)
    for population in populations:
        shares = users_per_script(users=population.load.users, n_scripts=population.n_scripts)
        for script, n_playing in enumerate(shares, population.first_script):
            for name, n_steps in _steps_of(plan, plan.scripts[script]).items():
                planned[name] += n_steps * n_playing
    return dict(planned)


def push_facts(plan: Plan, *, users: int, trusts_clock: Sequence[bool]) -> list[dict[str, object]]:
    """Return what the server pushes, and what its delivery can be measured by (``RunFacts.pushes``)."""
    found = []
    for kind in plan.message_kinds:
        push = kind.push
        if push is None:
            continue
        route = plan.routes[kind.route]
        is_stamped = bool(push.stamp) and any(trusts_clock[route.origin :][:1])
        estimator = "stamped" if is_stamped else "skew" if push.is_distinct and users > 1 else ""
        found.append(
            {
                "route": route.name,
                "message": kind.name,
                "estimator": estimator or ("triggered" if push.echo else ""),
                "due_ms": round(push.due_ns / 1e6, 3),
            }
        )
    return found


def size_facts(plan: Plan) -> list[dict[str, object]]:
    """Return how large the recorded answers and pushed messages were (``RunFacts.sizes``)."""
    routes: list[dict[str, object]] = [
        {
            "route": route.name,
            "message": "",
            "kind": route.kind.value,
            "wire_bytes": route.mean_wire_bytes,
            "decoded_bytes": route.mean_decoded_bytes,
            "items": route.mean_items,
        }
        for route in plan.routes
        if route.mean_decoded_bytes
    ]
    messages: list[dict[str, object]] = [
        {
            "route": plan.routes[kind.route].name,
            "message": kind.name,
            "kind": "message",
            "wire_bytes": kind.mean_bytes,
            "decoded_bytes": kind.mean_bytes,
            "items": kind.mean_items,
        }
        for kind in plan.message_kinds
        if not kind.is_sent and kind.mean_bytes
    ]
    return [*routes, *messages]


def planned_duration_s(plan: Plan, populations: Sequence[PopulationLoad]) -> float:
    """Return when the last user would end if the target answered as in the recording; 0 where nobody knows."""
    timings = [timing_of(script) for script in plan.scripts]
    return max(_planned_end_ns(timings, population) for population in populations) / NS_PER_S


def _planned_end_ns(timings: Sequence[ScriptTiming], population: PopulationLoad) -> int:
    """With an end that users are there for, that end; else that of the last script. With ``asap`` nobody knows."""
    if population.for_ns != NEVER_NS and population.at_end is not AtEnd.END:
        return population.for_ns
    if population.pacing is Pacing.ASAP:
        return 0
    load = population.load
    durations_ns = [played_duration_ns(timing, speed=load.speed, max_gap_ns=load.max_gap_ns) for timing in timings]
    ends_ns = (arrival.at_ns + durations_ns[arrival.script] for arrival in crowd_arrivals(timings, [population]))
    return min(population.for_ns, max(ends_ns, default=0))


def population_facts(
    population: PopulationLoad, *, capture: str, users: int, along: Sequence[str]
) -> dict[str, object]:
    """Return what is planned for a population; ``users`` arrive before its end."""
    shape = population.load.shape
    if isinstance(shape, Stages):
        concurrent: int | None = max(stage.users for stage in shape.stages)
    else:
        concurrent = users if population.for_ns != NEVER_NS and population.at_end is not AtEnd.END else None
    return {
        "name": population.name,
        "capture": capture,
        "shape": str(shape),
        "at_end": population.at_end.value,
        "users": users,
        "concurrent": concurrent,
        "along": list(along),
    }


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
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _processor(),
        "cores": usable_cores(),
        "cores_of_machine": os.cpu_count() or 0,
        "uvloop": _version("uvloop"),
        "httptools": _version("httptools"),
        "websockets": _version("websockets"),
        "addresses": sorted(addresses),
    }


_CPU_INFO = Path("/proc/cpuinfo")
_APART = frozenset({RouteKind.ASSET, RouteKind.ALONG})


def _steps_of(plan: Plan, script: Script) -> Counter[str]:
    steps: Counter[str] = Counter()
    for step in script.steps:
        steps["verify"] += has_inside(step.expectation)
        if step.kind is StepKind.REQUEST and plan.routes[step.route].kind not in _APART:
            steps["http"] += not step.kept_open
            if is_event_stream(step):
                steps["sse.connect"] += 1
        elif step.kind is StepKind.CONNECT:
            steps["ws.connect"] += 1
            if script.sockets[step.socket].greets:
                steps["ws.ready"] += 1
        elif step.kind is StepKind.SEND:
            steps["ws.reply"] += step.reply >= 0
    return steps


def _processor() -> str:
    """Return the name of the processor, or of its kind where the system does not tell."""
    for line in _CPU_INFO.read_text(errors="replace").splitlines() if _CPU_INFO.is_file() else []:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
