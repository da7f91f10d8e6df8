"""One measurement of reading or making a capture, in a process of its own, so that its memory is its own too.

``python -m benchmarks.capture_probe list|session|scan|weigh|edit|import FILE``: seconds, counts, peak memory as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from captures.convert.formats import convert_file
from captures.edit.composition import EditOptions, edit
from captures.edit.patterns import choice_of, session_test
from captures.edit.selection import Selection
from captures.format.reader import open_capture
from captures.view.overview import overview_of


def listed(path: str) -> dict[str, float]:
    """Everything ``rushhour inspect`` tells, each frame's checksum verified."""
    with open_capture(path) as reader:
        overview = overview_of(reader)
    return {"events": overview.n_events, "sessions": len(overview.sessions)}


def one_session(path: str) -> dict[str, float]:
    """All events of the session in the middle, from opening the file on."""
    with open_capture(path) as reader:
        sessions = reader.sessions()
        number = sessions[len(sessions) // 2]
        n_events = sum(1 for _ in reader.events(session=number))
        index = reader.index()
        wanted = index.connections_of(number)
        n_chunks = sum(not wanted.isdisjoint(chunk.connections) for chunk in index.chunks)
    return {"events": n_events, "share_of_chunks": n_chunks / len(index.chunks)}


def scanned(path: str) -> dict[str, float]:
    """Every event, with its large values."""
    n_events = 0
    with open_capture(path) as reader:
        for _ in reader.events():
            n_events += 1
    return {"events": n_events}


def weighed(path: str) -> dict[str, float]:
    """The bytes and characters of all values."""
    n_bytes = 0
    with open_capture(path) as reader:
        for event in reader.events():
            n_bytes += sum(len(value) for value in event.fields.values() if isinstance(value, bytes | str))
    return {"decoded_bytes": n_bytes}


def edited(path: str) -> dict[str, float]:
    """One session in ten, into a new file."""
    with open_capture(path) as reader:
        wanted = [str(number) for number in reader.sessions()[::10]]
    out = Path(path).with_suffix(".edited")
    try:
        result = edit(
            EditOptions(sources=(path,), out=str(out), selection=Selection(sessions=choice_of(wanted, session_test)))
        )
    finally:
        out.unlink(missing_ok=True)
    return {"exchanges": result.exchanges}


def imported(path: str) -> dict[str, float]:
    """A HAR, into a new capture."""
    out = Path(path).with_suffix(".rush")
    try:
        counts = convert_file(path, str(out)).counts
    finally:
        out.unlink(missing_ok=True)
    return {"exchanges": counts.exchanges}


PROBES: dict[str, Callable[[str], dict[str, float]]] = {
    "list": listed,
    "session": one_session,
    "scan": scanned,
    "weigh": weighed,
    "edit": edited,
    "import": imported,
}


def main() -> None:
    """Run one probe."""
    probe, path = PROBES[sys.argv[1]], sys.argv[2]
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    found = probe(path)
    found["seconds"] = time.perf_counter() - start_s
    found["cpu_seconds"] = time.process_time() - start_cpu_s
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
