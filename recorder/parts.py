"""Writes a recording into one file, or into several that follow each other, each complete by itself.

A file goes on until something happens that belongs into the next. Time zero of each is its own beginning. What is open
when a file ends is noted there (``continues_in``) and told again at the start of the next one, at its time zero. The
numbers of connections, exchanges and sessions go on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from captures.format.writer import CaptureWriter
from captures.records import Anchor, Event, EventType
from recorder.open_state import OpenState
from recorder.rotation import Rotation, part_path


class Parts:
    """The files of one recording; one thread owns it.

    Args:
        path: the file, or with a rotation what the files are named after.
        facts: for each header; with a rotation ``part`` and ``predecessor`` are added.
        anchor: time zero of the events that are added.

    Attributes:
        n_files: files begun so far.
    """

    def __init__(self, path: Path, *, facts: Mapping[str, object], anchor: Anchor, rotation: Rotation) -> None:
        self._path = path
        self._facts = dict(facts)
        self._anchor = anchor
        self._rotation = rotation
        self._open = OpenState()
        self._past_bytes = 0
        self._shift_ns = 0
        self._begun_ns = time.monotonic_ns()
        self._has_traffic = False
        self.n_files = 0
        self._writer = self._begin(anchor, predecessor="")

    @property
    def size_bytes(self) -> int:
        """Bytes written to all files."""
        return self._past_bytes + self._writer.size_bytes

    def add(self, event_type: EventType, t_ns: int, connection: int, exchange: int, **fields: object) -> None:
        """Write one event; arguments as ``CaptureWriter.add`` has them.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
            ValueError: the event is too large for the format.
        """
        if not self._rotation.is_on:
            self._writer.add(event_type, t_ns, connection, exchange, **fields)
            return
        event = Event(type=event_type, seq=0, t_ns=t_ns, connection=connection, exchange=exchange, fields=fields)
        if self._open.belongs(event):
            self._rotate_if_due(event)
            # Subtle: a stamp may be older than the file; there is no time before zero.
            self._write(event, max(0, t_ns - self._shift_ns))
            self._open.follow(event)
            self._has_traffic |= bool(exchange)

    def tick(self, now_ns: int) -> None:
        """Seal by age.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
        """
        self._writer.tick(now_ns)

    @property
    def paths(self) -> list[Path]:
        """The files begun so far, in order."""
        if not self._rotation.is_on:
            return [self._path]
        return [part_path(self._path, number) for number in range(1, self.n_files + 1)]

    def close(self) -> None:
        """End the last file.

        Raises:
            CaptureSealed: the disk is full or failed, for the first time.
        """
        self._writer.close()

    def _rotate_if_due(self, event: Event) -> None:
        """Go on in another file before an event that is worth one, so that the last file is never an empty one."""
        now_ns = time.monotonic_ns()
        is_traffic = bool(event.exchange) and event.type is not EventType.NOTE
        if self._has_traffic and is_traffic and self._rotation.is_due(self._writer.size_bytes, now_ns - self._begun_ns):
            self._rotate(now_ns)

    def _rotate(self, now_ns: int) -> None:
        shift_ns = now_ns - self._anchor.monotonic_ns
        before, after = part_path(self._path, self.n_files).name, part_path(self._path, self.n_files + 1).name
        for exchange in self._open.exchanges:
            self._note("continues_in", after, shift_ns - self._shift_ns, exchange)
        self._note("continues_in", after, shift_ns - self._shift_ns, 0)
        self._writer.close()
        self._past_bytes += self._writer.size_bytes
        self._begun_ns, self._shift_ns, self._has_traffic = now_ns, shift_ns, False
        anchor = Anchor(wall_ns=self._anchor.wall_ns + shift_ns, monotonic_ns=now_ns)
        self._writer = self._begin(anchor, predecessor=before)
        for event in self._open.again():
            self._write(event, 0)
        for exchange in self._open.exchanges:
            self._note("continues", before, 0, exchange)

    def _begin(self, anchor: Anchor, *, predecessor: str) -> CaptureWriter:
        self.n_files += 1
        if not self._rotation.is_on:
            return CaptureWriter(self._path, facts=self._facts, anchor=anchor)
        facts = self._facts | {"part": self.n_files, "predecessor": predecessor}
        return CaptureWriter(part_path(self._path, self.n_files), facts=facts, anchor=anchor)

    def _write(self, event: Event, t_ns: int) -> None:
        self._writer.add(event.type, t_ns, event.connection, event.exchange, **event.fields)

    def _note(self, name: str, value: str, t_ns: int, exchange: int) -> None:
        self._writer.add(EventType.NOTE, t_ns, 0, exchange, name=name, value=value)
