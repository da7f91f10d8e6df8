"""A token bucket per login. Pure.

Source: RFC 2697 §3, with one bucket: ``level = min(burst, level + rate × elapsed)``, one taken by each request.
Worked value: 100/s with a burst of 200, 200 taken at once: the next is free after 10 ms.
"""

from __future__ import annotations

import math
from collections import OrderedDict

_NS_PER_S = 1_000_000_000
_BURST_S = 2.0
_KEPT = 100_000


class RateLimit:
    """Lets each key through ``rate_per_s`` times a second and twice as often at once."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, rate_per_s * _BURST_S)
        self._levels: OrderedDict[object, tuple[float, int]] = OrderedDict()

    def retry_after_s(self, key: object, now_ns: int) -> int:
        """Take one from the bucket of ``key``.

        Returns:
            0 where there was one, else the whole seconds (≥ 1) after which there will be.
        """
        level, seen_ns = self._levels.pop(key, (self._burst, now_ns))
        level = min(self._burst, level + self._rate_per_s * (now_ns - seen_ns) / _NS_PER_S)
        is_free = level >= 1.0
        self._levels[key] = (level - 1.0 if is_free else level, now_ns)
        if len(self._levels) > _KEPT:
            self._levels.popitem(last=False)
        return 0 if is_free else max(1, math.ceil((1.0 - level) / self._rate_per_s))
