"""The curve that a plan and its populations make, second by second, if the target answers as in the recording. Pure.

``rushhour replay --dry-run`` shows it before a byte is sent. Users are there from their arrival until their script, or
the end of their population, ends them; those who restart or repeat play on in the recorded rhythm. Messages received
come at the recorded pace while sockets are open, never sped up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from captures.units import NS_PER_S
from replayer.load.capacity import Demand
from replayer.load.populations import PopulationLoad, crowd_arrivals
from replayer.load.schedule import NEVER_NS, Arrival, played_duration_ns, retime, timing_of
from replayer.plan.records import Plan, Script, StepKind
from replayer.user.connections import CONNECTIONS_PER_ORIGIN
from replayer.user.ending import AtEnd, opening_length
from replayer.user.pacing import Pacing

MAX_SECONDS = 24 * 3600
"""A curve is not drawn further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Planned load by second of the run; ``users`` and ``sockets`` at the end of each second, the rest within it.

    ``is_closed``: paced ``asap``, where only the arrivals are known.
    """

    arrivals: list[int]
    users: list[int]
    sockets: list[int]
    requests: list[int]
    messages_out: list[int]
    messages_in: list[float]
    connections_per_user: int
    is_closed: bool = False

    def demand(self) -> Demand:
        """Return the peaks."""
        messages = [sent + got for sent, got in zip(self.messages_out, self.messages_in, strict=True)]
        users = max(self.users, default=0)
        return Demand(
            users=users,
            connections=users * self.connections_per_user,
            arrivals_per_s=max(self.arrivals, default=0),
            requests_per_s=max(self.requests, default=0),
            messages_per_s=max(messages, default=0.0),
        )


@dataclass(slots=True, kw_only=True)
class _Profile:
    """What one user of a script does, by second after its arrival, in run time."""

    played_ns: int
    steady_ns: int
    requests: Counter[int] = field(default_factory=Counter)
    sends: Counter[int] = field(default_factory=Counter)
    steady_requests: Counter[int] = field(default_factory=Counter)
    steady_sends: Counter[int] = field(default_factory=Counter)
    opens_ns: list[int] = field(default_factory=list)
    closes_ns: list[int] = field(default_factory=list)
    received_per_s: float = 0.0
    connections: int = 1


def curve_of(plan: Plan, population: PopulationLoad) -> Curve:
    """Return the planned curve of one population; times are of the whole run."""
    timings = [timing_of(script) for script in plan.scripts]
    first = population.first_script
    scripts = plan.scripts[first : first + population.n_scripts]
    profiles = [_profile(plan, script, population) for script in scripts]
    sums = _Sums()
    for arrival in crowd_arrivals(timings, [population]):
        profile = profiles[arrival.script - first]
        sums.add(arrival, profile, _end_ns(arrival, profile.played_ns, population), population)
    return sums.curve(
        connections=max((profile.connections for profile in profiles), default=1),
        is_closed=population.pacing is Pacing.ASAP,
    )


def attendance_of(plan: Plan, populations: Sequence[PopulationLoad]) -> dict[str, list[int]]:
    """Return by second the planned ``arrivals`` of a run, and the ``users`` at its end if all is as in the recording.

    ``users`` is missing where the target alone decides how long they stay: paced ``asap``, to the end of their scripts.
    """
    timings = [timing_of(script) for script in plan.scripts]
    arrivals: Counter[int] = Counter()
    changes: Counter[int] = Counter()
    for population in populations:
        load = population.load
        played_ns = [played_duration_ns(timing, speed=load.speed, max_gap_ns=load.max_gap_ns) for timing in timings]
        for arrival in crowd_arrivals(timings, [population]):
            end_ns = _end_ns(arrival, played_ns[arrival.script], population)
            arrivals[arrival.at_ns // NS_PER_S] += 1
            changes[arrival.at_ns // NS_PER_S] += 1
            changes[end_ns // NS_PER_S] -= 1
    n_seconds = min(MAX_SECONDS, max(changes, default=0) + 1)
    found = {"arrivals": [arrivals[second] for second in range(max(arrivals, default=-1) + 1)]}
    if all(population.pacing is not Pacing.ASAP or population.at_end is not AtEnd.END for population in populations):
        found["users"] = list(accumulate(changes[second] for second in range(n_seconds)))
    return found


def add_curves(curves: Sequence[Curve]) -> Curve:
    """Return the curve of all populations together."""
    length = max(len(curve.users) for curve in curves)

    def total(name: str) -> list[int]:
        columns = (getattr(curve, name) for curve in curves)
        padded = [column + [0] * (length - len(column)) for column in columns]
        return [sum(values) for values in zip(*padded, strict=True)]

    return Curve(
        arrivals=total("arrivals"),
        users=total("users"),
        sockets=total("sockets"),
        requests=total("requests"),
        messages_out=total("messages_out"),
        messages_in=[float(value) for value in total("messages_in")],
        connections_per_user=max(curve.connections_per_user for curve in curves),
        is_closed=any(curve.is_closed for curve in curves),
    )


class _Sums:
    """Adds up users; sockets and users as differences, so that each costs the same however long it stays."""

    def __init__(self) -> None:
        self._arrivals: Counter[int] = Counter()
        self._users: Counter[int] = Counter()
        self._sockets: Counter[int] = Counter()
        self._requests: Counter[int] = Counter()
        self._sends: Counter[int] = Counter()
        self._received: dict[int, float] = {}

    def add(self, arrival: Arrival, profile: _Profile, end_ns: int, population: PopulationLoad) -> None:
        self._arrivals[arrival.at_ns // NS_PER_S] += 1
        self._users[arrival.at_ns // NS_PER_S] += 1
        self._users[end_ns // NS_PER_S] -= 1
        for base_ns, is_steady in _passes(arrival.at_ns, end_ns, profile, population):
            requests = profile.steady_requests if is_steady else profile.requests
            sends = profile.steady_sends if is_steady else profile.sends
            for target, source in ((self._requests, requests), (self._sends, sends)):
                for offset_ms, n in source.items():
                    at_ns = base_ns + offset_ms * 1_000_000
                    if at_ns < end_ns:
                        target[at_ns // NS_PER_S] += n
            if not is_steady:
                self._add_sockets(base_ns, end_ns, profile, population)

    def _add_sockets(self, base_ns: int, end_ns: int, profile: _Profile, population: PopulationLoad) -> None:
        stays = population.at_end in (AtEnd.HOLD, AtEnd.REPEAT)
        for opened_ns, closed_ns in zip(profile.opens_ns, profile.closes_ns, strict=True):
            first_ns = base_ns + opened_ns
            last_ns = end_ns if stays and closed_ns >= profile.played_ns else min(end_ns, base_ns + closed_ns)
            if first_ns < last_ns:
                self._sockets[first_ns // NS_PER_S] += 1
                self._sockets[last_ns // NS_PER_S] -= 1
                for at_ns, sign in ((first_ns, 1), (last_ns, -1)):
                    second = at_ns // NS_PER_S
                    self._received[second] = self._received.get(second, 0.0) + sign * profile.received_per_s

    def curve(self, *, connections: int, is_closed: bool) -> Curve:
        length = min(MAX_SECONDS, max(self._users, default=0) + 1)
        return Curve(
            arrivals=[self._arrivals[second] for second in range(length)],
            users=list(accumulate(self._users[second] for second in range(length))),
            sockets=list(accumulate(self._sockets[second] for second in range(length))),
            requests=[self._requests[second] for second in range(length)],
            messages_out=[self._sends[second] for second in range(length)],
            messages_in=[round(n, 3) for n in accumulate(self._received.get(second, 0.0) for second in range(length))],
            connections_per_user=connections,
            is_closed=is_closed,
        )


def _passes(at_ns: int, end_ns: int, profile: _Profile, population: PopulationLoad) -> Iterator[tuple[int, bool]]:
    """Generate (start, is it the steady part only) of every time that a place plays the script."""
    yield at_ns, False
    is_steady = population.at_end is AtEnd.REPEAT
    if population.at_end not in (AtEnd.RESTART, AtEnd.REPEAT) or population.pacing is Pacing.ASAP:
        return
    period_ns = max(1_000_000, profile.steady_ns if is_steady else profile.played_ns)
    start_ns = at_ns + profile.played_ns
    while start_ns < end_ns:
        yield start_ns, is_steady
        start_ns += period_ns


def _end_ns(arrival: Arrival, played_ns: int, population: PopulationLoad) -> int:
    limit_ns = min(arrival.until_ns, population.for_ns)
    if population.at_end is AtEnd.END or limit_ns == NEVER_NS:
        return min(limit_ns, arrival.at_ns + played_ns)
    return limit_ns


def _profile(plan: Plan, script: Script, population: PopulationLoad) -> _Profile:
    load = population.load
    sends = [step for step in script.steps if step.kind is not StepKind.RECEIVE]
    placed_ns = retime([step.at_ns for step in sends], speed=load.speed, max_gap_ns=load.max_gap_ns)
    at_ns = {step.index: ns for step, ns in zip(sends, placed_ns, strict=True)}
    played_ns = played_duration_ns(timing_of(script), speed=load.speed, max_gap_ns=load.max_gap_ns)
    opening = opening_length(script)
    opened_ns = max((at_ns.get(index, 0) for index in range(opening)), default=0)
    profile = _Profile(played_ns=played_ns, steady_ns=played_ns - opened_ns)
    for step in sends:
        is_steady = step.index >= opening
        if step.kind is StepKind.REQUEST:
            _count(profile.requests, profile.steady_requests, at_ns[step.index], opened_ns, is_steady=is_steady)
        elif step.kind is StepKind.SEND:
            _count(profile.sends, profile.steady_sends, at_ns[step.index], opened_ns, is_steady=is_steady)
    for number, socket in enumerate(script.sockets):
        closed = (at_ns[s.index] for s in sends if s.kind is StepKind.CLOSE and s.socket == number)
        profile.opens_ns.append(at_ns[socket.connect])
        profile.closes_ns.append(min(closed, default=played_ns))
    profile.received_per_s = _received_per_s(plan, script)
    profile.connections = connections_of(script)
    return profile


def _count(whole: Counter[int], steady: Counter[int], at_ns: int, opened_ns: int, *, is_steady: bool) -> None:
    """Count at the millisecond: enough to fall into the right second, and few keys."""
    whole[at_ns // 1_000_000] += 1
    if is_steady:
        steady[(at_ns - opened_ns) // 1_000_000] += 1


def _received_per_s(plan: Plan, script: Script) -> float:
    """Return the messages a second of one open socket, of the kinds that the recording knows."""
    if not script.sockets:
        return 0.0
    routes = {socket.route for socket in script.sockets}
    n_received = sum(kind.n_recorded for kind in plan.message_kinds if kind.route in routes and not kind.is_sent)
    open_ns = sum(
        max(0, other.duration_ns - other.steps[socket.connect].at_ns)
        for other in plan.scripts
        for socket in other.sockets
        if socket.route in routes
    )
    return n_received * NS_PER_S / open_ns if open_ns else 0.0


def connections_of(script: Script) -> int:
    """Return how many connections a user has at most: sockets, and what the recorded overlap asks of HTTP."""
    marks: list[tuple[int, int, int]] = []
    for step in script.steps:
        if step.kind is StepKind.REQUEST:
            marks += [(step.at_ns, 1, step.origin), (step.at_ns + step.duration_ns, -1, step.origin)]
    open_now: Counter[int] = Counter()
    most: Counter[int] = Counter()
    for _, change, origin in sorted(marks):
        open_now[origin] += change
        most[origin] = max(most[origin], open_now[origin])
    return max(1, len(script.sockets) + sum(min(CONNECTIONS_PER_ORIGIN, n) for n in most.values()))
