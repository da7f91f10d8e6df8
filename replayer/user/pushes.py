"""What a worker measures of messages that the server pushes: delivery, rhythm, silences, completeness. Pure.

Theory of operation. A server push has no request, so its lateness is estimated, in three ways that are never mixed:

    stamped     arrival − the server's own stamp in the message; absolute where both clocks are one, or are trusted.
                Elsewhere ``stamped_relative``: above the least of the last minute, so that clocks need not agree
    skew        arrival − first arrival of the same bytes on any socket; a lower bound. Workers keep what each socket
                of theirs saw, the controller finds the first of all (``analysis.broadcasts``)
    triggered   arrival − send of the message or request whose own fresh value the push repeats

Of what comes again and again on a socket also: ``ws.gap``, how far a gap is from the recorded one, of streams as
regular as a clock; ``ws.stall``, silences far longer than any recorded; ``ws.completeness``, received against due.
All count time in which the socket lived and, but for a socket that stays silent, had received the kind before. Servers
do not hurry: no speed divides these times.

A message of a kind that is not measured costs one look at an attribute; one that is, about a microsecond.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING

from analysis.broadcasts import WINDOW_S, late_of
from analysis.slots import Broadcast
from captures.units import NS_PER_MS, NS_PER_S
from replayer.plan.records import MessageKind
from replayer.plan.stamps import SEARCHED_BYTES, stamp_ns, stamp_search

if TYPE_CHECKING:
    from replayer.user.meter import Meter, Recorder

STALL_NS = 5 * NS_PER_S
STALL_FACTOR = 3
"""A silence is a stall above both: 5 s, and so many times the longest that was recorded."""
CLOCK_CV = 0.3
"""Gaps that vary less are a clock's, and their deviation from the recorded one says something."""
MAX_HELD = 2_000_000
"""Arrivals that a worker holds until their window is over; what is beyond is left out and counted."""
PRIVATE_AFTER = 500
"""So many different messages of which no two sockets received the same: they are not broadcast."""
_LEAST_SOCKETS = 8
_AHEAD_NS = 5 * NS_PER_MS
"""A stamp so far in the future is not the time of sending."""
_TRIGGER_NS = 60 * NS_PER_S
_REST_NS = 10 * NS_PER_S
_RESTS = 6


class Heard:
    """What one connection has received of one kind: when first, and last."""

    __slots__ = ("first_ns", "last_ns")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self.last_ns = first_ns


Hearing = dict[int, Heard]
"""By message kind: what one connection has received."""


class Triggers:
    """Values that users of this worker made and sent: when each was."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[int, int]] = {}

    def note(self, value: bytes, intended_ns: int, actual_ns: int) -> None:
        """Remember that a value went out; only its first time counts."""
        self._sent.setdefault(value, (intended_ns, actual_ns))

    def find(self, value: bytes) -> tuple[int, int] | None:
        """Return intended and actual time of a value's send, None where nobody here sent it."""
        return self._sent.get(value)

    def forget(self, now_ns: int) -> None:
        """Drop what is too old to be answered; the oldest stand first."""
        old = takewhile(lambda sent: sent[1][1] < now_ns - _TRIGGER_NS, self._sent.items())
        for value, _ in list(old):
            del self._sent[value]


class _RollingLeast:
    """The least of about the last minute."""

    __slots__ = ("_leasts", "_turn_ns")

    def __init__(self) -> None:
        self._leasts: list[int] = []
        self._turn_ns = 0

    def above(self, value: int, now_ns: int) -> int:
        """Take a value; return how far it is above the least."""
        if now_ns >= self._turn_ns:
            self._turn_ns = now_ns + _REST_NS
            self._leasts = [value, *self._leasts[: _RESTS - 1]]
        elif value < self._leasts[0]:
            self._leasts[0] = value
        return value - min(self._leasts)


