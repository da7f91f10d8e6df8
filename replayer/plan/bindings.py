"""What fills each use of one session: a value that the server showed, a generator, or nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

from captures.redact.inputs import is_placeholder
from replayer.plan.dependencies import Needs
from replayer.plan.evidence import Left, Literal
from replayer.plan.index import Match
from replayer.plan.minted import drawn_by_script, generator_of, is_session_key, is_shifted
from replayer.plan.reading import Reading
from replayer.plan.records import RouteKind, Source
from replayer.plan.routes import is_unsafe
from replayer.plan.scoring import (
    SUGGESTED,
    TOKEN_CLASSES,
    ValueClass,
    entropy_bits,
    is_credential_key,
    is_telling_key,
    plain_key,
    value_class,
)
from replayer.plan.sightings import Sighting
from replayer.plan.values import EventRef, Part, Use


class Filler(NamedTuple):
    """What fills a use: exactly one of a match and the name of a generator; ``input:<column>`` stands for a column."""

    use: Use
    match: Match | None
    generator: str


class RuledPlaces(Protocol):
    """What the rules say about the places of one session."""

    def decides(self, use: Use) -> bool:
        """Tell whether a rule speaks of the place."""

    def is_literal(self, use: Use) -> bool:
        """Tell whether it stays as it was recorded."""

    def generator(self, use: Use) -> str:
        """Return the generator, or ``input:<column>``, or ""."""

    def chosen(self, use: Use, match: Match | None) -> Match:
        """Return the match whose sighting the rule names; raises ConfigError where there is none."""


class Bindings:
    """The fillers of one session.

    Args:
        wall_ns: wall clock at the capture's time zero.
        passed_over: messages that are no steps, because they only answer.
        constants: values that no client made up for itself.
        answers: received messages that answer one of the client's own.
        ruled: what a person decided, None where nothing.

    Attributes:
        awaited: received messages whose values are used.
        released_ns: by event of a stream whose values are used: when they were all there.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        wall_ns: int,
        passed_over: set[EventRef],
        constants: frozenset[bytes],
        answers: Collection[EventRef] = (),
        ruled: RuledPlaces | None = None,
    ) -> None:
        self._reading = reading
        self._passed_over = passed_over
        self._constants = constants | reading.constants
        self._others: dict[tuple[Sighting, bytes], tuple[Sighting, ...]] | None = None
        self._minted = self._find_minted(wall_ns)
        self._fillers: dict[EventRef, list[Filler]] = {}
        self._dropped: set[int] = set()
        for match in reading.matches:
            if match.messages and match.sighting.event not in answers:
                # What others say comes to everybody; the answer is this user's own.
                match.sighting = next((s for s in match.messages if s.event in answers), match.sighting)
            if ruled is not None and ruled.decides(match.use):
                self._add_ruled(match.use, match, ruled)
            elif match.use.value in self._minted and not (match.is_accepted and self._is_shifted(match.use)):
                self._add(match.use, None)
            elif match.is_accepted:
                self._add(match.use, match)
        for use in reading.unmatched:
            if ruled is not None and ruled.decides(use):
                self._add_ruled(use, None, ruled)
            elif use.value in self._minted:
                self._add(use, None)
        self.released_ns = self._release_streams()
        self.awaited = {
            filler.match.sighting.event
            for fillers in self._fillers.values()
            for filler in fillers
            if filler.match is not None and filler.match.sighting.event[1] >= 0 and not is_courtesy(filler.use)
        }

    def _release_streams(self) -> dict[EventRef, int]:
        """Return by stream when the last value of it was there that its first user needed; later ones are given up.

        Subtle: the virtual user waits for all values of a stream at once, so a value that came because of what an
        earlier one had set off would be waited for in vain.
        """
        released: dict[EventRef, int] = {}
        first_ns: dict[EventRef, int] = {}
        for event, fillers in self._fillers.items():
            for filler in fillers:
                if filler.match is not None and filler.match.sighting.event[0] in self._reading.streams:
                    producer = filler.match.sighting.event
                    first_ns[producer] = min(first_ns.get(producer, 1 << 62), self._at_ns(event))
        for event, fillers in self._fillers.items() if first_ns else ():
            kept = []
            for filler in fillers:
                sighting = filler.match.sighting if filler.match is not None else None
                if sighting is None or sighting.event not in first_ns:
                    kept.append(filler)
                elif sighting.source is Source.HEADER:  # The last id: there is one with the first event.
                    kept.append(filler)
                elif sighting.at_ns <= first_ns[sighting.event]:
                    kept.append(filler)
                    released[sighting.event] = max(released.get(sighting.event, 0), sighting.at_ns)
                else:
                    self._dropped.add(id(filler.match))
            self._fillers[event] = kept
        return released

    def _find_minted(self, wall_ns: int) -> dict[bytes, str]:
        n_sent: dict[tuple[str, bytes], set[EventRef]] = {}
        for use in (*self._reading.unmatched, *(match.use for match in self._reading.matches)):
            if is_session_key(use.key):
                n_sent.setdefault((use.key, use.value), set()).add(use.event)
        brought = {use.value for use in self._reading.unmatched if use.place.startswith("cookie ")}
        minted: dict[bytes, str] = {}
        for use in self._reading.unmatched:
            if use.value not in brought and not is_credential_key(use.key):
                generator = generator_of(use.value, wall_ns + self._at_ns(use.event), use.key)
                if use.value in self._constants and not is_shifted(generator):
                    continue
                if not generator and len(n_sent.get((use.key, use.value), ())) > 1:
                    generator = drawn_by_script(use.value)
                if generator:
                    minted.setdefault(use.value, generator)
        for use in (match.use for match in self._reading.matches if not match.is_accepted):
            generator = generator_of(use.value, wall_ns + self._at_ns(use.event), use.key)
            if is_shifted(generator):  # Shown by chance: a page is full of today's date.
                minted.setdefault(use.value, generator)
        return minted

    def _is_shifted(self, use: Use) -> bool:
        return is_shifted(self._minted.get(use.value, ""))

    def _at_ns(self, event: EventRef) -> int:
        if event[1] >= 0:
            return self._reading.logs[event[0]].messages[event[1]].t_ns
        return self._reading.track.exchanges[event[0]].start_ns

    def _add(self, use: Use, match: Match | None) -> None:
        if use.event not in self._passed_over:
            generator = "" if match is not None else self._minted[use.value]
            self._fillers.setdefault(use.event, []).append(Filler(use, match, generator))

    def _add_ruled(self, use: Use, match: Match | None, ruled: RuledPlaces) -> None:
        """Fill a use as a person decided."""
        generator = ruled.generator(use)
        if generator:
            self._fillers.setdefault(use.event, []).append(Filler(use, None, generator))
        elif not ruled.is_literal(use):
            chosen = ruled.chosen(use, match)
            chosen.is_accepted = True
            self._add(use, chosen)
        elif match is not None:
            match.is_accepted = False

    def decided(self) -> Iterator[tuple[Use, str, Match | None]]:
        """Yield every use with what fills it: ``extract``, ``mint:…``, ``input:…``, ``literal``, and its match."""
        filled = {
            (f.use.event, f.use.part, f.use.header, f.use.start): f for each in self._fillers.values() for f in each
        }
        for use, match in (*((m.use, m) for m in self._reading.matches), *((u, None) for u in self._reading.unmatched)):
            filler = filled.get((use.event, use.part, use.header, use.start))
            if filler is None or filler.use is not use:
                yield use, "literal", match
            elif filler.match is not None:
                yield use, "extract", filler.match
            else:
                name = filler.generator
                yield use, name if name.startswith("input:") else f"mint:{name}", None

    def generator(self, value: bytes) -> str:
        """Return the generator of a value that the client made up, or ""."""
        return self._minted.get(value, "")

    def minted_sends(self) -> Iterator[tuple[bytes, int]]:
        """Yield the values that the client made and that nobody else could have made, with when each was first sent."""
        unique = {value for value, generator in self._minted.items() if generator.startswith(_UNIQUE)}
        first_ns: dict[bytes, int] = {}
        for use in (*self._reading.unmatched, *(match.use for match in self._reading.matches)):
            if use.value in unique:
                first_ns[use.value] = min(first_ns.get(use.value, 1 << 62), self._at_ns(use.event))
        yield from first_ns.items()

    def fillers(self, event: EventRef) -> Sequence[Filler]:
        """Return what fills the uses of an event."""
        return self._fillers.get(event, ())

    def producers(self, event: EventRef) -> Iterator[EventRef]:
        """Yield the events whose values an event cannot do without."""
        for filler in self._fillers.get(event, ()):
            if filler.match is not None and not is_courtesy(filler.use):
                yield filler.match.sighting.event

    def keep_possible(self, numbers: dict[EventRef, int], needs: Sequence[Needs]) -> None:
        """Give up fillers whose producer is no step before their consumer."""
        for event, fillers in self._fillers.items():
            number = numbers.get(event)
            kept = []
            for filler in fillers:
                match = filler.match
                producer = numbers.get(match.sighting.event, -1) if match is not None else -1
                is_possible = number is not None and (
                    producer in needs[number] or (is_courtesy(filler.use) and 0 <= producer < number)
                )
                if match is not None and not is_possible:
                    self._dropped.add(id(match))
                else:
                    kept.append(filler)
            self._fillers[event] = kept

    def others(self, sighting: Sighting, value: bytes, numbers: dict[EventRef, int]) -> tuple[str, ...]:
        """Return where else a value had been shown when it was used."""
        if self._others is None:
            self._others = {(m.sighting, m.use.value): m.others for m in self._reading.matches if m.is_accepted}
        others = self._others.get((sighting, value), ())
        return tuple(f"{other.place} of step {numbers[other.event]}" for other in others if other.event in numbers)

    # What stays literal, and why.

    def literals(self, numbers: dict[EventRef, int]) -> list[Literal]:
        """Return the literals that a person should know of, in order of their steps."""
        found: dict[tuple[int, str, bytes], Literal] = {}
        for literal in (*self._unmatched(numbers), *self._rejected(numbers)):
            found.setdefault((literal.step, literal.place, literal.value), literal)
        return sorted(found.values(), key=lambda literal: (literal.step, literal.place, literal.value))

    def _unmatched(self, numbers: dict[EventRef, int]) -> Iterator[Literal]:
        for use in self._reading.unmatched:
            if use.event in numbers and use.value not in self._minted and self._is_told(use) and not self._is_cut(use):
                why = self._why(use)
                if why is not None:
                    yield Literal(step=numbers[use.event], place=use.place, value=use.value, why=why)

    def _rejected(self, numbers: dict[EventRef, int]) -> Iterator[Literal]:
        for match in self._reading.matches:
            use = match.use
            if use.event not in numbers or not self._is_told(use) or use.value in self._minted:
                continue
            is_dropped = id(match) in self._dropped
            if (match.is_accepted and not is_dropped) or (match.score < SUGGESTED and not is_credential_key(use.key)):
                continue
            why = Left.CREDENTIAL if is_credential_key(use.key) else Left.UNBOUND if is_dropped else Left.UNLIKELY
            yield Literal(
                step=numbers[use.event],
                place=use.place,
                value=use.value,
                why=why,
                shown=match.sighting.place,
                terms=match.terms,
            )

    def _is_cut(self, use: Use) -> bool:
        """Tell whether a part of a value is filled: what is left of it was written by a program's author."""
        return any(
            filler.use.part is use.part and use.start <= filler.use.start and filler.use.end <= use.end
            for filler in self._fillers.get(use.event, ())
            if filler.use.header == use.header
        )

    def _is_told(self, use: Use) -> bool:
        """Tell whether a literal is of interest: a Referer and a whole URL repeat others, files of a page are fixed."""
        if use.is_piece or use.place == "url" or use.place.startswith("referer ") or is_placeholder(use.value):
            return False
        is_file = use.event[1] < 0 and self._reading.track.kinds[use.event[0]] is RouteKind.ASSET
        return not is_file

    def _is_typed(self, use: Use) -> bool:
        """Tell whether a person may have typed a value into something that writes: it may have to be unique."""
        if use.part is not Part.BODY or use.event[1] >= 0 or not use.value.strip():
            return False
        if value_class(use.value) == ValueClass.FIXED or not is_unsafe(
            self._reading.track.exchanges[use.event[0]], None
        ):
            return False
        is_named = _TYPED.fullmatch(plain_key(use.key)) is not None
        return is_named or (use.place.startswith("field ") and len(use.value) >= 4 and not use.value.isdigit())

    def _why(self, use: Use) -> Left | None:
        if is_credential_key(use.key):
            return Left.CREDENTIAL
        if not looks_minted(use):
            return Left.TYPED if self._is_typed(use) else None
        return Left.CONSTANT if use.value in self._constants else Left.UNBOUND


