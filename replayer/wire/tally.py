"""How many connections a worker has open. Pure."""

from __future__ import annotations


class Tally:
    """A count that connections raise when they open and lower when they are gone."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0
