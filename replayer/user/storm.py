"""Storms as one worker's users meet them: who is struck when, and what is measured of it. Pure.

Every worker arms the same strikes at the same monotonic instants after the run's start. A strike takes the open sockets
of the users whose hash it hits; with a hook it is the server that drops sockets, and whoever loses one after that
instant comes back by the storm's policy. ``recovery`` knows how one socket comes back.

Users that a strike took a socket from are *touched* until the next strike: their requests and replies count once more,
in ``storm.touched``, so that what the others felt is the difference of two exact histograms.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.histogram import HIGHEST_US, NEVER_BUCKET
from analysis.series import is_selected
from analysis.slots import Measure
from replayer.failures import TIMEOUTS
from replayer.load.storms import How, Storm, Strike, is_struck, luck_of, strikes_of
from replayer.plan.records import Plan
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter, Recorder
from replayer.user.restoration import Restoration, restorations_of

if TYPE_CHECKING:
    from replayer.user.port import Port
    from replayer.user.steps import User

_COMPARED = frozenset({"http", "ws.reply"})
"""Series of which the share of touched users is kept apart."""


class Books:
    """What one worker measures of one strike; times are monotonic ns."""

    __slots__ = ("_label", "_meter", "attempts", "opened", "recovered")

    def __init__(self, meter: Meter, label: str) -> None:
        self._meter = meter
        self._label = label
        self.recovered = meter.recorder("storm.recovery", storm=label)
        self.opened = meter.recorder("storm.open", storm=label)
        self.attempts = meter.recorder("storm.attempt", storm=label)

    def requests(self, route: str) -> Recorder:
        """Return where the requests on the way back count."""
        return self._meter.recorder("storm.request", storm=self._label, route=route)

    def never(self, why: str) -> None:
        """Count a socket that did not come back: an error, and beyond every time in the latency series."""
        measure = self.recovered.measure
        measure.errors[why] = measure.errors.get(why, 0) + 1
        measure.latency[NEVER_BUCKET] = measure.latency.get(NEVER_BUCKET, 0) + 1
        measure.latency_max_us = HIGHEST_US
        measure.latency_sum_us += HIGHEST_US


class Storms:
    """What the users of one worker share of the run's storms.

    Args:
        storms: of the run, in order.
        seed: of the run.
        users: the users that are there at the moment of the call.
        is_stopping: whether the run has begun to end: nobody is struck any more.
    """

    def __init__(
        self,
        storms: Sequence[Storm],
        *,
        seed: int,
        plan: Plan,
        meter: Meter,
        port: Port,
        users: Callable[[], Iterable[User]],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._storms = storms
        self._seed = seed
        self._plan = plan
        self._meter = meter
        self._port = port
        self._users = users
        self._is_stopping = is_stopping
        self._start_ns = 0
        self._restorations: dict[int, tuple[Restoration, ...]] = {}
        self._touched: dict[LinkedScript, LinkedScript] = {}
        self._plain: dict[LinkedScript, LinkedScript] = {}
        self._books: dict[str, Books] = {}
        self.hook: Strike | None = None

    def arm(self, start_ns: int) -> None:
        """Strike at the planned instants after ``start_ns``."""
        self._start_ns = start_ns
        for number, storm in enumerate(self._storms, 1):
            self._arm_next(strikes_of(number, storm))

    def books(self, strike: Strike) -> Books:
        """Return where a strike is measured."""
        found = self._books.get(strike.label)
        if found is None:
            found = self._books[strike.label] = Books(self._meter, strike.label)
        return found

    def restorations(self, script: LinkedScript) -> tuple[Restoration, ...]:
        """Return what is sent again, by socket of a script."""
        key = id(script.script)
        found = self._restorations.get(key)
        if found is None:
            found = self._restorations[key] = restorations_of(self._plan, script.script)
        return found

    def luck(self, strike: Strike, user: int, attempt: int) -> float:
        """Return a user's random number in [0, 1) for one attempt."""
        return luck_of(strike, self._seed, user, attempt)

    def touched(self, script: LinkedScript) -> LinkedScript:
        """Return the same script, counting into ``storm.touched`` too."""
        if script in self._plain:
            return script
        twin = self._touched.get(script)
        if twin is None:
            twin = self._touched[script] = self._twin(script)
            self._plain[twin] = script
        return twin

    def _arm_next(self, strikes: Iterator[Strike]) -> None:
        strike = next(strikes, None)
        if strike is not None:
            self._port.call_at(self._start_ns + strike.at_ns, self._strike, (strike, strikes))

    def _strike(self, due: tuple[Strike, Iterator[Strike]], due_ns: int) -> None:
        strike, strikes = due
        if self._is_stopping():
            return
        self._meter.count(f"storm_strikes:{strike.label}")
        is_hook = strike.storm.loss.how is How.HOOK
        if is_hook:
            self.hook = strike
        for user in list(self._users()):
            user.script = self._plain.get(user.script, user.script)
            if not is_hook and is_struck(strike, self._seed, user.number):
                user.strike(strike, due_ns)
        self._arm_next(strikes)

    def _twin(self, script: LinkedScript) -> LinkedScript:
        twin = copy.copy(script)
        tees = {recorder: self._tee(recorder) for recorder in script.recorders}
        twin.recorders = [tees[recorder] for recorder in script.recorders]
        twin.requests = [copy.copy(request) for request in script.requests]
        for request in twin.requests:
            if request is not None:
                request.recorder = tees[request.recorder]
        return twin

    def _tee(self, recorder: Recorder) -> Recorder:
        name = recorder.key[0]
        if name not in _COMPARED or not is_selected(recorder.key, name, ()):
            return recorder
        return Tee(recorder, self._meter.recorder("storm.touched", of=name))


class Tee(Recorder):
    """Counts what it is told in two series: the usual one, which it stands for, and another one besides."""

    __slots__ = ("_besides", "_usual")

    def __init__(self, usual: Recorder, besides: Recorder) -> None:
        self._usual = usual
        self._besides = besides
        self.key = usual.key

    @property
    def measure(self) -> Measure:  # type: ignore[override]  # the usual recorder's, which changes every second
        """The usual series in the current second."""
        return self._usual.measure

    def ok(self, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int) -> None:
        """Count a success."""
        self._usual.ok(intended_ns, actual_ns, end_ns, n_bytes)
        self._besides.ok(intended_ns, actual_ns, end_ns, n_bytes)

    def failed(self, failure: str, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        """Count a failure; besides, only a timeout, because it enters the latency series."""
        self._usual.failed(failure, intended_ns, actual_ns, end_ns)
        if failure in TIMEOUTS:
            self._besides.failed(failure, intended_ns, actual_ns, end_ns)

    def mismatched(self, kind: str, intended_ns: int, end_ns: int, n_bytes: int) -> None:
        """Count a wrong answer, once."""
        self._usual.mismatched(kind, intended_ns, end_ns, n_bytes)
