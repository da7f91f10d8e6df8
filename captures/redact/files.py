"""Redacts whole files: captures that were imported or recorded in clear, and fresh ones with late finds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from captures.errors import CaptureSealed, ConfigError
from captures.format.reader import Reader, open_capture, sha256_of
from captures.format.writer import CaptureWriter
from captures.records import Event, EventType
from captures.redact.inputs import IDENTITIES_SUFFIX, identities_csv
from captures.redact.redactor import NOTE, Redactor

_NOT_FACTS = ("anchor", "format")


@dataclass(slots=True, kw_only=True)
class Redacted:
    """What was replaced, by class; the input columns; damage of the source, in sentences."""

    counts: dict[str, int]
    columns: list[str]
    damage: list[str] = field(default_factory=list)


def redact_file(path: str, out: str, redactor: Redactor) -> Redacted:
    """Write a redacted copy of a capture to the new file ``out``.

    The source is gone over twice: what turns out to be secret at its end is replaced at its beginning too.

    Raises:
        CaptureError: ``path`` is no capture.
        ConfigError: ``out`` exists or cannot be written; no part of it is left behind.
    """
    if os.path.lexists(out):
        raise ConfigError(f"{out} exists already", "nothing is overwritten: choose another -o FILE")
    with open_capture(path) as reader:
        for _ in redacted_events(reader, redactor):
            pass
    redactor.censor.counts.clear()
    with open_capture(path) as reader:
        _write(reader, out, redactor)
        return Redacted(
            counts=dict(sorted(redactor.censor.counts.items())),
            columns=list(redactor.censor.columns),
            damage=reader.damage,
        )


def redacted_events(reader: Reader, redactor: Redactor) -> Iterator[Event]:
    """Yield the events of a capture, redacted."""
    for event in reader.events():
        yield from redactor.redact(event)
    yield from redactor.finish()


def go_over_again(
    path: Path, redactor: Redactor, *, early: str = "", on_event: Callable[[], object] = lambda: None
) -> None:
    """Replace, in a capture that this redactor made, what it knew too late to be secret.

    Where there is no room beside it, the copy is made in the directory for temporary files and put back.

    Args:
        early: why the capture ended early, where it may not say so itself.
        on_event: called for each event: a long capture takes its time.

    Raises:
        ConfigError: there is no room; the capture stays as it was.
    """
    try:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with _fresh_copy(path, fresh, redactor, early, on_event):
            os.replace(fresh, path)
    except ConfigError:
        _go_over_elsewhere(path, redactor, early, on_event)


def _go_over_elsewhere(path: Path, redactor: Redactor, early: str, on_event: Callable[[], object]) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="rushhour-") as directory:
            fresh = Path(directory) / "copy"
            with _fresh_copy(path, fresh, redactor, early, on_event):
                _put_back(fresh, path)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be gone over again: {exc.strerror}", "make room") from exc


@contextmanager
def _fresh_copy(
    path: Path, fresh: Path, redactor: Redactor, early: str, on_event: Callable[[], object]
) -> Iterator[None]:
    counts = redactor.censor.counts.copy()
    try:
        with open_capture(path) as reader:
            early_end = reader.early_end or ((0, early) if early else None)
            _copy(reader, str(fresh), redactor, _facts(reader), early_end=early_end, on_event=on_event)
    finally:
        redactor.censor.counts = counts
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


def _put_back(fresh: Path, path: Path) -> None:
    """Write a copy over its original.

    Subtle: its room is taken before the first byte of the original is touched.

    Raises:
        ConfigError: there is no room; the original stays as it was.
    """
    size_bytes, before_bytes = fresh.stat().st_size, path.stat().st_size
    with fresh.open("rb") as source, path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError as exc:
            os.ftruncate(file.fileno(), before_bytes)
            raise ConfigError(f"{path} cannot be written again: {exc.strerror}", "make room for it") from exc
        shutil.copyfileobj(source, file)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def write_identities(capture: Path, columns: list[str]) -> Path | None:
    """Write the names of a capture's input columns beside it (mode 0600).

    Returns:
        Where they are; None where there are none, a file is there already, or the disk is full.
    """
    path = capture.with_name(capture.name + IDENTITIES_SUFFIX)
    if not columns:
        return None
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(identities_csv(columns))
    except OSError:
        # Half a line of names would be taken for all of them.
        path.unlink()
        return None
    return path


def _facts(reader: Reader) -> dict[str, object]:
    return {name: value for name, value in reader.header.items() if name not in _NOT_FACTS}


def _write(reader: Reader, out: str, redactor: Redactor) -> None:
    facts = _facts(reader)
    history = facts.get("edits", [])
    step = {
        "done": {"redact": redactor.policy.name},
        "sources": [{"path": Path(reader.path).name, "sha256": sha256_of(reader.path)}],
    }
    edits = [*history, step] if isinstance(history, list) else [step]
    _copy(reader, out, redactor, redactor.facts({**facts, "edits": edits}), is_new=True)


def _copy(
    reader: Reader,
    out: str,
    redactor: Redactor,
    facts: dict[str, object],
    *,
    is_new: bool = False,
    early_end: tuple[int, str] | None = None,
    on_event: Callable[[], object] = lambda: None,
) -> None:
    t_ns = 0
    writer = CaptureWriter(out, facts=facts, anchor=reader.anchor)
    try:
        with writer:
            for event in redacted_events(reader, redactor):
                if is_new and event.type is EventType.NOTE and event.fields["name"] == NOTE:
                    continue
                on_event()
                t_ns = max(t_ns, event.t_ns)
                writer.add(event.type, event.t_ns, event.connection, event.exchange, **event.fields)
            if is_new:
                writer.add(EventType.NOTE, t_ns, 0, 0, name=NOTE, value=redactor.summary())
            if early_end is not None:
                writer.close(n_lost=early_end[0], reason=early_end[1])
    except BaseException as exc:
        os.unlink(out)
        if isinstance(exc, CaptureSealed):
            raise ConfigError(f"{out} cannot be written: {exc.problem}", "make room for it") from exc
        raise