class PushMeter:
    """All that one worker measures of one kind of pushed message.

    Args:
        is_absolute: the target's clock and this machine's are one, or are trusted to agree.
    """

    def __init__(self, number: int, kind: MessageKind, route: str, meter: Meter, *, is_absolute: bool) -> None:
        push = kind.push
        assert push is not None
        self.number = number
        self.route, self.message = route, kind.name
        self._push = push
        self._meter = meter
        self._lags = {name: self._recorder("ws.push_lag", estimator=name) for name in self._estimators(is_absolute)}
        self._stamp = stamp_search(push.stamp) if push.stamp else None
        self._stamped = self._lags.get("stamped")
        self._relative = self._lags.get("stamped_relative")
        self._least = _RollingLeast()
        self._echo = stamp_search(push.echo) if push.echo else None
        self._triggered = self._lags.get("triggered")
        self._gaps = self._recorder("ws.gap") if push.due_ns and push.gap_cv < CLOCK_CV else None
        self._stalls = self._recorder("ws.stall") if push.longest_gap_ns else None
        self._stall_ns = max(STALL_NS, STALL_FACTOR * push.longest_gap_ns)
        self._due = self._recorder("ws.completeness") if push.due_ns else None
        self._is_spread = push.is_distinct
        self._arrivals: dict[bytes, array[int]] = {}
        self._n_held = self._n_broadcasts = 0
        # Live time since the first message, summed over sockets: those that are over, and n × now − Σ first.
        self._over_ns = self._n_live = self._first_sum_ns = self._counted_ns = 0

    def _estimators(self, is_absolute: bool) -> list[str]:
        found = ["stamped" if is_absolute else "stamped_relative"] if self._push.stamp else []
        return [*found, *(["triggered"] if self._push.echo else [])]

    def _recorder(self, name: str, **labels: str) -> Recorder:
        return self._meter.recorder(name, route=self.route, message=self.message, **labels)

    def take(self, hearing: Hearing, data: bytes, end_ns: int) -> None:
        """Take one message of this kind that a socket received."""
        heard = hearing.get(self.number)
        if heard is None:
            hearing[self.number] = Heard(end_ns)
            self._n_live += 1
            self._first_sum_ns += end_ns
        else:
            gap_ns = end_ns - heard.last_ns
            heard.last_ns = end_ns
            if self._due is not None:
                self._due.measure.ok += 1
            if self._gaps is not None:
                away_ns = abs(gap_ns - self._push.gap_ns)
                self._gaps.took(away_ns)
            if gap_ns > self._stall_ns and self._stalls is not None:
                self._stalls.took(gap_ns)
            if self._is_spread:
                self._spread(heard, data, end_ns)
        if self._stamp is not None:
            self._take_stamp(data, end_ns)
        if self._echo is not None:
            self._take_echo(data, end_ns)

    def _spread(self, heard: Heard, data: bytes, end_ns: int) -> None:
        """Note an arrival; what a socket received from the time before it listened is history, and not late."""
        if self._n_held >= MAX_HELD:
            self._meter.count("push_arrivals_left_out")
            return
        arrivals = self._arrivals.get(data)
        if arrivals is None:
            self._arrivals[data] = array("q", (end_ns,))
            self._n_held += 1
        elif heard.first_ns < arrivals[0]:
            arrivals.append(end_ns)
            self._n_held += 1

    def _take_stamp(self, data: bytes, end_ns: int) -> None:
        assert self._stamp is not None
        found = self._stamp(data, 0, SEARCHED_BYTES)
        stamped_ns = stamp_ns(found[1]) if found is not None else None
        if stamped_ns is None:
            return
        late_ns = end_ns + self._meter.pushes.wall_offset_ns - stamped_ns
        if self._relative is not None:
            self._relative.took(self._least.above(late_ns, end_ns))
        elif late_ns < -_AHEAD_NS:
            self._meter.count("push_stamps_ahead")
        elif self._stamped is not None:
            self._stamped.took(late_ns)

    def _take_echo(self, data: bytes, end_ns: int) -> None:
        assert self._echo is not None
        found = self._echo(data, 0, SEARCHED_BYTES)
        times = self._meter.pushes.triggers.find(found[1]) if found is not None else None
        if times is not None and self._triggered is not None:
            self._triggered.ok(*times, end_ns, 0)

    def end(self, heard: Heard, now_ns: int) -> None:
        """A socket that received the kind is over: its unfinished gap counts as far as the recording's did."""
        self._over_ns += now_ns - heard.first_ns
        self._n_live -= 1
        self._first_sum_ns -= heard.first_ns
        silent_ns = now_ns - heard.last_ns
        if self._due is not None and self._push.gap_ns:
            spared = (1 - min(1.0, self._push.gap_cv) ** 2) * min(silent_ns / self._push.gap_ns, 1.0)
            self._due.measure.due_milli -= round(1000 * spared)
        if silent_ns > self._stall_ns and self._stalls is not None:
            self._stalls.took(silent_ns)

    def never(self, opened_ns: int, now_ns: int) -> None:
        """A socket is over that never received the kind although the recorded one did."""
        silent_ns = now_ns - opened_ns - self._push.wait_ns
        if silent_ns <= 0:
            return
        if self._due is not None:
            self._due.measure.due_milli += 1000 * silent_ns // self._push.due_ns
        if silent_ns > self._stall_ns and self._stalls is not None:
            self._stalls.took(silent_ns)

    def settle(self, now_ns: int, start_ns: int) -> list[Broadcast]:
        """Count the live time up to now; return the broadcasts whose window is over.

        Args:
            start_ns: of the run, monotonic.
        """
        live_ns = self._over_ns + self._n_live * now_ns - self._first_sum_ns
        if self._due is not None:
            due_milli = 1000 * (live_ns - self._counted_ns) // self._push.due_ns
            self._due.measure.due_milli += due_milli
            self._counted_ns += due_milli * self._push.due_ns // 1000
        return self._settled(now_ns - WINDOW_S * NS_PER_S, start_ns)

    def rest(self, start_ns: int) -> list[Broadcast]:
        """Return all broadcasts that are left, at the end."""
        return self._settled(1 << 62, start_ns)

    def _settled(self, until_ns: int, start_ns: int) -> list[Broadcast]:
        over = []
        for data, arrivals in self._arrivals.items():
            if arrivals[0] >= until_ns:
                break
            over.append(data)
        found = [self._broadcast(data, self._arrivals.pop(data), start_ns) for data in over]
        self._n_held -= sum(len(broadcast.late_us) // 4 for broadcast in found)
        self._look_whether_private(found)
        return found

    def _broadcast(self, data: bytes, arrivals: array[int], start_ns: int) -> Broadcast:
        digest = blake2b(data, digest_size=8).digest()
        return Broadcast(self.route, self.message, digest, arrivals[0] - start_ns, late_of(arrivals))

    def _look_whether_private(self, found: Sequence[Broadcast]) -> None:
        if any(len(broadcast.late_us) > 4 for broadcast in found):
            self._n_broadcasts = -1 << 62
        elif self._n_live >= _LEAST_SOCKETS:
            self._n_broadcasts += len(found)
            if self._n_broadcasts >= PRIVATE_AFTER:
                self._is_spread = False
                self._arrivals.clear()
                self._n_held = 0


class Pushes:
    """The push meters of one worker.

    Attributes:
        wall_offset_ns: wall clock − monotonic clock, as the worker says.
        triggers: what users sent.
    """

    def __init__(self) -> None:
        self._meters: dict[int, PushMeter] = {}
        self._broadcasts: list[Broadcast] = []
        self.wall_offset_ns = 0
        self.triggers = Triggers()

    def meter_of(
        self, number: int, kind: MessageKind, route: str, meter: Meter, *, is_absolute: bool
    ) -> PushMeter | None:
        """Return the meter of a kind, made at the first call; None where the server does not push it."""
        if kind.push is None:
            return None
        if number not in self._meters:
            self._meters[number] = PushMeter(number, kind, route, meter, is_absolute=is_absolute)
        return self._meters[number]

    def settle(self, now_ns: int, start_ns: int, *, is_end: bool = False) -> None:
        """Bring everything up to date before a second is handed over; at the end, leave nothing."""
        for meter in self._meters.values():
            self._broadcasts += meter.settle(now_ns, start_ns)
            if is_end:
                self._broadcasts += meter.rest(start_ns)
        self.triggers.forget(now_ns)

    def take_broadcasts(self) -> list[Broadcast]:
        """Return, once, the broadcasts whose arrivals are all in."""
        broadcasts, self._broadcasts = self._broadcasts, []
        return broadcasts

    def end(self, hearing: Hearing, expected: Sequence[int], opened_ns: int, now_ns: int) -> None:
        """A connection is over.

        Args:
            hearing: what it received.
            expected: kinds that the recorded socket received.
        """
        for number, heard in hearing.items():
            self._meters[number].end(heard, now_ns)
        for number in expected:
            if number not in hearing and number in self._meters:
                self._meters[number].never(opened_ns, now_ns)
