"""How a recording shows a server to push a kind of message; ``pushes`` learns it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """How the server pushed a kind of message of its own accord (``plan.pushes``).

    Attributes:
        n: how many came, on all sockets of the route.
        gap_ns, gap_cv: mean and coefficient of variation of the time between two on one socket.
        longest_gap_ns: the longest of these times.
        due_ns: one is due so often on a live socket; 0 where they came too irregularly to say.
        wait_ns: from an open socket to its first, at most.
        is_distinct: one socket hardly ever received the same bytes twice, so equal bytes are one broadcast.
        stamp: key of the server's time in the message (``plan.stamps``), "" where there is none.
        echo: key under which it repeats a value that a client made and sent, "" where it does not.
    """

    n: int
    gap_ns: int = 0
    gap_cv: float = 0.0
    longest_gap_ns: int = 0
    due_ns: int = 0
    wait_ns: int = 0
    is_distinct: bool = False
    stamp: str = ""
    echo: str = ""
