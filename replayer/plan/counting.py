"""Numbers that a client counts up in what it sends: ids of its own calls, never values of the server's. Pure.

Both sides of a socket may count from 1; that the server once said 3 does not make the client's third call its echo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replayer.plan.scoring import is_call_key
from replayer.plan.values import EventRef, Use

Counted = frozenset[tuple[str, str]]
"""(where it is sent, place) pairs."""


def counted_places(uses: Mapping[EventRef, Iterable[Use]], where: Mapping[EventRef, str]) -> Counted:
    """Return the places at which every value is the one before it plus 1, or the same; one step up at least.

    Args:
        uses: in order of their sending.
        where: by event: a name for the socket or path that it goes to.
    """
    last: dict[tuple[str, str], int] = {}
    steps: dict[tuple[str, str], int] = {}
    broken: set[tuple[str, str]] = set()
    said_in: dict[tuple[str, str], EventRef] = {}
    for event, own in uses.items():
        for use in own:
            if use.is_piece or not use.value.isdigit() or len(use.value) > 9 or not is_call_key(use.key):
                continue
            place, number = (where[event], use.place), int(use.value)
            step = number - last.get(place, number)
            if step not in (0, 1) or said_in.get(place) == event:  # Of several at once, each is another thing.
                broken.add(place)
            said_in[place] = event
            steps[place] = steps.get(place, 0) + step
            last[place] = number
    return frozenset(place for place, n in steps.items() if n > 0 and place not in broken)
