"""The command ``convert``."""

from __future__ import annotations

import logging
import shlex

import click

log = logging.getLogger(__name__)

_EXAMPLES = """\b
Examples:
  rushhour convert market.rush market.har
  rushhour convert market.har again.rush
  rushhour convert market.har market2.rush --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the summary.")
def convert(source: str, out: str, *, as_json: bool) -> None:
    """Make a capture of a recording of another tool, or a HAR of a capture.

    The suffixes decide: .har (browsers, Charles, Playwright, ...), .mitm (mitmproxy) and .gor (GoReplay) become .rush,
    .rush becomes .har. Playwright's .har.zip is read as it is. OUT must not exist. What the other format cannot hold is
    said.

    Imported files are not redacted: they hold what their tool wrote.
    """
    from captures.convert.formats import convert_file
    from captures.view.terminal import printable

    conversion = convert_file(source, out)
    for sentence in conversion.damage:
        log.warning("%s is damaged: %s", printable(source), printable(sentence))
    for sentence in conversion.not_held:
        log.warning("not in %s: %s", printable(out), printable(sentence))
    document = conversion.to_document()
    if as_json:
        import json

        click.echo(json.dumps(document, indent=2))
        return
    parts = ("session", "exchange", "socket", "message")
    counts = ", ".join(f"{(n := document[f'{part}s'])} {part}{'' if n == 1 else 's'}" for part in parts)
    click.echo(f"wrote {printable(out)}: {counts}")
    named = printable(shlex.quote(out))
    if out.lower().endswith(".rush"):
        click.echo(f"next: rushhour inspect {named}")
        click.echo(f"      rushhour scan {named}   (secrets are as the other tool wrote them)")
    else:
        click.echo(f"next: rushhour convert {named} COPY.rush")
