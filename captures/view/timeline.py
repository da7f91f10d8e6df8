"""The timeline of a session: when each exchange was asked, answered and over, and when messages passed. Pure.

Nothing of what was said is kept, only when and how much: memory is a few kilobytes per row, however long the session.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from captures.errors import ConfigError
from captures.records import Origin, Peer

N_BINS = 2000
"""Parts of the time axis in which messages are told apart; finer than any screen."""


class Kind(Enum):
    """What an exchange turned out to be."""

    PLAIN = "request"
    STREAM = "event stream"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of time, from ``start_ns`` to ``end_ns``, since the capture's time zero."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ConfigError("--from lies behind --to", "turn them round")

    def place(self, t_ns: int) -> float:
        """Where a time lies: 0 at the start, 1 at the end; times outside lie on the edges."""
        if t_ns <= self.start_ns or self.end_ns <= self.start_ns:
            return 0.0
        return min(1.0, (t_ns - self.start_ns) / (self.end_ns - self.start_ns))

    def bin(self, t_ns: int, n_bins: int = N_BINS) -> int:
        """Which of ``n_bins`` equal parts a time lies in."""
        return min(n_bins - 1, int(self.place(t_ns) * n_bins))


@dataclass(slots=True)
class Marks:
    """When something passed, in ``N_BINS`` parts of the axis: bit 1 is the client's, bit 2 the server's."""

    bins: bytearray = field(default_factory=lambda: bytearray(N_BINS))
    n_sent: int = 0
    n_received: int = 0

    def add(self, sender: Peer, at: int) -> None:
        """Note what ``sender`` sent, in part ``at``."""
        self.bins[at] |= sender
        if sender is Peer.CLIENT:
            self.n_sent += 1
        else:
            self.n_received += 1

    def merged(self, n_columns: int) -> list[int]:
        """The bits in ``n_columns`` columns."""
        columns = [0] * n_columns
        for at, bits in enumerate(self.bins):
            if bits:
                columns[at * n_columns // N_BINS] |= bits
        return columns


@dataclass(slots=True, kw_only=True)
class Row:
    """One exchange.

    Attributes:
        start_ns: the request's start.
        answer_ns: the response head, or None.
        end_ns: the end of the response or socket, or None where it was open when the recording stopped.
        size_bytes: of the response, or of a socket's messages.
        marks: messages of a socket, or pieces of an event stream.
    """

    exchange: int
    method: str
    origin: Origin
    target: str
    start_ns: int
    kind: Kind = Kind.PLAIN
    status: int | None = None
    media_type: str = ""
    answer_ns: int | None = None
    end_ns: int | None = None
    size_bytes: int = 0
    close_code: int | None = None
    error: str = ""
    marks: Marks | None = None


@dataclass(slots=True, kw_only=True)
class Timeline:
    """Rows in order of their start, and how many more there are that were not asked for."""

    axis: Axis
    rows: list[Row]
    n_more: int
    _own: Origin | None = None

    def host_of(self, row: Row) -> str:
        """Host and port of a row where they are not those of most rows, else an empty string."""
        if self._own is None:
            self._own = Counter(row.origin for row in self.rows).most_common(1)[0][0]
        return "" if row.origin == self._own else row.origin.authority
