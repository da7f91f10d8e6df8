"""Conversations for the translator: notices as the addon would put them, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

from captures.records import Anchor, Event, EventType
from recorder.notices import FrameBuffer, Kind, Notice, to_frame
from recorder.translate import Ending, Translator

WALL_NS = 1_700_000_000_000_000_000
MONOTONIC_NS = 5_000_000_000
ANCHOR = Anchor(wall_ns=WALL_NS, monotonic_ns=MONOTONIC_NS)
MS = 1_000_000

Told = tuple[EventType, int, dict[str, object]]


class Conversation:
    """Says notices to a translator, through the frames they travel in, and keeps what it tells."""

    def __init__(self, *, max_body_bytes: int = 1 << 20, by_identity: bool = False) -> None:
        self.translator = Translator(ANCHOR, max_body_bytes=max_body_bytes, by_identity=by_identity)
        self.events: list[Event] = []
        self.now_ms = 0
        self.wall_shift_ns = 0

    def wall_s(self, at_ms: float) -> float:
        """The proxy's stamp of a moment."""
        return (WALL_NS + self.wall_shift_ns) / 1e9 + at_ms / 1e3

    def say(self, kind: Kind, /, **fields: object) -> list[Event]:
        """Say one notice; return what it is translated to."""
        notice = (int(kind), MONOTONIC_NS + self.now_ms * MS, WALL_NS + self.wall_shift_ns + self.now_ms * MS, fields)
        told = [event for carried in _carried(notice) for event in self.translator.translate(carried)]
        self.events += told
        return told

    def connect(self, connection_id: str = "c1", *, listener: int = 9000) -> list[Event]:
        """Say that a browser connected."""
        return self.say(Kind.CONNECTED, connection_id=connection_id, listener=listener, peer="127.0.0.1:50000")

    def ask(self, flow_id: str = "f1", connection_id: str = "c1", **changes: object) -> list[Event]:
        """Say a request head."""
        fields: dict[str, object] = {
            "at_s": self.wall_s(self.now_ms),
            "browser": (connection_id, "", "", ""),
            "method": "GET",
            "origin": ("http", "Shop.Example", 8080),
            "target": b"/a?x=1",
            "http_version": "HTTP/1.1",
            "headers": ((b"Host", b"shop.example:8080"),),
        }
        return self.say(Kind.REQUEST, flow_id=flow_id, **(fields | changes))

    def asked(self, flow_id: str = "f1", data: bytes | None = b"") -> list[Event]:
        """Say the end of a request."""
        return self.say(Kind.REQUEST_DONE, flow_id=flow_id, at_s=self.wall_s(self.now_ms), data=data)

    def answer(self, flow_id: str = "f1", status: int = 200, **changes: object) -> list[Event]:
        """Say a response head."""
        fields: dict[str, object] = {
            "at_s": self.wall_s(self.now_ms),
            "reason": "OK",
            "http_version": "HTTP/1.1",
            "headers": ((b"Content-Type", b"text/plain"),),
            "connect": (None, None),
        }
        return self.say(Kind.RESPONSE, flow_id=flow_id, status=status, **(fields | changes))

    def answered(self, flow_id: str = "f1", data: bytes | None = b"ok", *, is_upgrade: bool = False) -> list[Event]:
        """Say the end of a response."""
        at_s = self.wall_s(self.now_ms)
        return self.say(Kind.RESPONSE_DONE, flow_id=flow_id, at_s=at_s, data=data, is_upgrade=is_upgrade)

    def open_socket(self, flow_id: str = "f1") -> list[Event]:
        """Say a whole handshake."""
        self.ask(flow_id)
        self.asked(flow_id)
        self.answer(flow_id, 101, reason="Switching Protocols")
        self.answered(flow_id, b"", is_upgrade=True)
        return self.say(Kind.SOCKET, flow_id=flow_id, extensions=b"permessage-deflate", subprotocol=b"v1")

    def message(self, flow_id: str, data: bytes, *, sender: int = 1, is_dropped: bool = False) -> list[Event]:
        """Say a message."""
        at_s = self.wall_s(self.now_ms)
        return self.say(
            Kind.MESSAGE, flow_id=flow_id, at_s=at_s, sender=sender, opcode=1, data=data, is_dropped=is_dropped
        )

    def finish(self, ending: Ending = Ending.COMPLETE) -> list[Event]:
        """End the recording; return the last events."""
        told = list(self.translator.finish(ending))
        self.events += told
        return told


def _carried(notice: Notice) -> Iterator[Notice]:
    for notices in FrameBuffer().feed(to_frame([notice])):
        yield from notices


def types(events: list[Event]) -> list[str]:
    """Names of the events' types, in order."""
    return [event.type.name for event in events]


def notes(events: list[Event]) -> dict[str, object]:
    """Notes by name."""
    return {str(event.fields["name"]): event.fields["value"] for event in events if event.type is EventType.NOTE}
