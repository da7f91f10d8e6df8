"""The writer's process: notices in by its standard input, a capture out, status lines to its standard output.

It lives as long as its input is open, whatever becomes of the proxy: killed, the proxy leaves an end of file behind,
and the capture is sealed. It heeds no Ctrl-C and no SIGTERM, for the same reason.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from captures.errors import CaptureSealed, ExitCode, RushhourError
from captures.records import Anchor, Event, EventType
from captures.redact.files import go_over_again, write_identities
from captures.redact.keys import key_from, random_key
from captures.redact.policy import Class
from captures.redact.policy_file import load_policy
from captures.redact.redactor import NOTE, Redactor
from recorder.notices import FrameBuffer, Kind, Notice
from recorder.parts import Parts
from recorder.priority import Priority
from recorder.rotation import Rotation
from recorder.status import Status, Word, tell
from recorder.translate import Ending, Translator

READ_BYTES = 1 << 20
TICK_S = 0.25
STATUS_EVERY_NS = 500_000_000
FINAL_STATUS_WAIT_S = 2.0


class Sink:
    """Writes one capture from notices.

    Args:
        path: the capture; must not exist.
        status_fd: where status lines go.
    """

    def __init__(self, path: Path, status_fd: int) -> None:
        self._path = path
        self._status_fd = status_fd
        self._writer: Parts | None = None
        self._translator: Translator | None = None
        self._redactor: Redactor | None = None
        self._anchor = Anchor(wall_ns=0, monotonic_ns=0)
        self._told_ns = 0

    def take(self, notices: list[Notice]) -> None:
        """Write what these notices stand for; the first of all opens the capture."""
        for notice in notices:
            if notice[0] == Kind.START:
                self._start(notice)
                tell(self._status_fd, Status(word=Word.READY), wait_s=FINAL_STATUS_WAIT_S)
            elif self._translator is not None:
                self._add(self._translator.translate(notice))

    def tick(self) -> None:
        """Seal by age, and tell the counts now and then."""
        if self._writer is not None:
            self._writer.tick(time.monotonic_ns())
        self._tell_counts()

    def _tell_counts(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._told_ns >= STATUS_EVERY_NS:
            self._told_ns = now_ns
            tell(self._status_fd, self._status(Word.COUNTS))

    def finish(self) -> None:
        """Seal the capture and tell how it ended."""
        if self._translator is None or self._writer is None:
            return
        ending = Ending.COMPLETE if self._translator.has_stopped else Ending.INTERRUPTED
        self._add(self._translator.finish(ending))
        if self._redactor is not None:
            self._end_redaction(self._redactor, self._writer)
        self._writer.close()
        if self._redactor is not None:
            self._settle(self._redactor, self._writer.paths)
        tell(self._status_fd, self._status(Word.ENDED, ending.value), wait_s=FINAL_STATUS_WAIT_S)

    def seal(self, cause: RushhourError) -> None:
        """Tell that nothing more can be written; what is in the file is sealed already, and gone over where need be."""
        tell(self._status_fd, self._status(Word.SEALED, str(cause)), wait_s=FINAL_STATUS_WAIT_S)
        if self._redactor is not None and self._writer is not None:
            early = cause.problem if isinstance(cause, CaptureSealed) else str(cause)
            self._settle(self._redactor, self._writer.paths, early=early)
            tell(self._status_fd, self._status(Word.COUNTS), wait_s=FINAL_STATUS_WAIT_S)

    def _start(self, notice: Notice) -> None:
        _, monotonic_ns, wall_ns, fields = notice
        self._anchor = Anchor(wall_ns=wall_ns, monotonic_ns=monotonic_ns)
        self._redactor = _redactor_of(*fields["redaction"])
        facts = self._redactor.facts(fields["facts"]) if self._redactor else {**fields["facts"], "redaction": None}
        size_bytes, age_ns = fields["rotation"]
        rotation = Rotation(size_bytes=size_bytes, age_ns=age_ns)
        self._writer = Parts(self._path, facts=facts, anchor=self._anchor, rotation=rotation)
        self._translator = Translator(
            self._anchor, max_body_bytes=fields["max_body_bytes"], by_identity=fields["by_identity"]
        )

    def _end_redaction(self, redactor: Redactor, writer: Parts) -> None:
        for event in redactor.finish():
            self._write(event)
        t_ns = time.monotonic_ns() - self._anchor.monotonic_ns
        writer.add(EventType.NOTE, t_ns, 0, 0, name=NOTE, value=redactor.summary())

    def _settle(self, redactor: Redactor, paths: list[Path], *, early: str = "") -> None:
        """Go over the files again where a secret was written before it was known as one; then forget all of them.

        Args:
            early: why the last file had to be sealed.
        """
        if redactor.n_late:
            try:
                for path in paths:
                    why = early if path == paths[-1] else ""
                    go_over_again(path, redactor, early=why, on_event=self._tell_counts)
                redactor.censor.known.n_late = 0
            except RushhourError:
                # There is no room for a second copy: what stands in clear is counted, and told.
                pass
        write_identities(self._path, list(redactor.censor.columns))
        redactor.forget()

    def _add(self, events: Iterator[Event]) -> None:
        for event in events if self._redactor is None else self._redacted(events, self._redactor):
            try:
                self._write(event)
            except ValueError as exc:
                # A head too large for the format costs that event, not the recording.
                self._refuse(event, str(exc))

    @staticmethod
    def _redacted(events: Iterator[Event], redactor: Redactor) -> Iterator[Event]:
        for event in events:
            yield from redactor.redact(event)

    def _write(self, event: Event) -> None:
        if self._writer is not None:
            self._writer.add(event.type, event.t_ns, event.connection, event.exchange, **event.fields)

    def _refuse(self, event: Event, problem: str) -> None:
        if self._writer is not None and self._translator is not None:
            self._translator.counts.n_lost += 1
            note = {"name": "refused_event", "value": problem}
            self._writer.add(EventType.NOTE, event.t_ns, event.connection, event.exchange, **note)

    def _status(self, word: Word, text: str = "") -> Status:
        if self._translator is None:
            return Status(word=word, text=text)
        counts = self._translator.counts
        counts.n_file_bytes = self._writer.size_bytes if self._writer is not None else 0
        counts.n_files = self._writer.n_files if self._writer is not None else 0
        columns: tuple[str, ...] = ()
        if self._redactor is not None:
            censor = self._redactor.censor
            counts.n_secrets = censor.counts[Class.SECRET.value]
            counts.n_credentials = censor.counts[Class.CRED.value]
            counts.n_personal = censor.counts[Class.PII.value]
            counts.n_late = self._redactor.n_late
            columns = tuple(censor.columns)
        left_out = self._translator.left_out if word is Word.ENDED else {}
        return Status(word=word, counts=counts, left_out=left_out, columns=columns, text=text)


def _redactor_of(is_on: bool, policy: str, key_file: str) -> Redactor | None:
    if not is_on:
        return None
    key = key_from(Path(key_file)) if key_file else random_key()
    return Redactor(load_policy(Path(policy) if policy else None), key)


def run(path: str, input_fd: int, status_fd: int, priority: Priority) -> ExitCode:
    """Write the capture until the input ends; INVALID where it had to be sealed before that."""
    sink = Sink(Path(path), status_fd)
    try:
        for notices in _frames(input_fd, sink):
            sink.take(notices)
            priority.follow(time.monotonic_ns() - notices[-1][1])
        priority.hurry()
        sink.finish()
    except RushhourError as exc:
        priority.hurry()
        sink.seal(exc)
        return ExitCode.INVALID
    return ExitCode.PASS


def _frames(fd: int, sink: Sink) -> Iterator[list[Notice]]:
    buffer = FrameBuffer()
    while True:
        is_ready, _, _ = select.select([fd], [], [], TICK_S)
        sink.tick()
        if is_ready:
            data = os.read(fd, READ_BYTES)
            if not data:
                return
            yield from buffer.feed(data)


def main(path: str) -> None:
    """Run as a process of its own: notices on descriptor 0, status on descriptor 1."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(int(run(path, 0, 1, Priority())))
