"""Whether this machine has the descriptors and ports for a crowd, looked at before the start."""

from __future__ import annotations

from captures.errors import ConfigError
from replayer.checks import machine_of
from replayer.gathering import Gathered
from replayer.load.capacity import SPARE_DESCRIPTORS, Demand, Machine, all_of, warnings_of
from replayer.load.dry_run import connections_of
from replayer.load.populations import PopulationLoad
from replayer.load.shapes import Stages
from replayer.plan.records import Script


def check_limits(gathered: Gathered, *, n_workers: int, is_loopback: bool) -> tuple[str, ...]:
    """Return what may run short, one sentence each.

    Raises:
        ConfigError: the sockets alone are more than the workers may have descriptors.
    """
    machine = machine_of(n_workers=n_workers, is_loopback=is_loopback)
    _refuse(gathered, machine)
    demands = [_demand(population, _scripts(gathered, population)) for population in gathered.populations]
    return tuple(warnings_of(all_of(demands), machine))


def _refuse(gathered: Gathered, machine: Machine) -> None:
    sockets = sum(
        _at_once(population) * min(len(script.sockets) for script in _scripts(gathered, population))
        for population in gathered.populations
        if population.stays and population.n_scripts
    )
    needed = -(-sockets // machine.n_workers) + SPARE_DESCRIPTORS
    if machine.descriptors is not None and needed > machine.descriptors:
        raise ConfigError(
            f"{sockets:,} sockets at once need {needed:,} descriptors in each worker, the limit is"
            f" {machine.descriptors:,}",
            "raise it (ulimit -Hn), ask for fewer users, or use more workers",
        )


def _demand(population: PopulationLoad, scripts: tuple[Script, ...]) -> Demand:
    users = _at_once(population)
    most = max((connections_of(script) for script in scripts), default=1)
    return Demand(users=users, connections=users * most, arrivals_per_s=0, requests_per_s=0, messages_per_s=0)


def _at_once(population: PopulationLoad) -> int:
    shape = population.load.shape
    return max(stage.users for stage in shape.stages) if isinstance(shape, Stages) else population.load.users


def _scripts(gathered: Gathered, population: PopulationLoad) -> tuple[Script, ...]:
    return gathered.plan.scripts[population.first_script : population.first_script + population.n_scripts]
