"""From population options to one plan and its loads: captures read, compiled once each, pruned, put together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captures.errors import ConfigError
from captures.records import Origin, Session
from replayer.facts import input_columns
from replayer.identities import rows_of
from replayer.load.populations import PopulationLoad, arrivals_by_population, crowd_arrivals, n_users
from replayer.load.schedule import ScriptTiming, timing_of
from replayer.load.storms import Storm, resolve_recorded
from replayer.merging import merge_plans
from replayer.options.plan import Assets
from replayer.options.population import PopulationOptions, users_of
from replayer.options.run import ReplayOptions
from replayer.plan.codec import plan_to_bytes
from replayer.plan.playing import read_only
from replayer.plan.records import Plan
from replayer.pruning import keeping, without_assets, without_closing
from replayer.reconnects import recorded_waits
from replayer.stored_plans import PlanRequest, RecordedFacts, StoredPlan, stored_plan
from replayer.user.ending import AtEnd

_STAY = frozenset({AtEnd.HOLD, AtEnd.REPEAT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a run plays.

    Attributes:
        capture: facts of the one capture, or of all of them in one.
        stored: the captures; encoded: the plan as workers are sent it.
        pages: recorded pages' origins, which ``--target`` replaces.
        populations: with users and scripts numbered over all of them.
        arriving: how many users of each population arrive before its end.
        along: of each population the routes that came along for the values they bring.
        notes: what people should know, one sentence each.
        still_writing: routes that write and stay although only reading was asked for: others need what they bring.
    """

    capture: RecordedFacts
    stored: tuple[StoredPlan, ...]
    plan: Plan
    encoded: bytes
    pages: frozenset[Origin]
    populations: tuple[PopulationLoad, ...]
    arriving: tuple[int, ...]
    along: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    still_writing: tuple[str, ...] = ()

    def sessions(self) -> list[Session]:
        """Load the recorded sessions, for the little that a plan does not say."""
        return [session for each in self.stored for session in each.load().sessions]

    def with_waits(self, storms: Sequence[Storm]) -> tuple[Storm, ...]:
        """Return the storms with the recorded waits, where they ask for them.

        Raises:
            ConfigError: one of them does, and nobody in the captures comes back.
        """
        return resolve_recorded(storms, lambda: recorded_waits(self.sessions()))

    @property
    def users(self) -> int:
        """How many users arrive."""
        return sum(self.arriving)


def gather(options: ReplayOptions, *, has_identities: bool = True) -> Gathered:
    """Read, compile and put together what all populations play.

    Args:
        has_identities: whether users get the identities that the plan asks for; a dry run sends none.

    Raises:
        RushhourError: what is wrong and what to do next.
    """
    stored = {each.capture: _stored(options, each.capture) for each in options.populations}
    chosen = {path: _chosen(options, each.plan) for path, each in stored.items()}
    plans = {path: plan for path, (plan, _) in chosen.items()}
    kept = [keeping(plans[each.capture], each.keep) for each in options.populations]
    for population, each in zip(options.populations, kept, strict=True):
        if each.unmatched:
            unmatched = ", ".join(each.unmatched)
            raise ConfigError(
                f"{population.origin}: the population {population.name!r} keeps {unmatched}, but the capture has none",
                f"rushhour plan {population.capture} lists what there is",
            )
    parts = [_staying(population, each.plan) for population, each in zip(options.populations, kept, strict=True)]
    is_whole = len(parts) == 1 and kept[0].plan is plans[options.populations[0].capture]
    plan = parts[0] if is_whole else merge_plans(parts)
    first = stored[options.populations[0].capture]
    timings = [timing_of(script) for script in plan.scripts]
    populations = _loads(options, parts, has_identities=has_identities)
    crowd_arrivals(timings, populations)  # refuses at once what cannot be
    arriving = arriving_by_population(timings, populations)
    return Gathered(
        capture=_together(list(stored.values()), plan),
        stored=tuple(stored.values()),
        plan=plan,
        encoded=first.encoded if plan is first.plan else plan_to_bytes(plan),
        pages=frozenset(each.origins[0] for each in plans.values() if each.origins),
        populations=populations,
        arriving=tuple(arriving),
        along=tuple(each.along for each in kept),
        notes=(*_notes(populations, arriving), *_unbound_notes(list(stored.values()), sum(arriving))),
        still_writing=tuple(dict.fromkeys(name for _, names in chosen.values() for name in names)),
    )


