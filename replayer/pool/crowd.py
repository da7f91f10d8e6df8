"""One worker's share of the crowd: who is here, whose turn is next, who takes an empty place, who goes when.

A *place* is one planned user. With ``--at-end restart`` it is taken by one session after the other, each a user with a
fresh number (place + k × users of the run), hence a fresh identity and fresh minted values. ``users_*`` counts places,
``sessions_*`` counts sessions. A place that refills keeps the recorded rhythm: a session that failed early is followed
by the next one only when it would have been over, so a target that is down is not hammered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Protocol

from captures.units import NS_PER_S
from replayer.load.partition import share_of
from replayer.load.populations import PopulationLoad, crowd_arrivals, n_users, population_of
from replayer.load.schedule import NEVER_NS, Arrival, timing_of
from replayer.plan.records import Plan
from replayer.user.ending import AtEnd, next_pass_ns
from replayer.user.link import LinkedScript
from replayer.user.pacing import Pacing
from replayer.user.port import Run
from replayer.user.steps import Ending, User

MIN_REFILL_NS = NS_PER_S
"""With ``asap`` a failed session is followed by the next one after so long, not at once."""


class Seat(Protocol):
    """Makes a user; ``User`` itself, or one that is watched."""

    def __call__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> User:
        """Return a user who has not begun."""


class Place:
    """One planned user: who has it, and how its sessions have ended so far."""

    __slots__ = ("arrival", "endings", "is_given_up", "population", "session_start_ns", "user")

    def __init__(self, arrival: Arrival, population: int) -> None:
        self.arrival = arrival
        self.population = population
        self.user: User | None = None
        self.endings: Counter[Ending] = Counter()
        self.session_start_ns = 0
        self.is_given_up = False

    def ending(self) -> Ending:
        """Return how the place ends: failed where a session failed, else completed where one was."""
        for ending in (Ending.FAILED, Ending.COMPLETED, Ending.RETIRED):
            if self.endings[ending]:
                return ending
        return Ending.CUT


class Crowd:
    """The places of one worker.

    Args:
        populations: of the run; runs: one for each, sharing port, meter and budget.
        scripts: linked, by number.
        sampled_users: how many seeded users of the run have their steps kept whole.
        on_over: called once, when nobody is left and nobody will come.
        seat: makes the users.
    """

    def __init__(
        self,
        plan: Plan,
        populations: Sequence[PopulationLoad],
        runs: Sequence[Run],
        scripts: dict[int, LinkedScript],
        *,
        worker: int,
        n_workers: int,
        sampled_users: int,
        on_over: Callable[[], None],
        seat: Seat = User,
    ) -> None:
        self._seat_of = seat
        self._populations = populations
        self._runs = runs
        self._scripts = scripts
        self._n_users = n_users(populations)
        self._sampled_users = sampled_users
        self._on_over = on_over
        schedule = crowd_arrivals([timing_of(script) for script in plan.scripts], populations)
        self._arrivals: Iterator[Arrival] = share_of(schedule, worker=worker, n_workers=n_workers)
        self._places: dict[User, Place] = {}
        self._waiting: set[Place] = set()  # between two sessions
        self._has_more = True
        self._is_over = False

    @property
    def users(self) -> Collection[User]:
        """The users who are here."""
        return self._places.keys()

    @property
    def runs(self) -> Sequence[Run]:
        """What the users of each population share."""
        return self._runs

    def gauges(self) -> dict[str, int]:
        """Return how many users are here, in all and by population."""
        found = {"users_active": len(self._places)}
        if len(self._populations) > 1 or self._populations[0].name:
            counts = Counter(place.population for place in self._places.values())
            found |= {f"users_active{each.suffix}": counts[number] for number, each in enumerate(self._populations)}
        return found

    def begin(self) -> None:
        """Wait for the first arrival, and for the end of every population."""
        for number, population in enumerate(self._populations):
            if population.for_ns != NEVER_NS:
                self._call_at(population.for_ns, self._close_population, number)
        self._arm_arrival()

    def stop(self) -> None:
        """Begin no further step of anybody."""
        for run in self._runs:
            run.is_stopping = True
        self._give_up_waiting(self._waiting.copy())
        for user in list(self._places):
            user.stop()
        self._look_whether_over()

    def cut(self) -> None:
        """End everybody now."""
        for user in list(self._places):
            user.cut()

    def user_ended(self, user: User) -> None:
        """Count a session, and give its place to the next or up."""
        place = self._places.pop(user, None)
        if place is None:
            return
        place.user = None
        place.endings[user.ending] += 1
        self._count(f"sessions_{user.ending.value}", place)
        if self._refills(place, user.ending):
            self._waiting.add(place)
            self._run_of(place).port.call_at(self._next_session_ns(place, user.ending), self._refill, place)
        else:
            self._give_up(place)

    # Arrivals.

    def _arm_arrival(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is None:
            self._has_more = False
            self._look_whether_over()
        else:
            self._call_at(arrival.at_ns, self._arrive, arrival)

    def _arrive(self, arrival: Arrival, due_ns: int) -> None:
        number = population_of(self._populations, arrival.script)
        if not self._runs[number].is_stopping:
            place = Place(arrival, number)
            self._count("users_started", place)
            if arrival.until_ns != NEVER_NS:
                self._call_at(arrival.until_ns, self._retire, place)
            self._seat(place, arrival.user, due_ns)
        if not self._is_over:
            self._arm_arrival()

    def _seat(self, place: Place, number: int, due_ns: int) -> None:
        """Begin a session in a place, as user ``number``."""
        rows = self._populations[place.population].identities
        row = rows[number % len(rows)] if rows else {}
        script = self._scripts[place.arrival.script]
        user = self._seat_of(number, script, self._run_of(place), row, is_sampled=self._is_sampled(number))
        self._count("sessions_started", place)
        place.user = user
        place.session_start_ns = due_ns
        self._places[user] = place
        user.start(due_ns)

    def _refills(self, place: Place, ending: Ending) -> bool:
        """Tell whether another user takes the place: only one that failed is replaced where users stay or repeat."""
        population = self._populations[place.population]
        has_time = population.for_ns != NEVER_NS or place.arrival.until_ns != NEVER_NS
        if self._run_of(place).is_stopping or place.is_given_up or not has_time or population.at_end is AtEnd.END:
            return False
        return ending is Ending.FAILED or (ending is Ending.COMPLETED and population.at_end is AtEnd.RESTART)

    def _next_session_ns(self, place: Place, ending: Ending) -> int:
        run = self._run_of(place)
        length_ns = self._scripts[place.arrival.script].pace.played_ns
        if run.pacing is Pacing.ASAP:
            length_ns = 0 if ending is Ending.COMPLETED else MIN_REFILL_NS
        return next_pass_ns(place.session_start_ns, length_ns=length_ns, now_ns=run.port.now_ns())

    def _refill(self, place: Place, due_ns: int) -> None:
        if place not in self._waiting:
            return
        self._waiting.remove(place)
        self._seat(place, place.arrival.user + place.endings.total() * self._n_users, due_ns)

    # Ends.

    def _retire(self, place: Place, _due_ns: int) -> None:
        """The load shape goes down: whoever has the place ends after the step in flight."""
        if place.user is not None:
            place.is_given_up = True
            place.user.retire()
        else:
            self._give_up_waiting({place} & self._waiting)

    def _close_population(self, number: int, due_ns: int) -> None:
        """``--for`` is over: no step begins; what is in flight may end."""
        run = self._runs[number]
        if run.is_stopping or self._is_over:
            return
        run.is_stopping = run.is_retiring = True
        run.port.call_at(due_ns + run.deadlines.drain_ns, self._cut_population, number)
        self._give_up_waiting({place for place in self._waiting if place.population == number})
        for user in [user for user, place in self._places.items() if place.population == number]:
            user.stop()
        self._look_whether_over()

    def _cut_population(self, number: int, _due_ns: int) -> None:
        for user, place in list(self._places.items()):
            if place.population == number:
                user.cut()

    def _give_up_waiting(self, places: set[Place]) -> None:
        self._waiting -= places
        for place in places:
            self._give_up(place)

    def _give_up(self, place: Place) -> None:
        place.is_given_up = True
        self._count(f"users_{place.ending().value}", place)
        self._look_whether_over()

    def _look_whether_over(self) -> None:
        nobody_comes = not self._has_more or all(run.is_stopping for run in self._runs)
        if not self._is_over and not self._places and not self._waiting and nobody_comes:
            self._is_over = True
            self._on_over()

    def _count(self, name: str, place: Place) -> None:
        population = self._populations[place.population]
        meter = self._run_of(place).meter
        meter.count(name)
        if population.name:
            meter.count(name + population.suffix)

    def _run_of(self, place: Place) -> Run:
        return self._runs[place.population]

    def _call_at(self, at_ns: int, call: Callable[..., None], argument: object) -> None:
        run = self._runs[0]
        run.port.call_at(run.start_ns + at_ns, call, argument)

    def _is_sampled(self, user: int) -> bool:
        n = self._n_users
        if n <= self._sampled_users:
            return user < n
        digest = blake2b(b"%d/%d" % (self._populations[0].load.seed, user), digest_size=8).digest()
        return int.from_bytes(digest) % n < self._sampled_users
