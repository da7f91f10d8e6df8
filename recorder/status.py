"""What the recorder's processes tell the one who started them: one JSON object a line.

All come from the writer's process, ``ready`` when the capture is open; ``writer_lost`` from the addon when that process
is gone. A pipe takes lines of up to 4096 bytes whole (PIPE_BUF), so two processes may share it.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from recorder.counts import Counts


class Word(Enum):
    """Kinds of status lines."""

    READY = "ready"
    COUNTS = "counts"
    SEALED = "sealed"
    ENDED = "ended"
    WRITER_LOST = "writer_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One status line.

    Attributes:
        counts: with COUNTS and ENDED.
        left_out: with ENDED: origins outside the scope and the number of their requests or tunnels.
        columns: with ENDED: names of the inputs that stand for what was typed.
        text: with SEALED and WRITER_LOST the cause, with ENDED how the recording ended.
    """

    word: Word
    counts: Counts = field(default_factory=Counts)
    left_out: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    text: str = ""

    def to_line(self) -> bytes:
        """Encode as one line."""
        values = {
            "word": self.word.value,
            "counts": self.counts.to_dict(),
            "left_out": dict(self.left_out),
            "columns": list(self.columns),
            "text": self.text,
        }
        return json.dumps(values).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Status:
        """Read one line.

        Raises:
            ValueError: the line is not a status line.
        """
        values: dict[str, Any] = json.loads(line)
        try:
            return cls(
                word=Word(values["word"]),
                counts=Counts.from_dict(values["counts"]),
                left_out=values["left_out"],
                columns=tuple(values["columns"]),
                text=values["text"],
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not a status line: {line!r}") from exc


def tell(fd: int, status: Status, *, wait_s: float = 0.0) -> bool:
    """Write a status line where somebody reads, waiting for room at most ``wait_s``; tell whether it went out."""
    room = select.poll()
    room.register(fd, select.POLLOUT)
    if not room.poll(wait_s * 1000):
        return False
    line = memoryview(status.to_line())
    try:
        while line:
            line = line[os.write(fd, line) :]
    except OSError:
        return False
    return True
