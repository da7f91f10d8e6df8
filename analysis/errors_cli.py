"""``rushhour errors``: what went wrong in a run, each kind with the first that were seen, from its run file alone."""

from __future__ import annotations

import logging
from pathlib import Path

import click

_log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  rushhour errors runs/latest
  rushhour errors runs/latest --json
"""


@click.command(epilog=_EPILOG)
@click.argument("run_dir", type=click.Path(path_type=Path), metavar="RUN_DIR")
@click.option("--json", "as_json", is_flag=True, help="Print the list ``failures`` of summary.json alone.")
def errors(run_dir: Path, as_json: bool) -> None:
    """Show by class and route what failed in RUN_DIR, each with its first five.

    Secrets were replaced before anything reached the disk. Exits with 0 whether or not something failed, and with 2
    where the run is damaged or has no end; what can be read is shown even then.
    """
    import json

    from analysis.failures import failure_reports, sentence
    from analysis.report.following import next_after_errors
    from analysis.report.text import format_count, printable
    from analysis.run import read_run
    from captures.errors import ExitCode

    run = read_run(run_dir)
    reports = failure_reports(run)
    if as_json:
        click.echo(json.dumps(reports, indent=2, ensure_ascii=True, allow_nan=False))
    elif not reports:
        click.echo("nothing failed")
    for report in () if as_json else reports:
        where = " ".join(part for part in (report["series"], report["route"], report["message"]) if part)
        click.echo(f"{format_count(report['count'])} × {printable(report['class'])}  {printable(where)}".rstrip())
        for example in report["examples"]:
            click.echo(f"  {printable(sentence(example), 1000)}")
        if not report["examples"]:
            click.echo("  no whole record was kept")
    if not as_json:
        following = next_after_errors(run.facts, (report["class"] for report in reports), run_dir)
        click.echo(f"next: {printable(following, 1000)}")
    for damage in run.damage:
        _log.warning("%s", damage)
    if run.damage:
        raise SystemExit(int(ExitCode.USAGE))
