"""What a server pushes of its own accord, as recorded: how often, with what silences, stamped or not. Pure.

A kind of message is pushed where a socket received it several times and no message of the client's asked for it. What
the client answers as a heartbeat is none; of a kind of which some are replies (a chat shows one's own words too) the
others are.

How often: with g the mean gap between two on one socket and v its coefficient of variation, a renewal process gives in
the time x after its first message, of which the last part a brought nothing::

    expected = x / d − (1 − v²) · min(a / g, 1)

So d, the time per message, follows from all recorded sockets, and a replay counts what is due in the same way. For a
clock (v = 0) the last, unfinished gap counts for nothing; for a Poisson stream (v = 1) nothing is known of it.
Worked: messages at 1, 2 … 60 s on a socket that closes at 60.5 s: 59 + 0.5 in 59.5 s, so one is due every second.

Source: Cox, Renewal Theory (1962), §4.2: the expected number of renewals is x/g − (1 − v²)/2 in the long run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean, pstdev

from captures.envelopes import Framing
from captures.records import Message, Socket
from replayer.plan.pairing import Entry, Pairings, SocketLog
from replayer.plan.push import Push
from replayer.plan.stamps import stamp_key, stamp_search

LEAST_ON_A_SOCKET = 3
"""A kind that no socket received so often is an event, not a stream."""
ECHO_WITHIN_NS = 10_000_000_000
"""What a client sent is pushed back so soon, or it is not what set the push off."""
_LEAST_GAPS = 4
_STEADY_CV = 1.2
"""Coefficient of variation of the gaps up to which a rate means something; 1 is a Poisson stream."""
_DISTINCT = 0.9
_EXAMPLES = 50
_SEARCHED_BYTES = 4096

_Rows = list[tuple[Entry, Message]]


def pushes_of(logs: Sequence[tuple[SocketLog, Socket]], pairings: Pairings, *, wall_ns: int) -> dict[int, Push]:
    """Return by message kind what one socket route pushed.

    Args:
        logs: its sockets.
        pairings: what was learned of its messages.
        wall_ns: ns since the epoch at the capture's time 0.
    """
    answered = {rule.receive_kind for rule in pairings.responders.values()}
    replies = [{row.received for row in rows} for rows in pairings.replies]
    received = {entry.kind for log, _ in logs for entry in log.entries if not entry.is_sent} - answered
    found = {}
    for kind in sorted(received):
        sockets = [(list(_of_kind(log, kind)), _close_ns(socket), socket.open_ns) for log, socket in logs]
        n_asked = sum(
            entry.position in own for (rows, _, _), own in zip(sockets, replies, strict=True) for entry, _ in rows
        )
        n = sum(len(rows) for rows, _, _ in sockets)
        if max(len(rows) for rows, _, _ in sockets) >= LEAST_ON_A_SOCKET and 2 * n_asked < n:
            found[kind] = _push(sockets, wall_ns)
    return found


def echo_key(log: SocketLog, entry: Entry, sent_ns: dict[bytes, int]) -> str:
    """Return the key under which a pushed message repeats a value that the client had just made and sent, or "".

    Args:
        sent_ns: when each such value was first sent.
    """
    data = log.messages[entry.position].data
    if log.framing is not Framing.PLAIN:
        return ""
    for hit in log.hits.get(entry.position, ()):
        at_ns = sent_ns.get(hit.value)
        if at_ns is not None and hit.key and 0 <= entry.t_ns - at_ns <= ECHO_WITHIN_NS:
            found = stamp_search(hit.key)(data, 0, _SEARCHED_BYTES)
            if found is not None and found[1] == hit.value:
                return hit.key
    return ""


def _of_kind(log: SocketLog, kind: int) -> Iterator[tuple[Entry, Message]]:
    return ((entry, log.messages[entry.position]) for entry in log.entries if entry.kind == kind and not entry.is_sent)


def _push(sockets: Sequence[tuple[_Rows, int, int]], wall_ns: int) -> Push:
    gaps = [late.t_ns - early.t_ns for rows, _, _ in sockets for (early, _), (late, _) in pairwise(rows)]
    gap_ns = fmean(gaps)
    cv = pstdev(gaps) / gap_ns if gap_ns else 0.0
    n = sum(len(rows) for rows, _, _ in sockets)
    n_distinct = sum(len({message.data for _, message in rows}) for rows, _, _ in sockets)
    is_steady = len(gaps) >= _LEAST_GAPS and gap_ns > 0 and cv <= _STEADY_CV
    heard = [(rows, close_ns) for rows, close_ns, _ in sockets if rows]
    return Push(
        n=n,
        gap_ns=round(gap_ns),
        gap_cv=round(cv, 4),
        longest_gap_ns=max(gaps),
        due_ns=_due_ns(heard, len(gaps), gap_ns, min(cv, 1.0)) if is_steady else 0,
        wait_ns=max(rows[0][0].t_ns - open_ns for rows, _, open_ns in sockets if rows),
        is_distinct=n_distinct >= _DISTINCT * n,
        stamp=stamp_key(_examples((rows for rows, _, _ in sockets), wall_ns)),
    )


def _due_ns(heard: Collection[tuple[_Rows, int]], n_gaps: int, gap_ns: float, cv: float) -> int:
    """Return the time per message, as above; 0 where there was none after the first."""
    live_ns = sum(close_ns - rows[0][0].t_ns for rows, close_ns in heard)
    unfinished = sum(min((close_ns - rows[-1][0].t_ns) / gap_ns, 1.0) for rows, close_ns in heard)
    return round(live_ns / (n_gaps + (1 - cv * cv) * unfinished))


def _examples(sockets: Iterable[_Rows], wall_ns: int) -> Iterator[tuple[bytes, int]]:
    for rows in sockets:
        for entry, message in rows[:_EXAMPLES]:
            yield message.data, wall_ns + entry.t_ns


def _close_ns(socket: Socket) -> int:
    """Return when a socket ended, as far as the recording goes."""
    latest_ns = max((message.t_ns for message in socket.messages), default=socket.open_ns)
    return max(latest_ns, socket.close_ns) if socket.close_ns is not None else latest_ns
