"""What is wrong with a file, in sentences. Pure."""

from __future__ import annotations


class DamageLog:
    """Collects damage by place, so that reading a place twice does not report it twice."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], tuple[int, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, offset: int, kind: str, sentence: str, *, bytes_lost: int = 0) -> None:
        """Note damage.

        Args:
            offset: where, in bytes; sentences are told in this order.
            kind: tells several damages of one place apart.
            sentence: without a full stop.
            bytes_lost: how much of the file it makes unusable.
        """
        self._found[offset, kind] = (bytes_lost, sentence)

    def add_gap(self, offset: int, end: int, events_lost: int | None) -> None:
        """Note that bytes ``offset`` to ``end`` (exclusive) are no frame.

        Args:
            events_lost: how many events they held; None where that cannot be told.
        """
        held = {None: "", 0: ", no event"}.get(events_lost, f", {events_lost} events")
        sentence = f"bytes {offset} to {end} ({end - offset} bytes{held}) are damaged and were skipped"
        self.add(offset, "gap", sentence, bytes_lost=end - offset)

    @property
    def bytes_lost(self) -> int:
        """Bytes made unusable."""
        return sum(n_bytes for n_bytes, _ in self._found.values())

    @property
    def first_offset(self) -> int | None:
        """Where the first damage is, or None where there is none."""
        return min((offset for offset, _ in self._found), default=None)

    def sentences(self) -> list[str]:
        """All of it, in order of the file."""
        return [self._found[key][1] for key in sorted(self._found)]
