"""A scenario: a TOML file that holds a whole run. Every option may stand in it under its long name.

Grammar::

    name = "burst"                       for people
    purpose = "…"
    speed = 1.0                          any option of replay; the command line wins
    threshold = ["http p95 < 200ms"]     also written thresholds
    [[population]]                       one or more; without one the options are those of one population
    name = "sockets"
    capture = "market.rush"              relative to the scenario
    only = "ws"                          or "http"; routes = ["GET /api/*"]; messages = ["subscribe"]; sessions = [0]
    users = 300                          or scale, or weight (a share of the run's users), or stages:
    stages = [{ for = "30s", users = 300 }, { until = "180s", users = 300 }, { for = "30s", users = 0 }]
    at-end = "hold"                      any option of the crowd

Whatever is wrong is told with its line.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from captures.errors import ConfigError
from captures.units import parse_duration_ns
from replayer.load.shapes import Shape, stages_of
from replayer.options.crowd import CROWD_KEYS
from replayer.options.lines import Path as Place
from replayer.options.lines import lines_of
from replayer.options.population import OWN_KEYS
from replayer.options.setting import Setting
from replayer.pruning import Only

_ALIASES = {"thresholds": "threshold", "storms": "storm", "maps": "map"}
_FOR_PEOPLE = frozenset({"name", "purpose"})
_NOT_HERE = frozenset({"scenario", "out", "json", "print-config", "dry-run"})
_PER_RUN = frozenset({"seed"})
"""Options of the crowd that one run has once."""
_STAGE_KEYS = ("for", "until", "users", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a scenario file says, converted as the command line would have been.

    Attributes:
        values: of the run, by names of parameters; ``lines`` says where they stand.
        defaults: the same as they are written, for ``click``.
        capture: of the run, None where only populations name theirs.
        populations: of each ``[[population]]``, by names of parameters, ``OWN_KEYS`` and ``origin``: its file and line.
    """

    path: Path
    name: str
    purpose: str = ""
    capture: Path | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    populations: tuple[Mapping[str, Any], ...] = ()

    def origin_of(self, name: str) -> str:
        """Return file and line of a parameter."""
        line = self.lines.get(name)
        return f"{self.path}:{line}" if line else str(self.path)


