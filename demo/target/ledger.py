"""The ledger: every request and upgrade that arrived, so that a test can balance what was sent against what was seen.

An entry is opened when the request's head is there and closed with the status of the answer; an entry without a status
is one that nobody waited for. Counts are of everything, entries of the latest ``KEPT``. Admin requests are not in it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

KEPT = 200_000
UNANSWERED = 0
SOCKET_COUNTS = ("open", "opened", "closed", "received", "sent")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request or upgrade.

    Attributes:
        id: running number from 1, without gaps.
        at_ms: wall clock when it arrived, ms since the epoch.
        method: of an upgrade ``WS``.
        route: template, such as ``/api/quotes/{symbol}``; ``(none)`` where there is no such route.
        status: of the answer, 101 for an accepted upgrade; 0 while there is none.
        user, login: who it was, empty and 0 where that is not known.
        taken_us: from arrival to the head of the answer.
    """

    id: int
    at_ms: int
    method: str
    route: str
    status: int = UNANSWERED
    user: str = ""
    login: int = 0
    taken_us: int = 0

    def to_dict(self) -> dict[str, str | int]:
        """Give the entry for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """All entries since the start or the last reset."""

    def __init__(self) -> None:
        self._last_id = 0
        self._reset_id = 0
        self.sockets: Counter[str] = Counter(dict.fromkeys(SOCKET_COUNTS, 0))
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._closed: Counter[tuple[str, str, int]] = Counter()

    @property
    def n_seen(self) -> int:
        """Requests and upgrades that arrived since the last reset."""
        return self._last_id - self._reset_id

    def reset(self) -> None:
        """Forget everything but the ids, which run on, and the sockets that are open."""
        self._reset_id = self._last_id
        self._entries.clear()
        self._closed.clear()
        self.sockets = Counter(dict.fromkeys(SOCKET_COUNTS, 0) | {"open": self.sockets["open"]})

    def open(self, method: str, route: str, at_ms: int) -> Entry:
        """Open an entry for a request that arrived."""
        self._last_id += 1
        entry = Entry(id=self._last_id, at_ms=at_ms, method=method, route=route)
        self._entries.append(entry)
        return entry

    def close(self, entry: Entry) -> None:
        """Count an entry that has got its status; one from before the last reset is not counted."""
        if entry.id > self._reset_id:
            self._closed[entry.method, entry.route, entry.status] += 1

    def counts(self) -> list[dict[str, str | int]]:
        """Give how often each route was answered with which status; the unanswered are ``n_seen`` less these."""
        rows = sorted(self._closed.items())
        return [{"method": method, "route": route, "status": status, "n": n} for (method, route, status), n in rows]

    def entries(self, since: int, limit: int) -> Iterator[Entry]:
        """Give kept entries with an id above ``since``, oldest first, at most ``limit``."""
        newer = (entry for entry in self._entries if entry.id > since)
        for entry, _ in zip(newer, range(limit), strict=False):
            yield entry

    def summary(self, since: int, limit: int) -> dict[str, object]:
        """Give counts and entries for JSON."""
        return {
            "seen": self.n_seen,
            "answered": sum(self._closed.values()),
            "counts": self.counts(),
            "sockets": dict(self.sockets),
            "entries": [entry.to_dict() for entry in self.entries(since, limit)],
        }
