"""A writer that is killed: everything that was sealed is there, and nothing that was not written."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from captures.format.reader import open_capture
from captures.format.recover import recover
from captures.records import Event, EventType
from tests.captures.samples import BIG
from tests.commands import ROOT

N_KILLS = 25
# Enough to fall before, into and between seals; starting Python takes a good part of it.
LONGEST_S = 0.25
PATIENCE_S = 60.0


def killed_recording(path: Path, delay_s: float) -> int:
    """Start the endless writer, kill it ``delay_s`` after its first seal; returns the events it said were sealed."""
    command = [sys.executable, "-m", "tests.captures.endless_writer", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(delay_s)
        process.kill()
        rest = process.stdout.read()
    lines = (first + rest).split(b"\n")
    # What follows the last line break may be half a line: the kill may fall into that write too.
    return int(lines[-2])


def is_right(event: Event) -> bool:
    """Whether an event is one that the endless writer adds for its exchange."""
    if event.type is EventType.REQUEST_HEAD:
        return event.fields["target"] == "/" and event.t_ns == event.exchange
    if event.type in (EventType.RESPONSE_BODY, EventType.MESSAGE):
        return event.fields["data"] == b"%d " % event.exchange + (BIG if event.exchange % 50 == 0 else b"small")
    return event.connection == 1


@pytest.mark.process
def test_no_sealed_event_is_lost_to_sigkill_at_random_times(tmp_path: Path) -> None:
    rng = random.Random(20_260_923)
    paths = [tmp_path / f"{number}.rush" for number in range(N_KILLS)]
    # The next ones are killed while the last one is looked at.
    with ThreadPoolExecutor(max_workers=2) as pool:
        recordings = [pool.submit(killed_recording, path, rng.uniform(0, LONGEST_S)) for path in paths]
        for path, recording in zip(paths, recordings, strict=True):
            check_killed(path, recording.result(timeout=PATIENCE_S))
            path.unlink()


def check_killed(path: Path, n_sealed: int) -> None:
    """All that was sealed is there, in order and right, and can be made whole."""
    with open_capture(path) as reader:
        events = list(reader.events())
        assert not reader.complete
    assert len(events) >= n_sealed > 0
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(map(is_right, events))
    out = path.with_suffix(".whole.rush")
    assert recover(path, out).events == len(events)
    with open_capture(out) as reader:
        assert reader.complete and reader.index().n_events == len(events) and reader.check()
    out.unlink()
