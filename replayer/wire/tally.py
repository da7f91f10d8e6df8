"""How many connections a worker has open. Pure."""

from __future__ import annotations


class Tally:
    """A count that connections raise when they open and lower when they are gone.

    Attributes:
        n: open connections.
        n_wires: TCP connections of sockets that are not gone yet: they outlive the socket by the end of TCP.
        n_paused: those whose peer does not read what was sent to it (sockets only).
    """

    __slots__ = ("n", "n_paused", "n_wires")

    def __init__(self) -> None:
        self.n = 0
        self.n_wires = 0
        self.n_paused = 0
