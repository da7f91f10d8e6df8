"""Several groups of users under one schedule: each with its scripts, its load, its pacing and its end. Pure.

Scripts and users are numbered over all populations: those of the second follow those of the first. A run without a
scenario has one population, without a name.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from replayer.load.schedule import NEVER_NS, Arrival, LoadOptions, ScriptTiming, arrivals
from replayer.load.shapes import Stages, shape_from_body, shape_to_body
from replayer.load.stages import total_ns
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationLoad:
    """One population, as a worker needs to know it.

    Attributes:
        name: of the scenario; empty where the run has no populations.
        first_script, n_scripts: its scripts in the plan.
        first_user: number of its first user; it has ``load.users`` of them.
        load: how many, how fast, when.
        for_ns: after so long no step starts and its users end; ``NEVER_NS`` where only their scripts end them.
        identities: input rows; user i takes row i mod rows.
    """

    name: str = ""
    first_script: int = 0
    n_scripts: int
    first_user: int = 0
    load: LoadOptions
    pacing: Pacing = Pacing.THINK
    at_end: AtEnd = AtEnd.END
    for_ns: int = NEVER_NS
    identities: tuple[dict[str, str], ...] = ()

    @property
    def ends_early(self) -> bool:
        """Whether the end may come before a user does; stages end with their own users."""
        return self.for_ns != NEVER_NS and not (
            isinstance(self.load.shape, Stages) and self.for_ns >= total_ns(self.load.shape)
        )

    @property
    def stays(self) -> bool:
        """Whether users are there until the end, however early their scripts are over."""
        return self.for_ns != NEVER_NS and self.at_end in (AtEnd.HOLD, AtEnd.REPEAT)

    @property
    def suffix(self) -> str:
        """What is appended to the names of this population's own counters; empty where the run has one."""
        return f"@{self.name}" if self.name else ""


def n_users(populations: Sequence[PopulationLoad]) -> int:
    """Return how many users all populations have."""
    return sum(population.load.users for population in populations)


def population_of(populations: Sequence[PopulationLoad], script: int) -> int:
    """Return the number of the population that a script belongs to."""
    return bisect_right(populations, script, key=lambda population: population.first_script) - 1


def scripts_played(
    populations: Sequence[PopulationLoad], *, worker: int, n_workers: int
) -> Iterator[tuple[int, PopulationLoad]]:
    """Generate the numbers of the scripts that a worker's users play, in order, with their populations."""
    for population in populations:
        n_scripts, first = population.n_scripts, population.first_user
        own = range((worker - first) % n_workers, population.load.users, n_workers)
        for script in sorted({user % n_scripts for user in own[: n_scripts * n_workers]}):
            yield population.first_script + script, population


def crowd_arrivals(timings: Sequence[ScriptTiming], populations: Sequence[PopulationLoad]) -> Iterator[Arrival]:
    """Generate the arrivals of all populations in order; who would come after its population's end does not come.

    Raises:
        ConfigError: as ``arrivals``, at once.
    """
    each = [_numbered(timings, population) for population in populations]
    return each[0] if len(each) == 1 else heapq.merge(*each)


def arrivals_by_population(timings: Sequence[ScriptTiming], populations: Sequence[PopulationLoad]) -> list[int]:
    """Return how many users of each population arrive at all."""
    return [sum(1 for _ in _numbered(timings, population)) for population in populations]


def _numbered(timings: Sequence[ScriptTiming], population: PopulationLoad) -> Iterator[Arrival]:
    first, end = population.first_script, population.first_script + population.n_scripts
    own = arrivals(timings[first:end], population.load)
    if population.for_ns != NEVER_NS:
        own = (arrival for arrival in own if arrival.at_ns < population.for_ns)
    if not first and not population.first_user:
        return own
    return _shifted(own, population)


def _shifted(own: Iterator[Arrival], population: PopulationLoad) -> Iterator[Arrival]:
    first_user, first_script = population.first_user, population.first_script
    for at_ns, user, script, until_ns in own:
        yield Arrival(at_ns, user + first_user, script + first_script, until_ns)


def population_to_body(population: PopulationLoad) -> dict[str, Any]:
    """Return the population as msgpack can hold it."""
    body = {item.name: getattr(population, item.name) for item in fields(population)}
    body["load"] = load_to_body(population.load)
    body["pacing"], body["at_end"] = population.pacing.value, population.at_end.value
    return body


def population_from_body(body: dict[str, Any]) -> PopulationLoad:
    """Reverse ``population_to_body``; tuples may have become lists on the way."""
    rebuilt = {
        "load": load_from_body(body["load"]),
        "pacing": Pacing(body["pacing"]),
        "at_end": AtEnd(body["at_end"]),
        "identities": tuple(body["identities"]),
    }
    return PopulationLoad(**(body | rebuilt))


def load_to_body(load: LoadOptions) -> dict[str, Any]:
    """Return a load as msgpack can hold it."""
    return {item.name: getattr(load, item.name) for item in fields(load)} | {"shape": shape_to_body(load.shape)}


def load_from_body(body: dict[str, Any]) -> LoadOptions:
    """Reverse ``load_to_body``."""
    return LoadOptions(**(body | {"shape": shape_from_body(body["shape"])}))
