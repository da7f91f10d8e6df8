"""Which implementation speaks to the target. Pure: options name it before any of them is imported."""

from __future__ import annotations

from enum import Enum


class WireKind(Enum):
    """``--wire``."""

    FAST = "fast"
    REFERENCE = "reference"
    """``httpx`` and ``websockets``: slow, and written by others, so that both can be compared."""
