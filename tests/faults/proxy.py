"""A forward proxy on loopback: whatever name is asked for, it leads to one port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes_server import read_head, serving


@dataclass(slots=True, kw_only=True)
class SeenProxy:
    """A proxy that listens on ``port``; ``heads`` are those of the requests it was sent."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(leads_to: int, *, refuses: bool = False) -> AsyncIterator[SeenProxy]:
    """Run a proxy; one that ``refuses`` answers 407 to everything."""
    seen = SeenProxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        seen.heads.append(head)
        if refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            await reader.read()
            return
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", leads_to)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            method, url, rest = head.split(b" ", 2)
            onward.write(b"%s /%s %s" % (method, url.split(b"/", 3)[3], rest))
        try:
            await asyncio.gather(_pump(reader, onward), _pump(onward_reader, writer))
        finally:
            onward.close()

    async with serving(serve) as port:
        seen.port = port
        yield seen
