"""From options to a replay that may begin: capture, plan, load, targets, all checked, in this order. No worker yet."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.run import CaptureFacts, RunFacts, prepare_directory
from analysis.thresholds import Threshold, check_routes, in_force, parse_threshold
from captures.errors import ConfigError
from captures.records import Origin
from captures.sessions import Capture, load_capture
from replayer.checks import default_workers
from replayer.facts import environment, input_columns, planned_duration_s, planned_steps, unsafe_routes
from replayer.identities import rows_of
from replayer.load.schedule import LoadOptions, arrivals, timing_of
from replayer.options.plan import Assets
from replayer.options.run import ReplayOptions
from replayer.options.target import read_allowed_targets
from replayer.plan.codec import plan_sha256, plan_to_bytes
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan
from replayer.pool.assignment import Assignment, assignment_to_body
from replayer.pruning import without_assets
from replayer.safety import AllowList, Gate, check_writes, is_loopback, probe
from replayer.reach import Reach
from replayer.targets import TargetSpec

RUNS_DIRECTORY = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A replay that may begin."""

    capture: Capture
    plan: Plan
    load: LoadOptions
    targets: tuple[TargetSpec, ...]
    thresholds: tuple[Threshold, ...]
    identities: tuple[dict[str, str], ...]
    directory: Path
    n_workers: int


def prepare(options: ReplayOptions) -> Prepared:
    """Check everything that can be checked without a worker.

    Raises:
        RushhourError: what is wrong and what to do next.
    """
    own = [parse_threshold(expr, origin=origin) for expr, origin in options.judge.thresholds]
    directory = options.out or _default_directory(options.capture)
    _check_directory(directory)
    capture = load_capture(options.capture)
    plan = compile_plan(capture, mapped=frozenset(options.target.maps))
    if options.plan.assets is Assets.SKIP:
        plan = without_assets(plan)
    load = options.crowd.load_for(len(plan.scripts))
    arrivals([timing_of(script) for script in plan.scripts], load)
    thresholds = in_force(own)
    check_routes(own, [route.name for route in plan.routes])
    identities = rows_of(
        input_columns(plan),
        path=options.crowd.identities,
        environ=os.environ,
        users=load.users,
        end=options.crowd.identities_end,
    )
    targets = admit_targets(options, capture, plan)
    check_writes(targets, users=load.users, unsafe_routes=unsafe_routes(plan), allow_writes=options.target.allow_writes)
    targets = tuple(_probed(options, target) for target in targets)
    n_workers = options.workers or default_workers(users=load.users, is_loopback=is_loopback(targets))
    return Prepared(
        capture=capture,
        plan=plan,
        load=load,
        targets=targets,
        thresholds=thresholds,
        identities=identities,
        directory=directory,
        n_workers=min(n_workers, load.users),
    )


def admit_targets(options: ReplayOptions, capture: Capture, plan: Plan) -> tuple[TargetSpec, ...]:
    """Return where each recorded origin of the plan goes, by number; the first is the page's.

    Raises:
        ConfigError: ``--map`` names an origin that the capture does not have.
        TargetRefused, TargetUnreachable: as ``Gate.admit``.
    """
    recorded = {exchange.origin for session in capture.sessions for exchange in session.exchanges}
    for origin in options.target.maps:
        if origin not in recorded:
            known = ", ".join(sorted(map(str, recorded)))
            raise ConfigError(f"--map: nothing was recorded from {origin}", f"the capture has {known}")
    allow = AllowList(
        typed=options.target.allow_targets,
        configured=read_allowed_targets(Path()),
        recorded=frozenset(origin.host for origin in recorded),
    )
    gate = Gate(allow=allow, pinned=options.target.pinned)
    destinations = [_destination(options, number, origin) for number, origin in enumerate(plan.origins)]
    admitted = {target: gate.admit(target) for target in dict.fromkeys(destinations)}
    return tuple(admitted[target] for target in destinations)


def announcements(prepared: Prepared) -> list[str]:
    """Return what people should know before the start, one line each."""
    plan, load = prepared.plan, prepared.load
    sessions, workers = _counted(len(plan.scripts), "recorded session"), _counted(prepared.n_workers, "worker")
    head = f"replaying {prepared.capture.path}: {_counted(load.users, 'user')} of {sessions}"
    lines = [f"{head}, speed {load.speed:g}, {load.shape}, {workers}"]
    for origin, target in zip(plan.origins, prepared.targets, strict=True):
        lines.append(f"  {origin} → {target.origin} ({', '.join(target.addresses)})")
    for name, n_exchanges in plan.dropped_origins:
        lines.append(f"  {name}: {n_exchanges} exchanges left out; --map {name}=URL replays them")
    unsafe = unsafe_routes(plan)
    if unsafe:
        lines.append(f"  steps that write: {', '.join(unsafe)}")
    return lines


def assignments_of(options: ReplayOptions, prepared: Prepared) -> list[dict[str, Any]]:
    """Return the assignment body of every worker."""
    wire = options.wire
    first = Assignment(
        worker=0,
        n_workers=prepared.n_workers,
        plan=plan_to_bytes(prepared.plan),
        targets=prepared.targets,
        load=prepared.load,
        per_run_key=secrets.token_bytes(16),
        pacing=options.crowd.pacing,
        deadlines=wire.deadlines,
        max_failures=wire.max_failures,
        headers=wire.headers,
        wire=wire.wire,
        reach=Reach(tls=wire.tls),
        identities=prepared.identities,
    )
    return [assignment_to_body(replace(first, worker=worker)) for worker in range(prepared.n_workers)]


def facts_of(options: ReplayOptions, prepared: Prepared) -> RunFacts:
    """Return what is known about the run before it starts."""
    capture, plan, load = prepared.capture, prepared.plan, prepared.load
    addresses = {address for target in prepared.targets for address in target.addresses}
    return RunFacts(
        capture=CaptureFacts(path=str(capture.path), sha256=capture.sha256, sessions=len(capture.sessions)),
        plan_sha256=plan_sha256(plan),
        options=options.to_table(),
        environment=environment(addresses),
        started_at="",
        target=prepared.targets[0].origin,
        users_planned=load.users,
        workers=prepared.n_workers,
        planned=planned_steps(plan, load.users),
        routes=tuple(route.name for route in plan.routes),
        dropped_origins=dict(plan.dropped_origins),
        duration_planned_s=planned_duration_s(plan, load, options.crowd.pacing),
    )


def _destination(options: ReplayOptions, number: int, origin: Origin) -> Origin:
    if number == 0 and origin not in options.target.maps:
        return options.target.target
    return options.target.maps[origin]


def _probed(options: ReplayOptions, target: TargetSpec) -> TargetSpec:
    return probe(target, timeout_ns=options.wire.deadlines.connect_ns, wait_ns=options.target.wait_ns)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _default_directory(capture: Path) -> Path:
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    directory = RUNS_DIRECTORY / f"{stamp}-{capture.stem}"
    n_tries = 1
    while directory.exists():
        n_tries += 1
        directory = RUNS_DIRECTORY / f"{stamp}-{capture.stem}-{n_tries}"
    return directory


def _check_directory(directory: Path) -> None:
    if directory.exists():
        prepare_directory(directory)
