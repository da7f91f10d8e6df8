"""A forward proxy on loopback: whatever name is asked for, it leads to one port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes_server import Serve, read_head, serving


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


def leading_to(port: int, heads: list[bytes], *, refuses: bool = False) -> Serve:
    """Return what a proxy does with a connection; it notes the heads of what it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        heads.append(head)
        if refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            await reader.read()
            return
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", port)
        try:
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, onward), _pump(onward_reader, writer))
            else:
                await asyncio.gather(_forward(reader, onward, head, heads), _pump(onward_reader, writer))
        finally:
            onward.close()

    return serve


async def _forward(reader: asyncio.StreamReader, onward: asyncio.StreamWriter, head: bytes, heads: list[bytes]) -> None:
    """Send requests on in origin-form, each with as much body as its head says."""
    while True:
        method, url, rest = head.split(b" ", 2)
        onward.write(b"%s /%s %s" % (method, url.split(b"/", 3)[3], rest))
        _, has_length, after = head.lower().partition(b"content-length:")
        if has_length:
            onward.write(await reader.readexactly(int(after.split(b"\r\n")[0])))
        try:
            head = await read_head(reader)
        except asyncio.IncompleteReadError:
            onward.close()
            return
        heads.append(head)


@asynccontextmanager
async def proxying(leads_to: int, *, refuses: bool = False) -> AsyncIterator[SeenProxy]:
    """Run a proxy; one that ``refuses`` answers 407 to everything."""
    seen = SeenProxy()
    async with serving(leading_to(leads_to, seen.heads, refuses=refuses)) as port:
        seen.port = port
        yield seen
