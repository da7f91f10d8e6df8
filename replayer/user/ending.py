"""What a user does when its script is over before the run is: the part that is played again, and its rhythm. Pure.

The *opening* of a script is everything up to the last step of its login and connect chain: the steps that open sockets
and those that carry credentials. What comes after it is the *steady part*, less what is done once in a socket's life:
a message is sent again only where its kind was recorded more than once on its socket. Values that the opening brought
stay the user's; steps that waited for it are free. So everything a repeated step uses is still alive.

The *closing* part is what would end a user who is to stay: the closes of the sockets that are open to the end, and
writes after the last of them. It is taken out of the script before the run (``closing_steps``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from captures.units import NS_PER_S
from replayer.plan.records import Script, SlotKind, Step, StepKind, Template
from replayer.user.meter import Meter


class AtEnd(Enum):
    """What becomes of a user whose script ends before the run does."""

    END = "end"
    """It ends."""
    RESTART = "restart"
    """Its place is taken by a user with a fresh identity, who plays the script from the start."""
    REPEAT = "repeat"
    """It plays the steady part again, with the same login and the same sockets."""
    HOLD = "hold"
    """It stays: sockets open, heartbeats answered, still measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The part of a linked script that is played again.

    Attributes:
        steps: in order; empty where there is nothing to repeat.
        n_needs: by step of the whole script: how many of its needs are in the steady part.
        roots: steps of it that need none, in order of their place.
        start_ns: place on the script's run timeline where the steady part begins.
        period_ns: how long it takes when it is played on time, at least 1 ms.
    """

    steps: tuple[int, ...]
    n_needs: tuple[int, ...]
    roots: tuple[int, ...]
    start_ns: int
    period_ns: int


MIN_PERIOD_NS = 1_000_000
"""Twice the grid of the workers' timers: nothing is repeated faster."""


def steady_of(script: Script, *, ideal_ns: Sequence[int], needs: Sequence[Collection[int]], played_ns: int) -> Steady:
    """Return the steady part of a script as it is linked.

    Args:
        ideal_ns: by step, place on the run's timeline.
        needs: by step, those it waits for in this run.
        played_ns: how long the script takes when it is played on time.
    """
    first = opening_length(script)
    seen = Counter((step.socket, step.kind, step.message_kind) for step in script.steps)
    kept = [step.index for step in script.steps[first:] if not _is_once(script, step, seen)]
    inside = frozenset(kept)
    n_needs = [len(inside & frozenset(each)) for each in needs]
    roots = sorted((index for index in kept if not n_needs[index]), key=lambda index: (ideal_ns[index], index))
    start_ns = max((ideal_ns[index] for index in range(first)), default=0)
    return Steady(
        steps=tuple(kept),
        n_needs=tuple(n_needs),
        roots=tuple(roots),
        start_ns=start_ns,
        period_ns=max(MIN_PERIOD_NS, played_ns - start_ns),
    )


def opening_length(script: Script) -> int:
    """Return how many steps the opening has: up to the last that connects or carries credentials."""
    credentials = _slots_of_credentials(script)
    chain = (
        step.index
        for step in script.steps
        if step.kind is StepKind.CONNECT or not credentials.isdisjoint(slots_in(step))
    )
    return max(chain, default=-1) + 1


def closing_steps(script: Script) -> frozenset[int]:
    """Return the steps that would end a user who is to stay."""
    last_connect = max((step.index for step in script.steps if step.kind is StepKind.CONNECT), default=-1)
    closes = {
        step.index for step in script.steps if step.kind is StepKind.CLOSE and step.index > last_connect
    }  # An earlier close is the way from page to page.
    last_close = max(closes, default=len(script.steps))
    return frozenset(closes | {step.index for step in script.steps[last_close:] if step.is_unsafe})


