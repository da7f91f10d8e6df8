"""``--print-config``: every option in force as TOML, with unit, default and where its value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import tomli_w
from click.core import ParameterSource

from replayer.options.setting import Setting

_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.PROMPT: "prompt",
}


def config_text(ctx: click.Context, table: Mapping[str, Any]) -> str:
    """Return the options as a TOML document that reads back as ``{"replay": table}``.

    Every line ends with a comment: unit · default · origin. What is not set and has no default stands in a comment.
    """
    return "\n".join(["[replay]", *_lines(ctx, table), ""])


def _lines(ctx: click.Context, table: Mapping[str, Any]) -> Iterator[str]:
    listed = {param.long_name: param for param in ctx.command.params if isinstance(param, Setting)}
    for name in table.keys() - listed.keys():
        yield _line(name, table[name], "command line")
    for name, param in listed.items():
        remark = " · ".join(filter(None, (param.unit, _default_of(ctx, param), _origin_of(ctx, param))))
        yield _line(name, table.get(name), remark)


def _line(name: str, value: Any, remark: str) -> str:
    if value is None:
        return f"# {name} is not set  # {remark}"
    return f"{tomli_w.dumps({name: value}).rstrip()}  # {remark}"


def _default_of(ctx: click.Context, param: Setting) -> str:
    default = param.get_default(ctx)
    if param.is_flag or not isinstance(default, str | int | float):
        return ""  # required, not set, or a list
    return f"default {default}"


def _origin_of(ctx: click.Context, param: click.Parameter) -> str:
    source = ctx.get_parameter_source(param.name or "")
    return _ORIGINS.get(source, "default") if source is not None else "default"
