"""Which answers may show what a session has just brought into the world: those to writes, and what is read after them.

Pure. Of pages that show what a form has made, two signs are taken: the write sent the browser there, or the same path
had been read before the write too.
"""

from __future__ import annotations

from captures.bodies import header
from captures.envelopes import is_polling
from captures.leaves import target_of
from replayer.plan.index import Mints
from replayer.plan.routes import is_unsafe, operation_of
from replayer.plan.selection import Track


class Writes:
    """The writes of one session, asked for in the order in which its answers came."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._n_writes = 0
        self._read_at: dict[str, int] = {}
        self._sent_to: set[str] = set()

    def minted_by(self, position: int) -> Mints:
        """Return what an answer may have minted, and take note of it."""
        exchange = self._track.exchanges[position]
        if exchange.socket is not None:
            return Mints.NOTHING
        if is_polling(exchange.target):
            return Mints.NEW  # These are messages.
        is_write = is_unsafe(exchange, operation_of(exchange))
        is_sent_to = exchange.target in self._sent_to
        location = header(exchange.response_headers, b"location")
        if location is not None and (is_write or is_sent_to):
            self._sent_to.add(target_of(location).decode("latin-1"))
        if is_write:
            self._n_writes += 1
            return Mints.NAMED
        is_read_anew = self._read_at.get(exchange.path, self._n_writes) < self._n_writes
        self._read_at[exchange.path] = self._n_writes
        return Mints.NEW if is_sent_to or is_read_anew else Mints.NOTHING
