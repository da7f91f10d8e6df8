"""``rushhour trend``: how a target does over many builds, one row per run."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)
_EPILOG = """\b
Examples:
  rushhour trend runs/nightly -o trend.csv
  rushhour trend runs/nightly -o trend.csv --attribute commit=4f2a91c --attribute branch=main
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", type=_FILE, metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--out", type=_FILE, metavar="FILE", required=True, help="The CSV that they are added to.")
@click.option("--attribute", multiple=True, metavar="NAME=VALUE", help="A column of your own, such as commit.")
def trend(runs: tuple[Path, ...], out: Path, attribute: tuple[str, ...]) -> None:
    """Add RUNs to a CSV with one row per run, which Apache Otava reads to find the build that changed something.

    Runs that did not end, or whose measurement is invalid, are left out with a warning.
    """
    import logging
    import shlex

    from analysis.report.text import printable
    from analysis.trend import keep_trend, parse_attributes

    kept = keep_trend(out, runs, parse_attributes(attribute))
    for sentence in kept.left_out:
        logging.getLogger(__name__).warning("%s", sentence)
    click.echo(f"{out}: {kept.n_rows} runs, {kept.n_new} of them new")
    base = printable(shlex.quote(str(runs[0])))
    click.echo(f"next: rushhour compare RUN --base {base}; holds the run of a new build against these")
