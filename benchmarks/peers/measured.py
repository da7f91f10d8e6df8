"""What was measured so far, kept in ``.bench``: a benchmark of half an hour can be interrupted and goes on.

The first line tells what all samples have in common (machine, versions, length of a turn); each further line is one
sample, written when it was measured. Where that differs from what is asked for now, what was kept says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.peers.calm import MOST_TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value.

    Attributes:
        part: of the benchmark; name: of what was measured in it.
        turn: number of the round, from 0.
        taken: share of the time that others took of a core.
        date, revision: when, and of which commit.
    """

    part: str
    name: str
    turn: int
    value: float
    taken: float
    date: str
    revision: str


class Measured:
    """The samples of a benchmark; ``setting`` is what all of them must have in common."""

    def __init__(self, path: Path, setting: Mapping[str, object]) -> None:
        self._path = path
        self._setting = dict(setting)
        self._samples = self._kept()
        if not self._samples:
            self._write_all()

    def _kept(self) -> list[Sample]:
        if not self._path.exists():
            return []
        first, *rest = self._path.read_text(encoding="utf-8").splitlines()
        return [Sample(**json.loads(line)) for line in rest] if json.loads(first) == self._setting else []

    def _write_all(self) -> None:
        lines = [self._setting, *map(asdict, self._samples)]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def add(self, sample: Sample) -> None:
        """Keep one more."""
        self._samples.append(sample)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(sample)) + "\n")

    def forget(self, parts: Collection[str]) -> None:
        """Drop the samples of some parts."""
        self._samples = [sample for sample in self._samples if sample.part not in parts]
        self._write_all()

    def has(self, part: str, name: str, turn: int) -> bool:
        """Tell whether something was measured in a round."""
        return any((s.part, s.name, s.turn) == (part, name, turn) for s in self._samples)

    def values(self, part: str, name: str) -> list[float]:
        """Return all values of one thing, by round."""
        return [s.value for s in sorted(self._samples, key=lambda s: s.turn) if (s.part, s.name) == (part, name)]

    def median(self, part: str, name: str) -> float | None:
        """Return the median of one thing; None where it was not measured."""
        values = self.values(part, name)
        return median(values) if values else None

    def names(self, part: str) -> list[str]:
        """Return what was measured of a part, in order of the first sample."""
        return list(dict.fromkeys(sample.name for sample in self._samples if sample.part == part))

    def origin(self, part: str) -> str:
        """Tell in how many rounds, when, and of which commits a part was measured, and how calm it was."""
        samples = [sample for sample in self._samples if sample.part == part]
        turns = len({sample.turn for sample in samples})
        dates, revisions = (sorted({getattr(s, each) for s in samples}) for each in ("date", "revision"))
        n_disturbed = sum(sample.taken > MOST_TAKEN for sample in samples)
        disturbed = f"; {n_disturbed} of {len(samples)} figures disturbed by other programs" if n_disturbed else ""
        return f"{turns} rounds, {', '.join(dates)}, revision {', '.join(revisions)}{disturbed}"