def arriving_by_population(timings: Sequence[ScriptTiming], populations: Sequence[PopulationLoad]) -> list[int]:
    """Return how many users of each population arrive at all; counted one by one only where an end may come first."""
    if all(not population.ends_early for population in populations):
        return [population.load.users for population in populations]
    return arrivals_by_population(timings, populations)


def arriving_by_worker(
    timings: Sequence[ScriptTiming], populations: Sequence[PopulationLoad], n_workers: int
) -> list[int]:
    """Return how many users of each worker arrive at all."""
    if all(not population.ends_early for population in populations):
        users = n_users(populations)
        return [len(range(worker, users, n_workers)) for worker in range(n_workers)]
    counts = [0] * n_workers
    for arrival in crowd_arrivals(timings, populations):
        counts[arrival.user % n_workers] += 1
    return counts


def _stored(options: ReplayOptions, capture: Path) -> StoredPlan:
    mapped, chosen = frozenset(options.target.maps), options.plan
    stored = stored_plan(PlanRequest(capture=capture, mapped=mapped, rules=chosen.rules, also=chosen.also))
    if options.judge.strict and stored.unbound:
        places = "; ".join(stored.unbound[:5])
        raise ConfigError(
            f"--strict: nothing in {capture} brings a value for {places}",
            f"rushhour plan {capture} explains it; decide with --rules-out and --rules, or leave --strict out",
        )
    return stored


def _chosen(options: ReplayOptions, plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan without what was asked to be left out, and the routes that write and stay all the same."""
    if options.plan.assets is Assets.SKIP:
        plan = without_assets(plan)
    return read_only(plan) if options.plan.read_only else (plan, ())


def _staying(population: PopulationOptions, plan: Plan) -> Plan:
    return without_closing(plan) if population.crowd.at_end in _STAY else plan


def _loads(options: ReplayOptions, parts: Sequence[Plan], *, has_identities: bool) -> tuple[PopulationLoad, ...]:
    sessions = [len(part.scripts) for part in parts]
    for population, n_sessions in zip(options.populations, sessions, strict=True):
        population.crowd.load_for(n_sessions or 0)
    chosen = users_of(list(options.populations), sessions, total=options.total_users, is_typed=options.is_total_typed)
    loads: list[PopulationLoad] = []
    first_script = first_user = 0
    for population, part in zip(chosen, parts, strict=True):
        crowd = population.crowd
        load = crowd.load_for(len(part.scripts))
        identities = rows_of(
            input_columns(part) if has_identities else (),
            path=crowd.identities,
            environ=os.environ,
            users=first_user + load.users,
            end=crowd.identities_end,
        )
        loads.append(
            PopulationLoad(
                name=population.name,
                first_script=first_script,
                n_scripts=len(part.scripts),
                first_user=first_user,
                load=replace(load, seed=options.crowd.seed),
                pacing=crowd.pacing,
                at_end=crowd.at_end,
                for_ns=crowd.horizon_ns,
                identities=identities,
            )
        )
        first_script, first_user = first_script + len(part.scripts), first_user + load.users
    return tuple(loads)


def _unbound_notes(stored: Sequence[StoredPlan], users: int) -> list[str]:
    """Say what all users share although it looks as if each had made it: they may get in each other's way."""
    places = [place for each in stored for place in each.unbound]
    if not places or users < 2:
        return []
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return [f"every user sends the recorded value of {'; '.join(places[:3])}{more}: rushhour plan FILE says why"]


def _notes(populations: Sequence[PopulationLoad], arriving: Sequence[int]) -> list[str]:
    notes = []
    for population, n_arriving in zip(populations, arriving, strict=True):
        whose = f" of {population.name}" if population.name else ""
        if not n_arriving:
            raise ConfigError(f"no user{whose} would start before --for is over", "give the run more time")
        n_late = population.load.users - n_arriving
        if n_late:
            notes.append(f"{n_late} of {population.load.users} users{whose} would start after --for; they do not come")
    return notes


def _together(stored: Sequence[StoredPlan], plan: Plan) -> RecordedFacts:
    """Return the facts of the one capture, or of all of them in one."""
    facts = [each.facts for each in stored]
    if len(facts) == 1:
        return facts[0]
    spoken: dict[Origin, tuple[int, int]] = {}
    for origin, n_http1, n_http2 in (row for each in facts for row in each.spoken):
        known = spoken.get(origin, (0, 0))
        spoken[origin] = known[0] + n_http1, known[1] + n_http2
    return RecordedFacts(
        path=", ".join(each.path for each in facts),
        sha256=plan.capture_sha256,
        n_sessions=sum(each.n_sessions for each in facts),
        spoken=tuple((origin, *counts) for origin, counts in sorted(spoken.items())),
    )
