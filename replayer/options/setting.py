"""What every option of ``replay`` is made of: one declaration with its unit, and its listing by ``--print-config``.

A group of options is one file of this package: a frozen record that validates itself, the tuple of its settings, a
function from given values to the record, and the record's ``to_table``. Adding an option touches that file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from captures.errors import ConfigError
from captures.units import parse_duration_ns
from replayer.load.shapes import duration_text

FILE = click.Path(path_type=Path)

Declare = Callable[[Callable[..., Any]], Callable[..., Any]]
Given = Mapping[str, Any]
"""The command line's values by the names of the command's parameters."""


class Setting(click.Option):
    """An option that ``--print-config`` lists under its long name.

    Args:
        unit: of its number, for people: ``users``, ``×``, ``duration``; empty where it is no number.
    """

    def __init__(self, *args: Any, unit: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = unit

    @property
    def long_name(self) -> str:
        """The name on the command line without its dashes."""
        return max(self.opts, key=len).lstrip("-")


def setting(*names: str, unit: str = "", **kwargs: Any) -> Declare:
    """Declare an option; everything but ``unit`` is ``click.option``'s."""
    return click.option(*names, cls=Setting, unit=unit, **kwargs)


def duration_setting(*names: str, **kwargs: Any) -> Declare:
    """Declare an option whose value is a duration, given on as int ns or None."""
    return setting(*names, unit="duration", callback=_duration, metavar="DUR", **kwargs)


def names_of(settings: Sequence[Declare]) -> frozenset[str]:
    """Return the long names of settings."""

    def nothing() -> None:
        """Carry the settings, as a command would."""

    declared = with_settings(settings)(nothing)
    return frozenset(param.long_name for param in declared.__click_params__)  # type: ignore[attr-defined]


def with_settings(*groups: Sequence[Declare]) -> Declare:
    """Return the decorator that gives a command the settings of all groups, in this order."""

    def declare(command: Callable[..., Any]) -> Callable[..., Any]:
        for group in reversed(groups):
            for each in reversed(group):
                command = each(command)
        return command

    return declare


def shown_duration(value_ns: int | None) -> str | None:
    """Return a duration as it is typed, None where there is none."""
    return None if value_ns is None else duration_text(value_ns)


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_duration_ns(value)
    except ConfigError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def typed_in(ctx: click.Context) -> frozenset[str]:
    """Return the names of the parameters that stand on the command line itself."""
    names = (param.name or "" for param in ctx.command.params)
    return frozenset(name for name in names if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE)
