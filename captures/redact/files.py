"""Redacts whole files: captures that were imported or recorded in clear, and fresh ones with late finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
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


def go_over_again(path: Path, redactor: Redactor) -> None:
    """Replace, in a capture that this redactor made, what it knew too late to be secret.

    Raises:
        ConfigError: there is no room; the capture stays as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    counts = redactor.censor.counts.copy()
    try:
        with open_capture(path) as reader:
            _copy(reader, str(fresh), redactor, facts=_facts(reader), is_new=False)
        os.replace(fresh, path)
    finally:
        redactor.censor.counts = counts
        with suppress(FileNotFoundError):
            fresh.unlink()


def write_identities(capture: Path, columns: list[str]) -> Path | None:
    """Write the names of a capture's input columns beside it (mode 0600); None: there are none, or a file is there."""
    path = capture.with_name(capture.name + IDENTITIES_SUFFIX)
    if not columns:
        return None
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(identities_csv(columns))
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
    _copy(reader, out, redactor, facts=redactor.facts({**facts, "edits": edits}), is_new=True)


def _copy(reader: Reader, out: str, redactor: Redactor, *, facts: dict[str, object], is_new: bool) -> None:
    t_ns = 0
    writer = CaptureWriter(out, facts=facts, anchor=reader.anchor)
    try:
        with writer:
            for event in redacted_events(reader, redactor):
                if is_new and event.type is EventType.NOTE and event.fields["name"] == NOTE:
                    continue
                t_ns = max(t_ns, event.t_ns)
                writer.add(event.type, event.t_ns, event.connection, event.exchange, **event.fields)
            if is_new:
                writer.add(EventType.NOTE, t_ns, 0, 0, name=NOTE, value=redactor.summary())
    except BaseException as exc:
        os.unlink(out)
        if isinstance(exc, CaptureSealed):
            raise ConfigError(f"{out} cannot be written: {exc.problem}", "make room for it") from exc
        raise
