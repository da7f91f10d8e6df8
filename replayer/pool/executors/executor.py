"""The seam between the controller and whatever runs its workers: an executor launches them and carries bytes.

An executor decides nothing: it never restarts a worker, never reads what it carries, and never blocks on one worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Received:
    """``data`` arrived from ``worker``: a piece of its byte stream, cut anywhere."""

    worker: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Exited:
    """``worker`` is gone and everything it had sent was delivered before.

    ``exit_code`` is negative for a signal, as of ``subprocess``.
    """

    worker: int
    exit_code: int


Report = Received | Exited


class Executor(Protocol):
    """Launches workers by number, once each, and carries bytes both ways."""

    def launch(self, workers: Sequence[int]) -> None:
        """Start these workers.

        Raises:
            ReplayError: one could not be started.
        """

    def send(self, worker: int, frame: bytes) -> None:
        """Queue bytes for a worker and return at once; bytes for a worker that is gone are dropped."""

    def reports(self, timeout_s: float) -> list[Report]:
        """Return what happened, waiting at most ``timeout_s`` for the first report or for ``wake``."""

    def wake(self) -> None:
        """Make a running ``reports`` return; may be called from a signal handler."""

    def kill(self, worker: int) -> None:
        """End a worker at once, whatever it does."""

    def close(self, grace_s: float) -> None:
        """Wait ``grace_s`` for the workers that are left, kill the rest, and free everything."""
