"""Storms for people: the table of a terminal, and the section of ``report.html`` with its recovery curves. Pure.

The curves are inline SVG, drawn here: a page without scripts shows them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, format_seconds, printable

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS = 12
"""Strikes a terminal shows; the report shows all."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 240, 48, 28
_MOST_NAMED = 12
"""Strikes whose colour is named below the curves; colours repeat."""
_COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2")

Report = Mapping[str, Any]


def rows_of(report: Report) -> dict[str, str]:
    """Return one strike as text by column."""
    amplification, lost = report["amplification"], report["lost"]
    return {
        "storm": f"{report['label']} at {format_seconds(report['at_s'])}",
        "lost": format_count(lost),
        "back": format_count(report["recovered"]),
        "T50": _time(report["t50_s"], lost),
        "T95": _time(report["t95_s"], lost),
        "T99": _time(report["t99_s"], lost),
        "T100": _time(report["t100_s"], lost),
        "tries": "–" if amplification is None else f"{amplification:.2f}×",
        "server p95": format_ms(report["server_ms"]["p95"]),
        "others p95": _others(report["collateral"], "during_p95_ms"),
        "before": _others(report["collateral"], "before_p95_ms"),
        "normal after": "–" if report["time_to_normal_s"] is None else format_seconds(report["time_to_normal_s"]),
    }


def storms_table(reports: Sequence[Report], console: Console, *, is_narrow: bool) -> None:
    """Print what became of the sockets that storms took; nothing where there were no storms."""
    from rich.table import Table
    from rich.text import Text

    if not reports:
        return
    left_out = {"T99", "before", "normal after"}
    if is_narrow:
        left_out |= {"T50", "tries", "server p95", "others p95"}
    columns = [column for column in rows_of(reports[0]) if column not in left_out]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="left" if column == "storm" else "right", no_wrap=True)
    for report in reports[:MOST_ROWS]:
        row = rows_of(report)
        table.add_row(*(Text(row[column]) for column in columns))
    console.print()
    console.print(table)
    if len(reports) > MOST_ROWS:
        console.print(Text(f"and {len(reports) - MOST_ROWS} more in the report", "dim"))
    for sentence in _sentences(reports):
        console.print(Text(sentence, "dim"))


def storms_section(reports: Sequence[Report]) -> Html | None:
    """Return the body of the report's section, None where there were no storms."""
    if not reports:
        return None
    columns = list(rows_of(reports[0]))
    head = tag("tr", *(tag("th", column) for column in columns), tag("th", "errors"))
    cells = ((*rows_of(report).values(), _errors(report)) for report in reports)
    body = [tag("tr", *(tag("td", text) for text in row)) for row in cells]
    specs = dict.fromkeys(f"{str(report['label']).partition('.')[0]}: {report['spec']}" for report in reports)
    listed = tag("ul", *(tag("li", tag("code", printable(spec, 300))) for spec in specs))
    said = [tag("p", sentence) for sentence in _sentences(reports)]
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")
    return Html("".join((listed, _curves(reports), table, *said)))


def _sentences(reports: Sequence[Report]) -> list[str]:
    n_never = sum(sum(report["unrecovered"].values()) for report in reports)
    found = []
    if n_never:
        found.append(f"{format_count(n_never)} sockets did not come back; they count as infinitely late")
    if any(not report["lost"] for report in reports):
        found.append("a storm that took nothing found no open socket of those it was to hit")
    return found


def _errors(report: Report) -> str:
    mix = [f"{printable(name, 40)} {format_count(n)}" for name, n in report["errors"].items()]
    return " · ".join(mix) or "none"


def _others(collateral: Mapping[str, Any], name: str) -> str:
    found = collateral.get("http") or collateral.get("ws.reply")
    return "–" if not found else format_ms(found[name])


def _time(value_s: float | None, lost: int) -> str:
    if not lost:
        return "–"
    return "never" if value_s is None else f"{value_s:.2f} s" if value_s < 100 else format_seconds(value_s)


def _curves(reports: Sequence[Report]) -> Html:
    """The recovered fraction over the time since the loss, on a logarithmic axis."""
    times = [max(point[0], 1e-3) for report in reports for point in report["curve"]]
    if not times:
        return Html("")
    low, high = log10(min(times)), log10(max(times))
    high = max(high, low + 1)
    lines = [_line(report["curve"], low, high, _COLOURS[n % len(_COLOURS)]) for n, report in enumerate(reports)]
    lines += [_legend(n, str(report["label"])) for n, report in enumerate(reports[:_MOST_NAMED])]
    marks = [_mark(power, low, high) for power in range(-3, 5) if low <= power <= high]
    shares = [_share(share) for share in (0.0, 0.5, 0.95, 1.0)]
    title = "Recovered fraction of the lost sockets over the time since their loss"
    return Html(
        f"<figure><figcaption><h3>Recovery</h3><p>{title}</p></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 20}" width="100%" role="img" aria-label="{title}">'
        f"{''.join((*shares, *marks, *lines))}</svg></figure>"
    )


def _x(value_s: float, low: float, high: float) -> float:
    share = (log10(max(value_s, 1e-3)) - low) / (high - low)
    return round(_LEFT + share * (_WIDTH - _LEFT - 12), 1)


def _y(share: float) -> float:
    return round((_HEIGHT - _BOTTOM) - share * (_HEIGHT - _BOTTOM - 12), 1)


def _line(curve: Sequence[Sequence[float]], low: float, high: float, colour: str) -> str:
    if not curve:
        return ""
    path, y = [f"M{_x(curve[0][0], low, high)},{_y(0)}"], _y(0)
    for time_s, share in curve:
        x = _x(time_s, low, high)
        path.append(f"L{x},{y}L{x},{_y(share)}")
        y = _y(share)
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _legend(number: int, label: str) -> str:
    x, y = _LEFT + number * 56, _HEIGHT + 12
    square = f'<rect x="{x}" y="{y - 9}" width="9" height="9" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
    return f'{square}<text x="{x + 13}" y="{y}" font-size="11" fill="currentColor">{printable(label, 8)}</text>'


def _mark(power: int, low: float, high: float) -> str:
    x, text = _x(10.0**power, low, high), format_ms(10.0**power * 1000)
    rule = f'<line x1="{x}" x2="{x}" y1="12" y2="{_y(0)}" stroke="currentColor" stroke-opacity="0.15"/>'
    return (
        f'{rule}<text x="{x}" y="{_HEIGHT - 8}" font-size="11" fill="currentColor" text-anchor="middle">{text}</text>'
    )


def _share(share: float) -> str:
    y = _y(share)
    rule = f'<line x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.15"/>'
    label = f'<text x="{_LEFT - 6}" y="{y + 4}" font-size="11" fill="currentColor" text-anchor="end">{share:.0%}</text>'
    return rule + label
