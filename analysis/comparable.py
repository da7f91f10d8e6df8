"""Whether runs may be compared at all: the same capture, plan and load; and what makes a comparison weaker. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.run import Ended, Run
from captures.errors import ConfigError

LOAD_OPTIONS = (
    "speed",
    "max-gap",
    "shape",
    "start-spread",
    "for",
    "at-end",
    "pacing",
    "assets",
    "read-only",
    "storm",
    "on-loss",
    "warmup",
)
"""Options that decide what is sent when; where they differ, the target was asked for something else."""
_MACHINE = {
    "host": "another machine",
    "cpu": "another processor",
    "cores": "another number of cores",
    "python": "another Python",
    "rushhour": "another version of Rushhour",
    "uvloop": "another uvloop",
    "http": "another version of HTTP",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRun:
    """A run and the directory it lies in, as the user named it."""

    name: str
    run: Run


def check_comparable(base: Sequence[NamedRun], runs: Sequence[NamedRun]) -> list[str]:
    """Refuse runs that cannot be compared; return what makes the comparison weaker, in sentences.

    Raises:
        ConfigError: which run differs from the first of the baseline, in what, and what to do.
    """
    names = {each.name for each in base}
    for each in runs:
        if each.name in names:
            raise ConfigError(f"{each.name} stands on both sides", "a run is always like itself; name another one")
    first = base[0]
    for each in (*base, *runs):
        check_ended(each)
        check_load(base, each)
    return list(dict.fromkeys(_warnings(first, [*base[1:], *runs])))


def check_load(base: Sequence[NamedRun], each: NamedRun) -> None:
    """Refuse a run that is, or will be, of another capture, plan or load than the first of a baseline.

    Raises:
        ConfigError: in what it differs.
    """
    for what in _differences(base[0].run, each.run):
        hint = "replay the same capture with the same load, or name other runs"
        raise ConfigError(f"{each.name} cannot be compared with {base[0].name}: {what}", hint)


def check_ended(each: NamedRun) -> None:
    """Refuse a run that did not come to its end.

    Raises:
        ConfigError: it was interrupted or aborted, has no end, or is damaged.
    """
    run = each.run
    if run.end is None or run.damage:
        raise ConfigError(f"{each.name} is damaged or has no end, its figures are not whole", "leave it out")
    if run.end.ended is not Ended.FINISHED:
        raise ConfigError(f"{each.name} did not run to its end ({run.end.ended.value})", "leave it out")


def _differences(one: Run, other: Run) -> Iterator[str]:
    a, b = one.facts, other.facts
    if a.capture.sha256 != b.capture.sha256:
        yield f"it replayed another capture ({b.capture.path}, {b.capture.sha256[:8]} and not {a.capture.sha256[:8]})"
    if a.plan_sha256 != b.plan_sha256:
        yield f"it has another plan ({b.plan_sha256[:8]} and not {a.plan_sha256[:8]}), by its rules or version"
    if a.users_planned != b.users_planned:
        yield f"it has another scale ({b.users_planned} users and not {a.users_planned})"
    for option in LOAD_OPTIONS:
        if a.options.get(option) != b.options.get(option):
            yield f"--{option} differs ({_shown(b.options, option)} and not {_shown(a.options, option)})"
    if _crowds(one) != _crowds(other):
        yield "its populations differ"


def _crowds(run: Run) -> list[tuple[object, ...]]:
    keys = ("name", "shape", "at_end", "users")
    return [tuple(population.get(key) for key in keys) for population in run.facts.populations]


def _shown(options: Mapping[str, object], name: str) -> str:
    value = options.get(name)
    return "not set" if value in (None, [], ()) else str(value)


def _warnings(first: NamedRun, others: Sequence[NamedRun]) -> Iterator[str]:
    ours = first.run.facts
    for each in others:
        facts = each.run.facts
        for key, what in _MACHINE.items():
            one, other = ours.environment.get(key), facts.environment.get(key)
            if one != other and one is not None and other is not None:
                yield f"{each.name} ran with {what} than {first.name} ({other} and not {one})"
        if ours.workers != facts.workers:
            yield f"{each.name} ran with {facts.workers} workers, {first.name} with {ours.workers}"
