"""What a connection is like that the dialer has opened."""

from __future__ import annotations

import asyncio
import socket

from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from tests.replayer.asking import run


class _Speaker(asyncio.Protocol):
    def __init__(self) -> None:
        self.opened: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened.set_result(transport)  # type: ignore[arg-type]


def test_what_is_written_is_on_its_way_before_the_loop_makes_its_turn() -> None:
    """Else how late a send was would be taken before it was sent."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            spec = TargetSpec(scheme="http", host="127.0.0.1", port=server.getsockname()[1], addresses=("127.0.0.1",))
            speaker, errors, told = _Speaker(), list[BaseException](), list[str]()
            dialer = Dialer(asyncio.get_running_loop(), Reach(), errors.append)
            dialer.dial(speaker, spec, told.append)
            transport = await speaker.opened
            with server.accept()[0] as peer:
                peer.settimeout(10)
                transport.write(b"GET / HTTP/1.1\r\n\r\n")
                assert peer.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
                transport.abort()
            await dialer.aclose()
            assert not errors and not told

    run(main)
