"""The sources of an edit: what each holds of what is wanted, and how several get one numbering and one time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from captures.bindings import Bindings
from captures.edit.selection import Keep, Selection, Sieve
from captures.errors import CaptureError
from captures.format.container import MINOR
from captures.format.reader import open_capture, sha256_of
from captures.records import Anchor
from captures.units import NS_PER_S, format_duration

log = logging.getLogger(__name__)

# Ids and times stay within 64 bits, whatever a source claims.
LIMIT = 1 << 62
_FAR_NS = 3600 * NS_PER_S


class Align(Enum):
    """How the times of merged captures are laid side by side: by their clocks, or start upon start."""

    CLOCK = "clock"
    START = "start"


@dataclass(slots=True, kw_only=True)
class Source:
    """A source after its first reading, and what its ids and times are moved by."""

    path: str
    sha256: str
    facts: Mapping[str, object]
    anchor: Anchor
    bindings: Bindings
    damage: list[str]
    sieve: Sieve
    keep: Keep
    moved: tuple[int, int, int] = (0, 0, 0)
    shift_ns: int = 0


def look_over(path: str, selection: Selection) -> Source:
    """Read a source for the first time.

    Raises:
        CaptureError: it is no capture.
    """
    with open_capture(path) as reader:
        if reader.stored_header.minor > MINOR:
            log.warning("%s is of a newer format: what this version does not know is left out", path)
        bindings = reader.index().bindings
        sieve = Sieve(selection, bindings.session_of)
        for event in reader.events():
            sieve.add(event)
        return Source(
            path=path,
            sha256=sha256_of(path),
            facts=reader.stored_header.facts,
            anchor=reader.anchor,
            bindings=bindings,
            damage=reader.damage,
            sieve=sieve,
            keep=sieve.keep(),
        )


def lay_out(sources: Sequence[Source], align: Align) -> None:
    """Fill in what each source's ids and times are moved by.

    Raises:
        CaptureError: they do not fit into 64 bits.
    """
    first = sources[0]
    moved = (0, 0, 0)
    for source in sources:
        source.moved = moved
        apart_ns = source.anchor.wall_ns - first.anchor.wall_ns
        source.shift_ns = first.sieve.first_ns - source.sieve.first_ns if align is Align.START else apart_ns
        if align is Align.CLOCK and abs(apart_ns) > _FAR_NS:
            apart = format_duration(abs(apart_ns))
            log.warning("%s lies %s from %s: --align start lays them side by side", source.path, apart, first.path)
        connection, exchange, session = map(sum, zip(moved, source.sieve.highest, strict=True))
        moved = connection, exchange, session
        if len(sources) > 1 and (max(*moved, abs(source.shift_ns)) >= LIMIT or min(moved) < 0):
            raise CaptureError(source.path, "its numbers or its clock are too large to be merged")
