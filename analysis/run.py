"""The run directory: facts, merged second-slots and the end of one run, written as it happens, read back whole.

``run.rush`` (mode 0600) holds all that is needed to rebuild every report. Every frame is on its way to the disk when
``add`` returns, so a killed controller leaves all but the last seconds. Must not know how a verdict is reached.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

from analysis.merge import ACROSS, MERGED, Grain, SlotMerge, Total, merge_measures, merge_slot
from analysis.recorded import Recorded
from analysis.runfile import FrameReader, FrameWriter
from analysis.series import PUSH_LAG, Labels, is_coarse, total_of, with_estimator
from analysis.slotcodec import slot_from_body
from analysis.slots import Measure, SecondSlot, SeriesKey
from analysis.storedslots import slot_from_stored, slot_to_stored
from captures.errors import CaptureError, ConfigError

RUN_FILE = "run.rush"
_SYNC_EVERY = 16


class Ended(Enum):
    """How a run came to its end."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFacts:
    """Which capture was replayed; ``sessions`` counts the recorded ones."""

    path: str
    sha256: str
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known about a run before it starts.

    Attributes:
        options, environment: for people and for comparing runs; values msgpack can hold, no secrets.
        started_at: ISO 8601 with offset.
        planned: by series name the steps of one full run: ``http`` (without assets), ``ws.connect``, ``ws.ready``,
            ``ws.reply``, ``ws.push_lag``, ``session``. ``verify`` and ``correlation`` follow ``session`` unless given.
        routes: names of all routes of the plan.
        dropped_origins: exchanges left out, by origin.
        storms: by number from 1: ``spec``, ``at_ns`` or ``every_ns``, ``how``, ``policy``, ``mode``,
            ``hits_all``.
        populations: of a scenario, in its order: ``name``, ``capture``, ``shape``, ``at_end``, ``users``,
            ``concurrent`` (planned, None where nobody knows), ``along`` (routes that only came for their values).
        duration_planned_s: how long the plan takes, 0 where nobody knows.
        attendance: planned ``arrivals`` within each second and ``users`` at its end, each only where it is known.
        warmup_s: so many seconds from the start on are measured but not judged.
        pushes: kinds of messages that the server pushes: ``route``, ``message``, ``estimator`` (what delivery can be
            measured by, "" where it cannot), ``due_ms`` (one is due so often, 0 where nobody knows).
        sizes: recorded means by ``route`` and ``message``: ``kind``, ``wire_bytes``, ``decoded_bytes``, ``items``.
    """

    capture: CaptureFacts
    plan_sha256: str
    options: Mapping[str, object]
    environment: Mapping[str, object]
    started_at: str
    target: str
    users_planned: int
    workers: int
    planned: Mapping[str, int]
    routes: tuple[str, ...] = ()
    dropped_origins: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    duration_planned_s: float = 0.0
    attendance: Mapping[str, Sequence[int]] = field(default_factory=dict)
    storms: tuple[Mapping[str, Any], ...] = ()
    populations: tuple[Mapping[str, Any], ...] = ()
    warmup_s: int = 0
    pushes: tuple[Mapping[str, Any], ...] = ()
    sizes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended; ``lost_workers`` are the numbers of those that never said they were done."""

    duration_s: float
    ended: Ended
    lost_workers: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What a run is judged by: thresholds as (expression, origin), and how strictly.

    Attributes:
        baseline: what it was compared with (``Baseline.to_body``), None without one.
        calibrations: the files of calibrated thresholds among them (``Calibration.to_body``).
    """

    thresholds: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    allow_lag: bool = False
    allow_inconclusive: bool = False
    baseline: Mapping[str, Any] | None = None
    calibrations: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything a run file holds, merged.

    Attributes:
        end: None where the file has no end: its controller died.
        judging: None where none was stored.
        seconds: by second the sum of all workers, series by name, kind and origin.
        windows: by first second of ten the series by route.
        workers: by second the workers that reported it.
        damage: what could not be read, in sentences.
        recorded: what the recording was like; empty where that was not stored.
    """

    facts: RunFacts
    end: RunEnd | None = None
    judging: Judging | None = None
    recorded: Recorded = field(default_factory=Recorded)
    seconds: dict[int, SecondSlot] = field(default_factory=dict)
    windows: dict[int, dict[SeriesKey, Measure]] = field(default_factory=dict)
    workers: dict[int, set[int]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    _whole: SecondSlot | None = None
    _judged: SecondSlot | None = None
    _by_route: dict[SeriesKey, Measure] | None = None
    _seen: set[tuple[int, int, int]] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        """True where the run was written to its end and all of it could be read."""
        return self.end is not None and not self.damage

    @property
    def duration_s(self) -> float:
        """Seconds from the run's start to its end, or to the last second that was stored."""
        if self.end is not None:
            return self.end.duration_s
        return float(max(self.seconds) + 1) if self.seconds else 0.0

    @property
    def whole(self) -> SecondSlot:
        """The sum of all seconds, steps included."""
        if self._whole is None:
            self._whole = _sum_of(self.seconds.values())
        return self._whole

    @property
    def judged(self) -> SecondSlot:
        """The sum of the seconds after the warm-up."""
        if not self.facts.warmup_s:
            return self.whole
        if self._judged is None:
            self._judged = _sum_of(self.judged_seconds.values())
        return self._judged

    @property
    def judged_seconds(self) -> dict[int, SecondSlot]:
        """``seconds`` after the warm-up; what ended then counts, however early it was due."""
        return {second: slot for second, slot in self.seconds.items() if second >= self.facts.warmup_s}

    @property
    def judged_windows(self) -> dict[int, dict[SeriesKey, Measure]]:
        """``windows`` after the warm-up; none reaches over its end."""
        return {start: measures for start, measures in self.windows.items() if start >= self.facts.warmup_s}

    @property
    def judged_s(self) -> float:
        """Seconds from the end of the warm-up to the run's end."""
        return max(0.0, self.duration_s - self.facts.warmup_s)

    @property
    def by_route(self) -> dict[SeriesKey, Measure]:
        """The sum of the windows after the warm-up, by full series key."""
        if self._by_route is None:
            self._by_route = {}
            for measures in self.judged_windows.values():
                merge_measures(self._by_route, measures)
        return self._by_route

    def measure(self, name: str, labels: Labels = ()) -> Measure:
        """Return the total of ``name{labels}`` after the warm-up; of ``ws.push_lag`` that of one estimator."""
        if name == PUSH_LAG:
            labels = with_estimator(self.judged.measures, labels)
        return total_of(self.judged.measures if is_coarse(labels) else self.by_route, name, labels)

    def add(self, total: Total) -> None:
        """Take over a stored total, unless one of its (worker, second) keys was counted before."""
        keys = {(int(total.grain), worker, second) for worker, second in total.keys}
        if keys & self._seen:
            return
        self._seen |= keys
        self._whole = self._judged = self._by_route = None
        slot = total.slot
        if total.grain is Grain.SECOND:
            kept = self.seconds.setdefault(slot.second, slot)
            if kept is not slot:
                merge_slot(kept, slot)
            self.workers.setdefault(slot.second, set()).update(worker for worker, _ in total.keys if worker != ACROSS)
        else:
            measures = self.windows.setdefault(slot.second, slot.measures)
            if measures is not slot.measures:
                merge_measures(measures, slot.measures)


def _sum_of(slots: Iterable[SecondSlot]) -> SecondSlot:
    total = SecondSlot(worker=MERGED, second=0)
    for slot in sorted(slots, key=lambda slot: slot.second):
        merge_slot(total, slot)
    return total


class _Frame(IntEnum):
    """Kinds of frames; the numbers are part of the file."""

    FACTS = 1
    TOTAL = 2
    END = 3
    JUDGING = 4
    RECORDED = 5
    STORED = 6
    """A total as ``storedslots`` packs it; ``TOTAL`` is how earlier versions wrote one."""


def _go_on() -> None:
    """Rest not at all."""


class RunWriter:
    """Stores a run as it happens; see ``open_run``."""

    def __init__(self, directory: Path, facts: RunFacts) -> None:
        self._frames = FrameWriter(directory / RUN_FILE)
        self._merge = SlotMerge(warmup_s=facts.warmup_s)
        self._n_totals = 0
        self._frames.append(_Frame.FACTS, _to_body(facts))
        self._frames.sync()

    def judge_by(self, judging: Judging) -> None:
        """Store what the run is judged by; the last one counts."""
        self._frames.append(_Frame.JUDGING, asdict(judging))

    def tell_recorded(self, recorded: Recorded) -> None:
        """Store what the recording was like; without it there is nothing to hold the run against."""
        self._frames.append(_Frame.RECORDED, recorded.to_body())

    def add(self, slot: SecondSlot, rest: Callable[[], None] = _go_on) -> bool:
        """Count a slot once per (worker, second); return False for one that was counted already.

        Args:
            rest: called between two pieces of the work.
        """
        is_new = self._merge.add(slot)
        for total in self._merge.ripe():
            rest()
            self._store(total, rest)
            self._n_totals += 1
            if self._n_totals % _SYNC_EVERY == 0:
                self._frames.sync()
        return is_new

    def finish(self, end: RunEnd) -> None:
        """Store what is left and how the run ended, and close the file."""
        for total in self._merge.rest():
            self._store(total)
        self._frames.append(_Frame.END, _to_body(end))
        self._frames.close()

    def close(self) -> None:
        """Close without an end, as after an error of our own; what was added stays readable."""
        for total in self._merge.rest():
            self._store(total)
        self._frames.close()

    def _store(self, total: Total, rest: Callable[[], None] = _go_on) -> None:
        body = [int(total.grain), [number for key in total.keys for number in key], slot_to_stored(total.slot)]
        rest()
        self._frames.append(_Frame.STORED, body)


def open_run(directory: Path, facts: RunFacts) -> RunWriter:
    """Make the run directory and start its run file.

    Raises:
        ConfigError: the directory exists and is not empty, or cannot be made.
    """
    prepare_directory(directory)
    return RunWriter(directory, facts)


def prepare_directory(directory: Path) -> None:
    """Make an empty directory (0700), or accept one that exists.

    Raises:
        ConfigError: it is not a directory, is not empty, or cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_empty = next(directory.iterdir(), None) is None
    except OSError as exc:
        raise ConfigError(f"cannot make the run directory {directory}: {exc.strerror}", "choose another --out") from exc
    if not is_empty:
        raise ConfigError(f"the run directory {directory} is not empty", "nothing is overwritten; choose another --out")


def append_judging(directory: Path, judging: Judging) -> None:
    """Store in a finished run what it was judged by."""
    frames = FrameWriter.reopen(directory / RUN_FILE)
    frames.append(_Frame.JUDGING, asdict(judging))
    frames.close()


def read_run(directory: Path) -> Run:
    """Read a run back; what is damaged or missing is told in ``Run.damage``.

    Raises:
        ConfigError: the directory holds no run.
        CaptureError: its run file is not one, or its beginning is lost.
    """
    path = directory / RUN_FILE
    if not path.is_file():
        raise ConfigError(f"{directory} is not a run directory, it holds no {RUN_FILE}", "name what replay --out wrote")
    reader = FrameReader(path)
    run: Run | None = None
    try:
        with _uncollected():
            for kind, body in reader.frames():
                if kind == _Frame.FACTS:
                    run = run or Run(facts=_facts_from(body))
                elif run is not None:
                    _take(run, kind, body)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as exc:
        reader.damage.append(
            f"{path}: a record has a form this version does not know, a newer one may have written it ({exc})"
        )
    if run is None:
        raise CaptureError(str(path), "the facts of the run are missing", hint="the run cannot be reported")
    run.damage = reader.damage
    if run.end is None:
        run.damage.append(f"{path}: the run has no end, its controller was killed")
    return run


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the cyclic collector from walking a growing heap again and again: it was half of the time.

    What was read is set aside for good: there are no cycles in it, and it goes when nobody refers to it any more.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _take(run: Run, kind: int, body: Any) -> None:
    if kind in (_Frame.TOTAL, _Frame.STORED):
        grain, keys, stored = body
        pairs = list(zip(keys[::2], keys[1::2], strict=True))
        slot = slot_from_stored(stored) if kind == _Frame.STORED else slot_from_body(stored)
        run.add(Total(Grain(grain), slot, pairs))
    elif kind == _Frame.END:
        end = RunEnd(**_known({**body, "ended": Ended(body["ended"])}, RunEnd))
        run.end = replace(end, lost_workers=tuple(end.lost_workers), notes=tuple(end.notes))
    elif kind == _Frame.RECORDED:
        run.recorded = Recorded.from_body(body)
    elif kind == _Frame.JUDGING:
        judging = Judging(**_known(body, Judging))
        run.judging = replace(
            judging,
            thresholds=tuple((expr, origin) for expr, origin in judging.thresholds),
            calibrations=tuple(judging.calibrations),
        )


def _to_body(record: RunFacts | RunEnd) -> dict[str, Any]:
    body = asdict(record)
    return {name: value.value if isinstance(value, Enum) else value for name, value in body.items()}


def _known(body: Mapping[str, Any], record: type) -> dict[str, Any]:
    """Leave out what only a newer version knows."""
    names = {each.name for each in fields(record)}
    return {name: value for name, value in body.items() if name in names}


def _facts_from(body: dict[str, Any]) -> RunFacts:
    capture = CaptureFacts(**_known(body["capture"], CaptureFacts))
    facts = RunFacts(**_known({**body, "capture": capture}, RunFacts))
    return replace(
        facts,
        routes=tuple(facts.routes),
        notes=tuple(facts.notes),
        storms=tuple(facts.storms),
        populations=tuple(facts.populations),
        pushes=tuple(facts.pushes),
        sizes=tuple(facts.sizes),
    )
