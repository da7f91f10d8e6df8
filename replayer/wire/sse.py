"""Server-sent events: bytes of a ``text/event-stream`` body in, events out. Pure.

Fed with decoded body bytes at any split. What a browser would hand to ``onmessage`` comes out, as bytes: nothing here
needs text, and what is no UTF-8 is the page's affair.

Source: WHATWG HTML §9.2.5 "Parsing an event stream" and §9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from typing import NamedTuple

from replayer.wire.heads import Head

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Hard cap of one event, as of one WebSocket message."""

CONTENT_TYPE = b"text/event-stream"

_BOM = b"\xef\xbb\xbf"
_MESSAGE = b"message"


class ServerEvent(NamedTuple):
    """One event: its type, ``message`` where it names none; its data lines joined by LF; the last id seen up to it."""

    type: bytes
    data: bytes
    last_id: bytes


class EventTooLarge(Exception):
    """An event or line passed ``max_bytes``."""


class EventReader:
    """Reads one event stream.

    Args:
        max_bytes: of one event.

    Attributes:
        last_id: what a browser would send as ``Last-Event-ID`` when it reconnects; b"" sends none.
        retry_ms: reconnection time that the server asked for, or -1.
        n_events, n_comments: so far; comments are what servers keep a silent stream alive with.
    """

    __slots__ = (
        "_data",
        "_data_bytes",
        "_held",
        "_id",
        "_is_at_start",
        "_max_bytes",
        "_skips_lf",
        "_type",
        "last_id",
        "n_comments",
        "n_events",
        "retry_ms",
    )

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()  # The beginning of a line.
        self._is_at_start = True  # A byte order mark may still come.
        self._skips_lf = False  # The last byte was CR: an LF that follows belongs to it.
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._type = b""
        self._id = b""
        self.last_id = b""
        self.retry_ms = -1
        self.n_events = 0
        self.n_comments = 0

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the events that ``data`` completes. What stands unfinished when the stream ends is no event.

        Raises:
            EventTooLarge: nothing may be fed afterwards.
        """
        if self._is_at_start:
            data = self._without_mark(data)
        if self._skips_lf and data:
            self._skips_lf = False
            if data[0] == 0x0A:
                data = data[1:]
        if not data:
            return []
        if b"\n" not in data and b"\r" not in data:
            self._hold(data)
            return []
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        lines = data.splitlines()
        if data[-1] == 0x0D:
            self._skips_lf = True
        elif data[-1] != 0x0A:
            self._hold(lines.pop())
        return self._take_lines(lines)

    def _without_mark(self, data: bytes) -> bytes:
        """Return ``data`` without the stream's byte order mark; nothing while it may still be one."""
        begun = bytes(self._held) + data
        self._held.clear()
        if len(begun) < len(_BOM) and _BOM.startswith(begun):
            self._held += begun
            return b""
        self._is_at_start = False
        return begun.removeprefix(_BOM)

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) + self._data_bytes > self._max_bytes:
            raise EventTooLarge

    def _take_lines(self, lines: list[bytes]) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        for line in lines:
            if line:
                self._take_field(line)
                continue
            self.last_id = self._id
            if self._data:
                events.append(ServerEvent(self._type or _MESSAGE, b"\n".join(self._data), self._id))
                self._data = []
                self._data_bytes = 0
            self._type = b""
        self.n_events += len(events)
        return events

    def _take_field(self, line: bytes) -> None:
        name, colon, value = line.partition(b":")
        if colon and not name:
            self.n_comments += 1
            return
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_bytes:
                raise EventTooLarge
        elif name == b"event":
            self._type = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value
        elif name == b"retry" and value.isdigit() and len(value) < 16:
            self.retry_ms = int(value)


def event_reader(head: Head) -> EventReader | None:
    """Return what reads the answer where it is an event stream; one that is compressed is read as any body."""
    if head.status != 200 or not head.content_type.startswith(CONTENT_TYPE) or head.content_encoding:
        return None
    return EventReader()
