"""What ``rushhour inspect`` shows: the capture in numbers, and timelines in the terminal or as a page."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from captures.errors import ConfigError
from captures.format.reader import Reader, open_capture
from captures.units import format_duration, parse_duration_ns
from captures.view.chart import render_timeline
from captures.view.overview import Overview, SessionOverview, overview_of, to_document
from captures.view.terminal import printable, render_overview
from captures.view.timeline import Axis, Timeline
from captures.view.timeline_draft import timeline_of

log = logging.getLogger(__name__)

ROWS, PAGE_ROWS, PAGE_SESSIONS = 40, 1000, 20
# A session of a larger capture may take its time to read, so nobody has to wait for one that was not asked for.
UNASKED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a capture is to be shown; None: as is usual."""

    session: int | None = None
    limit: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None

    @classmethod
    def parsed(cls, *, session: int | None, limit: int | None, start: str | None, end: str | None) -> Asked:
        """Read what was typed.

        Raises:
            ConfigError: a time is malformed.
        """
        start_ns = None if start is None else parse_duration_ns(start)
        end_ns = None if end is None else parse_duration_ns(end)
        return cls(session=session, limit=limit, start_ns=start_ns, end_ns=end_ns)

    @property
    def is_explicit(self) -> bool:
        """Whether a timeline was asked for."""
        return any(value is not None for value in (self.session, self.limit, self.start_ns, self.end_ns))

    def axis(self, session: SessionOverview) -> Axis:
        """The stretch of time to show of a session."""
        start_ns = session.start_ns if self.start_ns is None else self.start_ns
        return Axis(start_ns, max(start_ns, session.end_ns) if self.end_ns is None else self.end_ns)


def document_of(path: str) -> str:
    """The overview as a JSON document; damage is told in the log, too."""
    with open_capture(path) as reader:
        overview = overview_of(reader)
    if not overview.complete:
        log.warning("%s is damaged: %s", path, "; ".join(overview.damage))
    return json.dumps(to_document(overview), indent=2, default=_text_of)


def as_text(path: str, asked: Asked) -> None:
    """Print overview and timeline."""
    console = Console(highlight=False)
    with open_capture(path) as reader:
        overview = overview_of(reader)
        chosen = _chosen(overview, asked)
        render_overview(overview, console)
        if not chosen or (reader.size_bytes > UNASKED_BYTES and not asked.is_explicit):
            return
        session = chosen[0]
        timeline = _timeline(reader, session, asked, ROWS)
        console.print()
        render_timeline(timeline, console, title=_title(session))
        if asked.session is None and len(chosen) > 1:
            console.print(f"of {len(chosen)} sessions; --session {chosen[1].id} shows the next", style="dim")


def as_page(path: str, asked: Asked, out: str) -> None:
    """Write the page; the file gets mode 0600, for addresses may be secrets.

    Raises:
        ConfigError: it exists or cannot be written.
    """
    from captures.view.waterfall import page_of

    with open_capture(path) as reader:
        overview = overview_of(reader)
        chosen = _chosen(overview, asked)
        page = page_of(overview, _timelines(reader, chosen[:PAGE_SESSIONS], asked), n_more=len(chosen[PAGE_SESSIONS:]))
    try:
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(page)
    except FileExistsError as exc:
        raise ConfigError(f"{out} exists already", "nothing is overwritten: choose another --html FILE") from exc
    except OSError as exc:
        raise ConfigError(f"{out} cannot be written: {exc.strerror}", "choose another --html FILE") from exc


def _chosen(overview: Overview, asked: Asked) -> list[SessionOverview]:
    if asked.session is None:
        return overview.sessions
    chosen = [session for session in overview.sessions if session.id == asked.session]
    if not chosen:
        first, last = (overview.sessions[0].id, overview.sessions[-1].id) if overview.sessions else (0, 0)
        hint = f"its sessions are {first} to {last}" if overview.sessions else "it has none"
        raise ConfigError(f"{Path(overview.path).name} has no session {asked.session}", hint)
    return chosen


def _timelines(
    reader: Reader, sessions: list[SessionOverview], asked: Asked
) -> Iterator[tuple[SessionOverview, Timeline]]:
    for session in sessions:
        yield session, _timeline(reader, session, asked, PAGE_ROWS)


def _timeline(reader: Reader, session: SessionOverview, asked: Asked, rows: int) -> Timeline:
    axis = asked.axis(session)
    events = reader.events(session=session.id, end_ns=axis.end_ns + 1)
    return timeline_of(events, axis, rows if asked.limit is None else asked.limit)


def _title(session: SessionOverview) -> str:
    lasts = format_duration(session.end_ns - session.start_ns)
    return f"session {session.id}, {lasts}, by {printable(session.rule)}" if session.rule else f"session {session.id}"


def _text_of(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