_UNIQUE = ("uuid", "hex:", "alnum:")
"""Generators whose values tell one send from all others."""
_WRITTEN = re.compile(rb"[\s(){}<>\"'*;]")
_TYPED = re.compile(
    r"(?:full|first|last|display|nick|group|team|project|file|folder|company)?name|title|subject|slug|label|handle|phone"
    r"|description|text|body|message|comment|note|address"
)


def is_courtesy(use: Use) -> bool:
    """Tell whether a use is in a Referer: it follows where it can, but nothing waits for it."""
    return use.place.startswith("referer ")


def looks_minted(use: Use) -> bool:
    """Tell whether a value that nobody showed looks as if somebody's program had made it."""
    value = use.value
    kind = value_class(value)
    if kind in TOKEN_CLASSES:
        return True
    if kind in (ValueClass.FIXED, ValueClass.WORDS) or len(value) < 8:
        return False
    if b"://" in value or _WRITTEN.search(value):
        return False  # An address, whose parts are told apart; or what a person or a program's author wrote.
    if is_telling_key(use.key) and kind != ValueClass.DIGITS:
        return True
    has_both = any(0x30 <= byte <= 0x39 for byte in value) and value.lower() != value.upper()
    return len(value) >= 16 and has_both and entropy_bits(value) >= 3.0
