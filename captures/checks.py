"""One finding of ``rushhour doctor``: every room reports its own, the front door prints them all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and what to do about it.

    Attributes:
        name: what was checked, one or two words.
        ok: whether it will do.
        found: what was found, for people: a version, a path, a number.
        fix: the next step where it will not do, or an empty string.
    """

    name: str
    ok: bool
    found: str
    fix: str
