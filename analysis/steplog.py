"""Whole step records as bytes: packed when a worker keeps them, opened by who reads a report. Pure.

They cross a pipe and lie in a run file without being looked at, since whoever codes 500 of them at the end of each
second sends nothing meanwhile. A log is a list of parts, one for each worker and second::

    part:     [kinds, rows, evidence]
    kinds:    [name, labels, outcome, status] …, labels flat: key, value, key, value
    rows:     8 bytes a number, signed and little-endian, seven numbers a step: user, session, step, number of its kind,
              intended_ns, actual − intended, end − intended
    evidence: [number of the row, detail, request, slots, recorded] …, of the rows that have any; slots flat, too
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.slots import SeriesKey

_N_NUMBERS = 7
_KIND = 3
_Evidence = tuple[str, str, tuple[tuple[str, str], ...], str]
_NONE: _Evidence = ("", "", (), "")


@dataclass(slots=True)
class StepRecord:
    """One step as it was played, kept whole for sampled users and for the first failures.

    Times are ns relative to the run's start. ``outcome`` is ``ok``, a failure class or ``mismatch_<kind>``.
    ``detail`` says what was seen instead, already free of secrets. Of failures also: ``request`` as it was sent, with
    the names of its slots; ``slots`` as (name, value), secrets replaced; ``recorded``, what the recording shows there.
    """

    user: int
    session: int
    step: int
    series: SeriesKey
    intended_ns: int
    actual_ns: int
    end_ns: int
    outcome: str
    status: int = 0
    detail: str = ""
    request: str = ""
    slots: tuple[tuple[str, str], ...] = ()
    recorded: str = ""


class _Part:
    """Steps of one worker in one second."""

    __slots__ = ("evidence", "kinds", "rows")

    def __init__(self) -> None:
        self.kinds: dict[tuple[SeriesKey, str, int], int] = {}
        self.rows = array("q")
        self.evidence: dict[int, _Evidence] = {}

    def __len__(self) -> int:
        return len(self.rows) // _N_NUMBERS

    def __iter__(self) -> Iterator[StepRecord]:
        kinds, evidence = list(self.kinds), self.evidence
        numbers = iter(self.rows)
        rows = zip(*(numbers,) * _N_NUMBERS, strict=True)
        for number, (user, session, step, kind, intended_ns, lag_ns, took_ns) in enumerate(rows):
            series, outcome, status = kinds[kind]
            yield StepRecord(
                user,
                session,
                step,
                series,
                intended_ns,
                intended_ns + lag_ns,
                intended_ns + took_ns,
                outcome,
                status,
                *evidence.get(number, _NONE),
            )


class StepLog:
    """Step records in the order in which they were kept; one that was added to another is not appended to any more."""

    __slots__ = ("_open", "_parts")

    def __init__(self, records: Iterable[StepRecord] = ()) -> None:
        self._parts: list[_Part] = []
        self._open: _Part | None = None
        for record in records:
            self.append(record)

    def append(self, record: StepRecord) -> None:
        """Keep one more."""
        part = self._open
        if part is None:
            part = self._open = _Part()
            self._parts.append(part)
        kinds = part.kinds
        kind = kinds.setdefault((record.series, record.outcome, record.status), len(kinds))
        intended_ns = record.intended_ns
        part.rows.extend(
            (
                record.user,
                record.session,
                record.step,
                kind,
                intended_ns,
                record.actual_ns - intended_ns,
                record.end_ns - intended_ns,
            )
        )
        if record.detail or record.request or record.slots or record.recorded:
            seen = (record.detail, record.request, record.slots, record.recorded)
            part.evidence[len(part) - 1] = seen

    def __iadd__(self, other: StepLog) -> StepLog:
        self._parts += other._parts
        self._open = None
        return self

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[StepRecord]:
        for part in self._parts:
            yield from part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepLog) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"StepLog({list(self)!r})"


def log_to_body(log: StepLog) -> list[list[Any]]:
    """Return a log as a list that msgpack can hold."""
    return [
        [
            [[name, flat(labels), outcome, status] for (name, labels), outcome, status in part.kinds],
            _swapped(part.rows).tobytes(),
            [
                [number, detail, request, flat(slots), recorded]
                for number, (detail, request, slots, recorded) in part.evidence.items()
            ],
        ]
        for part in log._parts
    ]


def log_from_body(body: Any) -> StepLog:
    """Reverse ``log_to_body``.

    Raises:
        ValueError, TypeError, IndexError: the body is not a log.
    """
    log = StepLog()
    log._parts = [_part_from(*each[:3]) for each in body]
    return log


def _part_from(kinds: Any, rows: Any, evidence: Any) -> _Part:
    part = _Part()
    part.kinds = {
        ((name, pairs(labels)), outcome, status): number for number, (name, labels, outcome, status) in enumerate(kinds)
    }
    part.rows = _swapped(array("q", rows))
    used = part.rows[_KIND::_N_NUMBERS]
    if len(part.rows) % _N_NUMBERS or len(part.kinds) != len(kinds) or (used and not _is_within(used, len(kinds))):
        raise ValueError("steps of no kind")
    part.evidence = {
        number: (detail, request, pairs(slots), recorded) for number, detail, request, slots, recorded in evidence
    }
    return part


def _is_within(numbers: array[int], end: int) -> bool:
    return min(numbers) >= 0 and max(numbers) < end


def _swapped(numbers: array[int]) -> array[int]:
    """Little-endian from the machine's order, and back."""
    if sys.byteorder == "little":
        return numbers
    numbers = numbers[:]
    numbers.byteswap()
    return numbers


def flat(texts: tuple[tuple[str, str], ...]) -> list[str]:
    """Return pairs as ``key, value, key, value``."""
    return [text for pair in texts for text in pair]


def pairs(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """Reverse ``flat``."""
    return tuple(zip(texts[::2], texts[1::2], strict=True))
