"""Who starts when: scripts and load options → arrivals, lazily and in order. Pure, clockless, seeded.

Theory of operation: every worker runs the same generator and keeps its own users (``partition``), so the schedule must
depend on nothing but its arguments. All randomness is a hash of (seed, user), never a stream that somebody could
consume in another order. Copies of a script are spread *stratified*: copy c of C starts at a seeded place inside the
c-th of C equal parts of the start spread. The arrivals of one script are then ordered as they are made, and merging the
scripts takes memory for one arrival each, however many users there are.

Times are int nanoseconds relative to the run's start.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, takewhile
from typing import NamedTuple

from captures.errors import ConfigError
from captures.units import NS_PER_S, format_duration
from replayer.load.seeded import hash_of, unit_interval
from replayer.load.shapes import Align, Burst, Ramp, Rate, RateStages, Recorded, Shape, Stages
from replayer.load.stages import n_stage_users, rate_arrivals, stage_arrivals
from replayer.plan.records import Script, StepKind

MAX_START_SPREAD_NS = 60 * NS_PER_S
"""Upper limit of the default start spread (design §6)."""

_SENDS = frozenset({StepKind.REQUEST, StepKind.CONNECT, StepKind.SEND})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How many, how fast and when.

    Attributes:
        users: number of virtual users, at least 1; user i plays script i mod scripts.
        speed: divides recorded gaps and recorded arrivals, finite and above 0.
        max_gap_ns: cap, after division, on the gap between consecutive sends of a session and, with the recorded shape,
            between consecutive arrivals; None is no cap.
        shape: when users start.
        start_spread_ns: over how long the copies of a session start, with the recorded shape; None is the longest
            session as it will be played, at most ``MAX_START_SPREAD_NS``.
        seed: decides every random choice of the schedule.
    """

    users: int
    speed: float = 1.0
    max_gap_ns: int | None = None
    shape: Shape = field(default_factory=Recorded)
    start_spread_ns: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ConfigError(
                f"{self.users} virtual users is no load",
                "ask for at least one with --users or --scale",
            )
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ConfigError(
                f"--speed {self.speed} is not a number above 0",
                "write --speed 5 for five times as fast",
            )
        if isinstance(self.shape, Stages) and self.users != n_stage_users(self.shape):
            raise ConfigError(
                f"{self.shape} has {n_stage_users(self.shape)} users, not {self.users}",
                "leave --users and --scale out: the stages say how many",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptTiming:
    """What the schedule needs to know of a script.

    Attributes:
        start_ns: recorded start relative to the first session.
        duration_ns: recorded duration.
        sends_ns: recorded starts of its sends relative to ``start_ns``, ascending.
    """

    start_ns: int
    duration_ns: int
    sends_ns: tuple[int, ...] = ()


NEVER_NS = 1 << 62
"""End of a user whom only its script, or the run, ends."""


class Arrival(NamedTuple):
    """The planned start of one virtual user: ``at_ns`` after the run's start, ``user`` plays ``script``.

    ``until_ns`` is when its place is given up, ``NEVER_NS`` where no load shape says so.
    """

    at_ns: int
    user: int
    script: int
    until_ns: int = NEVER_NS


def timing_of(script: Script) -> ScriptTiming:
    """Return the timing of a compiled script; sends are its requests, handshakes and sent messages."""
    sends_ns = tuple(step.at_ns for step in script.steps if step.kind in _SENDS)
    return ScriptTiming(start_ns=script.start_ns, duration_ns=script.duration_ns, sends_ns=sends_ns)


def retime(at_ns: Sequence[int], *, speed: float, max_gap_ns: int | None) -> list[int]:
    """Map ascending recorded offsets to run offsets: gaps are divided by ``speed``, then capped.

    ``retime([0, 4s, 10s], speed=2, max_gap_ns=1s)`` is ``[0, 1s, 2s]``. The first gap counts from 0.
    """
    divided = [_divide(offset, speed) for offset in at_ns]
    return divided if max_gap_ns is None else list(_cap_gaps(divided, max_gap_ns))


def played_duration_ns(script: ScriptTiming, *, speed: float, max_gap_ns: int | None) -> int:
    """Return how long the script takes when it is played on time; what follows its last send is never capped."""
    if not script.sends_ns:
        return _divide(script.duration_ns, speed)
    last_ns = script.sends_ns[-1]
    tail_ns = _divide(max(0, script.duration_ns - last_ns), speed)
    return retime(script.sends_ns, speed=speed, max_gap_ns=max_gap_ns)[-1] + tail_ns


def start_spread_ns(scripts: Sequence[ScriptTiming], options: LoadOptions) -> int:
    """Return the start spread in force."""
    if options.start_spread_ns is not None:
        return options.start_spread_ns
    durations = (played_duration_ns(script, speed=options.speed, max_gap_ns=options.max_gap_ns) for script in scripts)
    return min(MAX_START_SPREAD_NS, max(durations))


def arrivals(scripts: Sequence[ScriptTiming], options: LoadOptions) -> Iterator[Arrival]:
    """Generate the arrivals of all ``options.users`` users in order of ``at_ns`` (ties: by user).

    Raises:
        ConfigError: at once, not on first use: there is no script, or some session cannot meet the ``align`` instant.
    """
    if not scripts:
        raise ConfigError(
            "the capture holds no session to replay",
            "rushhour inspect FILE shows what it holds",
        )
    n_scripts = len(scripts)
    match options.shape:
        case Recorded():
            return _recorded(scripts, options)
        case Ramp(duration_ns=duration_ns):
            times_ns: Iterable[int] = (user * duration_ns // options.users for user in range(options.users))
        case Burst(at_ns=at_ns):
            times_ns = (at_ns for _ in range(options.users))
        case Rate(per_s=per_s):
            times_ns = _poisson(range(options.users), per_s, options.seed)
        case RateStages():
            times_ns = islice(rate_arrivals(options.shape, options.seed), options.users)
        case Stages():
            return _staged(options.shape, n_scripts)
        case Align(at_ns=instant_ns):
            return _aligned(scripts, options, instant_ns)
    return (Arrival(at_ns, user, user % n_scripts) for user, at_ns in enumerate(times_ns))


def implied_users(shape: Shape, *, seed: int, for_ns: int | None) -> int | None:
    """Return how many users a shape has by itself, None where somebody has to say.

    Stages have the sum of their rises; arrival rates as many as come before ``for_ns`` or the last stage's end.
    """
    match shape:
        case Stages():
            return n_stage_users(shape)
        case RateStages():
            limit_ns = NEVER_NS if for_ns is None else for_ns
            return sum(1 for _ in takewhile(lambda at_ns: at_ns < limit_ns, rate_arrivals(shape, seed)))
        case Rate(per_s=per_s) if for_ns is not None:
            return sum(1 for _ in takewhile(lambda at_ns: at_ns < for_ns, _poisson(count(), per_s, seed)))
        case _:
            return None


def busiest_second_ns(script: ScriptTiming) -> int:
    """Return where the second with the most sends begins (the first of equals), relative to the script's start."""
    sends_ns = script.sends_ns
    counts = (bisect_left(sends_ns, first_ns + NS_PER_S) - index for index, first_ns in enumerate(sends_ns))
    _, index = max(((count, -index) for index, count in enumerate(counts)), default=(0, 0))
    return sends_ns[-index] if sends_ns else 0


def _divide(offset_ns: int, speed: float) -> int:
    return offset_ns if speed == 1 else int(offset_ns / speed)


def _cap_gaps(times_ns: Iterable[int], max_gap_ns: int) -> Iterator[int]:
    previous_ns = capped_ns = 0
    for time_ns in times_ns:
        capped_ns += min(time_ns - previous_ns, max_gap_ns)
        previous_ns = time_ns
        yield capped_ns


def _recorded(scripts: Sequence[ScriptTiming], options: LoadOptions) -> Iterator[Arrival]:
    spread_ns = start_spread_ns(scripts, options)
    copies = [_copies(index, scripts[index], len(scripts), spread_ns, options) for index in range(len(scripts))]
    merged: Iterator[Arrival] = heapq.merge(*copies) if len(copies) > 1 else copies[0]
    return merged if options.max_gap_ns is None else _cap_arrivals(merged, options.max_gap_ns)


def _copies(
    index: int,
    script: ScriptTiming,
    n_scripts: int,
    spread_ns: int,
    options: LoadOptions,
) -> Iterator[Arrival]:
    base_ns = _divide(script.start_ns, options.speed)
    users = range(index, options.users, n_scripts)
    n_copies = len(users) - 1
    for copy, user in enumerate(users):
        offset_ns = 0
        if copy:
            first_ns, end_ns = (
                (copy - 1) * spread_ns // n_copies,
                copy * spread_ns // n_copies,
            )
            offset_ns = first_ns + (hash_of(options.seed, user) * (end_ns - first_ns) >> 64)
        yield Arrival(base_ns + offset_ns, user, index)


def _cap_arrivals(merged: Iterator[Arrival], max_gap_ns: int) -> Iterator[Arrival]:
    previous_ns = capped_ns = 0
    for arrival in merged:
        capped_ns += min(arrival.at_ns - previous_ns, max_gap_ns)
        previous_ns = arrival.at_ns
        yield Arrival(capped_ns, arrival.user, arrival.script)


def _aligned(scripts: Sequence[ScriptTiming], options: LoadOptions, instant_ns: int | None) -> Iterator[Arrival]:
    leads_ns = [_lead_ns(script, options) for script in scripts]
    earliest_ns = max(leads_ns[: options.users])
    if instant_ns is not None and instant_ns < earliest_ns:
        raise ConfigError(
            f"--shape align:{format_duration(instant_ns)} is too early: a session reaches its busiest second only"
            f" {format_duration(earliest_ns)} after its start",
            f"write align alone, or align:{-(-earliest_ns // NS_PER_S)}s or later",
        )
    meet_ns = earliest_ns if instant_ns is None else instant_ns
    n_played = min(len(scripts), options.users)
    return heapq.merge(
        *(_together(index, meet_ns - leads_ns[index], len(scripts), options) for index in range(n_played))
    )


def _together(index: int, at_ns: int, n_scripts: int, options: LoadOptions) -> Iterator[Arrival]:
    return (Arrival(at_ns, user, index) for user in range(index, options.users, n_scripts))


def _lead_ns(script: ScriptTiming, options: LoadOptions) -> int:
    """How long after its start, in run time, the script reaches its busiest second."""
    played_ns = retime(script.sends_ns, speed=options.speed, max_gap_ns=options.max_gap_ns)
    return played_ns[bisect_left(script.sends_ns, busiest_second_ns(script))] if played_ns else 0


def _staged(shape: Stages, n_scripts: int) -> Iterator[Arrival]:
    for user, (at_ns, until_ns) in enumerate(stage_arrivals(shape)):
        yield Arrival(at_ns, user, user % n_scripts, until_ns)


def _poisson(users: Iterable[int], per_s: float, seed: int) -> Iterator[int]:
    """Arrival times of a Poisson process: gaps are −ln(1 − u) / rate with u uniform in [0, 1).

    Source: inverse transform of the exponential distribution; with u = 0.5 and 50/s a gap is 13.86 ms.
    """
    at_ns = 0
    for user in users:
        at_ns += int(-math.log1p(-unit_interval(seed, user)) / per_s * NS_PER_S)
        yield at_ns
