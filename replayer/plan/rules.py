"""The rules file: what a person decides about a plan, in TOML; written from a plan, edited, and read back. Pure.

    version = 1

    [[route]]
    name = "GET /api/quotes/{id}"      # as `rushhour plan` names it
    template = "/api/quotes/{symbol}"  # these paths are one route; name it as you like
    kind = "api"                       # api, document or asset
    play = "once"                      # always, once (the first of each session) or skip
    writes = false                     # whether it counts as a write

    [[slot]]
    id = "s-5f0c9a3b"                  # of the place that is filled; stable as long as route and place are
    at = "POST /api/orders | header x-csrf-token"
    from = "GET /orders/new | html csrf"     # only there, where the value was shown at several places
    use = "extract"                    # extract, literal, mint:uuid4, input:column

    [[pairing]]
    route = "WS /ws/market"
    send = "subscribe"
    reply = "ack"                      # or "" where nothing answers it
    send_path = ["id"]
    reply_path = ["id"]

    [[require]]                        # ``requirements``

What a file does not name stays as the compiler decides it. A rule for something that the capture does not have is an
error that names its line and what comes nearest.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from captures.errors import ConfigError
from replayer.plan.records import JsonPath, RouteKind
from replayer.plan.requirements import Requirement, requirements_from

VERSION = 1
GENERATORS = re.compile(
    r"uuid4|uuid7|epoch_s|epoch_ms|iso|traceparent|(?:hex|base36|alnum|digits|counter):[1-9]\d{0,3}|counter:0"
    r"|day:-?\d{1,4}|iso:-?\d{1,4}T\d\d:\d\d:\d\d\.\d{3}Z"
)
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TABLE = re.compile(r"^\s*\[\[\s*([a-z]+)\s*\]\]", re.MULTILINE)
_KEYS = {
    "route": ("name", "template", "kind", "play", "writes"),
    "slot": ("id", "at", "from", "use"),
    "pairing": ("route", "send", "reply", "send_path", "reply_path"),
}


class Play(Enum):
    """How often a route is played."""

    ALWAYS = "always"
    ONCE = "once"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """What a person decided about one route; None is what the compiler decides. ``line`` is that of its table."""

    name: str
    template: str | None = None
    kind: RouteKind | None = None
    play: Play = Play.ALWAYS
    writes: bool | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRule:
    """What fills one place of a route.

    Attributes:
        id, at: name the place (``slot_id``, ``place_name``); at least one is given.
        source: where the value must have been shown, "" is anywhere.
        use: ``extract``, ``literal``, ``mint:<generator>``, ``input:<column>``.
    """

    id: str = ""
    at: str = ""
    source: str = ""
    use: str = "extract"
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingRule:
    """Which kind of message answers another on a socket; ``reply`` is "" where none does."""

    route: str
    send: str
    reply: str = ""
    send_path: JsonPath = ()
    reply_path: JsonPath = ()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A rules file.

    Attributes:
        source: name of the file, for errors.
        sha256: of its text, "" without one.
    """

    routes: tuple[RouteRule, ...] = ()
    slots: tuple[SlotRule, ...] = ()
    pairings: tuple[PairingRule, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    source: str = "the rules"
    sha256: str = ""
    by_place: dict[str, SlotRule] = field(default_factory=dict, compare=False)

    def for_place(self, place: str) -> SlotRule | None:
        """Return the rule of a place, by its name (``place_name``)."""
        return self.by_place.get(place) or self.by_place.get(slot_id(place))

    def wrong(self, line: int, problem: str, hint: str = "") -> ConfigError:
        """Return the error of a rule."""
        where = f"{self.source}, line {line}" if line else self.source
        return ConfigError(f"{where}: {problem}", hint)


NO_RULES = Rules()


def place_name(route: str, place: str) -> str:
    """Return the name of a place that is filled: ``POST /api/orders | header x-csrf-token``."""
    return f"{route} | {place}"


def slot_id(place: str) -> str:
    """Return the stable id of a place."""
    return f"s-{hashlib.blake2b(place.encode('utf-8', 'surrogateescape'), digest_size=5).hexdigest()}"


def rules_from(text: str, source: str) -> Rules:
    """Read a rules file.

    Args:
        source: its name, for errors.

    Raises:
        ConfigError: it is no rules file; the line is named.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{source} is not TOML: {exc}", "rushhour plan FILE --rules-out writes one to edit") from exc
    lines = _lines(text)
    reader = _Reader(source, lines)
    unknown = sorted(document.keys() - {"version", "require", *_KEYS})
    if unknown:
        raise reader.wrong(
            0, f"there is no {unknown[0]} in a rules file", "it has [[route]], [[slot]], [[pairing]], [[require]]"
        )
    if document.get("version", VERSION) != VERSION:
        raise reader.wrong(0, f"version {document['version']} is not {VERSION}", "write it anew with --rules-out")
    slots = tuple(reader.slot(row, line) for row, line in reader.rows(document, "slot"))
    return Rules(
        routes=tuple(reader.route(row, line) for row, line in reader.rows(document, "route")),
        slots=slots,
        pairings=tuple(reader.pairing(row, line) for row, line in reader.rows(document, "pairing")),
        requirements=requirements_from(document.get("require", []), source=source, lines=lines.get("require", ())),
        source=source,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        by_place={name: rule for rule in slots for name in (rule.id, rule.at) if name},
    )


def _lines(text: str) -> dict[str, list[int]]:
    """Return by table the lines of its heads, from 1."""
    lines: dict[str, list[int]] = {}
    for match in _TABLE.finditer(text):
        lines.setdefault(match[1], []).append(text.count("\n", 0, match.start(1)) + 1)
    return lines


_E = TypeVar("_E", bound=Enum)


class _Reader:
    """Reads tables, and knows where they stand."""

    def __init__(self, source: str, lines: Mapping[str, Sequence[int]]) -> None:
        self._source = source
        self._lines = lines

    def wrong(self, line: int, problem: str, hint: str = "") -> ConfigError:
        return Rules(source=self._source).wrong(line, problem, hint)

    def rows(self, document: Mapping[str, Any], table: str) -> Iterable[tuple[dict[str, Any], int]]:
        rows = document.get(table, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.wrong(0, f"{table} is no list of tables", f"write [[{table}]] above each of them")
        lines = [*self._lines.get(table, ()), *[0] * len(rows)]
        for row, line in zip(rows, lines, strict=False):
            unknown = sorted(row.keys() - set(_KEYS[table]))
            if unknown:
                raise self.wrong(line, f"[[{table}]] has no {unknown[0]}", f"it has {', '.join(_KEYS[table])}")
            yield row, line

    def route(self, row: Mapping[str, Any], line: int) -> RouteRule:
        template = row.get("template")
        if template is not None and (not isinstance(template, str) or not template.startswith("/")):
            raise self.wrong(line, f"template {template!r} is no path", 'template = "/api/quotes/{symbol}"')
        writes = row.get("writes")
        if writes is not None and not isinstance(writes, bool):
            raise self.wrong(line, f"writes = {writes!r}", "writes = true or false")
        return RouteRule(
            name=self._text(row, "name", line),
            template=template,
            kind=self._choice(RouteKind, row["kind"], "kind", line) if "kind" in row else None,
            play=self._choice(Play, row.get("play", "always"), "play", line),
            writes=writes,
            line=line,
        )

    def slot(self, row: Mapping[str, Any], line: int) -> SlotRule:
        rule = SlotRule(
            id=self._text(row, "id", line, ""),
            at=self._text(row, "at", line, ""),
            source=self._text(row, "from", line, ""),
            use=self._text(row, "use", line, "extract"),
            line=line,
        )
        if not rule.id and not rule.at:
            raise self.wrong(
                line, "[[slot]] names no place", 'at = "POST /api/orders | header x-csrf-token", or its id'
            )
        kind, _, detail = rule.use.partition(":")
        is_known = (kind == "mint" and GENERATORS.fullmatch(detail)) or (kind == "input" and _COLUMN.fullmatch(detail))
        if rule.use not in ("extract", "literal") and not is_known:
            raise self.wrong(
                line,
                f"use = {rule.use!r}",
                "extract, literal, mint:uuid4 (epoch_ms, iso, day:-1, hex:16 …), input:column",
            )
        return rule

    def pairing(self, row: Mapping[str, Any], line: int) -> PairingRule:
        return PairingRule(
            route=self._text(row, "route", line),
            send=self._text(row, "send", line),
            reply=self._text(row, "reply", line, ""),
            send_path=self._path(row, "send_path", line),
            reply_path=self._path(row, "reply_path", line),
            line=line,
        )

    def _text(self, row: Mapping[str, Any], key: str, line: int, default: str | None = None) -> str:
        value = row.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise self.wrong(line, f"{key} is missing or no text", f'{key} = "…"')
        return value

    def _path(self, row: Mapping[str, Any], key: str, line: int) -> JsonPath:
        value = row.get(key, [])
        if not isinstance(value, list) or not all(type(step) in (str, int) for step in value):
            raise self.wrong(line, f"{key} is no path", f'{key} = ["data", 0, "id"]')
        return tuple(value)

    def _choice(self, choices: type[_E], value: object, key: str, line: int) -> _E:
        try:
            return choices(value)
        except ValueError:
            known = ", ".join(str(choice.value) for choice in choices)
            raise self.wrong(line, f"{key} = {value!r}", f"one of {known}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names what comes nearest to a name that is not known."""
    names = sorted(set(known))
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
    if found:
        return f"did you mean {found[0]}?"
    return f"there are {', '.join(names[:8])}" if names else "there are none"
