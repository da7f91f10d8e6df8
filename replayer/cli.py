"""``rushhour replay``: the command line of a replay, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from captures.errors import ConfigError
from captures.units import parse_duration_ns
from replayer.load.shapes import Shape, parse_shape

_EPILOG = """\b
Examples:
  rushhour replay market.rush --target http://127.0.0.1:8000
  rushhour replay market.rush --target http://127.0.0.1:8000 --scale 20 --speed 5 --shape burst
  rushhour replay market.rush --target http://127.0.0.1:8000 --users 50 --shape ramp:5s --threshold "http p95 < 300ms"
"""


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_duration_ns(value)
    except ConfigError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def _shape(ctx: click.Context, param: click.Parameter, value: str) -> Shape:
    try:
        return parse_shape(value)
    except ConfigError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


_FILE = click.Path(path_type=Path)


@click.command(epilog=_EPILOG)
@click.argument("capture", type=_FILE, metavar="FILE")
@click.option("--target", required=True, metavar="URL", help="Where the recorded page's origin goes.")
@click.option("--map", "maps", multiple=True, metavar="ORIGIN=URL", help="Where another recorded origin goes.")
@click.option("--allow-target", multiple=True, metavar="HOST", help="A host besides loopback that may be load-tested.")
@click.option("--allow-writes", is_flag=True, help="Let many users write to a target that is not loopback.")
@click.option("--resolve", multiple=True, metavar="HOST=ADDR", help="The one address a host has in this run.")
@click.option("--wait", callback=_duration, default="0", metavar="DUR", help="Wait so long for the target to accept.")
@click.option("--scale", type=float, metavar="N", help="Users per recorded session.  [default: 1]")
@click.option("--users", type=int, metavar="N", help="Virtual users, instead of --scale.")
@click.option("--speed", type=float, default=1.0, show_default=True, metavar="X", help="Divides recorded gaps.")
@click.option(
    "--max-gap", callback=_duration, metavar="DUR", help="No longer pause between sends, nor between arrivals."
)
@click.option(
    "--shape",
    callback=_shape,
    default="recorded",
    show_default=True,
    metavar="SHAPE",
    help="When users start: recorded, ramp:30s, burst[:at], align[:at], rate:50/s.",
)
@click.option("--start-spread", callback=_duration, metavar="DUR", help="Over how long copies of a session start.")
@click.option(
    "--pacing",
    type=click.Choice(["think", "timeline", "asap"]),
    default="think",
    show_default=True,
    help="When a step goes: after recorded think time, by the recorded timeline, or as soon as possible.",
)
@click.option("--identities", type=_FILE, metavar="FILE", help="CSV file of input columns; user i takes row i.")
@click.option(
    "--identities-end",
    type=click.Choice(["cycle", "fail"]),
    default="cycle",
    show_default=True,
    help="What to do when there are more users than rows.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides every random choice.")
@click.option(
    "--connect-timeout",
    callback=_duration,
    default="15s",
    show_default=True,
    metavar="DUR",
    help="Total time for DNS, TCP, TLS and upgrade.",
)
@click.option(
    "--request-timeout",
    callback=_duration,
    default="60s",
    show_default=True,
    metavar="DUR",
    help="Total time for a request.",
)
@click.option(
    "--message-timeout",
    callback=_duration,
    default="10s",
    show_default=True,
    metavar="DUR",
    help="Total time for a reply or trigger that is due.",
)
@click.option(
    "--max-failures",
    type=int,
    default=10,
    show_default=True,
    metavar="N",
    help="So many failed steps in a row end a user.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME=env:VAR", help="A header for every request.")
@click.option("--insecure", is_flag=True, help="Do not verify certificates.")
@click.option("--ca", type=_FILE, metavar="FILE", help="PEM file of further authorities to trust.")
@click.option(
    "--http", type=click.Choice(["auto", "1.1"]), default="auto", show_default=True, help="HTTP version to speak."
)
@click.option(
    "--wire", type=click.Choice(["fast"]), default="fast", show_default=True, help="Which implementation sends."
)
@click.option(
    "--assets",
    type=click.Choice(["replay", "skip"]),
    default="replay",
    show_default=True,
    help="Whether images, scripts and styles are fetched too.",
)
@click.option("--workers", type=int, metavar="N", help="Processes.  [default: cores, one less for a local target]")
@click.option("--threshold", "threshold", multiple=True, metavar="EXPR", help="What the run is held to.")
@click.option("--thresholds", "thresholds_file", type=_FILE, metavar="FILE", help="A TOML file with such a list.")
@click.option("--strict", is_flag=True, help="What the samples leave open is inconclusive.")
@click.option("--allow-inconclusive", is_flag=True, help="Inconclusive exits with 0 and a warning.")
@click.option("--allow-lag", is_flag=True, help="A late load generator is a warning.")
@click.option("--out", type=_FILE, metavar="RUN_DIR", help="A new or empty directory.  [default: runs/<time>-<name>]")
@click.option("--print-config", is_flag=True, help="Print the options in force as TOML and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json on stdout, and nothing else there.")
def replay(print_config: bool, **given: Any) -> None:
    """Replay the capture FILE against a target as many users, and judge what they would have felt.

    \b
    Exits with 0 pass · 1 fail · 2 bad input or refused target · 3 unreachable or aborted
    · 4 the measurement cannot be trusted · 5 inconclusive · 130 interrupted.
    """
    from replayer.arguments import options_from

    options = options_from(given)
    if print_config:
        import tomli_w

        click.echo(tomli_w.dumps({"replay": options.to_table()}), nl=False)
        return
    from rich.console import Console

    from replayer.replay import replay as run_replay

    raise SystemExit(run_replay(options, talk=Console(stderr=True), results=Console()))
