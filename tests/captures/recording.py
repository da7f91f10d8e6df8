"""Records by notices, as the proxy's addon puts them, through the process that writes: frames, translator, redactor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from recorder.notices import FrameBuffer, Kind, to_frame
from recorder.sink import Sink

WALL_NS = 1_700_000_000_000_000_000
MS = 1_000_000
FACTS: dict[str, object] = {"tool": "rushhour", "version": "0.1.0", "url": "https://shop.example/"}
_OF_ANSWERS = frozenset({"location", "set-cookie"})


class Tape:
    """A recording in this process.

    Args:
        redaction: is it on, policy file, key file.
        status_fd: where status lines go; -1: nowhere.
    """

    def __init__(self, path: Path, *, redaction: tuple[bool, str, str] = (True, "", ""), status_fd: int = -1) -> None:
        self._status_fd = os.open(os.devnull, os.O_WRONLY) if status_fd < 0 else status_fd
        self.sink = Sink(path, self._status_fd)
        self._n_flows = 0
        self._now_ns = 0
        self._socket = ""
        start = {"facts": FACTS, "max_body_bytes": 1 << 20, "redaction": redaction}
        self.say(Kind.START, **start, rotation=(0, 0), by_identity=False)
        self.say(Kind.CONNECTED, connection_id="c", listener=9000, peer="203.0.113.77:50000")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.say(Kind.STOP)
            self.sink.finish()
        os.close(self._status_fd)

    def say(self, kind: Kind, /, **fields: object) -> None:
        """Put one notice, through the frames it travels in."""
        self._now_ns += MS
        for notices in FrameBuffer().feed(to_frame([(int(kind), self._now_ns, WALL_NS + self._now_ns, fields)])):
            self.sink.take(notices)

    def ask(self, target: str, **headers: str) -> None:
        """A GET with an answer; headers go to the side that sends such ones."""
        of_answer = {name: value for name, value in headers.items() if name in _OF_ANSWERS}
        of_request = {name: value for name, value in headers.items() if name not in _OF_ANSWERS}
        flow = self._begin(target, of_request, method="GET")
        self.say(Kind.REQUEST_DONE, flow_id=flow, at_s=None, data=b"")
        self._answer(flow, of_answer, 302 if "location" in headers else 200)
        self.say(Kind.RESPONSE_DONE, flow_id=flow, at_s=None, data=b"", is_upgrade=False)

    def exchange(
        self,
        body: bytes,
        content_type: str,
        encoding: str,
        *,
        is_request: bool,
        n_pieces: int = 1,
        is_encoded: bool = True,
        target: str = "/api",
    ) -> None:
        """An exchange with a body on one side, in pieces."""
        headers = {"content-type": content_type} if content_type else {}
        if encoding and is_encoded:
            headers["content-encoding"] = encoding
        size = max(1, -(-len(body) // n_pieces))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        flow = self._begin(target, headers if is_request else {}, method="POST" if is_request else "GET")
        for piece in pieces if is_request else ():
            self.say(Kind.REQUEST_CHUNK, flow_id=flow, data=piece)
        self.say(Kind.REQUEST_DONE, flow_id=flow, at_s=None, data=None if is_request else b"")
        self._answer(flow, {} if is_request else headers)
        for piece in () if is_request else pieces:
            self.say(Kind.RESPONSE_CHUNK, flow_id=flow, data=piece)
        self.say(Kind.RESPONSE_DONE, flow_id=flow, at_s=None, data=b"" if is_request else None, is_upgrade=False)

    def message(self, data: bytes, *, sender: int, opcode: int = 1) -> None:
        """A message on the one socket, which is opened where it is not."""
        if not self._socket:
            self._socket = self._begin("/ws", {"upgrade": "websocket"}, method="GET")
            self.say(Kind.REQUEST_DONE, flow_id=self._socket, at_s=None, data=b"")
            self._answer(self._socket, {}, 101)
            self.say(Kind.RESPONSE_DONE, flow_id=self._socket, at_s=None, data=b"", is_upgrade=True)
            self.say(Kind.SOCKET, flow_id=self._socket, extensions=b"", subprotocol=b"")
        fields: dict[str, object] = {"sender": sender, "opcode": opcode, "data": data, "is_dropped": False}
        self.say(Kind.MESSAGE, flow_id=self._socket, at_s=None, **fields)

    def close_socket(self, reason: str) -> None:
        """End the socket."""
        if self._socket:
            self.say(Kind.SOCKET_DONE, flow_id=self._socket, at_s=None, sender=2, code=4000, reason=reason)
            self._socket = ""

    def error(self, message: str) -> None:
        """An exchange that breaks."""
        flow = self._begin("/broken", {}, method="GET")
        self.say(Kind.BROKEN, flow_id=flow, at_s=None, message=message)

    def _begin(self, target: str, headers: Mapping[str, str], *, method: str) -> str:
        self._n_flows += 1
        flow = f"f{self._n_flows}"
        self.say(
            Kind.REQUEST,
            flow_id=flow,
            at_s=None,
            browser=("c", "", "", ""),
            method=method,
            origin=("https", "shop.example", 443),
            target=target.encode(),
            http_version="HTTP/1.1",
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        return flow

    def _answer(self, flow: str, headers: Mapping[str, str], status: int = 200) -> None:
        self.say(
            Kind.RESPONSE,
            flow_id=flow,
            at_s=None,
            status=status,
            reason="OK",
            http_version="HTTP/1.1",
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            connect=(None, None),
        )
