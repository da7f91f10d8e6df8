"""How many answers were unlike the recorded ones, by what was looked at. Pure.

Status, media type and size of every answer and message are looked at, the inside of a document only within a budget of
time (``verify_checked`` of ``verify_eligible``). Each has its own number of answers, so that neither a stream of
thousands of messages nor what the budget left out can hide a login that always fails: the worst share counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.slots import Measure, SeriesKey

STATUS = "status"
CONTENT_TYPE = "content_type"
SIZE = "size"
NO_BODY = "no_body"
LOGIN = "login"
REQUIRED = "required"
KIND = "kind"
EMPTY = "empty"
ITEMS = "items"
ERROR = "error"
TRUNCATED = "truncated"
JSON = "json"

MISMATCHES = {
    STATUS: "a status that the recording did not have",
    CONTENT_TYPE: "another content type",
    SIZE: "larger than allowed, or less than half of the smallest recorded",
    NO_BODY: "nothing where the recording always had a body",
    LOGIN: "a page that asks for a password instead of data",
    REQUIRED: "a key that the recording always had is missing",
    KIND: "another kind of value: text for a number, an object for an array",
    EMPTY: "an array or object that never was empty is",
    ITEMS: "fewer items than a rule demands",
    ERROR: "an error inside an answer that was to be fine",
    TRUNCATED: "JSON that ends too early",
    JSON: "no JSON where the recording had some",
}
"""All that may be wrong with an answer or a message that came."""
PARSED_KINDS = frozenset({REQUIRED, KIND, EMPTY, ITEMS, ERROR, TRUNCATED, JSON})
"""Mismatches that only a parsed document shows; all others show in every answer."""
ALWAYS_CHECKED = frozenset({"http", "ws.message"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """So many wrong ones of so many that were looked at; ``what`` is for people."""

    what: str
    wrong: int
    of: int


def tallies_of(measures: Mapping[SeriesKey, Measure], counts: Mapping[str, int]) -> tuple[Tally, ...]:
    """Count wrong answers by series, and those of parsed documents apart; only where something was looked at."""
    by_name: dict[str, tuple[int, int]] = {}
    n_parsed_wrong = 0
    for (name, _), measure in measures.items():
        if name not in ALWAYS_CHECKED and not measure.mismatches:
            continue
        n_wrong = sum(measure.mismatches.values())
        n_parsed = sum(n for kind, n in measure.mismatches.items() if kind in PARSED_KINDS)
        wrong, of = by_name.get(name, (0, 0))
        by_name[name] = wrong + n_wrong - n_parsed, of + measure.ok + n_wrong
        n_parsed_wrong += n_parsed
    tallies = [Tally(what=f"{name} answers", wrong=wrong, of=of) for name, (wrong, of) in sorted(by_name.items())]
    n_checked = max(counts.get("verify_checked", 0), n_parsed_wrong)
    tallies.append(Tally(what="parsed documents", wrong=n_parsed_wrong, of=n_checked))
    return tuple(tally for tally in tallies if tally.of)


def worst_of(tallies: Iterable[Tally]) -> Tally | None:
    """Return the tally with the largest share of wrong ones, of equal ones the largest; None where there are none."""
    return max(tallies, key=lambda tally: (tally.wrong / tally.of, tally.of), default=None)
