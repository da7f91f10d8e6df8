"""What a server pushes of its own accord, as recorded: how often, with what silences, stamped or not. Pure.

A kind of message is pushed where a socket received it several times and no message of the client's asked for it.
Replies, and what the client answers as a heartbeat, are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean, pstdev

from captures.records import Message, Socket
from replayer.plan.pairing import Entry, Pairings, SocketLog
from replayer.plan.records import Push
from replayer.plan.stamps import stamp_key

LEAST_ON_A_SOCKET = 3
"""A kind that no socket received so often is an event, not a stream."""
_LEAST_GAPS = 4
_STEADY_CV = 1.2
"""Coefficient of variation of the gaps up to which a rate means something; 1 is a Poisson stream."""
_DISTINCT = 0.9
_EXAMPLES = 50


def pushes_of(logs: Sequence[tuple[SocketLog, Socket]], pairings: Pairings, *, wall_ns: int) -> dict[int, Push]:
    """Return by message kind what one socket route pushed.

    Args:
        logs: its sockets.
        pairings: what was learned of its messages.
        wall_ns: ns since the epoch at the capture's time 0.
    """
    asked = {rule.receive_kind for rule in pairings.responders.values()}
    for (log, _), rows in zip(logs, pairings.replies, strict=True):
        kinds = {entry.position: entry.kind for entry in log.entries}
        asked |= {kinds[row.received] for row in rows if row.received in kinds}
    open_ns = sum(_open_ns(socket) for _, socket in logs)
    received = {entry.kind for log, _ in logs for entry in log.entries if not entry.is_sent}
    found = {kind: _push([list(_of_kind(log, kind)) for log, _ in logs], open_ns, wall_ns) for kind in received - asked}
    return {kind: push for kind, push in sorted(found.items()) if push is not None}


def _of_kind(log: SocketLog, kind: int) -> Iterator[tuple[Entry, Message]]:
    return ((entry, log.messages[entry.position]) for entry in log.entries if entry.kind == kind and not entry.is_sent)


def _push(sockets: Sequence[list[tuple[Entry, Message]]], open_ns: int, wall_ns: int) -> Push | None:
    if max(map(len, sockets), default=0) < LEAST_ON_A_SOCKET:
        return None
    gaps = [late.t_ns - early.t_ns for rows in sockets for (early, _), (late, _) in pairwise(rows)]
    n = sum(map(len, sockets))
    n_distinct = sum(len({message.data for _, message in rows}) for rows in sockets)
    return Push(
        n=n,
        open_ns=open_ns,
        longest_gap_ns=max(gaps),
        is_steady=len(gaps) >= _LEAST_GAPS and pstdev(gaps) <= _STEADY_CV * fmean(gaps),
        is_distinct=n_distinct >= _DISTINCT * n,
        stamp=stamp_key(_examples(sockets, wall_ns)),
    )


def _examples(sockets: Iterable[list[tuple[Entry, Message]]], wall_ns: int) -> Iterator[tuple[bytes, int]]:
    for rows in sockets:
        for entry, message in rows[:_EXAMPLES]:
            yield message.data, wall_ns + entry.t_ns


def _open_ns(socket: Socket) -> int:
    """Return how long a socket was open, as far as the recording goes."""
    latest_ns = max((message.t_ns for message in socket.messages), default=socket.open_ns)
    return max(0, (socket.close_ns if socket.close_ns is not None else latest_ns) - socket.open_ns)
