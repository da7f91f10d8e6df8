"""A target that compresses other than the recorded site did is said to."""

from __future__ import annotations

import pytest

from analysis.compression import compression_notes
from analysis.run import Run
from tests.analysis.runs import QUOTES, a_run, a_slot, measured
from tests.analysis.synthetic_run import facts

PACKED = {"route": "GET /a", "message": "", "kind": "api", "wire_bytes": 2_000, "decoded_bytes": 8_000, "items": 0.0}
PLAIN = {**PACKED, "route": "GET /b", "wire_bytes": 8_000}
EMPTY = {**PACKED, "route": "GET /c", "wire_bytes": 0, "decoded_bytes": 0}


def a_run_of(*sizes: dict[str, object]) -> Run:
    return a_run([a_slot({QUOTES: measured(20.0)})], run_facts=facts(sizes=sizes))


@pytest.mark.parametrize(
    ("sizes", "n_live", "said"),
    [
        ((PACKED, PLAIN), 0, "1 of 2 routes were recorded with compressed answers, the target compressed none"),
        ((PLAIN, EMPTY), 3, "the target compressed 3 answers"),
        ((PACKED, PLAIN), 3, ""),
        ((PLAIN,), 0, ""),
        ((), 3, ""),  # Nothing is known of the recording.
    ],
)
def test_answers_that_are_compressed_otherwise_are_a_caveat(
    sizes: tuple[dict[str, object], ...], n_live: int, said: str
) -> None:
    notes = compression_notes(a_run_of(*sizes), {"answers_compressed": n_live})
    assert [note[: len(said)] for note in notes] == ([said] if said else [])


def test_sockets_without_the_recorded_compression_are_a_caveat() -> None:
    (note,) = compression_notes(a_run_of(), {"deflate_refused": 2})
    assert note.startswith("2 sockets came without permessage-deflate")
