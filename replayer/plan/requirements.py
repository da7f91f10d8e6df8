"""What a person demands of answers and messages beyond the recording: the ``[[require]]`` tables of a rules file. Pure.

    [[require]]
    route = "WS /ws/market"          # a route of the plan, as `rushhour plan` names it
    message = "snapshot"             # of a socket: the kind of message; without it, every kind that the server sends
    except = ["status", "ping"]      # kinds that are exempt
    required = ["quotes", "page/next"]
    min_items = { quotes = 1 }
    max_bytes = 1_000_000
    severity = "warn"                # or "fail", the default

A place is written as keys with ``/`` between; ``0`` stands for the first element of an array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from captures.errors import ConfigError
from replayer.plan.records import Demand, Expectation, JsonPath, MessageKind, Plan, Script, Step, StepKind

_KEYS = ("route", "message", "except", "required", "min_items", "max_bytes", "severity")
_HINT = "a [[require]] table has " + ", ".join(_KEYS)


class Severity(Enum):
    """What a breach is: a mismatch, or only a warning."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One ``[[require]]`` table.

    Attributes:
        route: name of the route.
        message: kind of message on it; "" for the answers of a route that is no socket, or for all kinds of one.
        exempt: kinds that it does not concern.
        required: places that must be there.
        min_items: by place, how many items it must hold at least.
        max_bytes: of the decoded body or message; None for what the recording says.
        place: where the table stands, for errors: ``rules.toml, line 12: [[require]]``.
    """

    route: str
    message: str = ""
    exempt: tuple[str, ...] = ()
    required: tuple[JsonPath, ...] = ()
    min_items: tuple[tuple[JsonPath, int], ...] = ()
    max_bytes: int | None = None
    severity: Severity = Severity.FAIL
    place: str = field(default="", compare=False)


def requirements_from(
    tables: object, *, source: str = "the rules", lines: Sequence[int] = ()
) -> tuple[Requirement, ...]:
    """Read the ``require`` tables of a rules file.

    Args:
        source: name of the file, for errors.
        lines: of the tables' heads, from 1, as far as they are known.

    Raises:
        ConfigError: a table is not as it should be; its line and the key are named.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{source}: require is no list of tables", _HINT)
    places = [f"{source}, line {line}: [[require]]" for line in lines]
    places += [f"{source}: [[require]] number {number}" for number in range(len(places) + 1, len(tables) + 1)]
    return tuple(_requirement(place, table) for place, table in zip(places, tables, strict=False))


def requirements_to(requirements: Iterable[Requirement]) -> list[dict[str, Any]]:
    """Return the tables that read back as these requirements."""
    return [_table(requirement) for requirement in requirements]


def with_requirements(plan: Plan, requirements: Sequence[Requirement]) -> Plan:
    """Return a plan that demands what the rules say.

    Raises:
        ConfigError: a rule names a route or a kind of message that the plan does not have.
    """
    for requirement in requirements:
        plan = _with(plan, requirement)
    return plan


def _requirement(place: str, table: Mapping[str, Any]) -> Requirement:
    unknown = sorted(table.keys() - set(_KEYS))
    if unknown:
        raise _wrong(place, f"has no key {unknown[0]}", _HINT)
    route, message = table.get("route", ""), table.get("message", "")
    exempt, required, counts = table.get("except", []), table.get("required", []), table.get("min_items", {})
    if not isinstance(route, str) or not route:
        raise _wrong(place, "names no route", 'route = "GET /api/quotes" or "WS /ws/market"')
    if not isinstance(message, str):
        raise _wrong(place, "message is no text", 'message = "snapshot"')
    return Requirement(
        route=route,
        message=message,
        exempt=_texts(place, "except", exempt),
        required=tuple(map(path_of, _texts(place, "required", required))),
        min_items=_counts(place, counts),
        max_bytes=_limit(place, table.get("max_bytes")),
        severity=_severity(place, table.get("severity", "fail")),
        place=place,
    )


