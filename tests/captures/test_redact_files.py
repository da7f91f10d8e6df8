"""Captures are gone over again for secrets that were known too late, also where the disk had been full before that."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from captures.errors import ConfigError
from captures.format.reader import open_capture
from captures.records import EventType
from captures.redact.files import go_over_again
from captures.redact.inputs import IDENTITIES_SUFFIX
from captures.redact.policy import Policy
from captures.redact.redactor import Redactor
from recorder.status import Status
from recorder.summary import inputs, warnings
from tests.captures.full_disk import LATE
from tests.captures.recording import Tape
from tests.commands import ROOT

LIMIT_BYTES = 96 << 10


def filled(path: Path, *, after_bytes: int) -> Status:
    """Record until the disk is full; ``after_bytes``: what a file may grow to after that, -1 for any size."""
    command = [sys.executable, "-m", "tests.captures.full_disk", str(path), str(LIMIT_BYTES), str(after_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    return Status.from_line(done.stdout)


def first_message(path: Path) -> bytes:
    """The text in which the secret stood before anybody knew it."""
    with open_capture(path) as reader:
        found = next(event.fields["data"] for event in reader.events() if event.type is EventType.MESSAGE)
    assert isinstance(found, bytes)
    return found


@pytest.mark.process
def test_where_there_is_room_again_a_full_disk_leaves_no_secret_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.rush"
    told = filled(path, after_bytes=-1)
    assert LATE.encode() not in first_message(path)
    assert told.columns == ("user", "password") and told.counts.n_late == 0
    assert Path(f"{path}{IDENTITIES_SUFFIX}").read_text() == "user,password\n"
    with open_capture(path) as reader:
        assert not reader.complete and "the recording ended early (File too large)" in reader.damage[0]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.rush", f"a.rush{IDENTITIES_SUFFIX}"]


@pytest.mark.process
def test_where_there_is_none_the_secrets_are_counted_and_the_names_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.rush"
    told = filled(path, after_bytes=0)
    assert LATE.encode() in first_message(path)
    assert told.counts.n_late == 1 and any("1 value in CLEAR" in line for line in warnings(told.counts))
    assert [found.name for found in tmp_path.iterdir()] == ["a.rush"]
    file, names = inputs(str(path), told.columns, is_written=False)
    assert "user, password" in file and names.endswith("with this as its first line: user,password")


def recorded_in_clear(path: Path) -> Redactor:
    """A capture with a value in clear, and a redactor that knows it by now."""
    with Tape(path, redaction=(False, "", "")) as tape:
        tape.message(f"my dog is called {LATE} too".encode(), sender=1)
    redactor = Redactor(Policy(), bytes(32))
    redactor.censor.known.learn(LATE.encode(), b"stand-in42")
    return redactor


def test_where_no_copy_can_be_made_beside_it_one_is_made_elsewhere_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "a.rush"
    redactor = recorded_in_clear(path)
    (tmp_path / f".{path.name}.{os.getpid()}").mkdir()
    before = path.stat().st_ino
    seen: list[None] = []
    go_over_again(path, redactor, early="No space left on device", on_event=lambda: seen.append(None))
    assert len(seen) > 1, "who waits hears that something happens"
    assert first_message(path) == b"my dog is called stand-in42 too" and path.stat().st_ino == before
    with open_capture(path) as reader:
        assert reader.early_end == (0, "No space left on device")


def test_what_cannot_be_put_back_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.rush"
    redactor = recorded_in_clear(path)
    (tmp_path / f".{path.name}.{os.getpid()}").mkdir()
    before = path.read_bytes()

    def full(_fd: int, _offset: int, _n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        go_over_again(path, redactor)
    assert path.read_bytes() == before
