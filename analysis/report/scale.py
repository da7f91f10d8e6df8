"""Where a value lies on an axis, and which values are written beside it. Pure.

A plot is as wide as its page, so a place is a share of an axis, 0 at its start and 1 at its end, never a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_MOST_TIME_TICKS = 7
_MOST_TICKS = 5
_SHORT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from ``low`` to ``high``; ``is_log`` has both above 0."""

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; what is outside lies on the edge."""
        if self.is_log:
            share = (log10(max(value, 1e-12)) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def ticks(self, most: int = _MOST_TICKS) -> list[float]:
        """Return round values to write beside the axis, ascending."""
        return self._log_ticks(most) if self.is_log else self._linear_ticks(most)

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**decade for decade in decades for factor in factors]
            found = [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]
            if len(found) <= most:
                return found
        return found[:: ceil(len(found) / most)]

    def _linear_ticks(self, most: int) -> list[float]:
        step = nice_step((self.high - self.low) / most)
        first = ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, floor(self.high / step + 1e-9) + 1)]


def nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, … (and their tenths, hundredths, …) that is not below ``least``."""
    decade = 10.0 ** floor(log10(least)) if least > 0 else 1.0
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= least * (1 - 1e-9))


def counting_scale(values: Sequence[float], *, at_least: float = 1.0) -> Scale:
    """Return an axis from 0 to a round value not below any of ``values``."""
    top = max([*values, at_least])
    step = nice_step(top / (_MOST_TICKS - 1))
    return Scale(low=0.0, high=step * ceil(top / step - 1e-9))


def time_ticks(end_s: float) -> list[float]:
    """Return round times (s) from 0 on to write beside an axis that ends at ``end_s``."""
    steps = (step for step in _TIME_STEPS_S if end_s / step <= _MOST_TIME_TICKS)
    step = next(steps, _TIME_STEPS_S[-1] * ceil(end_s / _TIME_STEPS_S[-1] / _MOST_TIME_TICKS))
    return [float(n * step) for n in range(floor(end_s / step) + 1)]


def clock(at_s: float, end_s: float) -> str:
    """Write a time of an axis that ends at ``end_s``: ``45 s``, ``1:30``, ``2:05:00``."""
    if end_s <= _SHORT_S:
        return f"{at_s:g} s"
    whole = round(at_s)
    if end_s < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
