"""From options to a replay that may begin: capture, plan, load, targets, all checked, in this order. No worker yet."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.comparing import check_baseline
from analysis.run import CaptureFacts, RunFacts, prepare_directory
from analysis.thresholds import Threshold, check_labels, in_force, parse_threshold
from captures.errors import ConfigError
from captures.records import Origin
from replayer.caveats import caveats
from replayer.checks import n_workers_of
from replayer.facts import (
    environment,
    planned_duration_s,
    planned_steps,
    population_facts,
    push_facts,
    size_facts,
    unsafe_routes,
)
from replayer.gathering import Gathered, gather
from replayer.limits import check_limits
from replayer.load.dry_run import attendance_of
from replayer.load.populations import PopulationLoad, n_users
from replayer.load.schedule import LoadOptions
from replayer.load.storms import Storm, storm_facts
from replayer.options.run import ReplayOptions
from replayer.options.target import read_allowed_targets
from replayer.plan.records import Plan, RouteKind
from replayer.pool.assignment import Assignment, assignment_to_body
from replayer.reach import ProxySpec, Reach
from replayer.reaching import welcome, with_proxies
from replayer.safety import AllowList, Gate, check_writes, is_loopback, probe
from replayer.speaking import differences, recorded_http, spoken_to, versions
from replayer.strikes import strike_notes
from replayer.targets import TargetSpec
from replayer.user.labels import labels_known

RUNS_DIRECTORY = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A replay that may begin."""

    gathered: Gathered
    targets: tuple[TargetSpec, ...]
    thresholds: tuple[Threshold, ...]
    directory: Path
    n_workers: int
    reach: Reach = Reach()
    notes: tuple[str, ...] = ()
    storms: tuple[Storm, ...] = ()


def prepare(options: ReplayOptions, *, before: Callable[[Path], None] = lambda _directory: None) -> Prepared:
    """Check everything that can be checked without a worker.

    Args:
        before: called with the run directory when all is checked that needs no target, before one is looked for.

    Raises:
        RushhourError: what is wrong and what to do next.
    """
    has_baseline = bool(options.judge.baseline)
    own = [parse_threshold(expr, origin=origin, has_baseline=has_baseline) for expr, origin in options.judge.thresholds]
    directory = options.out or default_directory(options.name or options.capture.stem)
    _check_directory(directory)
    gathered = gather(options)
    capture, plan, users = gathered.capture, gathered.plan, gathered.users
    thresholds = in_force(own)
    check_labels(own, _labels(plan))
    _check_warmup(options, gathered)
    if has_baseline:
        check_baseline(options.judge.baseline, _planned_facts(options, gathered))
    before(directory)
    gate = _gate(options, gathered)
    targets = admit_targets(options, gathered, gate)
    check_writes(targets, users=users, unsafe_routes=unsafe_routes(plan), allow_writes=options.target.allow_writes)
    is_local = is_loopback(targets)
    n_workers = n_workers_of(options.workers, users=users, is_loopback=is_local)
    storms = gathered.with_waits(options.storm.storms)
    limits = check_limits(gathered, n_workers=n_workers, is_loopback=is_local)
    targets, reach, agreed = _reached(options, gate, targets)
    recorded = recorded_http(plan, capture)
    targets = spoken_to(targets, recorded, options.wire.http, agreed.__getitem__)
    return Prepared(
        gathered=gathered,
        targets=targets,
        thresholds=thresholds,
        directory=directory,
        n_workers=n_workers,
        reach=reach,
        notes=(
            *gathered.notes,
            *limits,
            *_strike_notes(gathered, storms),
            *differences(plan.origins, recorded, targets),
            *caveats(plan.origins, targets, reach, options.wire.wire, sorted(options.target.pinned)),
        ),
        storms=storms,
    )


def admit_targets(options: ReplayOptions, gathered: Gathered, gate: Gate) -> tuple[TargetSpec, ...]:
    """Return where each recorded origin of the plan goes, by number.

    Raises:
        ConfigError: ``--map`` names an origin that the capture does not have.
        TargetRefused, TargetUnreachable: as ``Gate.admit``.
    """
    recorded = _recorded_origins(gathered)
    for origin in options.target.maps:
        if origin not in recorded:
            known = ", ".join(sorted(map(str, recorded)))
            raise ConfigError(f"--map: nothing was recorded from {origin}", f"the capture has {known}")
    destinations = [_destination(options, gathered.pages, origin) for origin in gathered.plan.origins]
    admitted = {target: gate.admit(target) for target in dict.fromkeys(destinations)}
    return tuple(admitted[target] for target in destinations)


