"""The commands ``scan`` and ``redact``."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

import click

log = logging.getLogger(__name__)

_SCAN_EXAMPLES = """\b
Examples:
  rushhour scan market.rush
  rushhour scan market.rush --json
"""

_REDACT_EXAMPLES = """\b
Examples:
  rushhour redact imported.rush -o market.rush
  rushhour redact imported.rush -o market.rush --policy shop.toml
  rushhour redact monday.rush -o monday.safe.rush --key-file shop.key

\b
A policy file:
  name = "shop"
  [add]
  keys = ["loyalty_no"]          become stand-ins
  credentials = ["door_code"]    become input columns
  headers = ["x-partner-*"]
  values = ["ACME-[0-9]{10}"]    patterns, searched everywhere
  [keep]
  keys = ["session"]             left alone
  [drop]
  headers = ["x-debug-user"]     taken out
"""

_policy = click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What else is secret, or is none: a TOML file, see rushhour redact -h.",
)


@click.command(epilog=_SCAN_EXAMPLES)
@click.argument("file", type=click.Path())
@_policy
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
@click.pass_context
def scan(ctx: click.Context, file: str, *, policy: Path | None, as_json: bool) -> None:
    """Look for secrets that are still in a capture; exits 1 where there are any.

    Shows where they stand, their class and how many, and never more than the beginning of one.
    """
    from captures.format.reader import open_capture
    from captures.redact.policy_file import load_policy
    from captures.redact.scan import scan as scan_capture
    from captures.redact.scan import told
    from captures.view.terminal import printable

    rules = load_policy(policy)
    with open_capture(file) as reader:
        result = scan_capture(reader, rules)
    if result.damage:
        log.warning("what is damaged is left out: %s", "; ".join(map(printable, result.damage)))
    if as_json:
        import json

        click.echo(json.dumps(result.to_document(), indent=2))
    else:
        for line in told(result):
            click.echo(printable(line))
        if result.leftovers:
            click.echo(f"next: rushhour redact {printable(shlex.quote(file))} -o OUT")
        else:
            click.echo(f"next: rushhour plan {printable(shlex.quote(file))}")
    ctx.exit(1 if result.leftovers else 0)


@click.command(epilog=_REDACT_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="The new capture; it must not exist.")
@_policy
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the key here (made if missing, mode 0600): captures with one key have the same stand-ins.",
)
def redact(file: str, out: str, *, policy: Path | None, key_file: Path | None) -> None:
    """Make a new capture of FILE in which secrets are replaced, for files that were imported or recorded without.

    The same value gets the same stand-in of the same shape, so the new capture compiles and replays as FILE does; what
    somebody typed becomes columns of OUT.identities.csv. The key is forgotten, unless --key-file keeps it.
    """
    from captures.redact.files import redact_file, write_identities
    from captures.redact.keys import key_from, random_key
    from captures.redact.policy_file import load_policy
    from captures.redact.redactor import Redactor
    from captures.view.terminal import printable

    rules = load_policy(policy)
    redactor = Redactor(rules, key_from(key_file) if key_file else random_key(), trusts_marks=True)
    result = redact_file(file, out, redactor)
    redactor.forget()
    if result.damage:
        log.warning("what is damaged is left out: %s", "; ".join(map(printable, result.damage)))
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    click.echo(f"replaced: {counts or 'nothing'}")
    if identities := write_identities(Path(out), result.columns):
        click.echo(f"inputs: {', '.join(result.columns)}; fill in {printable(shlex.quote(str(identities)))}")
    click.echo(f"next: rushhour scan {printable(shlex.quote(out))}")
