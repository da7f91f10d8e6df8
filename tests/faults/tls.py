"""What can go wrong before TLS is up: certificates of our own making, and servers that speak anything else."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.fakes_server import reset

HOST = "localhost"
_ALERT_VERSION = bytes((0x15, 3, 3, 0, 2, 2, 70))
"""A fatal alert record, protocol_version (RFC 8446 §6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority, its root and a certificate for a user of it, as files."""

    ca: trustme.CA
    ca_file: str
    client_cert_file: str
    client_key_file: str


def make_authority(directory: Path) -> Authority:
    """Make an authority with its files in ``directory``."""
    ca = trustme.CA()
    root, cert, key = (directory / name for name in ("ca.pem", "client.pem", "client.key"))
    ca.cert_pem.write_to_path(str(root))
    ours = ca.issue_cert("tester@example.org")
    ours.cert_chain_pems[0].write_to_path(str(cert))
    ours.private_key_pem.write_to_path(str(key))
    return Authority(ca=ca, ca_file=str(root), client_cert_file=str(cert), client_key_file=str(key))


def server_context(
    authority: Authority,
    *,
    host: str = HOST,
    expired: bool = False,
    wants_cert: bool = False,
    alpn: tuple[str, ...] = (),
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """Return a server's context with a certificate of the authority."""
    now = datetime.datetime.now(datetime.UTC)
    past = now - datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.ca.issue_cert(host, not_after=past) if expired else authority.ca.issue_cert(host)
    certificate.configure_cert(context)
    if wants_cert:
        authority.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@contextmanager
def refusing_our_certificate(context: ssl.SSLContext) -> Iterator[int]:
    """Serve one handshake on a blocking socket, which, unlike asyncio's servers, sends the alert that says why."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(10)
            layer = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            with contextlib.suppress(ssl.SSLError):
                layer.do_handshake()
            with socket.socket(fileno=layer.detach()) as plain:
                plain.settimeout(10)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):  # A close with bytes unread would be a reset, which may overtake the alert.
                    pass

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


async def speak_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS hello as a server without TLS does."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    await reader.read()


async def refuse_version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a hello as a server that knows none of its versions."""
    await reader.read(1)
    writer.write(_ALERT_VERSION)
    await writer.drain()
    await reader.read()


async def never_answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the hello and say nothing."""
    await reader.read(-1)


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """End the connection in the handshake."""
    await reader.read(1)


async def reset_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection in the handshake."""
    await reader.read(1)
    reset(writer)
