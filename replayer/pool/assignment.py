"""What a worker is told before it starts: plan, targets, load, pacing, limits. Pure data, and its msgpack form.

Bodies of the other messages of ``protocol`` are dicts too::

    READY   {"pid": int, "warnings": [str]}
    GO      {"t0_ns": int}              CLOCK_MONOTONIC; a LEASE always precedes it
    LEASE   {"until_ns": int}           CLOCK_MONOTONIC
    SLOT    analysis.slotcodec          after GO one for every second, empty or not: it is also the sign of life
    STOP    {"drain_until_ns": int}     CLOCK_MONOTONIC
    ABORT   None
    DONE    {}                          room for later facts
    FAILED  {"text": str}               one sentence
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from replayer.load.populations import (
    PopulationLoad,
    load_from_body,
    load_to_body,
    population_from_body,
    population_to_body,
)
from replayer.load.schedule import LoadOptions
from replayer.load.storms import Storm, storm_from_body, storm_to_body
from replayer.reach import Reach, reach_from_body, reach_to_body
from replayer.targets import TargetSpec
from replayer.user.pacing import Deadlines, Pacing
from replayer.wire.kinds import WireKind

SAMPLED_USERS = 200
"""Users whose steps are kept whole (design §9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Everything one worker needs to know.

    Attributes:
        worker: its number, 0 ≤ worker < n_workers; it plays the users with user mod n_workers == worker.
        plan: ``plan_to_bytes`` of the plan.
        targets: by number of the recorded origin.
        load: the whole run's load; every worker makes the same schedule from it. Its ``seed`` is the run's seed.
        per_run_key: random bytes of this run, the same for all workers: values that clients mint are derived from it.
        max_failures: failed steps in a row that end a user.
        max_message_bytes: of one received WebSocket message, inflated.
        headers: added to every request and handshake, replacing recorded ones of the same name.
        wire: which implementation speaks to the targets.
        reach: TLS, proxies and source addresses.
        sampled_users: how many seeded users have their steps kept whole.
        identities: input rows; user i takes row i mod rows. Empty where the plan has no inputs.
        populations: who plays what and how, where the run has several groups of users or an end of its own; empty:
            one population of ``load``, ``pacing`` and ``identities``. ``load.users`` is then the sum.
        storms: when sockets are lost; every worker arms them all.
        trusts_clock: by number of the recorded origin: its target's clock may be compared with this machine's.
    """

    worker: int
    n_workers: int
    plan: bytes
    targets: tuple[TargetSpec, ...]
    load: LoadOptions
    per_run_key: bytes
    pacing: Pacing = Pacing.THINK
    deadlines: Deadlines = Deadlines()
    max_failures: int = 10
    max_message_bytes: int = 16 * 1024 * 1024
    headers: tuple[tuple[bytes, bytes], ...] = ()
    wire: WireKind = WireKind.FAST
    reach: Reach = Reach()
    sampled_users: int = SAMPLED_USERS
    identities: tuple[dict[str, str], ...] = ()
    populations: tuple[PopulationLoad, ...] = ()
    storms: tuple[Storm, ...] = ()
    trusts_clock: tuple[bool, ...] = ()

    def crowd(self, n_scripts: int) -> tuple[PopulationLoad, ...]:
        """Return the populations of a plan with so many scripts, at least one."""
        return self.populations or (
            PopulationLoad(n_scripts=n_scripts, load=self.load, pacing=self.pacing, identities=self.identities),
        )


def assignment_to_body(assignment: Assignment) -> dict[str, Any]:
    """Return the assignment as msgpack can hold it."""
    body = _fields_of(assignment)
    body["targets"] = [_fields_of(target) for target in assignment.targets]
    body["load"] = load_to_body(assignment.load)
    body["populations"] = [population_to_body(population) for population in assignment.populations]
    body["storms"] = [storm_to_body(storm) for storm in assignment.storms]
    body["pacing"] = assignment.pacing.value
    body["wire"] = assignment.wire.value
    body["reach"] = reach_to_body(assignment.reach)
    body["deadlines"] = _fields_of(assignment.deadlines)
    return body


def assignment_from_body(body: dict[str, Any]) -> Assignment:
    """Reverse ``assignment_to_body``; tuples may have become lists on the way."""
    targets = (target | {"addresses": tuple(target["addresses"])} for target in body["targets"])
    rebuilt = {
        "targets": tuple(TargetSpec(**target) for target in targets),
        "load": load_from_body(body["load"]),
        "populations": tuple(map(population_from_body, body["populations"])),
        "storms": tuple(map(storm_from_body, body["storms"])),
        "pacing": Pacing(body["pacing"]),
        "deadlines": Deadlines(**body["deadlines"]),
        "wire": WireKind(body["wire"]),
        "reach": reach_from_body(body["reach"]),
        "headers": tuple((name, value) for name, value in body["headers"]),
        "identities": tuple(body["identities"]),
        "trusts_clock": tuple(body["trusts_clock"]),
    }
    return Assignment(**(body | rebuilt))


def _fields_of(record: Any) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}
