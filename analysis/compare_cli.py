"""``rushhour compare``: runs against a baseline of runs, from their run files alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from analysis.comparing import Compared
    from captures.errors import ExitCode

_RUN_DIR = click.Path(path_type=Path)
_EPILOG = """\b
Examples:
  rushhour compare runs/new-1 runs/new-2 --base runs/old-1 --base runs/old-2
  rushhour compare runs/new --base runs/old --metric "http p99" --json
  rushhour compare runs/new --base recording
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", type=_RUN_DIR, metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--base",
    type=_RUN_DIR,
    metavar="DIR",
    multiple=True,
    required=True,
    help="A run of the baseline; or the word recording, for what the browser saw.",
)
@click.option("--metric", multiple=True, metavar="SUBJECT", help="What decides, instead of the defaults: http p99.")
@click.option("--strict", is_flag=True, help="What the interval leaves open is inconclusive.")
@click.option("--allow-inconclusive", is_flag=True, help="Inconclusive exits with 0 and a warning.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown on stdout, for a comment on a merge request.")
def compare(
    runs: tuple[Path, ...],
    base: tuple[Path, ...],
    metric: tuple[str, ...],
    strict: bool,
    allow_inconclusive: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Say whether RUNs are slower, or fail more, than those of a baseline, and how sure that is.

    Five runs a side tell a p95 that doubled from chance; with one run a side the answer has low confidence.

    \b
    Exits with 0 ok or improved · 1 regressed · 2 the runs cannot be compared
    · 4 a RUN's measurement cannot be trusted · 5 inconclusive.
    """
    import json

    from rich.console import Console

    from analysis.comparing import compare_directories, subjects_of, to_json
    from analysis.report.baseline import render_compared
    from analysis.report.markdown import render_comparison
    from captures.errors import ConfigError

    if as_json and as_markdown:
        raise ConfigError("--json and --markdown cannot both stand on stdout", "leave one out")
    compared = compare_directories(runs, base, gated=subjects_of(metric), strict=strict)
    code = _code_of(compared, allow_inconclusive=allow_inconclusive)
    if as_json:
        click.echo(json.dumps(to_json(compared, code), indent=2, ensure_ascii=True, allow_nan=False))
    elif as_markdown:
        click.echo(render_comparison(to_json(compared, code)), nl=False)
    else:
        render_compared(compared.verdict, compared.baseline.to_body(), Console(), doubts=compared.doubts)
        click.echo(f"next: rushhour report {shlex.quote(str(runs[-1]))}; the report shows when and on which route")
    raise SystemExit(int(code))


def _code_of(compared: Compared, *, allow_inconclusive: bool) -> ExitCode:
    """Return the exit code of a comparison, and warn of what weakens it."""
    import logging

    from analysis.comparing import exit_code_of
    from captures.errors import ExitCode

    code = exit_code_of(compared)
    log = logging.getLogger(__name__)
    for sentence in compared.baseline.warnings:
        log.warning("%s", sentence)
    if code is ExitCode.INCONCLUSIVE and allow_inconclusive:
        log.warning("the comparison is inconclusive (exit code 0 by --allow-inconclusive)")
        code = ExitCode.PASS
    return code
