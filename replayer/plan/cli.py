"""The command ``plan``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from captures.records import Origin
    from captures.sessions import Capture
    from replayer.plan.compile import Compiled

_EXAMPLES = """\b
Examples:
  rushhour plan market.rush
  rushhour plan market.rush --json
  rushhour plan market.rush --map https://api.shop.example
  rushhour plan market.rush --rules-out rules.toml
  rushhour plan market.rush --rules rules.toml --also second.rush --strict
  rushhour plan market.rush --identities-template users.csv
"""
_FILE = click.Path(path_type=Path)


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("--map", "maps", multiple=True, metavar="ORIGIN", help="Compile this recorded origin too.")
@click.option("--rules", type=_FILE, metavar="FILE", help="What a person decided about the plan.")
@click.option("--also", type=_FILE, multiple=True, metavar="FILE", help="A further capture to compare with.")
@click.option("--read-only", is_flag=True, help="Leave out steps that write, but for those that others need.")
@click.option("--rules-out", type=_FILE, metavar="FILE", help="Write what was decided as a rules file, to be edited.")
@click.option("--identities-template", type=_FILE, metavar="FILE", help="Write a CSV file with the columns of users.")
@click.option("--strict", is_flag=True, help="Exit 2 where a value that looks minted has no source.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the explanation.")
def plan(
    file: str,
    maps: tuple[str, ...],
    rules: Path | None,
    also: tuple[Path, ...],
    rules_out: Path | None,
    identities_template: Path | None,
    *,
    read_only: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Explain how FILE will be replayed: steps, what they wait for, what is filled anew for every user and why.

    What stays as it was recorded is listed too, with the reason. Nothing is sent anywhere.
    """
    from captures.sessions import load_capture

    capture = load_capture(file)
    compiled = _compiled(capture, maps, rules, also, with_places=rules_out is not None)
    if read_only:
        from replayer.plan.playing import compiled_read_only

        compiled = compiled_read_only(compiled)
    if rules_out is not None:
        _write_rules(compiled, file, rules_out)
    if identities_template is not None:
        _write_identities(compiled, identities_template)
    if as_json or (rules_out is None and identities_template is None):
        _show(compiled, file, as_json=as_json)
    if strict:
        _refuse_unbound(compiled)


def _compiled(
    capture: Capture, maps: tuple[str, ...], rules: Path | None, also: tuple[Path, ...], *, with_places: bool
) -> Compiled:
    from captures.sessions import load_capture
    from replayer.plan.compile import compile_explained
    from replayer.stored_plans import read_rules

    return compile_explained(
        capture,
        mapped=frozenset(_origin(text) for text in maps),
        rules=read_rules(rules),
        also=[load_capture(path) for path in also],
        with_places=with_places,
    )


def _show(compiled: Compiled, file: str, *, as_json: bool) -> None:
    if as_json:
        import json

        from replayer.plan.explain import to_document

        click.echo(json.dumps(to_document(compiled), indent=2))
    else:
        from rich.console import Console

        from captures.view.terminal import printable
        from replayer.plan.explain import render_plan

        render_plan(compiled, Console(highlight=False))
        click.echo(f"next: rushhour verify {printable(shlex.quote(file))} --target URL")


def _write_rules(compiled: Compiled, capture: str, path: Path) -> None:
    from captures.view.terminal import printable
    from replayer.plan.rules_out import rules_text

    _write_new(path, rules_text(compiled, capture=Path(capture).name, name=path.name))
    file, rules = printable(shlex.quote(capture)), printable(shlex.quote(str(path)))
    click.echo(f"{rules}: edit it, then rushhour plan {file} --rules {rules}", err=True)


def _write_identities(compiled: Compiled, path: Path) -> None:
    from captures.errors import ConfigError
    from replayer.facts import input_columns

    columns = input_columns(compiled.plan)
    if not columns:
        raise ConfigError("the plan asks for no identities", 'bind a place to one with a rule: use = "input:user"')
    _write_new(path, ",".join(columns) + "\n")
    click.echo(f"{path}: one line per user, then rushhour replay … --identities {path}", err=True)


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there: what a person edited is never overwritten."""
    from captures.errors import ConfigError

    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as exc:
        raise ConfigError(f"{path} is there already", "name another file, or remove it first") from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}", "name a file in a directory that is there") from exc


def _refuse_unbound(compiled: Compiled) -> None:
    from captures.errors import ConfigError
    from replayer.plan.unbound import unbound_places

    places = unbound_places(compiled)
    if places:
        more = f" and {len(places) - 5} more" if len(places) > 5 else ""
        raise ConfigError(
            f"nothing brings a value for {'; '.join(places[:5])}{more}",
            "record from the start of the session, or decide with --rules-out and --rules",
        )


def _origin(text: str) -> Origin:
    from captures.errors import ConfigError
    from replayer.plan.selection import origin_of_url

    origin = origin_of_url(text)
    if origin is None:
        raise ConfigError(f"--map {text}: no origin", "write it as https://host or http://host:port")
    return origin