def load_scenario(path: Path, ctx: click.Context) -> Scenario:
    """Read a scenario; ``ctx`` is of the command whose options may stand in it.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as exc:
        raise ConfigError(f"cannot read the scenario {path}: {exc.strerror}", "rushhour scenarios lists some") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}", "rushhour scenarios lists some to begin with") from exc
    return _Reader(path, lines_of(text), ctx).scenario(document)


class _Reader:
    """Turns one document into a scenario."""

    def __init__(self, path: Path, lines: Mapping[Place, int], ctx: click.Context) -> None:
        self._path = path
        self._lines = lines
        self._ctx = ctx
        self._settings = {param.long_name: param for param in ctx.command.params if isinstance(param, Setting)}

    def scenario(self, document: dict[str, Any]) -> Scenario:
        populations = document.pop("population", [])
        if not isinstance(populations, list) or not all(isinstance(each, dict) for each in populations):
            raise self._error(("population",), "population is not a list of tables", "write [[population]]")
        people = {key: self._text((key,), document.pop(key)) for key in _FOR_PEOPLE & document.keys()}
        capture = self._capture(("capture",), document.pop("capture")) if "capture" in document else None
        shape = self._stages((), document.pop("stages")) if "stages" in document else None
        keys = {name: name for name in self._settings if name not in _NOT_HERE} | _ALIASES
        defaults, values, lines = {}, {}, {}
        for key, written in document.items():
            param = self._setting((key,), key, keys)
            value = self._from_here(param, written)
            name = param.name or ""
            defaults[name], lines[name] = value, self._line((key,))
            values[name] = self._converted((key,), param, value)
        if shape is not None:
            defaults["shape"], values["shape"], lines["shape"] = str(shape), shape, self._line(("stages",))
        own = tuple(self._population(number, each) for number, each in enumerate(populations))
        self._check_names(own)
        return Scenario(
            path=self._path,
            name=people.get("name", self._path.stem),
            purpose=people.get("purpose", ""),
            capture=capture,
            defaults=defaults,
            values=values,
            lines=lines,
            populations=own,
        )

    def _population(self, number: int, table: dict[str, Any]) -> dict[str, Any]:
        base: Place = ("population", number)
        keys = {name: name for name in (CROWD_KEYS - _PER_RUN) | OWN_KEYS}
        values: dict[str, Any] = {"origin": f"{self._path}:{self._line(base)}"}
        for key, value in table.items():
            place = (*base, key)
            if key in OWN_KEYS:
                values |= self._own(place, key, value)
            else:
                param = self._setting(place, key, keys)
                values[param.name or ""] = self._converted(place, param, self._from_here(param, value))
        if "name" not in values:
            raise self._error(base, "a population needs a name", 'write name = "sockets"')
        self._check_numbers(base, values)
        return values

    def _own(self, place: Place, key: str, value: Any) -> dict[str, Any]:
        match key:
            case "name":
                return {key: self._text(place, value)}
            case "capture":
                return {key: self._capture(place, value)}
            case "only":
                choices = [only.value for only in Only]
                if value not in choices:
                    raise self._error(place, f"only = {value!r}", f"write one of {', '.join(choices)}")
                return {key: value}
            case "routes" | "messages":
                if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
                    raise self._error(place, f"{key} is not a list of names", f'write {key} = ["…"]')
                return {key: tuple(value)}
            case "sessions":
                if not isinstance(value, list) or not value or not all(type(each) is int for each in value):
                    raise self._error(place, "sessions is not a list of numbers", "write sessions = [0, 2]")
                return {key: tuple(value)}
            case "weight":
                if type(value) not in (int, float) or not 0 < value < float("inf"):
                    raise self._error(place, f"weight = {value!r} is no share", "write a number above 0")
                return {key: float(value)}
            case _:
                return {"shape": self._stages(place[:-1], value), "stages": True}

    def _stages(self, base: Place, rows: Any) -> Shape:
        """Read stages: each says how long (``for``) or up to when (``until``), never both kinds in one list."""
        place = (*base, "stages")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            hint = 'write stages = [{ for = "30s", users = 800 }, …]'
            raise self._error(place, "stages is not a list of stages", hint)
        found, at_ns, kinds = [], 0, set()
        for number, row in enumerate(rows):
            duration_ns, kind = self._stage_ns((*place, number), row, at_ns)
            kinds.add(kind)
            if len(kinds) > 1:
                raise self._error((*place, number), "the stages mix for and until", "write all of them in one way")
            at_ns += duration_ns
            found.append((duration_ns, self._level((*place, number), row)))
        try:
            return stages_of(found)
        except ConfigError as exc:
            raise self._error(place, str(exc)) from exc

    def _stage_ns(self, place: Place, row: dict[str, Any], at_ns: int) -> tuple[int, str]:
        for key in row:
            if key not in _STAGE_KEYS:
                raise self._unknown((*place, key), key, _STAGE_KEYS)
        given = [key for key in ("for", "until") if key in row]
        if len(given) != 1:
            hint = 'write for = "150s" (how long) or until = "180s" (up to when)'
            raise self._error(place, "a stage says either for or until", hint)
        key = given[0]
        try:
            if not isinstance(row[key], str):
                raise ConfigError(f"{key} = {row[key]!r} is a bare number", f'write {key} = "150s"')
            time_ns = parse_duration_ns(row[key])
        except ConfigError as exc:
            raise self._error((*place, key), str(exc)) from exc
        if key == "until" and time_ns < at_ns:
            raise self._error((*place, key), f"until = {row[key]!r} goes back in time", "each is later than the last")
        return (time_ns if key == "for" else time_ns - at_ns), key

    def _level(self, place: Place, row: dict[str, Any]) -> str:
        match row:
            case {"users": int(users), **rest} if "rate" not in rest and not isinstance(users, bool):
                return str(users)
            case {"rate": str(rate), **rest} if "users" not in rest:
                return rate
        raise self._error(place, "a stage says how many", 'write users = 800 or rate = "50/s"')

    def _setting(self, place: Place, key: str, keys: Mapping[str, str]) -> Setting:
        param = self._settings.get(keys.get(key, ""))
        if param is None:
            raise self._unknown(place, key, list(keys))
        return param

    def _converted(self, place: Place, param: Setting, value: Any) -> Any:
        """Return the value as the command line would have it."""
        if not self._fits(param, value):
            raise self._error(
                place, f"{place[-1]} = {value!r} is of the wrong kind", f"as --{param.long_name} takes it"
            )
        if param.multiple:
            for number, each in enumerate(value):
                self._processed((*place, number), param, [each])
        return self._processed(place, param, value)

    def _processed(self, place: Place, param: Setting, value: Any) -> Any:
        if param.name == "threshold":
            self._check_thresholds(place, value)
        try:
            return param.process_value(self._ctx, value)
        except (click.ClickException, ConfigError) as exc:
            text = exc.format_message() if isinstance(exc, click.ClickException) else str(exc)
            raise self._error(place, text) from exc

    def _check_thresholds(self, place: Place, expressions: Sequence[str]) -> None:
        """Read them here only for the line of what is wrong; a run reads them again."""
        from analysis.thresholds import parse_threshold  # Help and lists of scenarios need no grammar.

        for expression in expressions:
            parse_threshold(expression, origin=f"{self._path}:{self._line(place)}", has_baseline=True)

    def _from_here(self, param: Setting, value: Any) -> Any:
        """Files are named relative to the scenario."""
        is_file = isinstance(param.type, click.Path) and isinstance(value, str)
        return str(self._beside(value)) if is_file else value

    def _beside(self, name: str) -> Path:
        return Path(os.path.normpath(self._path.parent / name))

    def _fits(self, param: Setting, value: Any) -> bool:
        if param.multiple:
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        if param.is_flag:
            return isinstance(value, bool)
        if isinstance(param.type, click.types.IntParamType):
            return type(value) is int
        if isinstance(param.type, click.types.FloatParamType):
            return type(value) in (int, float)
        return isinstance(value, str)

    def _capture(self, place: Place, value: Any) -> Path:
        return self._beside(self._text(place, value))

    def _text(self, place: Place, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._error(place, f"{place[-1]} is not a text", f'write {place[-1]} = "…"')
        return value

    def _check_names(self, populations: Sequence[Mapping[str, Any]]) -> None:
        seen: set[str] = set()
        for number, values in enumerate(populations):
            name = values["name"]
            if name in seen:
                raise self._error(("population", number, "name"), f"two populations are called {name!r}")
            seen.add(name)

    def _check_numbers(self, base: Place, values: Mapping[str, Any]) -> None:
        given = [key for key in ("users", "scale", "weight", "stages") if key in values]
        if len(given) > 1:
            raise self._error((*base, given[1]), f"{given[0]} and {given[1]} contradict each other", "give one of them")

    def _line(self, place: Place) -> int:
        return next((self._lines[each] for each in _upwards(place) if each in self._lines), 1)

    def _unknown(self, place: Place, key: str, known: Sequence[str]) -> ConfigError:
        near = difflib.get_close_matches(key, known, 1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        return self._error(place, f"unknown key {key!r}", hint)

    def _error(self, place: Place, text: str, hint: str = "") -> ConfigError:
        return (
            ConfigError(f"{self._path}:{self._line(place)}: {text}", hint)
            if hint
            else ConfigError(f"{self._path}:{self._line(place)}: {text}")
        )


def _upwards(place: Place) -> Iterator[Place]:
    for length in range(len(place), 0, -1):
        yield place[:length]


def scenario_callback(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Scenario | None:
    """Load a scenario before all other options are read, and make what it says their defaults."""
    if path is None:
        return None
    scenario = load_scenario(path, ctx)
    ctx.default_map = {**(ctx.default_map or {}), **scenario.defaults}
    return scenario
