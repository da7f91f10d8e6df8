"""Draws up timelines, event by event. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from captures.bodies import media_type
from captures.format.index import origin_of
from captures.records import Event, EventType, Opcode, Peer
from captures.view.timeline import Axis, Kind, Marks, Row, Timeline

_EVENT_STREAM = "text/event-stream"


def timeline_of(events: Iterable[Event], axis: Axis, limit: int) -> Timeline:
    """Draw up the timeline of one session's events.

    Args:
        events: of one session, in order of the file.
        axis: what lies outside is left out.
        limit: of rows; the first ones are taken, 0: all.
    """
    draft = _Draft(axis, limit)
    for event in events:
        draft.add(event)
    rows = sorted(draft.rows.values(), key=lambda row: (row.start_ns, row.exchange))
    return Timeline(axis=axis, rows=rows, n_more=draft.n_more)


class _Draft:
    def __init__(self, axis: Axis, limit: int) -> None:
        self.rows: dict[int, Row] = {}
        self.n_more = 0
        self._axis = axis
        self._limit = limit

    def add(self, event: Event) -> None:
        fields = cast("dict[str, Any]", event.fields)
        if event.type is EventType.REQUEST_HEAD:
            self._start(event, fields)
            return
        row = self.rows.get(event.exchange)
        step = _STEPS.get(event.type)
        if row is None or step is None:
            return
        at = self._axis.bin(event.t_ns) if self._axis.start_ns <= event.t_ns <= self._axis.end_ns else None
        step(row, event.t_ns, fields, at)
        if row.end_ns is not None and row.end_ns < self._axis.start_ns and event.type in _LAST:
            del self.rows[event.exchange]

    def _start(self, event: Event, fields: dict[str, Any]) -> None:
        origin = origin_of(fields["scheme"], fields["host"], fields["port"])
        if origin is None or not event.exchange or event.t_ns > self._axis.end_ns:
            return
        if self._limit and len(self.rows) >= self._limit:
            self.n_more += 1
            return
        self.rows[event.exchange] = Row(
            exchange=event.exchange,
            method=fields["method"],
            origin=origin,
            target=fields["target"],
            start_ns=event.t_ns,
        )


def _answer(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    row.answer_ns, row.status = t_ns, fields["status"]
    row.media_type = media_type(fields["headers"])
    if row.media_type == _EVENT_STREAM:
        row.kind, row.marks = Kind.STREAM, Marks()


def _piece(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    row.size_bytes += len(fields["data"])
    if row.marks is not None and at is not None and row.kind is Kind.STREAM:
        row.marks.add(Peer.SERVER, at)


def _end(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    if row.kind is not Kind.SOCKET and row.status != 101:
        row.end_ns = t_ns
        row.size_bytes = max(row.size_bytes, fields["size_bytes"])


def _open(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    row.kind, row.marks, row.size_bytes, row.end_ns = Kind.SOCKET, Marks(), 0, None


def _message(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    if row.marks is None or fields["sender"] is None or fields.get("dropped"):
        return
    if fields["opcode"] in (Opcode.TEXT, Opcode.BINARY):
        row.size_bytes += max(fields["size_bytes"], len(fields["data"]))
        if at is not None:
            row.marks.add(fields["sender"], at)


def _close(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    row.end_ns, row.close_code = t_ns, fields["code"]


def _error(row: Row, t_ns: int, fields: dict[str, Any], at: int | None) -> None:
    row.error = fields["message"] or "broken"
    row.end_ns = t_ns if row.end_ns is None else row.end_ns


_STEPS: dict[EventType, Callable[[Row, int, dict[str, Any], int | None], None]] = {
    EventType.RESPONSE_HEAD: _answer,
    EventType.RESPONSE_BODY: _piece,
    EventType.RESPONSE_END: _end,
    EventType.SOCKET_OPEN: _open,
    EventType.MESSAGE: _message,
    EventType.SOCKET_CLOSE: _close,
    EventType.ERROR: _error,
}
_LAST = frozenset({EventType.RESPONSE_END, EventType.SOCKET_CLOSE, EventType.ERROR})
