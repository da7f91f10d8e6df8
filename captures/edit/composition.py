"""Makes a new capture of parts of others: filtered, trimmed, merged. Streaming; the sources are only read.

Sessions keep their numbers in a result of one source. Of further sources connections, exchanges and sessions are
numbered on, so that nothing of one gets mixed up with another; their times are moved to the first's time zero.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from captures.edit.mover import Mover
from captures.edit.selection import SELECTORS, Selection
from captures.edit.sources import LIMIT, Align, Source, lay_out, look_over
from captures.errors import CaptureError, CaptureSealed, ConfigError
from captures.format.reader import open_capture
from captures.format.writer import CaptureWriter

_MAX_SENTENCES = 20
_OF_THE_FIRST = ("url", "tool", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditOptions:
    """One edit.

    Attributes:
        sources: captures, at least one; what is selected is selected in each by itself, then merged.
        done: what is done, in words, for the result's header.
    """

    sources: tuple[str, ...]
    out: str
    selection: Selection = field(default_factory=Selection)
    align: Align = Align.CLOCK
    done: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sources) == 1 and not self.selection:
            raise ConfigError("nothing is to be edited", "name what to keep, or captures to --merge")


@dataclass(slots=True, kw_only=True)
class Edited:
    """What is in the result: ``exchanges`` of ``seen`` ones, ``sockets`` among them; and damage of the sources."""

    seen: int = 0
    exchanges: int = 0
    sockets: int = 0
    messages: int = 0
    sessions: set[int] = field(default_factory=set)
    damage: list[str] = field(default_factory=list)


def edit(options: EditOptions) -> Edited:
    """Write the new capture ``options.out``.

    Raises:
        CaptureError: a source is no capture.
        ConfigError: nothing is left; or the result exists or cannot be written, and then no part of it is left behind.
    """
    if os.path.lexists(options.out):
        raise ConfigError(f"{options.out} exists already", "nothing is overwritten: choose another -o FILE")
    looked_over = [look_over(path, options.selection) for path in options.sources]
    sources = [source for source in looked_over if source.keep.exchanges]
    edited = Edited(
        seen=sum(source.sieve.n_exchanges for source in looked_over),
        exchanges=sum(len(source.keep.exchanges) for source in sources),
        sockets=sum(len(source.keep.sockets) for source in sources),
        damage=[f"{source.path}: {sentence}" for source in sources for sentence in source.damage],
    )
    if not sources:
        raise _nothing_left(looked_over, edited.seen)
    lay_out(sources, options.align)
    _write(sources, options, edited)
    return edited


def _write(sources: Sequence[Source], options: EditOptions, edited: Edited) -> None:
    try:
        facts = edited_facts(sources, options.done)
        writer = CaptureWriter(options.out, facts=facts, anchor=sources[0].anchor)
    except ValueError as exc:
        raise ConfigError(f"{options.out} cannot be written: {exc}", "merge fewer captures at a time") from exc
    try:
        with writer:
            for source in sources:
                _copy(source, writer, edited)
    except BaseException as exc:
        os.unlink(options.out)
        if isinstance(exc, CaptureSealed):
            raise ConfigError(f"{options.out} cannot be written: {exc.problem}", "make room for it") from exc
        raise


def _nothing_left(sources: Sequence[Source], n_exchanges: int) -> ConfigError:
    matched = sum((source.sieve.matched for source in sources), Counter[str]())
    alone = [name for name in SELECTORS if n_exchanges and not matched[name]]
    which = f"no exchange agrees with {' or '.join(alone) if alone else 'all that was asked'}"
    path = shlex.quote(sources[0].path)
    hint = f"{n_exchanges} exchanges were looked at; see what is there with: rushhour inspect {path}"
    return ConfigError(f"nothing is left, and nothing was written: {which}", hint)


def _copy(source: Source, writer: CaptureWriter, edited: Edited) -> None:
    mover = Mover(source.keep, source.bindings, *source.moved)
    with open_capture(source.path) as reader:
        for event in reader.events():
            for kept in mover.moved(event):
                t_ns = kept.t_ns + source.shift_ns
                if abs(t_ns) >= LIMIT:
                    raise CaptureError(source.path, f"event {event.seq} has a time that cannot be moved")
                try:
                    writer.add(kept.type, t_ns, kept.connection, kept.exchange, **kept.fields)
                except ValueError as exc:
                    raise CaptureError(source.path, f"event {event.seq} cannot be written: {exc}") from exc
    edited.messages += mover.n_messages
    edited.sessions |= mover.sessions


def edited_facts(sources: Sequence[Source], done: Mapping[str, object]) -> dict[str, object]:
    """The header's facts of the result: what the sources agree on, and in ``edits`` what was done to which files."""
    first, *others = [source.facts for source in sources]
    facts = {
        name: value
        for name, value in first.items()
        if name in _OF_THE_FIRST or all(name in other and other[name] == value for other in others)
    }
    history = [step for source in sources for step in _history(source.facts)]
    told = [_told(source, with_facts=bool(others)) for source in sources]
    return {**facts, "edits": [*history, {"done": dict(done), "sources": told}]}


def _history(facts: Mapping[str, object]) -> list[object]:
    edits = facts.get("edits", [])
    return list(edits) if isinstance(edits, list) else []


def _told(source: Source, *, with_facts: bool) -> dict[str, object]:
    told: dict[str, object] = {"path": source.path, "sha256": source.sha256}
    if source.damage:
        told["damage"] = source.damage[:_MAX_SENTENCES]
    if with_facts:
        told["sessions_from"] = source.moved[2]
        told["shift_ns"] = source.shift_ns
        told["facts"] = {name: value for name, value in source.facts.items() if name != "edits"}
    return told
