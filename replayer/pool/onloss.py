"""What a lost worker means for the others: a choice of the user. Light: the command line imports it."""

from __future__ import annotations

from enum import Enum


class OnLoss(Enum):
    """What becomes of the others when a worker is lost; the run cannot pass either way."""

    ABORT = "abort"
    """They are drained."""
    CONTINUE = "continue"
    """They play on, without its users."""
