"""``rushhour calibrate``: limits that fit one target, from what it was seen to do."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)
_EPILOG = """\b
Examples:
  rushhour calibrate runs/base-1 runs/base-2 runs/base-3 -o thresholds.toml
  rushhour calibrate runs/base-1 runs/base-2 -o thresholds.toml --metric "http p99" --json
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", type=_FILE, metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--out", type=_FILE, metavar="FILE", required=True, help="Where the thresholds go; a new file.")
@click.option("--metric", multiple=True, metavar="SUBJECT", help="A time that gets a limit too: http p99.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def calibrate(runs: tuple[Path, ...], out: Path, metric: tuple[str, ...], as_json: bool) -> None:
    """Measure how far runs of the same build differ, and write thresholds that fit their target.

    A limit is 1.5 times what was observed, p95 for a p95 gate and p99 for a p99 gate, and more where the same build
    differs from itself by more. Runs that are invalid, failing, too small, or unlike each other are refused.
    """
    import json

    from analysis.calibrating import calibrate_directories, to_json, told, write_calibrated
    from analysis.comparing import times_of

    found = calibrate_directories(runs, times_of(metric))
    write_calibrated(out, found)
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2, ensure_ascii=True, allow_nan=False))
        return
    for line in told(found):
        click.echo(line)
    click.echo(f"wrote {out}; hold a run to it: rushhour replay FILE --target URL --thresholds {out}")
