"""A capture in numbers, for ``inspect``: from its index where that is sound, else from its good records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from captures.format.index import ConnectionRow, Index, Note
from captures.format.index_builder import IndexBuilder
from captures.format.reader import Reader
from captures.sessions import left_out_of
from captures.units import NS_PER_S

OVERVIEW_SCHEMA = 1
MAX_TROUBLES = 50
_MAX_SAID_CHARS = 300
_TROUBLES = frozenset(
    "ca_refused connect_failed hook_failed lost lost_notices not_redacted refused_event tls_failed".split()
)
"""Notes about the recording that tell of something that is missing, or that the browser could not do."""


@dataclass(slots=True, kw_only=True)
class SessionOverview:
    """One session in numbers; ``start_ns`` and ``end_ns`` span the events of its exchanges."""

    id: int
    rule: str
    start_ns: int
    end_ns: int
    n_exchanges: int = 0
    n_sockets: int = 0
    n_messages: int = 0
    origins: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class Overview:
    """A capture in numbers; ``origins`` counts requests."""

    path: str
    size_bytes: int
    header: dict[str, object]
    wall_ns: int
    complete: bool
    damage: list[str]
    n_events: int
    sessions: list[SessionOverview]
    notes: list[Note]

    @property
    def origins(self) -> Counter[str]:
        """Requests by origin."""
        return sum((session.origins for session in self.sessions), Counter())

    @property
    def duration_ns(self) -> int:
        """From the first request to the last event of any exchange."""
        if not self.sessions:
            return 0
        return max(s.end_ns for s in self.sessions) - min(s.start_ns for s in self.sessions)

    @property
    def troubles(self) -> Counter[tuple[str, str]]:
        """What went wrong while it was recorded: how often, by name of the note and what it says."""
        return Counter((note.name, _said(note.value)) for note in self.notes if note.name in _TROUBLES)

    def total(self, name: str) -> int:
        """The sum of ``n_exchanges``, ``n_sockets`` or ``n_messages`` over all sessions."""
        return sum(getattr(session, name) for session in self.sessions)


def _said(value: object) -> str:
    """Return the value of a note as one text; whatever a file holds there becomes one."""
    parts = value if isinstance(value, list | tuple) else [value]
    return ": ".join(map(str, parts[:8]))[:_MAX_SAID_CHARS]


def overview_of(reader: Reader) -> Overview:
    """Look a capture over; every frame's checksum is verified."""
    index = reader.index()
    if reader.check() and not index.bindings.by_exchange:
        n_events, sessions = index.n_events, _by_session(index, _session_rows(index))
    else:
        n_events, sessions = _counted(reader, index)
    return Overview(
        path=reader.path,
        size_bytes=reader.size_bytes,
        header=reader.header,
        wall_ns=reader.anchor.wall_ns,
        complete=reader.complete,
        damage=reader.damage,
        n_events=n_events,
        sessions=sessions,
        notes=index.notes,
    )


def _session_rows(index: Index) -> Iterable[tuple[int, ConnectionRow, Index]]:
    for connection, row in index.connections.items():
        yield index.bindings.session_of(connection, 0), row, index


def _counted(reader: Reader, index: Index) -> tuple[int, list[SessionOverview]]:
    """Count the good records, with the session in the place of the connection."""
    builder, n_events = IndexBuilder(), 0
    session_of = index.bindings.session_of
    for event in reader.events():
        n_events += 1
        session = session_of(event.connection, event.exchange)
        builder.add(event.type, event.t_ns, session, event.exchange, event.fields)
    rows = ((session, row, builder.index) for session, row in builder.index.connections.items())
    return n_events, _by_session(index, rows)


def _by_session(index: Index, rows: Iterable[tuple[int, ConnectionRow, Index]]) -> list[SessionOverview]:
    found: dict[int, SessionOverview] = {}
    for number, row, names in rows:
        session = found.get(number)
        if session is None:
            rule = index.bindings.rule_of(number)
            session = SessionOverview(id=number, rule=rule, start_ns=row.first_ns, end_ns=row.last_ns)
            found[number] = session
        session.start_ns = min(session.start_ns, row.first_ns)
        session.end_ns = max(session.end_ns, row.last_ns)
        session.n_exchanges += row.n_exchanges
        session.n_sockets += row.n_sockets
        session.n_messages += row.n_messages
        session.origins.update({str(names.origins[at]): count for at, count in row.origins.items()})
    return [found[number] for number in sorted(found) if found[number].n_exchanges]


def to_document(overview: Overview) -> dict[str, Any]:
    """The overview as one JSON-able document; times in seconds since the capture's time zero."""
    facts = {name: value for name, value in overview.header.items() if name not in ("anchor", "format")}
    return {
        "schema": OVERVIEW_SCHEMA,
        "path": overview.path,
        "size_bytes": overview.size_bytes,
        "format": overview.header["format"],
        "complete": overview.complete,
        "damage": overview.damage,
        "recorded_at": recorded_at(overview.wall_ns),
        "duration_s": overview.duration_ns / NS_PER_S,
        "events": overview.n_events,
        "exchanges": overview.total("n_exchanges"),
        "sockets": overview.total("n_sockets"),
        "messages": overview.total("n_messages"),
        "sessions": [_session_document(session) for session in overview.sessions],
        "origins": dict(overview.origins.most_common()),
        "left_out": left_out_of(overview.notes),
        "troubles": [
            {"note": name, "said": said, "count": count}
            for (name, said), count in overview.troubles.most_common(MAX_TROUBLES)
        ],
        "facts": facts,
    }


def _session_document(session: SessionOverview) -> dict[str, Any]:
    return {
        "id": session.id,
        "rule": session.rule,
        "start_s": session.start_ns / NS_PER_S,
        "duration_s": (session.end_ns - session.start_ns) / NS_PER_S,
        "exchanges": session.n_exchanges,
        "sockets": session.n_sockets,
        "messages": session.n_messages,
        "origins": dict(session.origins.most_common()),
    }


def recorded_at(wall_ns: int) -> str | None:
    """Time zero as ISO 8601 in UTC, to the second; None where the header's clock is out of any calendar."""
    try:
        return datetime.fromtimestamp(wall_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return None
