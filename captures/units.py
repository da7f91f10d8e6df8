"""Durations as people type and read them; pure.

Every option that takes a time goes through this one parser, so that ``500ms``, ``2s`` and ``5m`` mean the same
everywhere.
"""

from __future__ import annotations

import re
from decimal import Decimal

from captures.errors import ConfigError

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_NS_PER_UNIT = {
    "us": 1_000,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h)", re.ASCII)
_HINT = "write a number with a unit, such as 500ms, 2s, 5m or 1h"


def parse_duration_ns(text: str) -> int:
    """Read a duration such as ``500ms``, ``2s``, ``1.5m`` or ``1h``; a bare ``0`` needs no unit.

    Returns:
        int nanoseconds, at least 0, rounded down.

    Raises:
        ConfigError: the text is not a duration.
    """
    stripped = text.strip()
    if stripped == "0":
        return 0
    match = _DURATION.fullmatch(stripped)
    if match is None:
        raise ConfigError(f"{text!r} is not a duration", _HINT)
    return int(Decimal(match[1]) * _NS_PER_UNIT[match[2]])


def format_duration(duration_ns: int) -> str:
    """Write a duration for people, two units at most: ``350ms``, ``2.5s``, ``3m20s``, ``1h05m``."""
    if duration_ns < 0:
        return f"-{format_duration(-duration_ns)}"
    if duration_ns < NS_PER_MS:
        return f"{duration_ns // 1_000}us" if duration_ns else "0s"
    if duration_ns < NS_PER_S:
        return f"{duration_ns // NS_PER_MS}ms"
    if duration_ns < 60 * NS_PER_S:
        tenths = duration_ns // (NS_PER_S // 10)
        return f"{tenths // 10}.{tenths % 10}s" if tenths % 10 else f"{tenths // 10}s"
    whole_s = duration_ns // NS_PER_S
    if whole_s < 3600:
        return f"{whole_s // 60}m{whole_s % 60:02d}s" if whole_s % 60 else f"{whole_s // 60}m"
    return f"{whole_s // 3600}h{whole_s % 3600 // 60:02d}m" if whole_s % 3600 // 60 else f"{whole_s // 3600}h"