def announcements(prepared: Prepared) -> list[str]:
    """Return what people should know before the start, one line each."""
    gathered, plan = prepared.gathered, prepared.gathered.plan
    sessions = _counted(gathered.capture.n_sessions, "recorded session")
    users, workers = _counted(gathered.users, "user"), _counted(prepared.n_workers, "worker")
    head = f"replaying {gathered.capture.path}: {users} of {sessions}"
    if gathered.populations[0].name:
        lines = [f"{head}, {workers}", *map(_population_line, gathered.populations, gathered.along)]
    else:
        load = gathered.populations[0].load
        lines = [f"{head}, speed {load.speed:g}, {load.shape}, {workers}"]
    for origin, target in zip(plan.origins, prepared.targets, strict=True):
        version = f", HTTP/{target.http}" if target.http != "1.1" else ""
        lines.append(f"  {origin} → {target.origin} ({', '.join(target.addresses)}){version}")
    for name, n_exchanges in plan.dropped_origins:
        lines.append(f"  {name}: {n_exchanges} exchanges left out; --map {name}=URL replays them")
    unsafe = unsafe_routes(plan)
    if unsafe:
        lines.append(f"  steps that write: {', '.join(unsafe)}")
    if gathered.still_writing:
        lines.append(f"  they stay because others need what they bring: {', '.join(gathered.still_writing)}")
    return [*lines, *(f"  {note}" for note in prepared.notes)]


def assignments_of(options: ReplayOptions, prepared: Prepared) -> list[dict[str, Any]]:
    """Return the assignment body of every worker."""
    wire = options.wire
    first = Assignment(
        worker=0,
        n_workers=prepared.n_workers,
        plan=prepared.gathered.encoded,
        targets=prepared.targets,
        load=LoadOptions(users=n_users(prepared.gathered.populations), seed=options.crowd.seed),
        per_run_key=secrets.token_bytes(16),
        populations=prepared.gathered.populations,
        deadlines=wire.deadlines,
        max_failures=wire.max_failures,
        max_message_bytes=wire.max_message_bytes,
        headers=options.reach.added,
        wire=wire.wire,
        reach=prepared.reach,
        storms=prepared.storms,
        trusts_clock=trusts_clock(options, prepared.targets),
    )
    return [assignment_to_body(replace(first, worker=worker)) for worker in range(prepared.n_workers)]


def trusts_clock(options: ReplayOptions, targets: Sequence[TargetSpec]) -> tuple[bool, ...]:
    """Return by target whether its clock may be compared with this machine's: on this host, or by ``--trust-clock``."""
    return tuple(options.target.trust_clock or (target.via < 0 and is_loopback((target,))) for target in targets)


def facts_of(options: ReplayOptions, prepared: Prepared) -> RunFacts:
    """Return what is known about the run before it starts."""
    addresses = {address for target in prepared.targets for address in target.addresses}
    pushes = push_facts(
        prepared.gathered.plan,
        users=prepared.gathered.users,
        trusts_clock=trusts_clock(options, prepared.targets),
    )
    planned = _planned_facts(options, prepared.gathered)
    return replace(
        planned,
        environment=environment(addresses) | {"http": versions(prepared.targets)},
        target=prepared.targets[0].origin,
        workers=prepared.n_workers,
        planned={**planned.planned, "ws.push_lag": sum(bool(push["estimator"]) for push in pushes)},
        storms=storm_facts(prepared.storms),
        pushes=tuple(pushes),
        notes=prepared.notes,
    )


def _planned_facts(options: ReplayOptions, gathered: Gathered) -> RunFacts:
    """Return what is known about the run before its target is looked for."""
    capture, plan, populations = gathered.capture, gathered.plan, gathered.populations
    return RunFacts(
        capture=CaptureFacts(path=str(capture.path), sha256=capture.sha256, sessions=capture.n_sessions),
        plan_sha256=hashlib.sha256(gathered.encoded).hexdigest(),
        options=options.to_table(),
        environment={},
        started_at="",
        target="",
        users_planned=gathered.users,
        workers=0,
        planned=planned_steps(plan, populations),
        routes=tuple(route.name for route in plan.routes),
        dropped_origins=dict(plan.dropped_origins),
        sizes=tuple(size_facts(plan)),
        duration_planned_s=planned_duration_s(plan, populations),
        attendance=attendance_of(plan, populations),
        populations=tuple(
            population_facts(load, capture=str(own.capture), users=users, along=along)
            for load, own, users, along in zip(
                populations, options.populations, gathered.arriving, gathered.along, strict=True
            )
            if load.name
        ),
        warmup_s=options.judge.warmup_s,
    )


