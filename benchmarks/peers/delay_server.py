"""Answers every HTTP request 20 ms after it came. ``python -m benchmarks.peers.delay_server PORT``.

The delay is kept by a timer on the request's arrival with the last fraction of a millisecond spun away, so that the
server's own error stays below a tenth of a millisecond.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from benchmarks.peers.ground import BODY

DELAY_S = 0.020
_SPIN_S = 0.0015
_BODY = (BODY % "").encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Delaying(asyncio.Protocol):
    """One connection; one request at a time."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        due_s = time.perf_counter() + DELAY_S
        asyncio.get_running_loop().call_later(DELAY_S - _SPIN_S, self._answer, due_s)

    def _answer(self, due_s: float) -> None:
        while time.perf_counter() < due_s:
            pass
        self._transport.write(_ANSWER)


async def main(port: int) -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Delaying, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
