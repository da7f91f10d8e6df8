"""One population of a run: what it plays, what of it, and as how many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from replayer.options.crowd import CrowdOptions, crowd_from
from replayer.options.setting import Given
from replayer.pruning import Keep, Only

OWN_KEYS = frozenset({"name", "capture", "sessions", "only", "routes", "messages", "weight", "stages"})
"""Keys of a ``[[population]]`` besides the options of the crowd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationOptions:
    """One population.

    Attributes:
        name: of the scenario; empty where the run has no scenario.
        weight: its share of the users that are given for all; None is the recorded share, its number of sessions.
        crowd: its users, shape, pacing and end.
        origin: file and line, for errors; empty where the run has no scenario.
    """

    name: str = ""
    origin: str = ""
    capture: Path
    keep: Keep = Keep()
    weight: float | None = None
    crowd: CrowdOptions

    def to_table(self) -> dict[str, Any]:
        """Return the population as a scenario could hold it."""
        own = {
            "name": self.name,
            "capture": str(self.capture),
            "only": self.keep.only.value if self.keep.only else None,
            "routes": list(self.keep.routes),
            "messages": list(self.keep.messages),
            "sessions": list(self.keep.sessions),
            "weight": self.weight,
        }
        return {key: value for key, value in (own | self.crowd.to_table()).items() if value not in (None, [])}


def population_from(
    given: Given, values: Mapping[str, Any], *, typed: Collection[str], capture: Path | None
) -> PopulationOptions:
    """Return a population of a scenario: its own values over those of the run, under those of the command line.

    Args:
        values: what the scenario says about the population, converted, by names of parameters.
        typed: names of parameters that were given on the command line.
        capture: of the command line, which replaces the scenario's.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    own = {name: value for name, value in values.items() if name not in typed}
    if "shape" in typed:
        own.pop("stages", None)
    merged = {**given, "users": None, **own}
    if "scale" not in typed and not own.keys().isdisjoint(("users", "weight", "stages")):
        merged["scale"] = None
    chosen = capture or own.get("capture")
    if chosen is None:
        raise ConfigError(
            f"{own['origin']}: the population {own['name']!r} plays no capture", 'write capture = "FILE.rush"'
        )
    return PopulationOptions(
        name=own["name"],
        origin=own["origin"],
        capture=chosen,
        keep=Keep(
            only=Only(own["only"]) if "only" in own else None,
            routes=tuple(own.get("routes", ())),
            messages=tuple(own.get("messages", ())),
            sessions=tuple(own.get("sessions", ())),
        ),
        weight=own.get("weight"),
        crowd=crowd_from(merged),
    )


def users_of(
    populations: list[PopulationOptions], sessions: list[int], *, total: int | None, is_typed: bool
) -> list[PopulationOptions]:
    """Return the populations with their numbers of users in force.

    Args:
        sessions: of each population, those that it plays.
        total: users of all populations together, None where nobody said.
        is_typed: the total came from the command line: whatever each has is brought to it in proportion.

    Raises:
        ConfigError: the total leaves nobody for a population, or stages say something else.
    """
    if total is None:
        return populations
    if is_typed:
        if any(population.crowd.is_staged for population in populations):
            raise ConfigError("--users contradicts the stages of the scenario", "leave --users out")
        weights = [_wanted(population, n) for population, n in zip(populations, sessions, strict=True)]
        return _shared(populations, weights, total)
    open_ones = [population for population in populations if _is_open(population)]
    taken = sum(
        population.crowd.load_for(n).users
        for population, n in zip(populations, sessions, strict=True)
        if not _is_open(population)
    )
    if open_ones and total - taken < len(open_ones):
        raise ConfigError(f"users = {total} leaves too few for {open_ones[0].name}", "ask for more users")
    weights = [
        _wanted(population, n) for population, n in zip(populations, sessions, strict=True) if _is_open(population)
    ]
    shared = iter(_shared(open_ones, weights, total - taken))
    return [next(shared) if _is_open(population) else population for population in populations]


def _is_open(population: PopulationOptions) -> bool:
    crowd = population.crowd
    return crowd.users is None and crowd.scale is None and not crowd.is_staged


def _wanted(population: PopulationOptions, n_sessions: int) -> float:
    if _is_open(population):
        return population.weight if population.weight is not None else n_sessions
    return population.crowd.load_for(n_sessions).users


def _shared(populations: list[PopulationOptions], weights: list[float], total: int) -> list[PopulationOptions]:
    """Share users in proportion, at least one each; what rounding leaves goes to the largest remainders."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [max(1, int(share)) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (int(exact[i]) - exact[i], i))
    for index in by_remainder[: max(0, total - sum(counts))]:
        counts[index] += 1
    while sum(counts) > total:
        counts[counts.index(max(counts))] -= 1
    return [
        replace(population, crowd=replace(population.crowd, users=n, scale=None))
        for population, n in zip(populations, counts, strict=True)
    ]
