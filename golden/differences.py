"""What is different between two captures of one application, for a person who reviews: routes, shapes, slots. Pure.

Compared are the plans, not the bytes: two recordings of the same thing differ in every time and token, and in none of
what stands here. Lines begin with ``+`` (only the later one has it), ``-`` (only the earlier one) or ``~`` (changed).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from replayer.plan.records import Expectation, JsonKind, JsonPath, Plan, SlotKind

_OF_EVERY_CAPTURE = frozenset({SlotKind.ORIGIN, SlotKind.COOKIE_HEADER})
"""Slots that say nothing about an application."""


@dataclass(slots=True)
class _Shape:
    """What all recorded answers, or messages, of one name have together."""

    statuses: set[int] = field(default_factory=set)
    types: set[bytes] = field(default_factory=set)
    kinds: dict[JsonPath, int] = field(default_factory=dict)

    def add(self, expectation: Expectation) -> None:
        self.statuses.update(expectation.statuses)
        self.types.add(expectation.content_type)
        for path, kind in zip(expectation.required, expectation.kinds, strict=False):
            self.kinds[path] = self.kinds.get(path, 0) | kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Lines by subject; all empty where two captures say the same of their application."""

    routes: tuple[str, ...]
    shapes: tuple[str, ...]
    slots: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether nothing is different."""
        return not (self.routes or self.shapes or self.slots)


def differences(before: Plan, after: Plan) -> Differences:
    """Return what a reviewer has to look at."""
    old, new = _shapes(before), _shapes(after)
    return Differences(
        routes=tuple(_of_sets({route.name for route in before.routes}, {route.name for route in after.routes})),
        shapes=tuple(
            line for name in sorted(old.keys() & new.keys()) for line in _of_shapes(name, old[name], new[name])
        ),
        slots=tuple(_of_sets(_slots(before), _slots(after))),
    )


def _of_sets(old: set[str], new: set[str]) -> Iterator[str]:
    yield from (f"+ {name}" for name in sorted(new - old))
    yield from (f"- {name}" for name in sorted(old - new))


def _shapes(plan: Plan) -> Mapping[str, _Shape]:
    shapes: defaultdict[str, _Shape] = defaultdict(_Shape)
    for script in plan.scripts:
        for step in script.steps:
            if step.message_kind < 0:
                shapes[plan.routes[step.route].name].add(step.expectation)
    for kind in plan.message_kinds:
        sender = "to" if kind.is_sent else "from"
        shapes[f"{kind.name} {sender} {plan.routes[kind.route].name}"].add(kind.expectation)
    return shapes


def _of_shapes(name: str, old: _Shape, new: _Shape) -> Iterator[str]:
    if old.statuses != new.statuses:
        yield f"~ {name}: status {_listed(old.statuses)} → {_listed(new.statuses)}"
    if old.types != new.types:
        yield f"~ {name}: type {_types(old.types)} → {_types(new.types)}"
    for path in sorted(old.kinds.keys() | new.kinds.keys(), key=_place):
        was, now = old.kinds.get(path), new.kinds.get(path)
        if was is None:
            yield f"+ {name}: {_place(path)} ({_kind(now)})"
        elif now is None:
            yield f"- {name}: {_place(path)} ({_kind(was)})"
        elif was != now:
            yield f"~ {name}: {_place(path)} {_kind(was)} → {_kind(now)}"


def _slots(plan: Plan) -> set[str]:
    found = set()
    for script in plan.scripts:
        brought = {extractor.slot: step for step in script.steps for extractor in step.extractors}
        for number, slot in enumerate(script.slots):
            if slot.kind in _OF_EVERY_CAPTURE:
                continue
            step = brought.get(number)
            where = f" from {plan.routes[step.route].name}" if step is not None else ""
            told = slot.detail if slot.kind in (SlotKind.INPUT, SlotKind.GENERATED) else ""
            found.add(f"{slot.name}: {slot.kind.value} {told}".rstrip() + where)
    return found


def _place(path: JsonPath) -> str:
    return "/".join("*" if isinstance(key, int) else key for key in path) or "the whole"


def _kind(kinds: int | None) -> str:
    return " or ".join((kind.name or "").lower() for kind in JsonKind if kind & (kinds or 0)) or "anything"


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values))) or "none"


def _types(types: Iterable[bytes]) -> str:
    return ", ".join(sorted(each.decode("latin-1") or "none" for each in types))