def _strike_notes(gathered: Gathered, storms: Sequence[Storm]) -> Iterator[str]:
    if storms:
        yield from strike_notes(storms, gathered.plan, planned_duration_s(gathered.plan, gathered.populations))


def _labels(plan: Plan) -> dict[str, list[str]]:
    """Return what a threshold may choose by."""
    return {
        "route": [route.name for route in plan.routes],
        "kind": sorted({route.kind.value for route in plan.routes if route.kind is not RouteKind.SOCKET}),
        "message": [kind.name for kind in plan.message_kinds],
        "origin": list(labels_known(plan)),
    }


def _destination(options: ReplayOptions, pages: Collection[Origin], origin: Origin) -> Origin:
    if origin in pages and origin not in options.target.maps:
        return options.target.target
    return options.target.maps[origin]


def _gate(options: ReplayOptions, gathered: Gathered) -> Gate:
    allow = AllowList(
        typed=options.target.allow_targets,
        configured=read_allowed_targets(Path()),
        recorded=frozenset(origin.host for origin in _recorded_origins(gathered)),
    )
    return Gate(allow=allow, proxies=options.reach.proxy, pinned=options.target.pinned)


def _recorded_origins(gathered: Gathered) -> frozenset[Origin]:
    return gathered.capture.origins


def _reached(
    options: ReplayOptions, gate: Gate, targets: Sequence[TargetSpec]
) -> tuple[tuple[TargetSpec, ...], Reach, dict[TargetSpec, str]]:
    """Wait for the targets and connect to each once; returns them, how they are reached, and the ALPN of https ones.

    Raises:
        TargetUnreachable: one of them is not there, or does not let us in.
    """
    wanted, timeout_ns = options.target, options.wire.deadlines.connect_ns
    if wanted.health is not None:
        from replayer.wire.health import wait_for_health  # httpx is slow to import, and few runs wait.

        spec = gate.admit(wanted.health.origin)
        wait_for_health(wanted.health, spec, options.reach.tls, headers=options.reach.added, wait_ns=wanted.wait_ns)
    targets, proxies = with_proxies(targets, gate.proxies, gate.resolve, pinned=frozenset(gate.pinned))
    probed = {target: _probed(target, proxies, timeout_ns, wanted.wait_ns) for target in dict.fromkeys(targets)}
    reach = Reach(tls=options.reach.tls, proxies=proxies)
    secure = [target for target in dict.fromkeys(probed.values()) if target.scheme == "https"]
    agreed = {target: welcome(target, reach, timeout_ns=timeout_ns) for target in secure}
    return tuple(probed[target] for target in targets), reach, agreed


def _probed(target: TargetSpec, proxies: Sequence[ProxySpec], timeout_ns: int, wait_ns: int) -> TargetSpec:
    if target.via < 0:
        return probe(target, timeout_ns=timeout_ns, wait_ns=wait_ns)
    proxy = proxies[target.via]
    reached = TargetSpec(scheme="http", host=proxy.host, port=proxy.port, addresses=proxy.addresses)
    probe(reached, timeout_ns=timeout_ns, wait_ns=wait_ns)
    return target


def _population_line(population: PopulationLoad, along: Sequence[str]) -> str:
    load = population.load
    users = _counted(load.users, "user")
    brought = f"; along for their values: {', '.join(along)}" if along else ""
    return f"  {population.name}: {users}, {load.shape}, speed {load.speed:g}, {population.at_end.value}{brought}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def default_directory(name: str) -> Path:
    """Return where a run goes that nobody named: ``runs/<time>-<name>``, which does not exist."""
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    directory = RUNS_DIRECTORY / f"{stamp}-{name}"
    n_tries = 1
    while directory.exists():
        n_tries += 1
        directory = RUNS_DIRECTORY / f"{stamp}-{name}-{n_tries}"
    return directory


def _check_warmup(options: ReplayOptions, gathered: Gathered) -> None:
    warmup_s, planned_s = options.judge.warmup_s, planned_duration_s(gathered.plan, gathered.populations)
    if warmup_s and 0 < planned_s <= warmup_s:
        raise ConfigError(
            f"--warmup takes {warmup_s} s of a run that is planned to last {planned_s:.1f} s, nothing would be judged",
            "make it shorter, or the run longer (--for)",
        )


def _check_directory(directory: Path) -> None:
    if directory.exists():
        prepare_directory(directory)
