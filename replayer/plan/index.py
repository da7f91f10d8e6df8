"""An index by value of what the server showed to one session: looked up when the client sends. Pure.

Of several places that showed a value, one with a name (header, cookie, JSON key, named HTML element) is preferred to
one with a position, a response to a message, and among equals the most recent response and the first message. A
response that only repeats what its own request carried mints nothing: a poll does not depend on the poll before. Of a
short value, which means different things at different places, the one is taken whose names fit; and of those, the one
that brought it into the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from replayer.plan.scoring import Terms, is_named_after, is_same_key, total
from replayer.plan.sightings import STABLE, Sighting
from replayer.plan.values import EventRef, Use

_MAX_OTHERS = 4
_SHORT_CHARS = 8
"""Values below this length mean different things at different places."""
_MAX_NAMES = 32
_MAX_MESSAGES = 6


class Mints(Enum):
    """What of a response or message may have been made just before it came, for this one user."""

    NOTHING = "nothing"
    NEW = "new"
    """What was never shown or sent before: it was read after a write, or is a message."""
    NAMED = "named"
    """Whatever stands under a name, and all that is new: it answers a write."""


def _is_minted(mints: Mints, sighting: Sighting, *, is_new: bool) -> bool:
    return (is_new and mints is not Mints.NOTHING) or (mints is Mints.NAMED and sighting.rank <= STABLE)


class _Entry:
    """What is known of one value so far."""

    __slots__ = (
        "by_name",
        "first",
        "sent_before",
        "message",
        "messages",
        "minted",
        "n",
        "others",
        "position",
        "response",
    )

    def __init__(self, *, first: EventRef, sent_before: frozenset[str], is_short: bool) -> None:
        self.first = first
        self.sent_before = sent_before
        self.by_name: dict[tuple[str, str], Sighting] | None = {} if is_short else None
        self.minted: dict[tuple[str, str], Sighting] = {}
        self.response: Sighting | None = None
        self.message: Sighting | None = None
        self.messages: tuple[Sighting, ...] = ()
        self.position: Sighting | None = None
        self.others: tuple[Sighting, ...] = ()
        self.n = 0

    def add(self, sighting: Sighting, *, is_minted: bool) -> None:
        self.n += 1
        if is_minted:
            self.minted.setdefault((sighting.parent, sighting.key), sighting)
        best = self.best()
        if self.by_name is not None and len(self.by_name) < _MAX_NAMES:
            name = (sighting.parent, sighting.key)
            self.by_name[name] = _newer(self.by_name.get(name), sighting)
        if sighting.rank > STABLE:
            self.position = _newer(self.position, sighting)
        elif sighting.event[1] >= 0:
            self.message = self.message or sighting
            self.messages = (*self.messages, sighting)[:_MAX_MESSAGES]
        else:
            self.response = _newer(self.response, sighting)
        if best is not None:
            left = best if best is not self.best() else sighting
            self.others = (left, *self.others)[:_MAX_OTHERS]

    def is_sent_first(self, key: str) -> bool:
        """Tell whether the client sent it, of a short value as the same thing, before the server ever showed it."""
        if self.by_name is None:
            return bool(self.sent_before)
        return any(is_same_key(sent, key) for sent in self.sent_before)

    def best(self) -> Sighting | None:
        return self.response or self.message or self.position

    def best_for(self, use: Use) -> Sighting | None:
        """Return the sighting that a use most likely means: of a short value the one whose names fit.

        Subtle: 17 is the id of an order and of a user; only names tell which one ``/orders/17`` asks for. Of those
        that fit, the one that brought it into the world is meant, not those that repeat it later.
        """
        best = self.best()
        if not self.by_name or best is None:
            return best
        minted = [sighting for sighting in self.minted.values() if _fits(use, sighting)]
        if minted:
            return max(minted, key=lambda s: (_is_named(use, s), s.rank <= STABLE, s.at_ns, s.event, s.place))
        if _fits(use, best):
            return best
        fitting = [sighting for sighting in self.by_name.values() if _fits(use, sighting)]
        return min(fitting, key=lambda s: (s.rank > STABLE, -s.at_ns, s.event, s.place), default=best)


def _is_short(value: bytes) -> bool:
    return len(value) < _SHORT_CHARS


def _is_of(keys: Iterable[str] | None, value: bytes, key: str) -> bool:
    """Tell whether a value stood under one of these names: a short one means something else under each."""
    return keys is not None and (not _is_short(value) or any(is_same_key(each, key) for each in keys))


def _fits(use: Use, sighting: Sighting) -> bool:
    return _is_named(use, sighting) or is_same_key(use.key, sighting.key)


def _is_named(use: Use, sighting: Sighting) -> bool:
    return is_named_after(use.key, sighting.parent, sighting.key)


def _newer(old: Sighting | None, new: Sighting) -> Sighting:
    """Return the sighting of the later event; of one event, the better anchored and then the first."""
    if old is None or old.event != new.event:
        return new
    return new if new.rank < old.rank else old


class Index:
    """Values of one session, by value."""

    __slots__ = ("_entries", "_sent")

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._sent: dict[bytes, set[str]] = {}

    def show(
        self, seen: Iterable[tuple[bytes, Sighting]], echoed: Sequence[Use] = (), *, mints: Mints = Mints.NOTHING
    ) -> None:
        """Take what a response or message shows.

        Args:
            echoed: the uses of the request that the response answers.
            mints: which of it may have come into the world just then.
        """
        own: dict[bytes, set[str]] = {}
        for use in echoed:
            own.setdefault(use.value, set()).add(use.key)
        for value, sighting in seen:
            is_echo = _is_of(own.get(value), value, sighting.key)
            entry = self._entries.get(value)
            is_new = entry is None or entry.first == sighting.event
            if entry is None:
                entry = self._entries[value] = _Entry(
                    first=sighting.event, sent_before=frozenset(self._sent.get(value, ())), is_short=_is_short(value)
                )
            elif is_echo:
                entry.n += 1
                continue
            is_new = is_new and not entry.is_sent_first(sighting.key)
            entry.add(sighting, is_minted=not is_echo and _is_minted(mints, sighting, is_new=is_new))

    def match(self, use: Use) -> Match | None:
        """Return where the value of a use had been shown before it was sent, or None."""
        entry = self._entries.get(use.value)
        best = entry.best_for(use) if entry is not None else None
        if entry is None or best is None:
            return None
        return Match(
            use=use,
            sighting=best,
            is_minted=best in entry.minted.values(),
            n_sightings=entry.n,
            is_sent_first=entry.is_sent_first(use.key),
            others=entry.others,
            messages=entry.messages if best is entry.message else (),
        )

    def send(self, uses: Iterable[Use]) -> None:
        """Note what the client has sent."""
        for use in uses:
            self._sent.setdefault(use.value, set()).add(use.key)


@dataclass(slots=True, kw_only=True)
class Match:
    """A use, and where its value may come from.

    Attributes:
        is_minted: the value came into the world there: a write was answered, or something read anew after one.
        n_sightings: how often the server had shown the value before.
        is_sent_first: the client sent it before the server ever showed it.
        others: what else was considered, the last first.
        messages: where the sighting is a message: all that showed the value so far, it the first of them.
        terms: the score, term by term.
        is_accepted: whether it becomes a slot.
        is_counted: the client counts up at the place of the use.
        is_listed: it is a path segment, and a list in the answer of the path before it names it.
    """

    use: Use
    sighting: Sighting
    is_minted: bool = False
    n_sightings: int = 1
    is_sent_first: bool = False
    others: tuple[Sighting, ...] = ()
    messages: tuple[Sighting, ...] = ()
    terms: Terms = field(default_factory=list)
    is_accepted: bool = False
    is_listed: bool = False
    is_counted: bool = False

    @property
    def score(self) -> int:
        """Sum of the terms."""
        return total(self.terms)
