"""The command ``plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from captures.records import Origin

_EXAMPLES = """\b
Examples:
  rushhour plan market.rush
  rushhour plan market.rush --json
  rushhour plan market.rush --map https://api.shop.example
"""


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("--map", "maps", multiple=True, metavar="ORIGIN", help="Compile this recorded origin too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the explanation.")
def plan(file: str, maps: tuple[str, ...], *, as_json: bool) -> None:
    """Explain how FILE will be replayed: steps, what they wait for, what is filled anew for every user and why.

    What stays as it was recorded is listed too, with the reason. Nothing is sent anywhere.
    """
    from captures.sessions import load_capture
    from replayer.plan.compile import compile_explained

    mapped = frozenset(_origin(text) for text in maps)
    compiled = compile_explained(load_capture(file), mapped=mapped)
    if as_json:
        import json

        from replayer.plan.explain import to_document

        click.echo(json.dumps(to_document(compiled), indent=2))
    else:
        from rich.console import Console

        from replayer.plan.explain import render_plan

        render_plan(compiled, Console(highlight=False))


def _origin(text: str) -> Origin:
    from captures.errors import ConfigError
    from replayer.plan.selection import origin_of_url

    origin = origin_of_url(text)
    if origin is None:
        raise ConfigError(f"--map {text}: no origin", "write it as https://host or http://host:port")
    return origin
