"""Messages that one socket waits for, oldest first, with one timer for all of their deadlines. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from replayer.plan.records import Step, StepKind
from replayer.user.port import Run

TIMES_RECORDED = 3


class Awaited(NamedTuple):
    """A message that is due: ``intended_ns`` and ``actual_ns`` of the send it answers, or of when it was waited for.

    ``is_again``: it answers what was sent again after a storm; ``ends_step``: a step of the script waits for it.
    """

    step: int
    kind: int
    key: bytes
    intended_ns: int
    actual_ns: int
    deadline_ns: int
    is_again: bool = False
    ends_step: bool = True


class Waiting:
    """What one socket waits for.

    Args:
        on_late: called with each message that did not come by its deadline; it may end the wait for others.
    """

    __slots__ = ("_is_watched", "_on_late", "_queues", "_run")

    def __init__(self, run: Run, on_late: Callable[[Awaited, int], None]) -> None:
        self._run = run
        self._on_late = on_late
        self._queues: dict[int, deque[Awaited]] = {}
        self._is_watched = False

    def add(self, due: Awaited) -> None:
        """Wait for a message."""
        self._queues.setdefault(due.kind, deque()).append(due)
        self._watch()

    def queue(self, kind: int) -> deque[Awaited] | None:
        """Return what is awaited of a kind; None or empty where nothing is."""
        return self._queues.get(kind)

    def take_all(self) -> list[Awaited]:
        """Return everything that is awaited and wait for nothing any more."""
        everything = [due for queue in self._queues.values() for due in queue]
        for queue in self._queues.values():
            queue.clear()  # Subtle: ``_expire`` may be going through one of them.
        return everything

    def _watch(self) -> None:
        """Keep one timer, for the earliest deadline, however many messages are due."""
        if not self._is_watched:
            deadlines = [queue[0].deadline_ns for queue in self._queues.values() if queue]
            if deadlines:
                self._is_watched = True
                self._run.port.call_at(min(deadlines), self._expire, None)

    def _expire(self, _argument: None, _due_ns: int) -> None:
        self._is_watched = False
        now_ns = self._run.port.now_ns()
        for queue in list(self._queues.values()):
            while queue and queue[0].deadline_ns <= now_ns:
                self._on_late(queue.popleft(), now_ns)
        self._watch()


def patience_of(steps: Sequence[Step]) -> list[int]:
    """Return by step the least time in ns that its message is waited for, whatever the deadline: three times the
    longest recorded wait for a message of its kind; of SEND steps with a reply and of RECEIVE steps that are no reply.
    """
    if all(step.socket < 0 for step in steps):
        return [0] * len(steps)
    waits = [(_awaited_kind(steps, step), _recorded_wait_ns(steps, step)) for step in steps]
    longest: dict[tuple[int, int, bool], int] = {}
    for kind, wait_ns in waits:
        longest[kind] = max(longest.get(kind, 0), wait_ns)
    return [TIMES_RECORDED * longest[kind] for kind, _ in waits]


def _awaited_kind(steps: Sequence[Step], step: Step) -> tuple[int, int, bool]:
    is_answer = step.reply >= 0
    return (step.route, steps[step.reply].message_kind if is_answer else step.message_kind, is_answer)


def _recorded_wait_ns(steps: Sequence[Step], step: Step) -> int:
    if step.reply >= 0:
        return max(0, steps[step.reply].at_ns - step.at_ns)
    return step.think_ns if step.kind is StepKind.RECEIVE and step.reply_to < 0 else 0
