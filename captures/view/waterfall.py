"""Timelines as one page: self-contained, without a script, opened from a file.

Everything that came out of the capture is escaped, and the page's own policy lets it load and run nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from pathlib import Path

from captures.records import Peer
from captures.units import format_duration
from captures.view.overview import Overview, SessionOverview, recorded_at
from captures.view.terminal import holds, printable, size_text
from captures.view.timeline import Axis, Kind, Row, Timeline

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LABELS = 4
# Message ticks closer than this share of the axis are one.
_TICKS = 1000
_LEGEND = (
    ('<i class="s2" style="background:var(--tone);opacity:.35"></i>', "waits for the answer, or is an open socket"),
    ('<i class="s2" style="background:var(--tone)"></i>', "receives"),
    ('<i class="sent"></i>', "message sent"),
    ('<i class="got"></i>', "message received"),
)


def page_of(overview: Overview, timelines: Iterable[tuple[SessionOverview, Timeline]], *, n_more: int) -> str:
    """The page.

    Args:
        timelines: of the sessions to show.
        n_more: sessions that are not shown.
    """
    name = _text(Path(overview.path).name)
    style = files("captures.view").joinpath("waterfall.css").read_text(encoding="utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title><style>{style}</style></head><body>",
        f"<h1>{name}</h1>",
        *_facts(overview),
        '<ul class="legend">',
        *(f"<li>{sign}{text}</li>" for sign, text in _LEGEND),
        "</ul>",
    ]
    for session, timeline in timelines:
        parts += _session(session, timeline)
    if n_more:
        parts.append(f'<p class="more">{n_more} more sessions: --session N shows one of them.</p>')
    return "\n".join([*parts, "</body></html>", ""])


def _text(value: object) -> str:
    return escape(printable(value))


def _facts(overview: Overview) -> Iterator[str]:
    facts = {
        "page": overview.header.get("url") or "",
        "recorded": f"{recorded_at(overview.wall_ns) or 'at an unknown time'}, {format_duration(overview.duration_ns)}",
        "size": size_text(overview.size_bytes),
        "holds": holds(overview),
        "complete": "yes" if overview.complete else "no: what is shown are the good records",
    }
    yield "<dl>"
    yield from (f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value)
    yield from (f'<dt>damaged</dt><dd class="damage">{_text(sentence)}</dd>' for sentence in overview.damage)
    yield "</dl>"


def _session(session: SessionOverview, timeline: Timeline) -> Iterator[str]:
    lasts = format_duration(session.end_ns - session.start_ns)
    rule = f", by {_text(session.rule)}" if session.rule else ""
    yield f"<section><h2>Session {session.id}, {lasts}{rule}</h2>"
    yield '<div class="rows"><div class="axis"><span class="time">start</span><span class="time">took</span>'
    yield f"<span></span><span>request</span>{_axis(timeline.axis)}</div>"
    yield from (_row(row, timeline.axis, timeline.host_of(row)) for row in timeline.rows)
    yield "</div>"
    if timeline.n_more:
        yield f'<p class="more">{timeline.n_more} more: --limit 0 shows all, --from and --to a part.</p>'
    yield "</section>"


def _axis(axis: Axis) -> str:
    labels = []
    for at in range(_LABELS):
        t_ns = axis.start_ns + (axis.end_ns - axis.start_ns) * at // _LABELS
        labels.append(f'<span style="left:{100 * at / _LABELS:g}%">{format_duration(t_ns)}</span>')
    return f'<span class="chart">{"".join(labels)}</span>'


def _row(row: Row, axis: Axis, host: str) -> str:
    tone = "err" if row.error else f"s{min(5, (row.status or 0) // 100)}"
    status = "err" if row.error else "–" if row.status is None else str(row.status)
    took = "open" if row.end_ns is None else format_duration(max(0, row.end_ns - row.start_ns))
    small = f"<small>{_text(host)}</small> " if host else ""
    what = f"<b>{_text(row.method)}</b> {small}{_text(row.target)}"
    return (
        f'<details class="{tone}"><summary><span class="time">{format_duration(row.start_ns)}</span>'
        f'<span class="time">{took}</span><span class="status">{status}</span><span class="what">{what}</span>'
        f'<span class="chart">{_bar(row, axis)}</span></summary>'
        f'<dl class="more-of">{"".join(_details(row))}</dl></details>'
    )


def _bar(row: Row, axis: Axis) -> str:
    end_ns = axis.end_ns if row.end_ns is None else row.end_ns
    bar = _stretch("b", axis, row.start_ns, end_ns)
    if row.marks is not None:
        return bar + _ticks(row)
    return bar + _stretch("i", axis, row.answer_ns, end_ns) if row.answer_ns is not None else bar


def _stretch(tag: str, axis: Axis, start_ns: int, end_ns: int) -> str:
    left, right = axis.place(start_ns), axis.place(end_ns)
    return f'<{tag} style="left:{100 * left:.3f}%;width:{100 * max(0.0, right - left):.3f}%"></{tag}>'


def _ticks(row: Row) -> str:
    columns = row.marks.merged(_TICKS) if row.marks else []
    paths = []
    for peer, style, start, end in ((Peer.CLIENT, "sent", 1, 10), (Peer.SERVER, "got", 10, 19)):
        places = "".join(f"M{at} {start}V{end}" for at, bits in enumerate(columns) if bits & peer)
        paths.append(f'<path class="{style}" d="{places}"/>' if places else "")
    return f'<svg viewBox="0 0 {_TICKS} 20" preserveAspectRatio="none" aria-hidden="true">{"".join(paths)}</svg>'


def _details(row: Row) -> Iterator[str]:
    facts: dict[str, object] = {"address": f"{row.origin}{row.target}", "kind": row.kind.value}
    if row.answer_ns is not None:
        facts["waited"] = format_duration(max(0, row.answer_ns - row.start_ns))
        if row.end_ns is not None and row.kind is Kind.PLAIN:
            facts["received in"] = format_duration(max(0, row.end_ns - row.answer_ns))
    facts["size"] = size_text(row.size_bytes)
    facts["type"] = row.media_type
    if row.marks is not None:
        facts["messages"] = f"{row.marks.n_sent} sent, {row.marks.n_received} received"
    facts["close code"] = "" if row.close_code is None else row.close_code
    facts["error"] = row.error
    for name, value in facts.items():
        if value != "":
            yield f"<dt>{name}</dt><dd>{_text(value)}</dd>"