def _texts(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise _wrong(where, f"{key} is no list of texts", f'{key} = ["quotes", "page/next"]')
    return tuple(value)


def _counts(where: str, value: object) -> tuple[tuple[JsonPath, int], ...]:
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        raise _wrong(where, "min_items is no table of whole numbers", "min_items = { quotes = 1 }")
    return tuple((path_of(place), count) for place, count in value.items())


def _limit(where: str, value: object) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise _wrong(where, f"max_bytes = {value!r} is no whole number above 0", "max_bytes = 1_000_000")
    return value if type(value) is int else None


def _severity(where: str, value: object) -> Severity:
    try:
        return Severity(value)
    except ValueError:
        raise _wrong(where, f"severity {value!r}", 'severity = "fail" or "warn"') from None


def _wrong(place: str, problem: str, hint: str) -> ConfigError:
    return ConfigError(f"{place} {problem}", hint)


def path_of(place: str) -> JsonPath:
    """Return the path that ``page/next`` or ``quotes/0/symbol`` names."""
    return tuple(0 if key == "0" else key for key in place.split("/"))


def place_of(path: JsonPath) -> str:
    """Return a path as people write it."""
    return "/".join(map(str, path))


def _table(requirement: Requirement) -> dict[str, Any]:
    table: dict[str, Any] = {"route": requirement.route}
    if requirement.message:
        table["message"] = requirement.message
    if requirement.exempt:
        table["except"] = list(requirement.exempt)
    if requirement.required:
        table["required"] = [place_of(path) for path in requirement.required]
    if requirement.min_items:
        table["min_items"] = {place_of(path): count for path, count in requirement.min_items}
    if requirement.max_bytes is not None:
        table["max_bytes"] = requirement.max_bytes
    if requirement.severity is not Severity.FAIL:
        table["severity"] = requirement.severity.value
    return table


def _with(plan: Plan, requirement: Requirement) -> Plan:
    routes = [index for index, route in enumerate(plan.routes) if route.name == requirement.route]
    if not routes:
        known = ", ".join(route.name for route in plan.routes)
        raise _wrong(
            requirement.place, f"names the route {requirement.route}, which the plan does not have", f"it has {known}"
        )
    kinds = [kind for kind in plan.message_kinds if kind.route in routes and not kind.is_sent]
    names = {kind.name for kind in kinds}
    for name in filter(None, (requirement.message, *requirement.exempt)):
        if name not in names:
            told = f"the server sent {', '.join(sorted(names)) or 'no messages'} there"
            raise _wrong(requirement.place, f"names the message {name}, which {requirement.route} does not have", told)
    if kinds:
        changed = {id(kind) for kind in kinds if _concerns(requirement, kind)}
        return replace(
            plan,
            message_kinds=tuple(
                replace(kind, expectation=_demanding(kind.expectation, requirement)) if id(kind) in changed else kind
                for kind in plan.message_kinds
            ),
        )
    return replace(plan, scripts=tuple(_script_with(script, routes, requirement) for script in plan.scripts))


def _concerns(requirement: Requirement, kind: MessageKind) -> bool:
    return requirement.message in ("", kind.name) and kind.name not in requirement.exempt


def _script_with(script: Script, routes: Sequence[int], requirement: Requirement) -> Script:
    def changed(step: Step) -> Step:
        if step.kind is not StepKind.REQUEST or step.route not in routes:
            return step
        return replace(step, expectation=_demanding(step.expectation, requirement))

    return replace(script, steps=tuple(map(changed, script.steps)))


def _demanding(expectation: Expectation, requirement: Requirement) -> Expectation:
    is_warning = requirement.severity is Severity.WARN
    demands = [Demand(path=path, is_warning=is_warning) for path in requirement.required]
    demands += [Demand(path=path, min_items=n, is_warning=is_warning) for path, n in requirement.min_items]
    if requirement.max_bytes is not None and is_warning:
        demands.append(Demand(max_bytes=requirement.max_bytes, is_warning=True))
    elif requirement.max_bytes is not None:
        expectation = replace(expectation, max_bytes=requirement.max_bytes)
    return replace(expectation, demands=(*expectation.demands, *demands))
