"""How steady a core is by itself: what a loop loses that does nothing else. ``python -m benchmarks.peers.steadiness``.

On a shared machine the host takes a core away for moments, and gives it at two speeds, by what runs on its other
thread. No guest is told; a loop that only looks at the clock sees both. Prints ``lost swing``: milliseconds a second in
which the loop stood still for more than a tenth of one, and how much longer a slow piece of equal work took than a
quick one (90th ÷ 10th percentile).
"""

from __future__ import annotations

import sys
import time

SECONDS = 1.0
GAP_NS = 100_000
_ADDITIONS = 200


def steadiness(seconds: float) -> tuple[float, float]:
    """Return milliseconds lost a second, and the swing."""
    took_ns = []
    clock = time.monotonic_ns
    started_ns = before_ns = clock()
    until_ns = started_ns + int(seconds * 1e9)
    while before_ns < until_ns:
        for _ in range(_ADDITIONS):
            pass
        now_ns = clock()
        took_ns.append(now_ns - before_ns)
        before_ns = now_ns
    lost_ms = sum(ns for ns in took_ns if ns > GAP_NS) / 1e6
    took_ns.sort()
    return lost_ms / ((before_ns - started_ns) / 1e9), took_ns[len(took_ns) * 9 // 10] / took_ns[len(took_ns) // 10]


if __name__ == "__main__":
    lost_ms_per_s, swing = steadiness(SECONDS)
    sys.stdout.write(f"{lost_ms_per_s:.3f} {swing:.3f}\n")
