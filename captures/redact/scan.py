"""Looks for secrets that are still in a capture: what a redaction would replace, and has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from captures.format.reader import Reader
from captures.redact.censor import Finding
from captures.redact.files import redacted_events
from captures.redact.keys import random_key
from captures.redact.policy import Policy
from captures.redact.redactor import Redactor

SCAN_SCHEMA = 1
SHOWN_BYTES = 3
"""Of a found value, at most this much is shown, and never more than a quarter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Secrets of one class at one locus.

    Attributes:
        place: exchange or socket, and side.
        where: field.
        klass: ``secret``, ``credential`` or ``personal``.
        count: occurrences; ``distinct``: different values.
        sample: the beginning of the first one, and its length.
    """

    place: str
    where: str
    klass: str
    count: int
    distinct: int
    sample: str


@dataclass(slots=True, kw_only=True)
class Scan:
    """What was found; ``damage`` of the capture, in sentences."""

    leftovers: list[Leftover]
    n_events: int
    damage: list[str]
    is_redacted: bool

    def to_document(self) -> dict[str, object]:
        """Return the scan as plain values for JSON."""
        return {
            "schema": SCAN_SCHEMA,
            "clean": not self.leftovers,
            "redacted": self.is_redacted,
            "events": self.n_events,
            "findings": [
                {
                    "place": leftover.place,
                    "where": leftover.where,
                    "class": leftover.klass,
                    "count": leftover.count,
                    "distinct": leftover.distinct,
                    "sample": leftover.sample,
                }
                for leftover in self.leftovers
            ],
            "damage": self.damage,
        }


@dataclass(slots=True)
class _Locus:
    sample: str
    count: int = 0
    values: set[int] = field(default_factory=set)


def scan(reader: Reader, policy: Policy) -> Scan:
    """Go over a capture; nothing is written, and nothing found is kept but its beginning."""
    found: dict[tuple[str, str, str], _Locus] = {}

    def watch(finding: Finding) -> None:
        key = (finding.place, finding.where, finding.klass.value)
        locus = found.get(key) or found.setdefault(key, _Locus(masked(finding.value)))
        locus.count += 1
        locus.values.add(hash(finding.value))

    redactor = Redactor(policy, random_key(), trusts_marks=True, watch=watch)
    redactor.facts({name: value for name, value in reader.header.items() if name == "url"})
    n_events = sum(1 for _ in redacted_events(reader, redactor))
    redactor.forget()
    leftovers = [
        Leftover(place=place, where=where, klass=klass, count=at.count, distinct=len(at.values), sample=at.sample)
        for (place, where, klass), at in found.items()
    ]
    leftovers.sort(key=lambda leftover: (leftover.klass, leftover.place, leftover.where))
    is_redacted = bool(reader.header.get("redaction"))
    return Scan(leftovers=leftovers, n_events=n_events, damage=reader.damage, is_redacted=is_redacted)


def masked(value: bytes) -> str:
    """Return the beginning of a value and its length: ``eyJ… (212 bytes)``."""
    shown = value[: min(SHOWN_BYTES, len(value) // 4)].decode("ascii", "replace")
    return f"{''.join(letter if letter.isprintable() else '?' for letter in shown)}… ({len(value)} bytes)"


def told(result: Scan) -> Iterator[str]:
    """Yield what was found in lines for people."""
    by_class = Counter[str]()
    for leftover in result.leftovers:
        by_class[leftover.klass] += leftover.count
        values = "" if leftover.distinct == leftover.count else f", {leftover.distinct} different"
        line = (
            f"{leftover.klass:10}  {leftover.count:5} ×{values}  {leftover.place}  {leftover.where}  {leftover.sample}"
        )
        yield line
    if by_class:
        yield f"found: {', '.join(f'{count} {klass}' for klass, count in sorted(by_class.items()))}"
    else:
        yield f"clean: nothing found in {result.n_events} events"
