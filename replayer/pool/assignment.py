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

from replayer.load.schedule import LoadOptions
from replayer.load.shapes import shape_from_body, shape_to_body
from replayer.reach import Reach, reach_from_body, reach_to_body
from replayer.targets import TargetSpec
from replayer.wire.wires import WireKind
from replayer.user.pacing import Deadlines, Pacing


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
        headers: added to every request and handshake, replacing recorded ones of the same name.
        wire: which implementation speaks to the targets.
        reach: TLS, proxies and source addresses.
        sampled_users: how many seeded users have their steps kept whole.
        identities: input rows; user i takes row i mod rows. Empty where the plan has no inputs.
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
    headers: tuple[tuple[bytes, bytes], ...] = ()
    wire: WireKind = WireKind.FAST
    reach: Reach = Reach()
    sampled_users: int = 200
    identities: tuple[dict[str, str], ...] = ()


def assignment_to_body(assignment: Assignment) -> dict[str, Any]:
    """Return the assignment as msgpack can hold it."""
    body = _fields_of(assignment)
    body["targets"] = [_fields_of(target) for target in assignment.targets]
    body["load"] = _fields_of(assignment.load) | {"shape": shape_to_body(assignment.load.shape)}
    body["pacing"] = assignment.pacing.value
    body["wire"] = assignment.wire.value
    body["reach"] = reach_to_body(assignment.reach)
    body["deadlines"] = _fields_of(assignment.deadlines)
    return body


def assignment_from_body(body: dict[str, Any]) -> Assignment:
    """Reverse ``assignment_to_body``; tuples may have become lists on the way."""
    load = dict(body["load"])
    load["shape"] = shape_from_body(load["shape"])
    targets = (target | {"addresses": tuple(target["addresses"])} for target in body["targets"])
    rebuilt = {
        "targets": tuple(TargetSpec(**target) for target in targets),
        "load": LoadOptions(**load),
        "pacing": Pacing(body["pacing"]),
        "deadlines": Deadlines(**body["deadlines"]),
        "wire": WireKind(body["wire"]),
        "reach": reach_from_body(body["reach"]),
        "headers": tuple((name, value) for name, value in body["headers"]),
        "identities": tuple(body["identities"]),
    }
    return Assignment(**(body | rebuilt))


def _fields_of(record: Any) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}
