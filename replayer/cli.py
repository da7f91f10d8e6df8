"""``rushhour replay``: the command line of a replay, and nothing else; its options stand in ``replayer.options``."""

from __future__ import annotations

from typing import Any

import click

from replayer.options.run import ALL_SETTINGS, options_from
from replayer.options.setting import FILE, typed_in, with_settings

_EPILOG = """\b
Examples:
  rushhour replay market.rush --target http://127.0.0.1:8000
  rushhour replay market.rush --target http://127.0.0.1:8000 --scale 20 --speed 5 --shape burst
  rushhour replay market.rush --target http://127.0.0.1:8000 --users 50 --shape ramp:5s --threshold "http p95 < 300ms"
  rushhour replay market.rush --target http://127.0.0.1:8000 --shape stages:30s@200,2m@200,30s@0 --at-end hold --dry-run
  rushhour replay market.rush --scenario crowd.toml --target http://127.0.0.1:8000
"""


@click.command(epilog=_EPILOG)
@click.argument("capture", type=FILE, metavar="[FILE]", required=False)
@with_settings(*ALL_SETTINGS)
@click.option("--dry-run", is_flag=True, help="Show the planned load over time, and send nothing; --json for machines.")
@click.option("--print-config", is_flag=True, help="Print the options in force as TOML and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json on stdout, and nothing else there.")
def replay(dry_run: bool, print_config: bool, **given: Any) -> None:
    """Replay the capture FILE, or a scenario, against a target as many users, and judge what they would have felt.

    \b
    Exits with 0 pass · 1 fail · 2 bad input or refused target · 3 unreachable or aborted
    · 4 the measurement cannot be trusted · 5 inconclusive · 130 interrupted.
    """
    ctx = click.get_current_context()
    options = options_from(given, typed=typed_in(ctx))
    if print_config:
        from replayer.options.listing import config_text

        click.echo(config_text(ctx, options.to_table()), nl=False)
        return
    if dry_run:
        from replayer.forecast import forecast, forecast_json, forecast_text

        found = forecast(options)
        click.echo(forecast_json(found) if options.as_json else forecast_text(found))
        return
    from rich.console import Console

    from replayer.replay import replay as run_replay

    raise SystemExit(run_replay(options, talk=Console(stderr=True), results=Console()))
