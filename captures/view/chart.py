"""A timeline in the terminal: a bar per exchange, a tick per message, in whatever width there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from captures.records import Peer
from captures.units import format_duration
from captures.view.terminal import printable
from captures.view.timeline import Axis, Row, Timeline

_WIDE, _NARROW = 60, 24
_LABEL_EVERY = 10
_BY_STATUS = {1: "cyan", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What bars are drawn with: a column each."""

    wait: str
    receive: str
    open: str
    sent: str
    received: str
    both: str
    gap: str


LINES = Glyphs("─", "━", "▸", "╵", "╷", "│", "…")
PLAIN = Glyphs("-", "=", ">", "'", ",", "|", "~")

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Widths; a column that is 0 wide is left out."""

    start: int
    took: int
    label: int
    chart: int


def render_timeline(timeline: Timeline, console: Console, *, title: str) -> None:
    """Print a timeline."""
    glyphs = PLAIN if console.options.ascii_only else LINES
    columns = _columns(console.width)
    lines = [Text(title, style="bold"), _axis_line(timeline.axis, columns)]
    lines += [_line(row, timeline.axis, columns, glyphs, timeline.host_of(row)) for row in timeline.rows]
    if timeline.n_more:
        lines.append(Text(f"{timeline.n_more} more: --limit 0 shows all, --from and --to a part", style="dim"))
    legend = {"waits": glyphs.wait, "receives": glyphs.receive, "sent": glyphs.sent, "received": glyphs.received}
    told = (*(f"{glyph} {word}" for word, glyph in legend.items()), f"{glyphs.open} still open")
    lines.append(Text("  ".join(told), style="dim"))
    for line in lines:
        line.rstrip()
        console.print(line, no_wrap=True, crop=True, overflow="crop")


def _columns(width: int) -> _Columns:
    start, took = (7, 7) if width >= _WIDE else (0, 0)
    room = max(_NARROW, width) - start - took - 4
    label = max(10, min(48, room * 2 // 5))
    return _Columns(start, took, label, max(6, room - label - 1))


def _axis_line(axis: Axis, columns: _Columns) -> Text:
    line = " " * (columns.start + columns.took + 4 + columns.label + 1)
    head = f"{'start':>{columns.start - 1}} {'took':>{columns.took - 1}} " if columns.start else ""
    line = head + line[len(head) :]
    at, shown = 0, ""
    while at < columns.chart:
        t_ns = axis.start_ns + (axis.end_ns - axis.start_ns) * at // columns.chart
        label = format_duration(t_ns)
        if at + len(label) <= columns.chart:
            shown = shown.ljust(at) + label
        at += max(_LABEL_EVERY, len(label) + 2)
    return Text(line + shown, style="dim")


def _line(row: Row, axis: Axis, columns: _Columns, glyphs: Glyphs, host: str) -> Text:
    style = "red" if row.error else _BY_STATUS.get((row.status or 0) // 100, "dim")
    line = Text()
    if columns.start:
        took = "open" if row.end_ns is None else format_duration(max(0, row.end_ns - row.start_ns))
        line.append(f"{format_duration(row.start_ns):>{columns.start - 1}} {took:>{columns.took - 1}} ", style="dim")
    status = "err" if row.error else "---" if row.status is None else f"{row.status:03d}"[:3]
    line.append(f"{status} ", style=style)
    line.append(_label(row, host, columns.label, glyphs.gap) + " ")
    for cell_style, cells in groupby(_cells(row, axis, columns.chart, glyphs, style), key=lambda cell: cell[1]):
        line.append("".join(glyph for glyph, _ in cells), style=cell_style)
    return line


def _label(row: Row, host: str, width: int, gap: str) -> str:
    label = printable(f"{row.method} {host}{row.target}")
    if cell_len(label) > width and "?" in label:
        # Of what is too long the query says least.
        label = label.partition("?")[0] + "?" + gap
    return fitted(label, width, gap)


def _cells(row: Row, axis: Axis, width: int, glyphs: Glyphs, style: str) -> Iterable[Cell]:
    cells: list[Cell] = [(" ", "")] * width
    start = axis.bin(row.start_ns, width)
    end = width - 1 if row.end_ns is None else axis.bin(row.end_ns, width)
    for at in range(start, end + 1):
        cells[at] = (glyphs.wait, f"dim {style}")
    if row.marks is not None:
        for at, bits in enumerate(row.marks.merged(width)):
            if bits:
                glyph = {Peer.CLIENT: glyphs.sent, Peer.SERVER: glyphs.received}.get(Peer(bits)) if bits < 3 else None
                cells[at] = (glyph or glyphs.both, style)
    elif row.answer_ns is not None or row.error:
        for at in range(axis.bin(row.answer_ns or row.start_ns, width), end + 1):
            cells[at] = (glyphs.receive, style)
    if row.end_ns is None:
        cells[end] = (glyphs.open, style)
    return cells


def fitted(text: str, width: int, gap: str) -> str:
    """``text`` in exactly ``width`` columns, the middle left out where it is longer."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    tail = text[-(width // 2) :]
    while tail and cell_len(tail) > width // 2:
        tail = tail[1:]
    return set_cell_size(text, width - 1 - cell_len(tail)) + gap + tail
