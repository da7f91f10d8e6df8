"""``rushhour report``: every output of a run again, from its run file alone."""

from __future__ import annotations

import logging
from pathlib import Path

import click

_log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  rushhour report runs/latest
  rushhour report runs/latest --json
"""


@click.command(epilog=_EPILOG)
@click.argument("run_dir", type=click.Path(path_type=Path), metavar="RUN_DIR")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the report for people.")
def report(run_dir: Path, as_json: bool) -> None:
    """Rebuild summary.json and report.html of RUN_DIR and print the verdict.

    Exits with 0 whatever the verdict was, and with 2 where the run is damaged or has no end; what can be read is
    reported even then.
    """
    import json

    from rich.console import Console

    from analysis.outputs import rebuild_outputs
    from analysis.report.terminal import render_terminal
    from captures.errors import ExitCode

    judged = rebuild_outputs(run_dir)
    if as_json:
        click.echo(json.dumps(judged.summary, indent=2, ensure_ascii=True, allow_nan=False))
    else:
        render_terminal(judged.summary, Console(), directory=run_dir)
    for sentence in judged.run.damage:
        _log.warning("%s", sentence)
    if judged.run.damage:
        raise SystemExit(int(ExitCode.USAGE))
