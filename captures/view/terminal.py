"""The terminal view of a capture. Whatever comes out of a file is shown as text: no markup, no control characters."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table
from rich.text import Text

from captures.defuse import defused
from captures.units import format_duration
from captures.view.overview import Overview, SessionOverview, recorded_at

_MAX_ORIGINS = 12
_MAX_TROUBLES = 8


def printable(text: object) -> str:
    """Text with everything that a terminal or a CI system would act on, or cannot show, written as an escape."""
    return defused("".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)))


def render_overview(overview: Overview, console: Console) -> None:
    """Print the overview."""
    console.print(_facts(overview))
    if overview.sessions:
        console.print()
        console.print(_sessions(overview.sessions))
        console.print()
        console.print(_origins(overview))
    _print_troubles(overview, console)
    _print_damage(overview, console)


def _facts(overview: Overview) -> Table:
    header = overview.header
    url, tool = header.get("url"), header.get("tool")
    recorded = recorded_at(overview.wall_ns) or "at an unknown time"
    lines = {
        "capture": printable(overview.path),
        "page": printable(url) if url else "",
        "recorded": f"{recorded}, {format_duration(overview.duration_ns)}",
        "by": printable(f"{tool} {header.get('version', '')}".strip()) if tool else "",
        "size": f"{size_text(overview.size_bytes)}, {overview.n_events} events, format {overview.header['format']}",
        "holds": holds(overview),
        "complete": "yes" if overview.complete else "no",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        if value:
            table.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
    return table


def holds(overview: Overview) -> str:
    """What is in a capture: sessions, exchanges, sockets, messages."""
    parts = (
        (len(overview.sessions), "session"),
        (overview.total("n_exchanges"), "exchange"),
        (overview.total("n_sockets"), "socket"),
        (overview.total("n_messages"), "message"),
    )
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts)


def _sessions(sessions: list[SessionOverview]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("session")
    for name in ("starts", "lasts", "exchanges", "sockets", "messages"):
        table.add_column(name, justify="right")
    table.add_column("rule", overflow="fold")
    for session in sessions:
        table.add_row(
            str(session.id),
            format_duration(session.start_ns),
            format_duration(session.end_ns - session.start_ns),
            *map(str, (session.n_exchanges, session.n_sockets, session.n_messages)),
            Text(printable(session.rule)),
        )
    return table


def _origins(overview: Overview) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("origin", overflow="fold")
    table.add_column("exchanges", justify="right")
    counts = overview.origins.most_common()
    for origin, count in counts[:_MAX_ORIGINS]:
        table.add_row(Text(printable(origin)), str(count))
    if len(counts) > _MAX_ORIGINS:
        table.add_row(f"{len(counts) - _MAX_ORIGINS} more", str(sum(count for _, count in counts[_MAX_ORIGINS:])))
    return table


def _print_troubles(overview: Overview, console: Console) -> None:
    counts = overview.troubles.most_common()
    if counts:
        console.print(Text("\nwhile it was recorded", style="bold yellow"))
    for (name, said), count in counts[:_MAX_TROUBLES]:
        times = f", {count} times" if count > 1 else ""
        console.print(Text(f"  {printable(name)}: {printable(said)}{times}"), soft_wrap=True)
    if len(counts) > _MAX_TROUBLES:
        console.print(Text(f"  and {len(counts) - _MAX_TROUBLES} more kinds: --json lists them", style="dim"))


def _print_damage(overview: Overview, console: Console) -> None:
    if overview.complete:
        return
    console.print(Text("\ndamaged: the numbers above are those of the good records", style="bold red"))
    for sentence in overview.damage:
        console.print(Text(f"  {printable(sentence)}"), soft_wrap=True)
    path = shlex.quote(printable(overview.path))
    console.print(Text(f"\nkeep the good records with: rushhour recover {path} -o OUT"), soft_wrap=True)


def size_text(n_bytes: int) -> str:
    """A size for people: ``1.5 MiB``."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"