def farewells(script: Script) -> frozenset[int]:
    """Return the SEND steps that say goodbye: unanswered, and the close of their socket follows within a second.

    A server may end the socket on such a message (SignalR's, STOMP's, a "bye" of the application's own) before its
    client does; who is first is a race.
    """
    found = set()
    latest: dict[int, Step] = {}
    for step in script.steps:
        if step.socket < 0:
            continue
        before = latest.get(step.socket)
        is_close = step.kind is StepKind.CLOSE and before is not None and step.at_ns - before.at_ns <= NS_PER_S
        if is_close and before is not None and before.kind is StepKind.SEND and before.reply < 0:
            found.add(before.index)
        latest[step.socket] = step
    return frozenset(found)


def on_time_ns(script: Script, ideal_ns: Sequence[int], speed: float) -> int:
    """Return when the last step ends if all start on time; services take as long as recorded, whatever the speed.

    A message comes as long after what was sent last before it as recorded, divided by the speed.
    """
    on_time, sent_ns, placed_ns = 0, 0, 0
    for step in script.steps:
        if step.kind is StepKind.RECEIVE:
            end_ns = placed_ns + int((step.at_ns - sent_ns) / speed)
        else:
            sent_ns, placed_ns = step.at_ns, ideal_ns[step.index]
            end_ns = placed_ns + step.duration_ns
        if not step.kept_open:
            on_time = max(on_time, end_ns)
    return on_time


def next_pass_ns(pass_start_ns: int, *, length_ns: int, now_ns: int) -> int:
    """Return when the next pass begins: in the recorded rhythm, or now where the last one took longer."""
    return max(now_ns, pass_start_ns + length_ns)


def slots_in(step: Step) -> set[int]:
    """Return the numbers of the slots that a step is rendered from."""
    request = step.request
    templates: list[Template] = [step.payload]
    if request is not None:
        templates += [request.target, request.body, *(value for _, value in request.headers)]
    return {part for template in templates for part in template if isinstance(part, int)}


def _slots_of_credentials(script: Script) -> frozenset[int]:
    inputs = {number for number, slot in enumerate(script.slots) if slot.kind is SlotKind.INPUT}
    derived = {
        number
        for number, slot in enumerate(script.slots)
        if slot.kind is SlotKind.DERIVED and int(slot.detail.partition(":")[0]) in inputs
    }
    return frozenset(inputs | derived)


def _is_once(script: Script, step: Step, seen: Counter[tuple[int, StepKind, int]]) -> bool:
    """Tell whether a step belongs to its socket's life and not to the rhythm: what was recorded once is done once."""
    if step.kind is StepKind.CLOSE or step.kind is StepKind.CONNECT:
        return True
    if step.kind is StepKind.REQUEST:
        return step.kept_open  # It still streams.
    asked = script.steps[step.reply_to] if step.reply_to >= 0 else step
    return seen[asked.socket, asked.kind, asked.message_kind] < 2


class Pace:
    """What a script's sessions lost against the recorded timeline (design §6): slip and stretch, once per session.

    ``session.slip`` takes the largest slip of a session's steps. ``session.stretch`` takes how long the session took
    as a multiple of its length on time; 1.0 is written as 1000 ms. Worked value: 12 s for a script of 10 s is 1200 ms.

    Args:
        played_ns: how long the script takes, with the pause after its last step.
        on_time_ns: when its last step ends if every step starts on time and takes as long as it did.
    """

    __slots__ = ("_on_time_ns", "_slip", "_stretch", "played_ns")

    def __init__(self, meter: Meter, *, played_ns: int, on_time_ns: int) -> None:
        self.played_ns = played_ns
        self._on_time_ns = on_time_ns
        self._slip = meter.recorder("session.slip")
        self._stretch = meter.recorder("session.stretch")

    def note(self, took_ns: int, slip_ns: int) -> None:
        """Take a session that was played to its end."""
        self._slip.took(slip_ns)
        if self._on_time_ns:
            stretch_ns = took_ns * NS_PER_S // self._on_time_ns
            self._stretch.took(stretch_ns)
