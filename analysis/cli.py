"""``rushhour report``: every output of a run again, from its run file alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.report.formats import FORMAT_NAMES

if TYPE_CHECKING:
    from analysis.outputs import Judged

_log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  rushhour report runs/latest
  rushhour report runs/latest --json
  rushhour report runs/latest --format junit --format csv
  rushhour report runs/latest --print markdown
"""


@click.command(epilog=_EPILOG)
@click.argument("run_dir", type=click.Path(path_type=Path), metavar="RUN_DIR")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMAT_NAMES),
    multiple=True,
    help="Write junit.xml, summary.md or series.csv into RUN_DIR too.",
)
@click.option(
    "--print",
    "printed",
    type=click.Choice(("json", *FORMAT_NAMES)),
    help="Print that output on stdout instead of the report for people.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --print json.")
def report(run_dir: Path, formats: tuple[str, ...], printed: str | None, as_json: bool) -> None:
    """Rebuild summary.json and report.html of RUN_DIR, and every other output it has, and print the verdict.

    Exits with 0 whatever the verdict was, and with 2 where the run is damaged or has no end, or an output cannot be
    written; what can be read is reported even then.
    """
    from rich.console import Console

    from analysis.outputs import rebuild_outputs
    from analysis.report.formats import Format
    from analysis.report.terminal import render_terminal
    from captures.errors import ConfigError, ExitCode

    if as_json and printed not in (None, "json"):
        raise ConfigError(f"--json and --print {printed} cannot both stand on stdout", "leave one out")
    judged = rebuild_outputs(run_dir, [Format(name) for name in formats])
    if printed is not None or as_json:
        click.echo(_text(judged, printed or "json"), nl=False)
    else:
        render_terminal(judged.summary, Console(), directory=run_dir)
    for sentence in (*judged.run.damage, *judged.unwritten):
        _log.warning("%s", sentence)
    if judged.run.damage or judged.unwritten:
        raise SystemExit(int(ExitCode.USAGE))


def _text(judged: Judged, name: str) -> str:
    import json

    from analysis.report.formats import Format, render

    if name == "json":
        return json.dumps(judged.summary, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
    return render(Format(name), judged.run, judged.summary)
