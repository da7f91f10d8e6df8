"""``--print-config``: every option in force as TOML, with unit, default and where its value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import tomli_w
from click.core import ParameterSource

from replayer.options.constants import constants
from replayer.options.scenario import Scenario
from replayer.options.setting import Setting

_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.PROMPT: "prompt",
}


def config_text(ctx: click.Context, table: Mapping[str, Any]) -> str:
    """Return the options as a TOML document that reads back as ``{"replay": table, "constants": …}``.

    Every line ends with a comment: unit · default · origin. What is not set and has no default stands in a comment.
    """
    rows = {**table}
    populations = rows.pop("population", [])
    lines = ["[replay]", *_lines(ctx, rows)]
    for each in populations:
        lines += ["", "[[replay.population]]", *(_line(name, value, "in force") for name, value in each.items())]
    lines += ["", "[constants]  # no options"]
    lines += [_line(each.name, each.value, f"{each.unit} · {each.meaning}") for each in constants()]
    return "\n".join([*lines, ""])


def _lines(ctx: click.Context, table: Mapping[str, Any]) -> Iterator[str]:
    listed = {param.long_name: param for param in ctx.command.params if isinstance(param, Setting)}
    for name in sorted(table.keys() - listed.keys()):
        yield _line(name, table[name], _origin_of(ctx, name))
    for name, param in listed.items():
        remark = " · ".join(filter(None, (param.unit, _default_of(param), _origin_of(ctx, param.name or ""))))
        yield _line(name, table.get(name), remark)


def _line(name: str, value: Any, remark: str) -> str:
    if value is None:
        return f"# {name} is not set  # {remark}"
    return f"{tomli_w.dumps({name: value}).rstrip()}  # {remark}"


def _default_of(param: Setting) -> str:
    default = param.default
    if param.is_flag or not isinstance(default, str | int | float):
        return ""  # required, not set, or a list
    return f"default {default}"


def _origin_of(ctx: click.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    scenario: Scenario | None = ctx.params.get("scenario")
    if scenario is not None and (source is ParameterSource.DEFAULT_MAP or name == "capture"):
        return scenario.origin_of(name)
    return _ORIGINS.get(source, "default") if source is not None else "default"
