"""``rushhour golden``: keeps a recording alive that tests live on."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import Any

import click

from replayer.options.reach import REACH_SETTINGS
from replayer.options.setting import FILE, duration_setting, setting, typed_in, with_settings
from replayer.options.target import TARGET_SETTINGS

_EPILOG = """\b
Examples:
  rushhour golden check -h
  rushhour golden update -h
"""
_CHECK = """\b
Examples:
  rushhour golden check captures/golden/demo --target http://127.0.0.1:8000
  rushhour golden check captures/golden/demo --target http://127.0.0.1:8000 --users 3 --for 6s --json
"""
_UPDATE = """\b
Examples:
  rushhour golden update captures/golden/demo --from new.rush
  rushhour golden update captures/golden/demo --url http://127.0.0.1:8000/ -- --headless --duration 5s
"""


@click.group(epilog=_EPILOG, invoke_without_command=True)
@click.pass_context
def golden(ctx: click.Context, /) -> None:
    """Check a golden capture against its target, or record it again.

    A golden is a folder: one capture NAME.rush, and where they are needed scenario.toml, thresholds.toml, rules.toml,
    policy.toml and users.csv.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@golden.command(epilog=_CHECK)
@click.argument("directory", type=FILE, metavar="DIR")
@with_settings(TARGET_SETTINGS)
@setting("--identities", type=FILE, metavar="FILE", help="Who the users are.  [default: users.csv of the golden]")
@setting("--users", unit="users", type=int, metavar="N", help="Users of the smoke.  [default: as the scenario says]")
@duration_setting("--for", "for_", help="How long the smoke lasts.  [default: as the scenario says]")
@setting("--out", type=FILE, metavar="RUN_DIR", help="Of the smoke.  [default: runs/<time>-golden-<name>]")
@with_settings(REACH_SETTINGS)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there.")
def check(directory: Path, as_json: bool, **given: Any) -> None:
    """Tell whether the target still is what DIR recorded: scan, verify with one user, smoke with several.

    \b
    Exits with 0 as recorded · 1 slower · 2 bad input, or a secret in the capture
    · 3 server broken · 4 this machine was too busy to tell · 5 not enough to tell
    · 6 contract changed: record again.
    """
    import json

    from rich.console import Console

    from analysis.report.text import printable
    from golden.check import check as run_check
    from golden.folder import open_golden
    from golden.request import request_for
    from golden.telling import tell_github

    found = open_golden(directory)
    request = request_for(found, given, typed_in(click.get_current_context()))

    def say(stage: str, sentence: str) -> None:
        if not as_json:
            click.echo(f"{stage:<8} {printable(sentence)}")

    result = run_check(found, request, talk=Console(stderr=True), say=say)
    if as_json:
        click.echo(json.dumps(result.to_document(found), indent=2))
    say("golden", result.sentence(found))
    tell_github(result, found)
    raise SystemExit(int(result.exit_code))


@golden.command(epilog=_UPDATE)
@click.argument("directory", type=FILE, metavar="DIR")
@click.option("--from", "source", type=FILE, metavar="FILE", help="Take this capture instead of recording one.")
@click.option("--url", metavar="URL", help="The page to record.  [default: the one that was recorded]")
@click.argument("record_options", nargs=-1, metavar="[-- RECORD_OPTIONS]")
def update(directory: Path, source: Path | None, url: str | None, record_options: tuple[str, ...]) -> None:
    """Record DIR again, and print what is different in routes, shapes and slots, for review.

    What stands after -- goes to rushhour record, such as --headless. The capture before stays as NAME.rush.before until
    you delete it or move it back.
    """
    from analysis.report.text import printable
    from captures.errors import ConfigError
    from golden.folder import open_golden
    from golden.update import check_place, recorded_url, update_from

    found = open_golden(directory)
    check_place(found)
    if source is not None:
        if url is not None or record_options:
            raise ConfigError("--from leaves nothing to record", "leave --url and what stands after -- out")
        updated = update_from(found, source)
    else:
        with tempfile.TemporaryDirectory() as place:
            fresh = Path(place) / found.capture.name
            _record([url or recorded_url(found), "-o", str(fresh), *record_options])
            updated = update_from(found, fresh)
    for title, lines in (
        ("routes", updated.found.routes),
        ("shapes", updated.found.shapes),
        ("slots", updated.found.slots),
    ):
        click.echo(f"{title:<8} {'as before' if not lines else ''}".rstrip())
        for line in lines:
            click.echo(f"  {printable(line)}")
    if updated.missing:
        click.echo(f"users    {found.users} lacks {', '.join(map(printable, updated.missing))}")
    click.echo(f"before   {printable(found.before)}; delete it when you have reviewed, or move it back")
    click.echo(f"next     rushhour golden check {printable(shlex.quote(str(directory)))} --target URL")


def _record(arguments: list[str]) -> None:
    """Run ``rushhour record`` as a user would type it.

    Raises:
        SystemExit: it did not come to a whole capture.
    """
    from recorder.cli import record

    try:
        record.main(args=arguments, prog_name="rushhour record", standalone_mode=False)
    except SystemExit as exc:
        if exc.code:
            raise
