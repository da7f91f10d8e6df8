"""The commands ``inspect`` and ``recover``."""

from __future__ import annotations

import shlex

import click

_INSPECT_EXAMPLES = """\b
Examples:
  rushhour inspect market.rush
  rushhour inspect market.rush --session 1 --from 2s --to 4s
  rushhour inspect market.rush --html market.html
  rushhour inspect market.rush --json
"""

_RECOVER_EXAMPLES = """\b
Examples:
  rushhour recover market.rush -o market.recovered.rush
  rushhour inspect market.recovered.rush
"""


@click.command(epilog=_INSPECT_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("--session", type=click.IntRange(min=0), metavar="N", help="Show the timeline of this session.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Rows of a timeline; 0: all.  [default: 40]")
@click.option("--from", "start", metavar="DUR", help="Begin the timeline at this time of the capture.")
@click.option("--to", "end", metavar="DUR", help="End the timeline at this time of the capture.")
@click.option("--html", type=click.Path(), help="Write a page with the timelines to this file, which must not exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the view.")
def inspect(
    file: str,
    *,
    session: int | None,
    limit: int | None,
    start: str | None,
    end: str | None,
    html: str | None,
    as_json: bool,
) -> None:
    """Show what a capture holds: sessions, exchanges, sockets, messages, origins, and the timeline of a session.

    A damaged capture is shown as far as it is good, with what is missing. Of a capture of more than 64 MiB a timeline
    is shown where --session asks for it.
    """
    from captures.view.inspection import Asked, as_page, as_text, document_of
    from captures.view.terminal import printable

    asked = Asked.parsed(session=session, limit=limit, start=start, end=end)
    if as_json and html is not None:
        raise click.UsageError("--json and --html do not go together")
    if as_json:
        click.echo(document_of(file))
    elif html is not None:
        as_page(file, asked, html)
        click.echo(f"written: {html}")
    else:
        as_text(file, asked)
        click.echo(f"next: rushhour plan {printable(shlex.quote(file))}")


@click.command(epilog=_RECOVER_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="The new capture; it must not exist.")
def recover(file: str, out: str) -> None:
    """Make a whole capture of the good records of a damaged one, and say what was lost.

    Nothing is changed in FILE.
    """
    from captures.format.recover import recover as recover_capture
    from captures.view.terminal import printable

    recovery = recover_capture(file, out)
    for sentence in recovery.damage:
        click.echo(f"lost: {printable(sentence)}")
    if not recovery.damage:
        click.echo("lost: nothing")
    click.echo(f"kept: {recovery.events} events, {recovery.exchanges} exchanges, {recovery.messages} messages")
    click.echo(f"next: rushhour inspect {printable(out)}")
