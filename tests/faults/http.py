"""What a server can do to an HTTP/1.1 request: named behaviours on raw loopback sockets, and the class of each.

``FAULTS`` is the table that both wires are held against. A fault whose class is a timeout ends only by a deadline.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass

from tests.fakes_server import Serve, answering, read_head, reset

GZIP_BOMB_BYTES = 64 * 1024 * 1024
_MIB = bytes(1024 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail.

    Attributes:
        failure: the class of the taxonomy that it must have.
        is_timed: it ends by a deadline.
    """

    name: str
    serve: Serve
    failure: str
    is_timed: bool = False


async def _reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    reset(writer)


async def _reset_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)  # So that the bytes are read before the reset discards them.
    reset(writer)


async def _hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Half-open: the request is taken, nothing ever comes."""
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: every read is in time, the whole never is."""
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _interim_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


def header_bomb() -> bytes:
    """A head of 400 KiB."""
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(4000))
    return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n"


def gzip_bomb() -> bytes:
    """An answer of 64 KiB that inflates to 64 MiB."""
    body = gzip.compress(_MIB * (GZIP_BOMB_BYTES // len(_MIB)), 9)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
_UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"

FAULTS = (
    Fault(name="reset before the answer", serve=_reset_at_once, failure="reset"),
    Fault(name="reset in the body", serve=_reset_in_body, failure="reset"),
    Fault(name="end before the answer", serve=answering(b"", close=True), failure="eof"),
    Fault(name="end in the head", serve=answering(b"HTTP/1.1 200 OK\r\nContent-", close=True), failure="eof"),
    Fault(name="body shorter than its length", serve=answering(_LENGTH + b"half", close=True), failure="eof"),
    Fault(name="end in a chunk", serve=answering(_CHUNKED + b"5\r\nhal", close=True), failure="eof"),
    Fault(name="end before the last chunk", serve=answering(_CHUNKED + b"3\r\nhal\r\n", close=True), failure="eof"),
    Fault(name="a chunk size that is none", serve=answering(_CHUNKED + b"zz\r\nxx\r\n"), failure="protocol"),
    Fault(name="no HTTP at all", serve=answering(b"this is no HTTP\r\n\r\n"), failure="protocol"),
    Fault(name="a status that is none", serve=answering(b"HTTP/1.1 abc\r\n\r\n"), failure="protocol"),
    Fault(
        name="two lengths",
        serve=answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        failure="protocol",
    ),
    Fault(name="an upgrade nobody asked for", serve=answering(_UPGRADE), failure="protocol"),
    Fault(name="header bomb", serve=answering(header_bomb()), failure="too_large"),
    Fault(name="half-open", serve=_hold, failure="timeout_request", is_timed=True),
    Fault(name="slow drip in the body", serve=_drip, failure="timeout_request", is_timed=True),
    Fault(name="slow drip in the head", serve=_drip_head, failure="timeout_request", is_timed=True),
    Fault(name="interim answers for ever", serve=_interim_for_ever, failure="timeout_request", is_timed=True),
)
