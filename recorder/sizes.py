"""Sizes as people type them; pure."""

from __future__ import annotations

import re

from captures.errors import ConfigError

_SIZE = re.compile(r"(\d{1,12})\s*(b|k|kb|kib|m|mb|mib|g|gb|gib)?", re.ASCII | re.IGNORECASE)
_SHIFTS = {"b": 0, "k": 10, "m": 20, "g": 30}


def parse_size_bytes(text: str) -> int:
    """Read a size such as ``512KiB``, ``16MiB`` or ``1g``; units are powers of 1024, a bare number is bytes.

    Raises:
        ConfigError: the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a size", "write a number with a unit, such as 512KiB or 16MiB")
    return int(match[1]) << _SHIFTS[(match[2] or "b")[0].lower()]
