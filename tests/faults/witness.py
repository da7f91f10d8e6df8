"""A server that notes every request as it arrived and answers what a table says: what the target saw, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes_server import Serve, read_head


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request: the request line, the headers in order with lower-case names, the body."""

    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class Witness:
    """Serves connections with ``answer`` and keeps what it saw, by connection, in order of arrival.

    Args:
        answer: returns the whole answer to a request.
    """

    answer: Callable[[Seen], bytes]
    connections: list[list[Seen]] = field(default_factory=list)

    @property
    def requests(self) -> list[Seen]:
        """What came on all connections."""
        return [seen for each in self.connections for seen in each]

    @property
    def serve(self) -> Serve:
        """For ``fakes_server.serving``."""
        return self._serve

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: list[Seen] = []
        self.connections.append(seen)
        while True:
            request = await _read(reader)
            seen.append(request)
            answer = self.answer(request)
            writer.write(answer)
            await writer.drain()
            if b"\r\nconnection: close\r\n" in answer.lower():
                return


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = await read_head(reader)
    line, *fields = head[:-4].split(b"\r\n")
    pairs = (each.split(b":", 1) for each in fields)
    headers = tuple((name.lower(), value.strip()) for name, value in pairs)
    length = int(dict(headers).get(b"content-length", b"0"))
    return Seen(line=line, headers=headers, body=await reader.readexactly(length))
