"""The command ``edit``."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from captures.edit.selection import Selection

log = logging.getLogger(__name__)

_EXAMPLES = """\b
Examples:
  rushhour edit market.rush -o api.rush --route '/api/**' --status 2xx
  rushhour edit market.rush -o middle.rush --from 2s --to 5s --session 1-3
  rushhour edit market.rush -o own.rush --origin '!https://ads.example'
  rushhour edit monday.rush -o week.rush --merge tuesday.rush --align start
"""


# Option, as --NAME, its value's name, and what it keeps.
_PATTERNS = (
    ("origin", "ORIGIN", "Keep this origin: https://shop.example, shop.example or *.example."),
    ("route", "ROUTE", "Keep this route: /api/quotes/{id}, /static/** or 'POST /login'."),
    ("method", "METHOD", "Keep requests with this method."),
    ("status", "STATUS", "Keep what was answered so: 200, 4xx, 400-499; none: not at all."),
    ("session", "N", "Keep this session, or these: 3-7."),
)


def _patterns(command: Callable[..., None]) -> Callable[..., None]:
    for name, metavar, text in reversed(_PATTERNS):
        command = click.option(f"--{name}", multiple=True, metavar=metavar, help=text)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="The new capture; it must not exist.")
@_patterns
@click.option("--from", "start", metavar="DUR", help="Keep what starts at this time of the capture or later.")
@click.option("--to", "end", metavar="DUR", help="Keep what starts before this time of the capture.")
@click.option("--merge", "merged", multiple=True, type=click.Path(), help="Add this capture, its sessions apart.")
@click.option(
    "--align",
    type=click.Choice(["clock", "start"]),
    default="clock",
    show_default=True,
    help="Merged captures keep their distance in time, or all start together.",
)
def edit(
    file: str,
    out: str,
    *,
    start: str | None,
    end: str | None,
    merged: tuple[str, ...],
    align: str,
    **patterns: tuple[str, ...],
) -> None:
    """Make a new capture of parts of FILE, or of several files.

    Options of one kind may be given many times and mean any of them; of different kinds all must agree. A pattern that
    begins with ! takes out what it matches. An exchange is kept whole and belongs to the moment its request starts;
    of sockets and event streams that last, the messages between --from and --to are kept. Times are those that
    rushhour inspect shows. FILE stays as it is, and the new capture's header names it.
    """
    from captures.edit.composition import EditOptions
    from captures.edit.composition import edit as edit_captures
    from captures.edit.sources import Align
    from captures.view.terminal import printable

    done: dict[str, object] = {name: list(texts) for name, texts in patterns.items() if texts}
    done |= {name: text for name, text in (("from", start), ("to", end)) if text is not None}
    if merged:
        done["merge"] = align
    selection = _selection(patterns, start, end)
    options = EditOptions(sources=(file, *merged), out=out, selection=selection, align=Align(align), done=done)
    edited = edit_captures(options)
    if edited.damage:
        log.warning("what is damaged is left out: %s", "; ".join(map(printable, edited.damage)))
    counts = {"socket": edited.sockets, "message": edited.messages, "session": len(edited.sessions)}
    others = (f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    click.echo(f"kept: {edited.exchanges} of {edited.seen} exchanges, {', '.join(others)}")
    click.echo(f"next: rushhour inspect {printable(shlex.quote(out))}")


def _selection(patterns: Mapping[str, tuple[str, ...]], start: str | None, end: str | None) -> Selection:
    from captures.edit.patterns import choice_of, method_test, origin_test, route_test, session_test, status_test
    from captures.edit.selection import Selection, Window
    from captures.units import parse_duration_ns

    window = Window(
        start_ns=None if start is None else parse_duration_ns(start),
        end_ns=None if end is None else parse_duration_ns(end),
    )
    return Selection(
        origins=choice_of(patterns["origin"], origin_test),
        routes=choice_of(patterns["route"], route_test),
        methods=choice_of(patterns["method"], method_test),
        statuses=choice_of(patterns["status"], status_test),
        sessions=choice_of(patterns["session"], session_test),
        window=window,
    )
