"""TLS over MemoryBIO against a real TLS server with certificates of our own making."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.http1 import Http1Connection
from replayer.wire.tally import Tally
from replayer.wire.tls import open_context
from tests.fakes_server import answering, serving
from tests.replayer.test_wire_http1 import Listener


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, str(path)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def asked(port: int, ca_file: str | None, *, insecure: bool = False) -> tuple[str, Any]:
    listener = Listener()
    loop = asyncio.get_running_loop()
    dialer = Dialer(loop, open_context(insecure=insecure, ca_file=ca_file), lambda exc: None)
    spec = TargetSpec(scheme="https", host="localhost", port=port, addresses=("127.0.0.1",))
    connection = Http1Connection(listener, Tally())
    dialer.dial(connection, spec, lambda failure: listener.told.put_nowait(("refused", failure)))
    told = await listener.next()
    if told[0] != "opened":
        return told
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", is_head=False, keeps_body=True)
    told = await listener.next()
    connection.close()
    return told


@pytest.mark.parametrize("size", [2, 300_000])  # one record, and many
def test_answers_arrive_whole_over_tls(authority: tuple[trustme.CA, str], size: int) -> None:
    ca, ca_file = authority
    body = b"x" * size

    async def main() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body
        async with serving(answering(answer), tls=server_context(ca.issue_cert("localhost"))) as port:
            kind, connection = await asked(port, ca_file)
            assert kind == "response" and connection.body == body

    run(main)


def test_body_that_ends_with_the_tls_stream_is_complete(authority: tuple[trustme.CA, str]) -> None:
    ca, ca_file = authority

    async def main() -> None:
        server = answering(b"HTTP/1.1 200 OK\r\n\r\nthe end", close=True)
        async with serving(server, tls=server_context(ca.issue_cert("localhost"))) as port:
            kind, connection = await asked(port, ca_file)
            assert kind == "response" and connection.body == b"the end"

    run(main)


def test_certificates_are_verified_and_each_flaw_has_its_class(authority: tuple[trustme.CA, str]) -> None:
    ca, ca_file = authority
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

    async def main() -> None:
        cases = [
            (ca.issue_cert("other.example"), ca_file, "tls_wrong_host"),
            (ca.issue_cert("localhost", not_after=past), ca_file, "tls_expired"),
            (ca.issue_cert("localhost"), None, "tls_unknown_ca"),
        ]
        for certificate, trusted, failure in cases:
            async with serving(answering(), tls=server_context(certificate)) as port:
                assert await asked(port, trusted) == ("refused", failure)

    run(main)


def test_insecure_takes_any_certificate(authority: tuple[trustme.CA, str]) -> None:
    ca, _ = authority

    async def main() -> None:
        server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        async with serving(server, tls=server_context(ca.issue_cert("other.example"))) as port:
            kind, _ = await asked(port, None, insecure=True)
            assert kind == "response"

    run(main)


def test_plain_text_server_is_a_tls_failure(authority: tuple[trustme.CA, str]) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def main() -> None:
        async with serving(shout) as port:
            assert await asked(port, None) == ("refused", "tls_protocol")

    run(main)
