"""Why a plan is as it is: what was found, chosen and left alone, for ``explain``. Pure data.

Values stand here as recorded; whoever shows them shortens them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from replayer.plan.scoring import Terms


class Left(Enum):
    """Why a value was left as it was recorded."""

    CREDENTIAL = "credential"
    """Typed by a person: every virtual user sends the recorded one."""
    TYPED = "typed"
    """It stands in a form or under a name like ``title``, in a request that writes: all virtual users send the same."""
    UNBOUND = "unbound"
    """It looks minted, but no response or message showed it before."""
    UNLIKELY = "unlikely"
    """The server had shown it, but little speaks for more than coincidence."""
    CONSTANT = "constant"
    """It stands in a script of the page, or several sessions sent the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A place that a slot fills."""

    step: int
    place: str
    terms: Terms = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SlotEvidence:
    """Where a slot comes from and where it goes.

    Attributes:
        producer: step that fills it, -1 where none does; or the place of a responder's message.
        place: where the producer shows the value.
        others: further places that had shown it.
    """

    slot: int
    producer: int = -1
    place: str = ""
    others: tuple[str, ...] = ()
    consumers: list[Consumer] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value that was left as recorded; ``shown`` is where the server had shown it, if it had."""

    step: int
    place: str
    value: bytes
    why: Left
    shown: str = ""
    terms: Terms = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ScriptEvidence:
    """Everything that was decided for one session.

    Attributes:
        slots: of the script, by number.
        reasons: by step: (needed step, why) pairs.
        notes: sentences on what is unusual.
    """

    session: int
    slots: list[SlotEvidence] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    reasons: list[tuple[tuple[int, str], ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
