"""Loads whole captures into memory; ``load_sessions`` does it from events."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from captures.assembly import Assembler
from captures.errors import CaptureError
from captures.format.index import Note
from captures.format.reader import Reader, open_capture, sha256_of
from captures.records import Event, Session

LEFT_OUT = "left_out_origin"


@dataclass(slots=True, kw_only=True)
class Capture:
    """A whole capture in memory.

    Attributes:
        path: as it was named.
        sha256: of the file, in hex.
        header: see ``Reader.header``.
        complete: whether nothing is damaged or missing.
        damage: one sentence per damage.
        notes: what the recorder noted, about exchanges and about the recording as a whole, in order.
    """

    path: str
    sha256: str
    header: dict[str, object]
    complete: bool
    damage: list[str]
    sessions: list[Session]
    notes: list[Note] = field(default_factory=list)

    @property
    def left_out(self) -> dict[str, int]:
        """Requests that passed through unrecorded because their origin was out of scope, by origin."""
        return left_out_of(self.notes)


def left_out_of(notes: Iterable[Note]) -> dict[str, int]:
    """The counts of all ``left_out_origin`` notes, by origin; a note holds ``[origin, n]`` or ``{origin: n, …}``."""
    counts: Counter[str] = Counter()
    for note in notes:
        if note.name != LEFT_OUT:
            continue
        pairs = note.value.items() if isinstance(note.value, dict) else [note.value]
        for pair in pairs:
            match pair:
                case [str(origin), int(count)]:
                    counts[origin] += count
    return dict(counts)


def load_capture(path: str | os.PathLike[str], *, allow_damage: bool = False) -> Capture:
    """Load a whole capture.

    Args:
        path: the file.
        allow_damage: go on with the good records of a damaged file.

    Raises:
        CaptureError: not a readable capture; or it is damaged, and that is not allowed.
    """
    with open_capture(path) as reader:
        assembler = Assembler()
        for event in reader.events():
            assembler.add(event)
        if not reader.complete and not allow_damage:
            raise damaged_error(reader)
        return Capture(
            path=reader.path,
            sha256=sha256_of(path),
            header=reader.header,
            complete=reader.complete,
            damage=reader.damage,
            sessions=assembler.sessions(),
            notes=assembler.notes,
        )


def damaged_error(reader: Reader) -> CaptureError:
    """The refusal of a damaged capture, with the way out."""
    first, *others = reader.damage
    also = f" (and {len(others)} more)" if others else ""
    path = Path(reader.path)
    out = path.with_name(f"{path.stem}.recovered.rush")
    hint = f"keep the good records with: rushhour recover {shlex.quote(str(path))} -o {shlex.quote(str(out))}"
    return CaptureError(reader.path, f"the capture is damaged: {first}{also}", None, hint)


def load_sessions(events: Iterable[Event]) -> list[Session]:
    """Assemble events, in the order in which they were added, into sessions in order of their ids."""
    assembler = Assembler()
    for event in events:
        assembler.add(event)
    return assembler.sessions()
