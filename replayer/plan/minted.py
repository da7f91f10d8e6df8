"""Values that the recorded client made up itself: which generator makes them afresh for every user. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
# A page's clock value may be as old as the page; a whole minute is a date that somebody chose.
_MAX_AGE_MS_NS = 24 * 3600 * _NS_PER_S
_MAX_AGE_S_NS = 600 * _NS_PER_S

# Source: RFC 9562 §5.4, version 4 and variant 10.
_UUID4 = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
# Source: ECMA-262 §21.4.4.36, Date.prototype.toISOString.
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def generator_of(value: bytes, wall_ns: int) -> str:
    """Return the name of the generator of a value that no response had shown, "" where it is none.

    Args:
        wall_ns: wall clock when the value was sent, ns since the epoch.
    """
    if _UUID4.fullmatch(value):
        return "uuid4"
    if value.isdigit():
        return _epoch(value, wall_ns)
    if _ISO.fullmatch(value) and abs(_iso_ns(value) - wall_ns) <= _MAX_AGE_S_NS:
        return "iso"
    return ""


def _epoch(value: bytes, wall_ns: int) -> str:
    number = int(value) if len(value) in (10, 13) else 0
    if len(value) == 13 and number % 60_000 and abs(number * _NS_PER_MS - wall_ns) <= _MAX_AGE_MS_NS:
        return "epoch_ms"
    if len(value) == 10 and number % 60 and abs(number * _NS_PER_S - wall_ns) <= _MAX_AGE_S_NS:
        return "epoch_s"
    return ""


def _iso_ns(value: bytes) -> int:
    try:
        moment = datetime.fromisoformat(value.decode())
    except ValueError:
        return -1 << 62
    return int(moment.timestamp()) * _NS_PER_S


def constants(values: Iterable[set[bytes]]) -> frozenset[bytes]:
    """Return the values that several sessions sent: nobody made them up for one of them. One set per session."""
    seen: set[bytes] = set()
    shared: set[bytes] = set()
    for sent in values:
        shared |= seen & sent
        seen |= sent
    return frozenset(shared)
