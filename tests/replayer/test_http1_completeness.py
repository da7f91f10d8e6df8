"""HTTP/1.1 over time: answers that come early, connections that end between requests, bodies that are read or not."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from replayer.user.answers import MAX_DECODED_BYTES, decoded
from tests.fakes_server import answering, read_head, serving
from tests.faults.http import GZIP_BOMB_BYTES, gzip_bomb
from tests.replayer.asking import GET, AskingWire, run, target_at

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def test_an_answer_that_comes_before_the_request_is_sent_is_taken() -> None:
    """A server that refuses a large upload answers its head; what is still to be sent goes to a closed ear."""

    async def refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nless")
        await writer.drain()
        while await reader.read(65536):  # A lingering close, as servers do (RFC 9112 §9.6).
            pass

    async def main() -> Any:
        async with serving(refuse_early) as port, AskingWire() as wire:
            body = bytes(8 * 1024 * 1024)
            head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            return await wire.asker(target_at(port)).asked(head + body)

    outcome = run(main)
    assert (outcome.status, outcome.body, outcome.keeps_alive) == (413, b"less", False)


def test_a_connection_that_ends_between_two_requests_is_told_as_closed() -> None:
    async def main() -> tuple[int, str, bool]:
        async with serving(answering(_OK, close=True)) as port, AskingWire() as wire:
            asker = wire.asker(target_at(port))
            _, connection = await asker.connected()
            status = (await asker.asked(connection=connection)).status
            kind, _ = await asker.next()
            return status, kind, connection.is_alive

    assert run(main) == (200, "closed", False)


def test_a_connection_that_ends_instead_of_a_second_answer_has_no_answer_bytes() -> None:
    """What makes it stale: used before, and not one byte came."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(_OK)
        await read_head(reader)

    async def main() -> tuple[str, int, bool]:
        async with serving(once) as port, AskingWire() as wire:
            asker = wire.asker(target_at(port))
            _, connection = await asker.connected()
            await asker.asked(connection=connection)
            failure = (await asker.asked(connection=connection)).failure
            return failure, connection.n_sent, connection.has_answer_bytes

    assert run(main) == ("eof", 2, False)


@pytest.mark.parametrize("extra", [_OK, b"x", b"\r\n\r\n"])
def test_bytes_behind_an_answer_belong_to_no_request_and_end_the_connection(extra: bytes) -> None:
    async def main() -> tuple[bytes, bool]:
        async with serving(answering(_OK + extra)) as port, AskingWire() as wire:
            asker = wire.asker(target_at(port))
            _, connection = await asker.connected()
            outcome = await asker.asked(connection=connection)
            connection.close()
            return outcome.body, outcome.keeps_alive

    assert run(main) == (b"hi", False)


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 7])
def test_answers_are_the_same_in_pieces_of_any_size(n_bytes: int) -> None:
    answer = (
        b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Set-Cookie: a=1\r\n\r\n4;x=y\r\nabcd\r\n3\r\nefg\r\n0\r\nX-T: 1\r\n\r\n"
    )

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for at in range(0, len(answer), n_bytes):
            writer.write(answer[at : at + n_bytes])
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async def main() -> Any:
        async with serving(dribble) as port, AskingWire() as wire:
            return await wire.asker(target_at(port)).asked()

    outcome = run(main)
    assert (outcome.status, outcome.body, outcome.keeps_alive) == (200, b"abcdefg", True)
    assert (b"set-cookie", b"a=1") in outcome.headers


_PACKED = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}


async def received(answer: bytes) -> Any:
    """Return a connection with an answer whose body was kept."""
    async with serving(answering(answer)) as port, AskingWire() as wire:
        asker = wire.asker(target_at(port))
        _, connection = await asker.connected()
        await asker.asked(GET, connection=connection)
        connection.close()
        return connection


@pytest.mark.parametrize("coding", list(_PACKED))
def test_a_body_is_decoded_only_for_who_reads_it(coding: bytes) -> None:
    packed = _PACKED[coding](b'{"price": 1}' * 50)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(packed)) + packed
    connection = run(lambda: received(answer))
    assert connection.body == packed and connection.body_bytes == len(packed)
    assert decoded(connection) == b'{"price": 1}' * 50


def test_a_gzip_bomb_is_refused_before_it_has_grown() -> None:
    connection = run(lambda: received(gzip_bomb()))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="decodes to more than"):
            decoded(connection)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * MAX_DECODED_BYTES < GZIP_BOMB_BYTES
