"""What ``verify`` sees and says: what came for each step, how it differs from the recording, and why. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from replayer.plan.records import JsonPath


class Aspect(Enum):
    """In what an answer or message can differ from the recorded one."""

    OUTCOME = "outcome"
    """The step failed, or was not sent."""
    STATUS = "status"
    CONTENT_TYPE = "content type"
    BODY = "body"
    """It is no JSON, empty, or of another size altogether, where the recorded one was otherwise."""
    MISSING = "missing"
    """A key, or a named field of a form, that the recorded one had."""
    ADDED = "added"
    EMPTY = "empty"
    KIND = "kind"
    LENGTH = "length"
    VALUE = "value"
    EXTRACTOR = "extractor"
    """A value that later steps need was not where the plan looks for it."""
    MESSAGES = "messages"
    """A kind of message that was recorded never came, or came wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between a recorded and a live answer.

    Attributes:
        place: where, for people: ``orders/0/id``, ``content-type``.
        recorded, live: what stood there, without secrets; "" where nothing did.
        reason: why that is no fault; "" where nothing explains it.
    """

    aspect: Aspect
    place: str = ""
    recorded: str = ""
    live: str = ""
    reason: str = ""

    @property
    def is_explained(self) -> bool:
        """Whether something explains it."""
        return bool(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDifference:
    """A difference as it is found, with the plain values, before anybody asks why."""

    aspect: Aspect
    path: JsonPath
    recorded: Any = None
    live: Any = None


@dataclass(slots=True, kw_only=True)
class Live:
    """What came for one step.

    Attributes:
        outcome: ``ok``, a failure class, ``not_sent_<reason>``; "" where the step was never begun.
        body: decoded; None where none was looked at.
        found: by slot, what its extractor found, None where it found nothing.
        detail: why the step was not sent: the value that it lacked, and the step that should have brought it.
    """

    outcome: str = ""
    status: int = 0
    content_type: str = ""
    body: bytes | None = None
    found: dict[int, bytes | None] = field(default_factory=dict)
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What was recorded for one step, in the same terms."""

    status: int = 0
    content_type: str = ""
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step, live against recorded.

    Attributes:
        what: for people, as in ``rushhour plan``.
        kind: of its route, or ``message``.
        n_found, n_wanted: extractors that found something, of all that the step has.
        n_fresh: of those found, how many found another value than the recorded one.
    """

    step: int
    what: str
    kind: str
    outcome: str
    recorded_status: int
    live_status: int
    content_type: str
    n_wanted: int
    n_found: int
    n_fresh: int
    differences: tuple[Difference, ...]

    @property
    def n_unexplained(self) -> int:
        """How many differences nothing explains."""
        return sum(not difference.is_explained for difference in self.differences)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReport:
    """One kind of message that the server sends on one route: how many, and what was wrong with them."""

    route: str
    name: str
    n_recorded: int
    n_live: int
    differences: tuple[Difference, ...] = ()
