"""The recorder's own certificate authority: where it lives, and how a browser is told to trust just that one.

mitmproxy makes the CA in its configuration directory at its first start. That directory is ours alone: the user's
``~/.mitmproxy`` is neither read nor touched.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CERTIFICATE = "mitmproxy-ca-cert.pem"
_DIRECTORY_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The directory of a CA."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """The CA's certificate in PEM, which clients of the proxy have to trust."""
        return self.directory / CERTIFICATE


def state_directory() -> Path:
    """Where the CA is kept: ``$XDG_STATE_HOME/rushhour/ca``, by default under ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "rushhour" / "ca"


@contextmanager
def open_authority() -> Iterator[Authority]:
    """Provide the CA's directory, 0700; a temporary one where the state directory cannot be written."""
    directory = state_directory()
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)
        is_usable = os.access(directory, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        is_usable = False
    if is_usable:
        yield Authority(directory=directory)
        return
    with tempfile.TemporaryDirectory(prefix="rushhour-ca-") as temporary:
        yield Authority(directory=Path(temporary))


@contextmanager
def making(authority: Authority) -> Iterator[None]:
    """Hold off other recordings while the CA may be in the making."""
    with open(authority.directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_private(directory: Path) -> bool:
    """Tell whether only the owner can enter a directory."""
    return stat.S_IMODE(directory.stat().st_mode) & 0o077 == 0


def spki_hash(certificate: Path) -> str:
    """Hash a certificate's public key the way Chromium's ``--ignore-certificate-errors-spki-list`` wants it.

    base64(SHA-256(DER of SubjectPublicKeyInfo)).
    Source: https://chromium.googlesource.com/chromium/src, services/network/public/cpp/network_switches.cc.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_pem_x509_certificate

    key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
