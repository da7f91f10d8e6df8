"""A server of ours in a thread of its own, for what runs a loop itself or blocks."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes_server import Serve, serving


@contextmanager
def served(serve: Serve, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server until the block ends; give its port."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    ports: list[int] = []
    listens = threading.Event()

    async def main() -> None:
        async with serving(serve, tls=tls) as port:
            ports.append(port)
            listens.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert listens.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
