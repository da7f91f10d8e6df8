"""From what a library or the kernel raised to a class of the taxonomy.

Source: errno(3); OpenSSL's X509_V_ERR_* codes (x509_vfy.h).
"""

from __future__ import annotations

import errno
import ssl

from replayer.wire.failures import (
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECT_UNREACHABLE,
    EOF,
    LOCAL_RESOURCE,
    PROTOCOL,
    RESET,
    TLS_EXPIRED,
    TLS_PROTOCOL,
    TLS_UNKNOWN_CA,
    TLS_WRONG_HOST,
)

_LOCAL_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_BY_ERRNO = {
    errno.ECONNREFUSED: CONNECT_REFUSED,
    errno.ETIMEDOUT: CONNECT_TIMEOUT,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
    errno.ECONNABORTED: RESET,
}
_CERT_EXPIRED = frozenset({9, 10})
_CERT_WRONG_HOST = frozenset({62, 64})


def classify(exc: BaseException | None) -> str:
    """Return the class of an exception that a connection ended with; None is an orderly end of the stream."""
    if exc is None:
        return EOF
    if isinstance(exc, ssl.SSLError):
        return _classify_tls(exc)
    if isinstance(exc, TimeoutError) and exc.errno is None:
        return CONNECT_TIMEOUT
    if isinstance(exc, OSError):
        if exc.errno in _LOCAL_ERRNOS:
            return LOCAL_RESOURCE
        return _BY_ERRNO.get(exc.errno or 0, CONNECT_UNREACHABLE)
    if isinstance(exc, EOFError):
        return EOF
    return PROTOCOL


def _classify_tls(exc: ssl.SSLError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        if exc.verify_code in _CERT_EXPIRED:
            return TLS_EXPIRED
        if exc.verify_code in _CERT_WRONG_HOST:
            return TLS_WRONG_HOST
        return TLS_UNKNOWN_CA
    return TLS_PROTOCOL
