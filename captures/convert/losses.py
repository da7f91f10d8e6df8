"""What a conversion could not carry over, counted by kind: nothing is left out without a word. Pure."""

from __future__ import annotations

MAX_KINDS = 100
MAX_CHARS = 300


class Losses:
    """Collects losses by what they are, with the place of the first of each kind."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, where: str = "", *, n: int = 1) -> None:
        """Note a loss.

        Args:
            what: the kind, worded as a heading: ``entries that are no HTTP requests``.
            where: its place, and why: ``entry 3: …``.
            n: how many.
        """
        count, first = self._found.get(what, (0, where))
        if count or len(self._found) < MAX_KINDS:
            self._found[what] = (count + n, first[:MAX_CHARS])

    def sentences(self) -> list[str]:
        """One sentence per kind, in the order in which they were first met."""
        return [f"{what}: {n}" + (f" (first: {where})" if where else "") for what, (n, where) in self._found.items()]
