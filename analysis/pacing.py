"""What share of a run no ``--speed`` can shorten: the time that users wait for the server to speak first. Pure.

A step of the series ``ws.awaited`` listens for a message that nothing asked for and that later steps need. Its wait
goes at the server's pace, as heartbeats, storms and the lives of tokens do. With W the sum of all such waits (from when
somebody listens until the message came) and U the sum over all seconds of the users who were there::

    server-paced share = min(1, W / U)

Worked value: 10 users for 60 s, each of whom waited 30 s in all for pushed messages: 300 / 600 = 0.5.
"""

from __future__ import annotations

from analysis.run import Run
from analysis.series import total_of


def server_paced_ratio(run: Run) -> float | None:
    """Return the share (0–1) of the users' time, or None where nobody was there for a whole second."""
    active_s = sum(slot.gauges.get("users_active", 0) for slot in run.seconds.values())
    if not active_s:
        return None
    return min(1.0, total_of(run.whole.measures, "ws.awaited").latency_sum_us / 1e6 / active_s)
