"""Whole sessions as they were played, beside their recording: which was slowest, which is typical, which failed. Pure.

Step records of one user are split where a step comes again: that is its next pass through the script. A recorded
session is matched by its number and by the series of its steps, since captures of several populations may share
numbers. The arrival of the user is the latest that lets no step be due before its place in the recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.recorded import RecordedSession, RecordedStep
from analysis.run import Run
from analysis.slots import SeriesKey
from analysis.steplog import StepRecord

LEAST_STEPS = 3
"""A waterfall of fewer steps says nothing of a session."""
_OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedStep:
    """One step; times are ns after the user's arrival, ``recorded`` is None where the recording is not known."""

    index: int
    series: SeriesKey
    intended_ns: int
    actual_ns: int
    end_ns: int
    outcome: str
    detail: str
    recorded: RecordedStep | None

    @property
    def is_ok(self) -> bool:
        """Whether it ended as recorded."""
        return self.outcome == _OK

    @property
    def late_ns(self) -> int:
        """How much later it ended than in the recording; what it took, where that is not known."""
        if self.recorded is None:
            return self.end_ns - self.intended_ns
        return self.end_ns - self.recorded.at_ns - self.recorded.duration_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedSession:
    """One pass of a user through a script, steps in order of their intended start."""

    user: int
    number: int
    arrived_ns: int
    steps: tuple[PlayedStep, ...]

    @property
    def has_failed(self) -> bool:
        """Whether a step of it failed or was answered wrongly."""
        return any(not step.is_ok for step in self.steps)

    @property
    def late_ns(self) -> int:
        """How much later than recorded its last step ended, of those that the recording has."""
        known = [step for step in self.steps if step.recorded is not None] or self.steps
        return max(known, key=lambda step: step.end_ns).late_ns

    @property
    def duration_ns(self) -> int:
        """From the user's arrival to the last step's end."""
        return max(step.end_ns for step in self.steps)


def chosen_sessions(run: Run) -> list[tuple[str, PlayedSession]]:
    """Return the slowest, the median and a failed session, each with its name; a session is shown once."""
    played = [session for session in sessions_of(run) if len(session.steps) >= LEAST_STEPS]
    good = sorted((each for each in played if not each.has_failed), key=lambda each: each.late_ns)
    failed = [each for each in played if each.has_failed]
    found = []
    if good:
        found.append(("slowest", good[-1]))
    if len(good) > 1:
        found.append(("median", good[(len(good) - 1) // 2]))
    if failed:
        found.append(("failed", max(failed, key=lambda each: len(each.steps))))
    return found


def sessions_of(run: Run) -> Iterator[PlayedSession]:
    """Return every pass of which whole records were kept."""
    recorded: defaultdict[int, list[RecordedSession]] = defaultdict(list)
    for session in run.recorded.sessions:
        recorded[session.number].append(session)
    by_user: defaultdict[tuple[int, int], list[StepRecord]] = defaultdict(list)
    for step in run.whole.steps:
        by_user[step.user, step.session].append(step)
    for (user, number), steps in sorted(by_user.items()):
        steps.sort(key=lambda step: (step.intended_ns, step.step))
        for one_pass in _passes(steps):
            yield _played(user, number, one_pass, _match(one_pass, recorded[number]))


def _passes(steps: Sequence[StepRecord]) -> Iterator[list[StepRecord]]:
    current: list[StepRecord] = []
    seen: set[int] = set()
    for step in steps:
        if step.step in seen:
            yield current
            current, seen = [], set()
        current.append(step)
        seen.add(step.step)
    if current:
        yield current


def _match(steps: Sequence[StepRecord], candidates: Sequence[RecordedSession]) -> Mapping[int, RecordedStep]:
    best: Mapping[int, RecordedStep] = {}
    most = 0
    for candidate in candidates:
        by_index = {step.index: step for step in candidate.steps}
        n_same = sum(1 for step in steps if step.step in by_index and by_index[step.step].series == step.series)
        if n_same > most:
            best, most = by_index, n_same
    return best


def _played(user: int, number: int, steps: Sequence[StepRecord], recorded: Mapping[int, RecordedStep]) -> PlayedSession:
    pairs = [(step, _same(step, recorded.get(step.step))) for step in steps]
    arrived_ns = _arrival_ns(pairs)
    return PlayedSession(
        user=user,
        number=number,
        arrived_ns=arrived_ns,
        steps=tuple(
            PlayedStep(
                index=step.step,
                series=step.series,
                intended_ns=step.intended_ns - arrived_ns,
                actual_ns=max(step.actual_ns, step.intended_ns) - arrived_ns,
                end_ns=max(step.end_ns, step.actual_ns, step.intended_ns) - arrived_ns,
                outcome=step.outcome,
                detail=step.detail,
                recorded=then,
            )
            for step, then in pairs
        ),
    )


def _same(step: StepRecord, then: RecordedStep | None) -> RecordedStep | None:
    return then if then is not None and then.series == step.series else None


def _arrival_ns(pairs: Iterable[tuple[StepRecord, RecordedStep | None]]) -> int:
    pairs = list(pairs)
    placed = [step.intended_ns - then.at_ns for step, then in pairs if then is not None]
    first_ns = min(step.intended_ns for step, _ in pairs)
    return min([first_ns, *placed])
