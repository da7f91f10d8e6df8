"""Plays the one user of a verification, watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.slots import SecondSlot
from captures.errors import ReplayError
from replayer.pool.solo import play_here
from replayer.user.link import LinkedScript
from replayer.user.port import Run
from replayer.user.steps import User
from replayer.verify.witness import Witness


@dataclass(frozen=True, slots=True)
class Played:
    """What one user saw, and what the worker measured."""

    witness: Witness
    measured: SecondSlot


def play(assignment: dict[str, Any]) -> Played:
    """Play the one user of an assignment to the end of its script.

    Args:
        assignment: the body of a worker's assignment, with one worker and one user.

    Raises:
        ReplayError: our side broke, or there was nothing to play.
    """
    witnesses: list[Witness] = []

    def seat(number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool) -> User:
        witnesses.append(Witness(number, script, run, inputs, is_sampled=is_sampled))
        return witnesses[-1]

    measured = play_here(assignment, seat=seat)
    if not witnesses:
        raise ReplayError("nobody was there to be verified")
    return Played(witnesses[0], measured)
