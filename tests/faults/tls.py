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
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
    for_clients: bool = False,
    wants_cert: bool = False,
    alpn: tuple[str, ...] = (),
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """Return a server's context with a certificate of the authority; ``for_clients``: made for no server at all."""
    now = datetime.datetime.now(datetime.UTC)
    past = now - datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if for_clients:
        certificate = _client_certificate(authority.ca, host)
    else:
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


def _client_certificate(ca: trustme.CA, host: str) -> trustme.LeafCert:
    """Issue a certificate for a host whose only purpose is that of a client (RFC 5280 §4.2.1.12)."""
    signer = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    made = (
        builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return trustme.LeafCert(secret, made.public_bytes(pem), [])


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
