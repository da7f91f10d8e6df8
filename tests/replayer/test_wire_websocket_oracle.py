"""Sockets through both wires: ours, and ``websockets`` as the oracle, tell the same of the same servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.frames import MAX_MESSAGE_BYTES
from replayer.wire.kinds import WireKind
from replayer.wire.tally import Tally
from replayer.wire.wires import open_wire
from tests.fakes_server import Serve, answering, serving
from tests.faults.websocket import BOMB, DEFLATE, end, end_after_close, reset_soon, upgraded
from tests.replayer.listening import Listener, run

both_wires = pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)


class User(Listener):
    """A listener that a wire can tell from others."""

    user_number = 0


def told(kind: WireKind, server: Serve, *, max_message_bytes: int, **options: Any) -> list[tuple[Any, ...]]:
    """Return what a socket tells of a server until it is over."""
    heard: list[tuple[Any, ...]] = []
    errors: list[BaseException] = []

    async def main() -> None:
        async with serving(server) as port:
            loop, tally = asyncio.get_running_loop(), Tally()
            wire = open_wire(
                kind,
                loop,
                Reach(),
                connections=Tally(),
                sockets=tally,
                on_error=errors.append,
                count=lambda name: None,
                max_message_bytes=max_message_bytes,
            )
            listener = User()
            target = TargetSpec(scheme="http", host="127.0.0.1", port=port, addresses=("127.0.0.1",))
            given: dict[str, Any] = {"offers_deflate": False, "subprotocols": ()} | options
            wire.open_socket(
                listener, target, b"/ws", [], given["subprotocols"], offers_deflate=given["offers_deflate"]
            )
            while not heard or heard[-1][0] not in ("refused", "closed"):
                heard.append(await listener.next())
            assert tally.n == 0
            await wire.aclose()

    run(main)
    assert not errors
    return heard


def closing(*frames: bytes, extension: str = "") -> Serve:
    """Serve raw frames, and end the connection as a server does; without that the library waits for 10 s."""
    return upgraded(*frames, then=end_after_close, extension=extension)


OPENED = ("opened",)

# Name · server · options · what is told.
CASES: dict[str, tuple[Serve, dict[str, Any], list[tuple[Any, ...]]]] = {
    "a message and a close": (
        closing(b"\x81\x02hi", b"\x82\x01\xff", b"\x88\x02\x0f\xa1"),
        {},
        [OPENED, ("message", b"hi", True), ("message", b"\xff", False), ("closed", 4001)],
    ),
    "fragments": (
        closing(b"\x01\x01a\x89\x00\x80\x01b\x88\x00"),
        {},
        [OPENED, ("message", b"ab", True), ("closed", 1005)],
    ),
    "a restart": (closing(b"\x88\x02\x03\xf4"), {}, [OPENED, ("closed", 1012)]),
    "FIN": (upgraded(then=end), {}, [OPENED, ("closed", 1006)]),
    "RST": (upgraded(then=reset_soon), {}, [OPENED, ("closed", 1006)]),
    "a masked frame": (closing(b"\x81\x83abcd123"), {}, [OPENED, ("closed", 1002, "protocol")]),
    "a reserved bit": (closing(b"\xc1\x01x"), {}, [OPENED, ("closed", 1002, "protocol")]),
    "a reserved opcode": (closing(b"\x83\x01x"), {}, [OPENED, ("closed", 1002, "protocol")]),
    "a continuation of nothing": (closing(b"\x80\x01x"), {}, [OPENED, ("closed", 1002, "protocol")]),
    "a long ping": (closing(b"\x89\x7e\x00\x7e" + bytes(126)), {}, [OPENED, ("closed", 1002, "protocol")]),
    "a close code that is none": (closing(b"\x88\x02\x03\xec"), {}, [OPENED, ("closed", 1002, "protocol")]),
    "no UTF-8": (closing(b"\x81\x01\xff"), {}, [OPENED, ("closed", 1007, "protocol")]),
    "a message above the limit": (
        closing(b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big")),
        {},
        [OPENED, ("closed", 1009, "too_large")],
    ),
    "a message above a limit of our own": (
        closing(b"\x82\x0a" + bytes(10), b"\x82\x0b" + bytes(11)),
        {"max_message_bytes": 10},
        [OPENED, ("message", bytes(10), False), ("closed", 1009, "too_large")],
    ),
    "a deflate bomb": (
        closing(b"\xc2\x7e" + len(BOMB).to_bytes(2, "big") + BOMB, extension=DEFLATE),
        {"offers_deflate": True},
        [OPENED, ("closed", 1009, "too_large")],
    ),
    "an extension that was not offered": (upgraded(then=end, extension=DEFLATE), {}, [("refused", "protocol", 101)]),
    "no subprotocol of those offered": (
        upgraded(then=end),
        {"subprotocols": ("chat",)},
        [("refused", "protocol", 101)],
    ),
    "a wrong accept": (
        answering(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bad\r\n\r\n",
            close=True,
        ),
        {},
        [("refused", "protocol", 101)],
    ),
    "no HTTP": (answering(b"SSH-2.0-OpenSSH_9\r\n\r\n", close=True), {}, [("refused", "protocol", 0)]),
    "an overloaded server": (
        answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", close=True),
        {},
        [("refused", "status_503", 503)],
    ),
    "a limit of requests": (
        answering(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", close=True),
        {},
        [("refused", "rate_limited", 429)],
    ),
    "a redirect": (
        answering(b"HTTP/1.1 302 F\r\nLocation: ws://127.0.0.2/\r\nContent-Length: 0\r\n\r\n", close=True),
        {},
        [("refused", "status_302", 302)],
    ),
    "an end without an answer": (answering(b"", close=True), {}, [("refused", "eof", 0)]),
}


@both_wires
@pytest.mark.parametrize("name", CASES)
def test_both_wires_tell_the_same_of_a_server(kind: WireKind, name: str) -> None:
    server, options, expected = CASES[name]
    assert told(kind, server, **({"max_message_bytes": MAX_MESSAGE_BYTES} | options)) == expected
