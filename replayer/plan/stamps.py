"""Times that a server writes into what it pushes: found in a recording, read from live messages. Pure.

A stamp is known by its key alone: the first ``"key": value`` of a message, in whatever the message is wrapped. It
counts only where it tells parts of a second: one of whole seconds says nothing about a lag of 100 ms.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

from captures.units import NS_PER_S

SEARCHED_BYTES = 4096
"""How far into a message its stamp is looked for."""
NEAR_NS = 5 * NS_PER_S
"""A stamp is this near to the message's arrival, both clocks' errors included."""
_LEAST_EXAMPLES = 3
_MAX_KEYS = 64

_NS_PER_MS, _NS_PER_US = 1_000_000, 1_000
_UNITS = {13: _NS_PER_MS, 16: _NS_PER_US, 19: 1}
"""ns per unit of an epoch time, by its digits: until the year 2286 ms have 13, µs 16, ns 19."""
_EPOCH_S = re.compile(rb"(\d{10})\.(\d{2,9})")
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,]\d{2,9}(?:Z|[+-]\d\d:?\d\d)")
_PAIR = re.compile(rb'"([A-Za-z_$][\w$-]{0,40})"\s*:\s*"?(\d[\d.,TZ:+-]{12,34})')


def stamp_ns(text: bytes) -> int | None:
    """Return the time (ns since the epoch) that ``text`` says, None where it says none or only whole seconds.

    Epoch seconds with a fraction, epoch ms, µs and ns, ISO 8601 with a fraction and an offset. Worked:
    ``1795492031281`` is 1795492031281000000 ns.
    """
    if text.isdigit():
        unit = _UNITS.get(len(text))
        return None if unit is None else int(text) * unit
    found = _EPOCH_S.fullmatch(text)
    if found is not None:
        return int(found[1]) * NS_PER_S + int(found[2].ljust(9, b"0"))
    if _ISO.fullmatch(text) is None:
        return None
    try:
        return round(datetime.fromisoformat(text.decode()).timestamp() * 1e6) * _NS_PER_US
    except ValueError:
        return None


def stamp_key(examples: Iterable[tuple[bytes, int]]) -> str:
    """Return the key that stamps messages, "" where none does.

    Args:
        examples: messages of one kind and when they arrived, ns since the epoch.

    Of several keys the one nearest to the arrivals is taken.
    """
    distances: dict[str, list[int]] = {}
    values: Counter[str] = Counter()
    n = 0
    for data, arrived_ns in examples:
        n += 1
        for key, stamped_ns in _times_in(data).items():
            if abs(arrived_ns - stamped_ns) <= NEAR_NS:
                distances.setdefault(key, []).append(arrived_ns - stamped_ns)
                values[key] += 1
    always = [key for key, found in distances.items() if len(found) == n and _moves(found)]
    return min(always, key=lambda key: (sum(map(abs, distances[key])), key)) if n >= _LEAST_EXAMPLES and always else ""


@lru_cache(maxsize=256)
def stamp_search(key: str) -> Callable[[bytes, int, int], re.Match[bytes] | None]:
    """Return the search for the first value of a key; group 1 is the value as written."""
    return re.compile(rb'"%s"\s*:\s*"?([^",}\]\s]*)' % re.escape(key.encode())).search


def _times_in(data: bytes) -> dict[str, int]:
    """Return the times of a message by key, as ``stamp_search`` finds them."""
    found: dict[str, int] = {}
    keys = {match[1].decode() for match in _PAIR.finditer(data, 0, SEARCHED_BYTES)}
    for key in sorted(keys)[:_MAX_KEYS]:
        match = stamp_search(key)(data, 0, SEARCHED_BYTES)
        time_ns = stamp_ns(match[1]) if match is not None else None
        if time_ns is not None:
            found[key] = time_ns
    return found


def _moves(distances: list[int]) -> bool:
    """A stamp moves with the arrivals; a time that stands still gets further away from message to message."""
    return max(distances) - min(distances) < NEAR_NS // 2
